"""Read CSV files with pandas: decompress, detect separator and decimal mark, lose no digit.

Input that pandas would silently repair or round is refused instead.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
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
]

SEPARATORS = (",", ";", "\t", "|")
"""Separators to try, in this order, when the recipe names none."""

DETECTION_LINES = 200
"""Lines from which separator and decimal mark are detected."""

MAX_EXACT_INTEGER = 2**53
"""float64 holds every integer up to here (IEEE 754: 53 bits of significand)."""


@dataclass(frozen=True)
class Layout:
    """The format of a CSV file.

    Attributes
    ----------
    separator
        The character between two cells; detected when None.
    decimal
        The decimal mark; detected when None.
    thousands
        The mark between groups of three digits; None when there is none.
    encoding
        The encoding of the text.
    row_index
        Whether to drop the first column, which only numbers the rows.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str = "utf-8"
    row_index: bool = False


def read_csv(file: Path, layout: Layout, strings: Sequence[str] = ()) -> pd.DataFrame:
    """Read a whole CSV file; pandas infers each type from the whole column.

    Integers that float64 would round are Python integers in the frame.

    Parameters
    ----------
    strings
        Columns to keep as text: ``007`` stays ``007``.

    Raises
    ------
    DatasetError
        The file is not a table in CSV.
    OSError
        The file cannot be read.
    """
    layout = detect_layout(file, layout)
    with _translate_errors(file, layout), open_text(file, layout.encoding) as text:
        frame = pd.read_csv(text, **_pandas_options(layout, strings))
    frame = frame.assign(**_rounded_columns(file, layout, frame))
    return _drop_row_index(frame, layout)


def read_csv_chunks(
    file: Path, layout: Layout, rows: int, strings: Sequence[str] = ()
) -> Iterator[pd.DataFrame]:
    """Read a CSV file *rows* rows at a time; pandas infers the types of each chunk alone.

    Raises
    ------
    DatasetError, OSError
        As :func:`read_csv`.
    """
    layout = detect_layout(file, layout)
    with _translate_errors(file, layout), open_text(file, layout.encoding) as text:
        for chunk in pd.read_csv(text, chunksize=rows, **_pandas_options(layout, strings)):
            yield _drop_row_index(chunk, layout)


def detect_layout(file: Path, layout: Layout) -> Layout:
    """Detect separator and decimal mark where *layout* has None, and check the header.

    Raises
    ------
    DatasetError
        The first line does not name the columns, or the text has another encoding.
    """
    with _translate_errors(file, layout), open_text(file, layout.encoding) as text:
        lines = list(itertools.islice(text, DETECTION_LINES))
    separator = layout.separator or _detect_separator(lines)
    cells = list(csv.reader(lines, delimiter=separator))
    _check_header(file, cells[0] if cells else [], separator, layout)
    decimal = layout.decimal or _detect_decimal(cells[1:], separator, layout.thousands)
    return replace(layout, separator=separator, decimal=decimal)


_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")


@contextmanager
def open_text(file: Path, encoding: str) -> Iterator[IO[str]]:
    """Open *file* as text; its suffix names the compression."""
    if file.suffix.lower() in _WORKBOOKS:
        raise DatasetError(f"{file}: workbooks are not read; save the sheet as CSV in UTF-8")
    with _open_decompressed(file) as raw:
        try:
            name = "utf-8-sig" if encoding.lower().replace("_", "-") == "utf-8" else encoding
            text = io.TextIOWrapper(raw, encoding=name, newline="")
        except LookupError as error:
            raise DatasetError(f"{file}: there is no encoding {encoding!r}") from error
        with text:
            yield text


def _open_plain(file: Path) -> IO[bytes]:
    return file.open("rb")


_DECOMPRESSORS: Mapping[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


@contextmanager
def _open_decompressed(file: Path) -> Iterator[Any]:
    suffix = file.suffix.lower()
    if suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if len(names) != 1:
                raise DatasetError(
                    f"{file}: holds {len(names)} files, expected one table; unpack it, and "
                    "name the one you mean"
                )
            with archive.open(names[0]) as raw:
                yield raw
    elif suffix == ".zst":
        try:
            import zstandard
        except ImportError as error:
            raise DatasetError(
                f"{file}: reading it needs zstandard; pip install zstandard, or unpack it"
            ) from error
        try:
            with file.open("rb") as compressed, zstandard.open(compressed, "rb") as raw:
                yield raw
        except zstandard.ZstdError as error:
            raise DatasetError(f"{file}: does not unpack: {error}") from error
    else:
        with _DECOMPRESSORS.get(suffix, _open_plain)(file) as raw:
            yield raw


@contextmanager
def _translate_errors(file: Path, layout: Layout) -> Iterator[None]:
    """Turn the errors of pandas and of the decompressors into a DatasetError of one line."""
    try:
        with warnings.catch_warnings():
            # pandas only warns when it drops the last cells of a row longer than the header.
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


def _pandas_options(layout: Layout, strings: Sequence[str]) -> dict[str, Any]:
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
    """Make pandas read numbers to the last bit, as the device does.

    By default pandas 2.3 gets the last bit of every third number wrong.  pandas 3.1 is exact, and
    warns about this option.
    """
    major, minor = pd.__version__.split(".")[:2]
    return {} if (int(major), int(minor)) >= (3, 1) else {"float_precision": "round_trip"}


def _drop_row_index(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    return frame.iloc[:, 1:] if layout.row_index else frame


def _detect_separator(lines: Sequence[str]) -> str:
    """Choose the separator that gives most lines as many cells as the header."""
    best, best_rank = ",", (0.0, 0)
    for mark in SEPARATORS:
        try:
            counts = [len(cells) for cells in csv.reader(lines, delimiter=mark) if cells]
        except csv.Error:
            continue
        if not counts or counts[0] < 2:
            continue
        equal_share = sum(count == counts[0] for count in counts) / len(counts)
        rank = (round(equal_share, 1), counts[0])
        if rank > best_rank:
            best, best_rank = mark, rank
    return best


_NUMBER = re.compile(r"[+-]?\d*([.,]\d+)?([eE][+-]?\d+)?")


def _detect_decimal(rows: Sequence[Sequence[str]], separator: str, thousands: str | None) -> str:
    """Return ``,`` when some column of numbers uses it as decimal mark, ``.`` otherwise."""
    if separator == "," or thousands == ",":
        return "."
    has_decimal_comma = False
    for column in itertools.zip_longest(*rows, fillvalue=""):
        cells = [cell.strip() for cell in column if cell.strip()]
        if not all(_NUMBER.fullmatch(cell) for cell in cells):
            continue
        if any("." in cell for cell in cells):
            return "."
        # 1,000 may be a thousand; 1,5 and 1,0000 and 0,126 are fractions.
        has_decimal_comma |= any(re.search(r"^[+-]?0*,|,(?!\d{3}$)", cell) for cell in cells)
    return "," if has_decimal_comma else "."


def _check_header(file: Path, names: Sequence[str], separator: str, layout: Layout) -> None:
    """Refuse a first line that pandas would silently repair."""
    if not names:
        raise DatasetError(f"{file}: the first line is empty; it must name the columns")
    for name, count in Counter(names).items():
        if count > 1 and name:
            raise DatasetError(f"{file}: {count} columns are called {name!r}; rename them")
    unnamed = [i for i, name in enumerate(names) if not name and not (layout.row_index and i == 0)]
    if unnamed:
        raise DatasetError(
            f"{file}: column {unnamed[0] + 1} has no name; if it is the row index that pandas "
            "wrote, add row_index = true to [data], or write the file with index=False"
        )
    other_separators = [mark for mark in SEPARATORS if mark in names[0] and mark != separator]
    if len(names) == 1 and other_separators:
        raise DatasetError(
            f"{file}: one column only; is it separated by {other_separators[0]!r}? "
            f"Then say separator = {other_separators[0]!r} in [data]"
        )


def _rounded_columns(file: Path, layout: Layout, frame: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Read columns of large integers again where a missing value made pandas round them to float.

    Their numbers stay exact: Python integers, and floats in cells that are written as such.
    """
    suspects = []
    for name in frame.columns:
        if frame[name].dtype != np.float64:
            continue
        values = frame[name].to_numpy()
        values = values[np.isfinite(values)]
        if len(values) and np.abs(values).max() >= MAX_EXACT_INTEGER:
            suspects.append(name)
    if not suspects:
        return {}
    with open_text(file, layout.encoding) as text:
        cells = pd.read_csv(text, **{**_pandas_options(layout, suspects), "usecols": suspects})
    columns = {}
    for name in suspects:
        is_large = cells[name].str.fullmatch(_LARGE_INTEGER, na=False).astype(bool)
        if is_large.any():
            exact = cells[name][is_large].map(int).astype(object)
            columns[name] = frame[name].astype(object).mask(is_large, exact)
    return columns


_LARGE_INTEGER = r"\s*[+-]?\d{16,}\s*"
