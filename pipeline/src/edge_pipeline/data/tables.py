"""Read a table from a file, and convert its columns to five types.

The types are those of the bundle's schema: float64, int64, bool, datetime and string.  A string
column has dtype object, and NaN for a missing value: newer dtypes of pandas differ from version
to version.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.csv import MAX_EXACT_INTEGER, Layout, read_csv
from edge_pipeline.data.json_records import is_json, read_json
from edge_pipeline.data.workbooks import is_workbook, read_workbook
from edge_pipeline.errors import DatasetError

__all__ = [
    "ARROW",
    "PARQUET",
    "as_frame",
    "infer_type",
    "is_csv",
    "plain_columns",
    "read_arrays",
    "read_arrow_chunks",
    "read_table",
    "thousands_separator",
]

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")

DETECTED_LAYOUT = Layout()
"""Separator and decimal mark of a CSV file are detected."""


def read_table(
    file: Path, layout: Layout = DETECTED_LAYOUT, *, strings: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a table; each type is inferred from the whole column.

    Parameters
    ----------
    file
        Parquet when it ends in ``.parquet`` or ``.pq``, Arrow when it ends in ``.arrow``,
        ``.feather`` or ``.ipc``.  A workbook when it ends in ``.xlsx``, ``.xlsm``, ``.xlsb``,
        ``.xls`` or ``.ods``.  JSON records when it ends in ``.jsonl``, ``.ndjson`` or
        ``.json``, CSV otherwise: both plain, or ``.gz``, ``.bz2``, ``.xz``, ``.zip``, ``.zst``.
    layout
        The format of a CSV or JSON file.
    strings
        Columns of a file of text to keep as text: ``007`` stays ``007``.

    Raises
    ------
    DatasetError
        The file has another format.
    OSError
        The file cannot be read.
    """
    if file.suffix in (*PARQUET, *ARROW):
        return _read_arrow(file)
    if is_workbook(file):
        return read_workbook(file, layout, strings)
    if is_json(file):
        return read_json(file, layout, strings)
    return read_csv(file, layout, strings)


def is_csv(file: Path) -> bool:
    """Return whether *file* is read as CSV, by its name."""
    other = file.suffix in (*PARQUET, *ARROW, ".npz") or is_json(file) or is_workbook(file)
    return not other


def read_arrays(file: Path, target: str | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read features and target from an ``.npz`` file.

    Parameters
    ----------
    target
        Name of the target's array; ``y`` or ``target`` when None.

    Raises
    ------
    DatasetError
        The file has another format, or it is unclear which array holds the features.
    OSError
        The file cannot be read.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise DatasetError(f"{file}: not a .npz file of plain arrays: {error}") from error
    names = ", ".join(arrays) or "none"
    if target is not None and target not in arrays:
        raise DatasetError(f"{file}: no array is called {target!r}; there are {names}")
    target = target or next((name for name in ("y", "target") if name in arrays), None)
    candidates = [name for name in arrays if name != target]
    named_as_usual = [name for name in candidates if name in ("X", "x", "data")]
    if len(named_as_usual) == 1:
        candidates = named_as_usual
    if len(candidates) != 1:
        raise DatasetError(
            f"{file}: expected the arrays X and y, or data and target; there are {names}; "
            "say which is learnt with target, or write a function"
        )
    X = arrays[candidates[0]]
    if X.ndim != 2:
        raise DatasetError(
            f"{file}: array {candidates[0]!r} has {X.ndim} dimension(s), expected rows and "
            "columns; store X.reshape(len(X), -1)"
        )
    return X, None if target is None else arrays[target]


def as_frame(table: Any) -> pd.DataFrame:
    """Convert a pandas or polars frame, an Arrow table or a dict of columns to a DataFrame.

    Raises
    ------
    DatasetError
        *table* is something else.
    """
    if isinstance(table, pd.DataFrame):
        return table
    if isinstance(table, Mapping):
        return pd.DataFrame(dict(table))
    if hasattr(table, "collect") and not hasattr(table, "get_column"):
        table = table.collect()
    if hasattr(table, "get_columns"):
        return pd.DataFrame(
            {str(column.name): pd.Series(column.to_list()) for column in table.get_columns()}
        )
    if hasattr(table, "to_pandas"):
        return as_frame(table.to_pandas())
    raise DatasetError(
        f"a table is a frame of pandas or polars, an Arrow table or a dict of columns, "
        f"found a {type(table).__module__}.{type(table).__qualname__}"
    )


def plain_columns(frame: pd.DataFrame, types: Mapping[str, str], source: str) -> pd.DataFrame:
    """Convert every column to its type in *types*, or else to the type inferred from its values.

    Raises
    ------
    DatasetError
        A column has no type of the schema, or a value that does not fit its type.
    """
    columns = {}
    for name in frame.columns:
        try:
            columns[str(name)] = _convert_column(frame[name], types.get(str(name)))
        except _ColumnTypeError as error:
            raise DatasetError(f"{source}: column {name!r} {error}") from error
    return pd.DataFrame(columns, index=frame.index)


class _ColumnTypeError(ValueError):
    """A column does not fit; the message continues after the column's name."""


def read_arrow_chunks(file: Path, rows: int) -> Iterator[pd.DataFrame]:
    """Read a Parquet or Arrow file, at most *rows* rows at a time.

    Raises
    ------
    DatasetError, OSError
        As :func:`read_table`.
    """
    with _pyarrow_for(file) as pyarrow:
        if file.suffix in PARQUET:
            with pyarrow.parquet.ParquetFile(file) as table:
                for batch in table.iter_batches(batch_size=rows):
                    yield batch.to_pandas()
            return
        with pyarrow.memory_map(str(file)) as raw:
            table = pyarrow.ipc.open_file(raw)
            for number in range(table.num_record_batches):
                batch = table.get_batch(number)
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows).to_pandas()


def _read_arrow(file: Path) -> pd.DataFrame:
    with _pyarrow_for(file) as pyarrow:
        if file.suffix in PARQUET:
            return pyarrow.parquet.read_table(file).to_pandas()
        raw = file.read_bytes()
        # The file format begins with this magic string; the streaming format has none.
        if raw.startswith(b"ARROW1"):
            return pyarrow.ipc.open_file(raw).read_all().to_pandas()
        return pyarrow.ipc.open_stream(raw).read_all().to_pandas()


@contextmanager
def _pyarrow_for(file: Path) -> Iterator[Any]:
    """Import pyarrow, and turn its errors about *file* into a DatasetError."""
    article, format_name = ("a", "Parquet") if file.suffix in PARQUET else ("an", "Arrow")
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetError(
            f"{file}: reading {format_name} needs pyarrow; pip install 'edge-pipeline[parquet]'"
        ) from error
    try:
        yield pyarrow
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise DatasetError(f"{file}: not {article} {format_name} file: {error}") from error


def _convert_column(column: pd.Series[Any], type_name: str | None) -> pd.Series[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if type_name == "string":
        return _cast(column.map(str, na_action="ignore"), "string")
    inferred = infer_type(column)
    if type_name is None or type_name == inferred:
        return _cast(column, inferred)
    if inferred in ("string", "datetime"):
        value = column.iloc[int(np.flatnonzero(column.notna())[0])]
        example = repr(value) if isinstance(value, str) else str(value)
        raise _ColumnTypeError(f"holds {inferred}s such as {example}, the recipe says {type_name}")
    if column.isna().any() and type_name != "float64":
        row = int(np.flatnonzero(column.isna())[0])
        raise _ColumnTypeError(
            f"has a missing value in row {row}, which {type_name} cannot hold; say float64"
        )
    numbers = _cast(column, "float64")
    with np.errstate(invalid="ignore"):
        cast = numbers.astype(type_name)
    changed = np.flatnonzero(cast.astype("float64").to_numpy() != numbers.to_numpy())
    if type_name != "float64" and len(changed):
        row = int(changed[0])
        raise _ColumnTypeError(f"holds {column.iloc[row]!s} in row {row}, which is no {type_name}")
    return cast


_LARGE_INTEGER = re.compile(r"\s*[+-]?\d{16,}\s*")
_UNGROUPED = re.compile(r"\s*[+-]?\d+([.,]\d+)?\s*")
# A group does not start with a zero: 0,126 is a fraction.
_GROUPED = re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:([,.'\u2019 ])\d{3})+(?:[.,]\d+)?\s*")


def infer_type(column: pd.Series[Any]) -> str:
    """Infer the schema's type of a column from its values.

    Raises
    ------
    ValueError
        No type fits; the message continues after the column's name.
    """
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "float64" if column.isna().any() else "bool"
    if pd.api.types.is_integer_dtype(dtype):
        if len(values := column.dropna()) and max(values.max(), -values.min()) > MAX_EXACT_INTEGER:
            raise _ColumnTypeError(_LARGE_INTEGERS)
        return "float64" if column.isna().any() else "int64"
    if pd.api.types.is_float_dtype(dtype):
        return "float64"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "datetime"
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred in ("date", "datetime"):
        return "datetime"
    if inferred in ("timedelta64", "time", "timedelta", "period"):
        raise _ColumnTypeError(_SPANS.format(inferred))
    if inferred in ("string", "empty"):
        _refuse_numbers_as_text(column.dropna())
        return "string"
    if inferred in ("decimal", "mixed-integer-float"):
        # read_csv leaves large integers exact among the floats of such a column.
        if any(isinstance(value, int) and abs(value) > MAX_EXACT_INTEGER for value in column):
            raise _ColumnTypeError(_LARGE_INTEGERS)
        return "float64"
    if inferred == "integer":
        raise _ColumnTypeError(_LARGE_INTEGERS)
    if inferred == "boolean":
        return "float64" if column.isna().any() else "bool"
    raise _ColumnTypeError(f"holds {inferred} values; a model takes numbers, booleans and strings")


_LARGE_INTEGERS = (
    "holds whole numbers beyond 2**53, which float64 cannot tell apart; add it to data.exclude, "
    'or say "string" in data.types'
)
_SPANS = (
    "holds values of type {}; add it to data.exclude, or put numbers made from it into the table"
)


def _refuse_numbers_as_text(words: pd.Series[Any]) -> None:
    """Refuse numbers that were read as text: each would be a category of its own."""
    if not len(words):
        return
    if all(_LARGE_INTEGER.fullmatch(word) for word in words):
        raise _ColumnTypeError(_LARGE_INTEGERS)
    mark = thousands_separator(words)
    if mark:
        example = next(word for word in words if mark in word)
        raise _ColumnTypeError(
            f"holds numbers with marks between thousands such as {example!r}; say "
            f'thousands = "{mark}" in [reading], or "string" in data.types'
        )


def thousands_separator(column: pd.Series[Any]) -> str:
    """Return the mark between thousands in a text column of such numbers, or an empty string."""
    words = column.dropna()
    if not len(words) or not all(isinstance(word, str) for word in words):
        return ""
    matches = [_GROUPED.fullmatch(word) for word in words]
    marks = {match[1] for match in matches if match}
    if len(marks) != 1:
        return ""
    mark = marks.pop()
    ungrouped = [word for match, word in zip(matches, words, strict=True) if not match]
    return (
        mark if all(_UNGROUPED.fullmatch(word) and mark not in word for word in ungrouped) else ""
    )


def _cast(column: pd.Series[Any], type_name: str) -> pd.Series[Any]:
    if type_name == "datetime":
        return pd.to_datetime(column) if column.dtype == object else column
    if type_name != "string":
        if type_name == "float64" and column.dtype == object:
            return column.map(float, na_action="ignore").astype("float64")
        return column.astype(type_name)
    return column.astype(object).where(column.notna(), np.nan)
