"""A CSV or Parquet file in, a DataFrame with columns of four plain types out.

The types are those of the bundle's schema: float64, int64, bool, and strings as objects with NaN
where one is missing.  The newer types of pandas differ from version to version; these do not.
"""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.errors import DatasetError

__all__ = ["plain_columns", "read_table"]


def read_table(file: Path, *, separator: str = ",", strings: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table, types inferred from whole columns.

    Parameters
    ----------
    file
        Parquet when it ends in ``.parquet`` or ``.pq``, CSV in UTF-8 otherwise.
    separator
        Between two cells of a CSV file.
    strings
        Columns of a CSV file to keep as they are written: ``007`` stays ``007``.

    Raises
    ------
    DatasetError
        Not such a file.
    OSError
        It cannot be read.
    """
    if file.suffix in (".parquet", ".pq"):
        return _read_parquet(file)
    _check_header(file, separator)
    try:
        with warnings.catch_warnings():
            # A row longer than the header would lose its last cells with a warning only.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                file,
                sep=separator,
                index_col=False,
                low_memory=False,
                dtype=dict.fromkeys(strings, str),
                **_exact_floats(),
            )
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file}: not UTF-8 text: {error}; save it as UTF-8") from error
    except pd.errors.ParserWarning as error:
        raise DatasetError(f"{file}: a row has more cells than the header has names") from error
    except ValueError as error:  # ParserError is one
        reason = str(error).replace("Error tokenizing data. C error: ", "").strip()
        raise DatasetError(f"{file}: not a table with one header line: {reason}") from error


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
        except _WrongValueError as error:
            raise DatasetError(f"{source}: column {name!r} {error}") from error
    return pd.DataFrame(columns, index=frame.index)


class _WrongValueError(Exception):
    pass


def _exact_floats() -> dict[str, Any]:
    """Have numbers read to the last bit, as the device reads them.

    pandas 2.3 by default misses the last place of every third number; 3.1 is exact, and warns
    about the option.
    """
    major, minor = pd.__version__.split(".")[:2]
    return {} if (int(major), int(minor)) >= (3, 1) else {"float_precision": "round_trip"}


def _read_parquet(file: Path) -> pd.DataFrame:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetError(
            f"{file}: reading Parquet needs pyarrow; pip install 'edge-pipeline[parquet]'"
        ) from error
    try:
        return pyarrow.parquet.read_table(file).to_pandas()
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise DatasetError(f"{file}: not a Parquet file: {error}") from error


def _check_header(file: Path, separator: str) -> None:
    """Refuse a first line that pandas would silently repair."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        try:
            names = next(csv.reader(lines, delimiter=separator), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"{file}: not a CSV file in UTF-8: {error}") from error
    if not names:
        raise DatasetError(f"{file}: the first line is empty; it must name the columns")
    for name, times in Counter(names).items():
        if times > 1:
            raise DatasetError(f"{file}: {times} columns are called {name!r}; rename them")
    if "" in names:
        raise DatasetError(
            f"{file}: column {names.index('') + 1} has no name; if it is the row index that "
            "pandas wrote, write the file with index=False"
        )
    others = [mark for mark in ";\t|" if mark in names[0] and mark != separator]
    if len(names) == 1 and others:
        raise DatasetError(
            f"{file}: one column only; is it separated by {others[0]!r}? "
            f"Then add separator = {others[0]!r} to [data]"
        )


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
        raise _WrongValueError(
            f"holds strings such as {column.iloc[wrong]!r}, the recipe says {wanted}"
        )
    if column.isna().any() and wanted != "float64":
        row = int(np.flatnonzero(column.isna())[0])
        raise _WrongValueError(
            f"has a missing value in row {row}, which {wanted} cannot hold; say float64"
        )
    numbers = _as(column, "float64")
    with np.errstate(invalid="ignore"):
        cast = numbers.astype(wanted)
    lost = np.flatnonzero(cast.astype("float64").to_numpy() != numbers.to_numpy())
    if wanted != "float64" and len(lost):
        raise _WrongValueError(
            f"holds {column.iloc[int(lost[0])]!s} in row {lost[0]}, which is no {wanted}"
        )
    return cast


def _kind(column: pd.Series[Any]) -> str:
    """The plain type that a column has by its values."""
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "float64" if column.isna().any() else "bool"
    if pd.api.types.is_integer_dtype(dtype):
        return "float64" if column.isna().any() else "int64"
    if pd.api.types.is_float_dtype(dtype):
        return "float64"
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        raise _WrongValueError(
            "holds dates; add it to data.exclude, or put numbers made from it "
            "(year, day of the year) into the table"
        )
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred in ("string", "empty"):
        return "string"
    if inferred == "boolean":
        return "float64" if column.isna().any() else "bool"
    raise _WrongValueError(f"holds {inferred} values; a model takes numbers, booleans and strings")


def _as(column: pd.Series[Any], kind: str) -> pd.Series[Any]:
    if kind != "string":
        if kind == "float64" and column.dtype == object:
            return column.map(float, na_action="ignore").astype("float64")
        return column.astype(kind)
    return column.astype(object).where(column.notna(), np.nan)
