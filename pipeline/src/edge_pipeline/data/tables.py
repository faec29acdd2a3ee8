"""A file of rows in, a DataFrame with columns of four plain types out.

The types are those of the bundle's schema: float64, int64, bool, and strings as objects with NaN
where one is missing.  The newer types of pandas differ from version to version; these do not.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.csv import MAX_EXACT_INTEGER, Layout, read_csv
from edge_pipeline.errors import DatasetError

__all__ = [
    "ARROW",
    "PARQUET",
    "as_frame",
    "infer_type",
    "plain_columns",
    "read_arrays",
    "read_arrow_chunks",
    "read_table",
    "thousands_separator",
]

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")

DETECTED_LAYOUT = Layout()
"""Everything about a CSV file is found out."""


def read_table(
    file: Path, layout: Layout = DETECTED_LAYOUT, *, strings: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a table, types inferred from whole columns.

    Parameters
    ----------
    file
        Parquet when it ends in ``.parquet`` or ``.pq``, Arrow when it ends in ``.arrow``,
        ``.feather`` or ``.ipc``, CSV otherwise: plain, or ``.gz``, ``.bz2``, ``.xz``, ``.zip``,
        ``.zst``.
    layout
        How a CSV file is written.
    strings
        Columns of a CSV file to keep as they are written: ``007`` stays ``007``.

    Raises
    ------
    DatasetError
        Not such a file.
    OSError
        It cannot be read.
    """
    if file.suffix in PARQUET:
        return _read_arrow(file, "Parquet")
    if file.suffix in ARROW:
        return _read_arrow(file, "Arrow")
    return read_csv(file, layout, strings)


def read_arrays(file: Path, target: str | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read features and target from the arrays of an ``.npz`` file.

    Parameters
    ----------
    target
        Name of the target's array; ``y`` or ``target`` when not given.

    Raises
    ------
    DatasetError
        Not such a file, or one whose arrays cannot be told apart.
    OSError
        It cannot be read.
    """
    try:
        with np.load(file, allow_pickle=False) as packed:
            arrays = {name: packed[name] for name in packed.files}
    except (ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise DatasetError(f"{file}: not a .npz file of plain arrays: {error}") from error
    there = ", ".join(arrays) or "none"
    if target is not None and target not in arrays:
        raise DatasetError(f"{file}: no array is called {target!r}; there are {there}")
    of_target = target or next((name for name in ("y", "target") if name in arrays), None)
    others = [name for name in arrays if name != of_target]
    usual = [name for name in others if name in ("X", "x", "data")]
    if len(usual) == 1:
        others = usual
    if len(others) != 1:
        raise DatasetError(
            f"{file}: expected the arrays X and y, or data and target; there are {there}; "
            "say which is learnt with target, or write a function"
        )
    X = arrays[others[0]]
    if X.ndim != 2:
        raise DatasetError(
            f"{file}: array {others[0]!r} has {X.ndim} dimension(s), expected rows and columns; "
            "store X.reshape(len(X), -1)"
        )
    return X, None if of_target is None else arrays[of_target]


def as_frame(table: Any) -> pd.DataFrame:
    """*table* as pandas' frame: its own, polars', Arrow's, or a dict of columns.

    Raises
    ------
    DatasetError
        It is something else.
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
    """*frame* with every column of a plain type: the one in *types*, or its own.

    Raises
    ------
    DatasetError
        A column holds something else, or a value that its type cannot be.
    """
    columns = {}
    for name in frame.columns:
        try:
            columns[str(name)] = _plain(frame[name], types.get(str(name)))
        except _ColumnTypeError as error:
            raise DatasetError(f"{source}: column {name!r} {error}") from error
    return pd.DataFrame(columns, index=frame.index)


class _ColumnTypeError(Exception):
    pass


def read_arrow_chunks(file: Path, rows: int) -> Iterator[pd.DataFrame]:
    """Read a Parquet or Arrow file, at most *rows* rows at a time.

    Raises
    ------
    DatasetError, OSError
        As :func:`read_table`.
    """
    kind = "Parquet" if file.suffix in PARQUET else "Arrow"
    pyarrow = _import_pyarrow(file, kind)
    try:
        if kind == "Parquet":
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
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise DatasetError(f"{file}: not {_ARTICLE[kind]} {kind} file: {error}") from error


def _import_pyarrow(file: Path, kind: str) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetError(
            f"{file}: reading {kind} needs pyarrow; pip install 'edge-pipeline[parquet]'"
        ) from error
    return pyarrow


def _read_arrow(file: Path, kind: str) -> pd.DataFrame:
    pyarrow = _import_pyarrow(file, kind)
    try:
        if kind == "Parquet":
            return pyarrow.parquet.read_table(file).to_pandas()
        raw = file.read_bytes()
        # The file form begins with this mark; the streaming form has none.
        if raw.startswith(b"ARROW1"):
            return pyarrow.ipc.open_file(raw).read_all().to_pandas()
        return pyarrow.ipc.open_stream(raw).read_all().to_pandas()
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise DatasetError(f"{file}: not {_ARTICLE[kind]} {kind} file: {error}") from error


_ARTICLE = {"Parquet": "a", "Arrow": "an"}


def _plain(column: pd.Series[Any], wanted: str | None) -> pd.Series[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if wanted == "string":
        return _as(column.map(str, na_action="ignore"), "string")
    kind = _kind(column)
    if wanted is None or wanted == kind:
        return _as(column, kind)
    if kind == "string":
        wrong = next(i for i, word in enumerate(column) if not pd.isna(word))
        raise _ColumnTypeError(
            f"holds strings such as {column.iloc[wrong]!r}, the recipe says {wanted}"
        )
    if column.isna().any() and wanted != "float64":
        row = int(np.flatnonzero(column.isna())[0])
        raise _ColumnTypeError(
            f"has a missing value in row {row}, which {wanted} cannot hold; say float64"
        )
    numbers = _as(column, "float64")
    with np.errstate(invalid="ignore"):
        cast = numbers.astype(wanted)
    lost = np.flatnonzero(cast.astype("float64").to_numpy() != numbers.to_numpy())
    if wanted != "float64" and len(lost):
        raise _ColumnTypeError(
            f"holds {column.iloc[int(lost[0])]!s} in row {lost[0]}, which is no {wanted}"
        )
    return cast


def infer_type(column: pd.Series[Any]) -> str:
    """The plain type that a column has by its values.

    Raises
    ------
    ValueError
        It has none; the text goes on after the column's name.
    """
    try:
        return _kind(column)
    except _ColumnTypeError as error:
        raise ValueError(str(error)) from error


_WIDE = re.compile(r"\s*[+-]?\d{16,}\s*")
_PLAIN = re.compile(r"\s*[+-]?\d+([.,]\d+)?\s*")
# A group leads with no zero: 0,126 is a fraction.
_GROUPED = re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:([,.'\u2019 ])\d{3})+(?:[.,]\d+)?\s*")


def _kind(column: pd.Series[Any]) -> str:
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "float64" if column.isna().any() else "bool"
    if pd.api.types.is_integer_dtype(dtype):
        if len(known := column.dropna()) and max(known.max(), -known.min()) > MAX_EXACT_INTEGER:
            raise _ColumnTypeError(_WIDE_TEXT)
        return "float64" if column.isna().any() else "int64"
    if pd.api.types.is_float_dtype(dtype):
        return "float64"
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        raise _ColumnTypeError(_DATES_TEXT)
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred in ("date", "datetime", "time", "timedelta", "period"):
        raise _ColumnTypeError(_DATES_TEXT)
    if inferred in ("string", "empty"):
        _refuse_numbers_as_text(column.dropna())
        return "string"
    if inferred in ("decimal", "mixed-integer-float"):
        return "float64"
    if inferred == "integer":
        raise _ColumnTypeError(_WIDE_TEXT)
    if inferred == "boolean":
        return "float64" if column.isna().any() else "bool"
    raise _ColumnTypeError(f"holds {inferred} values; a model takes numbers, booleans and strings")


_WIDE_TEXT = (
    "holds whole numbers beyond 2**53, which float64 cannot tell apart; add it to data.exclude, "
    'or say "string" in data.types'
)
_DATES_TEXT = (
    "holds dates; add it to data.exclude, or put numbers made from it "
    "(year, day of the year) into the table"
)


def _refuse_numbers_as_text(words: pd.Series[Any]) -> None:
    """Refuse numbers that were not read as such: each would be a category of its own."""
    if not len(words):
        return
    if all(_WIDE.fullmatch(word) for word in words):
        raise _ColumnTypeError(_WIDE_TEXT)
    mark = thousands_separator(words)
    if mark:
        example = next(word for word in words if mark in word)
        raise _ColumnTypeError(
            f"holds numbers with marks between thousands such as {example!r}; say "
            f'thousands = "{mark}" in [data], or "string" in data.types'
        )


def thousands_separator(column: pd.Series[Any]) -> str:
    """The mark between the thousands of a column of such numbers, or nothing."""
    words = column.dropna()
    if not len(words) or not all(isinstance(word, str) for word in words):
        return ""
    found = [_GROUPED.fullmatch(word) for word in words]
    marks = {match[1] for match in found if match}
    if len(marks) != 1:
        return ""
    mark = marks.pop()
    others = [word for match, word in zip(found, words, strict=True) if not match]
    return mark if all(_PLAIN.fullmatch(word) and mark not in word for word in others) else ""


def _as(column: pd.Series[Any], kind: str) -> pd.Series[Any]:
    if kind != "string":
        if kind == "float64" and column.dtype == object:
            return column.map(float, na_action="ignore").astype("float64")
        return column.astype(kind)
    return column.astype(object).where(column.notna(), np.nan)
