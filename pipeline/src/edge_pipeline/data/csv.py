"""A CSV file in, a DataFrame out: compressed or not, its separator and decimal mark found.

What pandas would silently repair or round is refused instead.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import lzma
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from edge_pipeline.errors import DatasetError

__all__ = [
    "SEPARATORS",
    "Layout",
    "detect_layout",
    "open_text",
    "read_csv",
    "read_csv_chunks",
    "read_csv_wide_as_text",
]

SEPARATORS = (",", ";", "\t", "|")
"""Looked for in this order when nobody names one."""

DETECTION_LINES = 200
"""Lines from which separator and decimal mark are found."""

MAX_EXACT_INTEGER = 2**53
"""Up to here float64 holds every whole number (IEEE 754, 53 bits of significand)."""


@dataclass(frozen=True)
class Layout:
    """How a CSV file is written; None is found out.

    Attributes
    ----------
    separator
        Between two cells.
    decimal
        Between a number's whole part and its fraction.
    thousands
        Between groups of three digits, or None when there is no such mark.
    encoding
        Of the text.
    row_index
        The first column only numbers the rows, and is left out.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str = "utf-8"
    row_index: bool = False


def read_csv(file: Path, layout: Layout, strings: Sequence[str] = ()) -> pd.DataFrame:
    """Read a whole CSV file, types inferred from whole columns.

    Parameters
    ----------
    strings
        Columns to keep as they are written: ``007`` stays ``007``.

    Raises
    ------
    DatasetError
        Not such a file, or one that holds a number that would be rounded.
    OSError
        It cannot be read.
    """
    layout = detect_layout(file, layout)
    frame = _read(file, layout, strings)
    for name in _rounded_columns(file, layout, frame):
        raise DatasetError(
            f"{file}: column {name!r} holds whole numbers beyond 2**53, which float64 cannot "
            f'tell apart; add it to data.exclude, or say types = {{ "{name}" = "string" }}'
        )
    return _drop_row_index(frame, layout)


def read_csv_wide_as_text(file: Path, layout: Layout) -> pd.DataFrame:
    """As :func:`read_csv`, with whole numbers that would be rounded kept as they are written.

    Raises
    ------
    DatasetError, OSError
        As :func:`read_csv`.
    """
    layout = detect_layout(file, layout)
    frame = _read(file, layout, ())
    wide = _rounded_columns(file, layout, frame)
    return _drop_row_index(_read(file, layout, wide) if wide else frame, layout)


def read_csv_chunks(
    file: Path, layout: Layout, rows: int, strings: Sequence[str] = ()
) -> Iterator[pd.DataFrame]:
    """Read a CSV file *rows* rows at a time; types are those of each part alone.

    Raises
    ------
    DatasetError, OSError
        As :func:`read_csv`.
    """
    layout = detect_layout(file, layout)
    with _translate_errors(file, layout), open_text(file, layout.encoding) as text:
        for part in pd.read_csv(text, chunksize=rows, **_options(layout, strings)):
            yield _drop_row_index(part, layout)


def detect_layout(file: Path, layout: Layout) -> Layout:
    """*layout* with what it leaves open found in the first lines; the header is checked.

    Raises
    ------
    DatasetError
        The first line does not name the columns, or the text is in another encoding.
    """
    with _translate_errors(file, layout), open_text(file, layout.encoding) as text:
        lines = list(itertools.islice(text, DETECTION_LINES))
    separator = layout.separator or _separator(lines)
    cells = list(csv.reader(lines, delimiter=separator))
    _check_header(file, cells[0] if cells else [], separator, layout)
    decimal = layout.decimal or _decimal(cells[1:], separator, layout.thousands)
    return replace(layout, separator=separator, decimal=decimal)


@contextmanager
def open_text(file: Path, encoding: str) -> Iterator[IO[str]]:
    """Open *file* as text, unpacked by its last suffix."""
    with _open_decompressed(file) as raw:
        try:
            name = "utf-8-sig" if encoding.lower().replace("_", "-") == "utf-8" else encoding
            text = io.TextIOWrapper(raw, encoding=name, newline="")
        except LookupError as error:
            raise DatasetError(f"{file}: there is no encoding {encoding!r}") from error
        with text:
            yield text


@contextmanager
def _open_decompressed(file: Path) -> Iterator[Any]:
    match file.suffix.lower():
        case ".gz":
            with gzip.open(file) as raw:
                yield raw
        case ".bz2":
            with bz2.open(file) as raw:
                yield raw
        case ".xz":
            with lzma.open(file) as raw:
                yield raw
        case ".zip":
            with zipfile.ZipFile(file) as packed:
                names = [name for name in packed.namelist() if not name.endswith("/")]
                if len(names) != 1:
                    raise DatasetError(
                        f"{file}: holds {len(names)} files, expected one table; unpack it, and "
                        "name the one you mean"
                    )
                with packed.open(names[0]) as raw:
                    yield raw
        case ".zst":
            try:
                import zstandard
            except ImportError as error:
                raise DatasetError(
                    f"{file}: reading it needs zstandard; pip install zstandard, or unpack it"
                ) from error
            try:
                with file.open("rb") as packed_raw, zstandard.open(packed_raw, "rb") as raw:
                    yield raw
            except zstandard.ZstdError as error:
                raise DatasetError(f"{file}: does not unpack: {error}") from error
        case _:
            with file.open("rb") as raw:
                yield raw


@contextmanager
def _translate_errors(file: Path, layout: Layout) -> Iterator[None]:
    """Turn what pandas and the unpackers raise into one line."""
    try:
        with warnings.catch_warnings():
            # A row longer than the header would lose its last cells with a warning only.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except UnicodeError as error:
        name = "UTF-8" if layout.encoding == "utf-8" else layout.encoding
        raise DatasetError(
            f"{file}: not {name} text: {error}; save it as UTF-8, or name its encoding, such as "
            'encoding = "cp1252", in [data]'
        ) from error
    except pd.errors.ParserWarning as error:
        raise DatasetError(f"{file}: a row has more cells than the header has names") from error
    except (ValueError, csv.Error) as error:  # ParserError is a ValueError
        reason = str(error).replace("Error tokenizing data. C error: ", "").strip()
        raise DatasetError(f"{file}: not a table with one header line: {reason}") from error
    except (gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, EOFError) as error:
        raise DatasetError(f"{file}: does not unpack: {error}") from error


def _options(layout: Layout, strings: Sequence[str]) -> dict[str, Any]:
    return {
        "sep": layout.separator,
        "decimal": layout.decimal or ".",
        "thousands": layout.thousands,
        "index_col": False,
        "low_memory": False,
        "dtype": dict.fromkeys(strings, str),
        **_float_precision(layout),
    }


def _float_precision(layout: Layout) -> dict[str, Any]:
    """Have numbers read to the last bit, as the device reads them.

    pandas 2.3 by default misses the last place of every third number; 3.1 is exact, and warns
    about the option.
    """
    major, minor = pd.__version__.split(".")[:2]
    return {} if (int(major), int(minor)) >= (3, 1) else {"float_precision": "round_trip"}


def _drop_row_index(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    return frame.iloc[:, 1:] if layout.row_index else frame


def _separator(lines: Sequence[str]) -> str:
    """The mark that divides most of the first lines as it divides the header."""
    best, best_rank = ",", (0.0, 0)
    for mark in SEPARATORS:
        try:
            counts = [len(cells) for cells in csv.reader(lines, delimiter=mark) if cells]
        except csv.Error:
            continue
        if not counts or counts[0] < 2:
            continue
        alike = sum(count == counts[0] for count in counts) / len(counts)
        rank = (round(alike, 1), counts[0])
        if rank > best_rank:
            best, best_rank = mark, rank
    return best


_NUMBER = re.compile(r"[+-]?\d*([.,]\d+)?([eE][+-]?\d+)?")


def _decimal(rows: Sequence[Sequence[str]], separator: str, thousands: str | None) -> str:
    """``,`` when numbers are written so, in columns of numbers alone; ``.`` otherwise."""
    if separator == "," or thousands == ",":
        return "."
    found = False
    for column in itertools.zip_longest(*rows, fillvalue=""):
        cells = [cell.strip() for cell in column if cell.strip()]
        if not all(_NUMBER.fullmatch(cell) for cell in cells):
            continue
        if any("." in cell for cell in cells):
            return "."
        # 1,000 may be a thousand; 1,5 and 1,0000 and 0,126 are fractions.
        found = found or any(re.search(r"^[+-]?0*,|,(?!\d{3}$)", cell) for cell in cells)
    return "," if found else "."


def _check_header(file: Path, names: Sequence[str], separator: str, layout: Layout) -> None:
    """Refuse a first line that pandas would silently repair."""
    if not names:
        raise DatasetError(f"{file}: the first line is empty; it must name the columns")
    for name, times in Counter(names).items():
        if times > 1 and name:
            raise DatasetError(f"{file}: {times} columns are called {name!r}; rename them")
    without = [i for i, name in enumerate(names) if not name and not (layout.row_index and i == 0)]
    if without:
        raise DatasetError(
            f"{file}: column {without[0] + 1} has no name; if it is the row index that pandas "
            "wrote, add row_index = true to [data], or write the file with index=False"
        )
    others = [mark for mark in SEPARATORS if mark in names[0] and mark != separator]
    if len(names) == 1 and others:
        raise DatasetError(
            f"{file}: one column only; is it separated by {others[0]!r}? "
            f"Then say separator = {others[0]!r} in [data]"
        )


def _read(file: Path, layout: Layout, strings: Sequence[str]) -> pd.DataFrame:
    with _translate_errors(file, layout), open_text(file, layout.encoding) as text:
        return pd.read_csv(text, **_options(layout, strings))


def _rounded_columns(file: Path, layout: Layout, frame: pd.DataFrame) -> list[str]:
    """Columns of whole numbers that became floats for a gap, and lost digits on the way."""
    suspects = []
    for name in frame.columns:
        if frame[name].dtype != np.float64:
            continue
        values = frame[name].to_numpy()
        values = values[np.isfinite(values)]
        if len(values) and np.abs(values).max() >= MAX_EXACT_INTEGER:
            suspects.append(name)
    if not suspects:
        return []
    with open_text(file, layout.encoding) as text:
        written = pd.read_csv(text, **{**_options(layout, suspects), "usecols": suspects})
    wide = re.compile(r"\s*[+-]?\d{16,}\s*")
    return [
        name
        for name in suspects
        if written[name].dropna().astype(str).map(lambda word: bool(wide.fullmatch(word))).any()
    ]
