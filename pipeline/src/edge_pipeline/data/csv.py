"""Read CSV files with pandas: decompress, detect separator and decimal mark, lose no digit.

Input that pandas would silently repair or round is refused instead.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
from edge_runtime.bundle.reading import CellRule, Reading
from edge_runtime.errors import InputError
from edge_runtime.inputs.compressed import MAGIC_BYTES, compression_of, decompressed
from edge_runtime.inputs.text_cells import MISSING_CELLS, number_parser

from edge_pipeline.data.cell_rules import apply_rules
from edge_pipeline.data.file_kinds import kind_of_file
from edge_pipeline.data.replace_columns import replace_columns
from edge_pipeline.errors import DatasetError

__all__ = [
    "SEPARATORS",
    "Layout",
    "detect_layout",
    "first_line_is_a_row",
    "layout_of_reading",
    "open_text",
    "read_csv",
    "read_csv_chunks",
    "translate_errors",
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
        Whether to drop the first column, which only numbers the rows; None drops it if it has no
        name.
    header
        Whether the first line names the columns; None refuses a first line that looks like a row.
    names
        The columns of a file without a header; ``x0``, ``x1``, … when empty.
    missing
        Markers of a missing value, besides those of pandas.
    columns
        Column name to the rule for its cells, which the device applies as well.
    index_name
        The name that the header gives to the row index.
    sheet
        The sheet of a workbook with several.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str = "utf-8"
    row_index: bool | None = False
    header: bool | None = None
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    columns: Mapping[str, CellRule] = field(default_factory=dict)
    index_name: str = ""
    sheet: str | None = None

    def reading(self) -> Reading:
        """Return the reading that the device repeats."""
        return Reading(
            self.separator or ",",
            self.decimal or ".",
            self.thousands or "",
            self.encoding,
            self.missing,
            self.names if self.header is False else (),
            self.columns,
        )


def layout_of_reading(reading: Reading) -> Layout:
    """Return the layout of a file that was written as *reading* says."""
    return Layout(
        reading.separator,
        reading.decimal,
        reading.thousands or None,
        reading.encoding,
        row_index=None,
        header=not reading.names,
        names=reading.names,
        missing=reading.missing,
        columns=reading.columns,
    )


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
    with translate_errors(file, layout), open_text(file, layout.encoding) as text:
        frame = pd.read_csv(text, **_pandas_options(layout, strings))
    frame = replace_columns(frame, _rounded_columns(file, layout, frame))
    return apply_rules(_drop_row_index(frame, layout), layout.reading(), str(file), strings)


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
    with translate_errors(file, layout), open_text(file, layout.encoding) as text:
        for chunk in pd.read_csv(text, chunksize=rows, **_pandas_options(layout, strings)):
            chunk = _drop_row_index(chunk, layout)
            yield apply_rules(chunk, layout.reading(), str(file), strings)


def detect_layout(file: Path, layout: Layout) -> Layout:
    """Detect separator and decimal mark where *layout* has None, and check the header.

    A file without a header gets names.

    Raises
    ------
    DatasetError
        The first line does not name the columns, or the text has another encoding.
    """
    with translate_errors(file, layout), open_text(file, layout.encoding) as text:
        lines = list(itertools.islice(text, DETECTION_LINES))
    separator = layout.separator or _detect_separator(lines)
    cells = list(csv.reader(lines, delimiter=separator))
    rows = cells if layout.header is False else cells[1:]
    decimal = layout.decimal or _detect_decimal(rows, separator, layout.thousands)
    layout = replace(layout, separator=separator, decimal=decimal)
    if layout.header is not False:
        names = cells[0] if cells else []
        layout = _with_row_index(layout, names)
        _check_header(file, names, separator, layout)
        if layout.header is None and first_line_is_a_row(cells, layout):
            raise DatasetError(
                f"{file}: the first line, {lines[0].strip()[:60]!r}, looks like a row; say "
                "header = false in [reading] if the file names no columns, or header = true"
            )
        return layout
    width = len(cells[0]) if cells else 0
    if layout.names and len(layout.names) != width:
        raise DatasetError(
            f"{file}: [reading] names {len(layout.names)} columns, the first line has {width} cells"
        )
    return replace(layout, names=layout.names or tuple(f"x{i}" for i in range(width)))


@contextmanager
def open_text(file: Path, encoding: str) -> Iterator[TextIO]:
    """Open *file* as text; its first bytes tell the compression.

    Raises
    ------
    DatasetError
        The file is compressed and damaged, is no text, or has an unknown encoding.
    """
    try:
        with file.open("rb") as raw:
            start = raw.peek(MAGIC_BYTES)
            if kind := kind_of_file(start):
                raise DatasetError(f"{file}: {kind}")
            compression = compression_of(start)
            source: Any = raw if compression is None else decompressed(raw, compression, str(file))
            name = "utf-8-sig" if encoding.lower().replace("_", "-") == "utf-8" else encoding
            with io.TextIOWrapper(source, encoding=name, newline="") as text:
                yield text
    except LookupError as error:
        raise DatasetError(f"{file}: there is no encoding {encoding!r}") from error
    except InputError as error:
        raise DatasetError(str(error)) from error


@contextmanager
def translate_errors(file: Path, layout: Layout) -> Iterator[None]:
    """Turn the errors of pandas and of the decompressors into a DatasetError of one line.

    Raises
    ------
    DatasetError
        The file is no table, or its text has another encoding.
    """
    try:
        with warnings.catch_warnings():
            # pandas only warns when it drops the last cells of a row longer than the header.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except UnicodeError as error:
        name = "UTF-8" if layout.encoding == "utf-8" else layout.encoding
        raise DatasetError(
            f"{file}: not {name} text: {error}; save it as UTF-8, or name its encoding, such as "
            'encoding = "cp1252", in [reading]'
        ) from error
    except pd.errors.ParserWarning as error:
        raise DatasetError(f"{file}: a row has more cells than the header has names") from error
    except (ValueError, csv.Error) as error:  # ParserError is a ValueError
        reason = str(error).replace("Error tokenizing data. C error: ", "").strip()
        raise DatasetError(f"{file}: not a table with one header line: {reason}") from error


def _pandas_options(layout: Layout, strings: Sequence[str]) -> dict[str, Any]:
    return {
        "sep": layout.separator,
        "decimal": layout.decimal or ".",
        "index_col": False,
        "low_memory": False,
        "dtype": dict.fromkeys((*strings, *layout.columns), str),
        "na_values": list(layout.missing),
        **({"header": None, "names": list(layout.names)} if layout.header is False else {}),
        **_float_precision(layout),
    }


def _float_precision(layout: Layout) -> dict[str, Any]:
    """Make pandas read numbers to the last bit, as the device does.

    By default pandas 2.3 gets the last bit of every third number wrong.  pandas 3.1 is exact, and
    warns about this option.
    """
    major, minor = pd.__version__.split(".")[:2]
    return {} if (int(major), int(minor)) >= (3, 1) else {"float_precision": "round_trip"}


def _with_row_index(layout: Layout, names: Sequence[str]) -> Layout:
    """Decide whether the first column is an index, where *layout* leaves it open, and name it."""
    row_index = layout.row_index
    if row_index is None:
        row_index = len(names) > 1 and not names[0]
    return replace(layout, row_index=row_index, index_name=names[0] if row_index and names else "")


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


def first_line_is_a_row(rows: Sequence[Sequence[str]], layout: Layout) -> bool:
    """Return whether the first line has numbers where all the others have numbers.

    Whole numbers in steps of one are names: years, or the pixels of an image.
    """
    if len(rows) < 3:
        return False
    parse = number_parser(layout.reading().rule(""))
    columns = [[cell.strip() for cell in column] for column in zip(*rows, strict=False)]
    first_cells = []
    for first, *cells in columns:
        values = [parse(cell) for cell in cells if cell not in MISSING_CELLS]
        if values and not any(isinstance(value, str) for value in values):
            first_cells.append(parse(first))
    if not first_cells or any(isinstance(cell, str) for cell in first_cells):
        return False
    steps = np.diff(np.array(first_cells, dtype=np.float64))
    is_sequence = len(steps) > 0 and bool((steps == 1).all())
    return not (is_sequence and all(cell == int(cell) for cell in first_cells))


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
            "wrote, add row_index = true to [reading], or write the file with index=False"
        )
    other_separators = [mark for mark in SEPARATORS if mark in names[0] and mark != separator]
    if len(names) == 1 and other_separators:
        raise DatasetError(
            f"{file}: one column only; is it separated by {other_separators[0]!r}? "
            f"Then say separator = {other_separators[0]!r} in [reading]"
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
