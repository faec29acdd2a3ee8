"""Describe a sample of the training input, and make rows in the same container.

:func:`take_sample` turns the training input into a :class:`Sample`.  The input is an array, a
DataFrame of pandas or polars, a sparse matrix, or a list of str, dict or lists of labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING, Column, ColumnType, Schema
from numpy.typing import NDArray
from scipy import sparse

from edge_pipeline.data.dates import date_rule, holds_dates, microseconds
from edge_pipeline.data.dtypes import as_objects, in_dtype, is_narrow
from edge_pipeline.data.first_step import first_step
from edge_pipeline.data.tensors import (
    WIDE_COLUMNS,
    is_tensor_sample,
    tensor_rows,
    tensor_schema,
    to_table,
)
from edge_pipeline.data.zeros import Zeros, zeros_in
from edge_pipeline.errors import ConversionError

__all__ = [
    "MAX_CATEGORIES",
    "Sample",
    "is_narrow",
    "rows_with_infinity",
    "take_sample",
]

MAX_EXACT_INTEGER = 2**53
"""Up to here float64 holds every integer (IEEE 754, 53 bits of significand)."""

MAX_CATEGORIES = 1000
"""Categories listed in the schema; a string column with more is treated as free text."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of the training input as one table, and the way back to the user's container.

    Attributes
    ----------
    schema
        The columns of a row, their types and ranges.
    table
        The rows, in the columns of ``schema.columns``: float64, or object for strings, dicts, lists
        and tensors.
    dtypes
        The user's dtype of each column.
    missing_markers
        The marker of a missing string in each of the user's columns: None, NaN or pandas.NA.
        scikit-learn distinguishes them: SimpleImputer treats NaN as missing, but None as a string.
    zeros
        Other than "stored" where a booster gets a sparse matrix.
    """

    schema: Schema
    table: pd.DataFrame
    dtypes: tuple[Any, ...]
    missing_markers: tuple[Any, ...]
    zeros: Zeros = "stored"

    @property
    def categorical_columns(self) -> frozenset[str]:
        """Return the names of the columns of pandas' dtype "category"."""
        return frozenset(
            name
            for name, dtype in zip(self.schema.names, self.dtypes, strict=True)
            if isinstance(dtype, pd.CategoricalDtype)
        )

    def as_trained(self, table: pd.DataFrame) -> Any:
        """Convert *table* to the container that the estimator was trained on.

        Parameters
        ----------
        table
            Columns as in ``self.table``.
        """
        rows = self.dense_rows(table)
        return rows if self.zeros == "stored" else sparse.csr_matrix(rows)

    def dense_rows(self, table: pd.DataFrame) -> Any:
        """Convert *table* as :meth:`as_trained` does, but to a dense array, as the device needs."""
        kind = self.schema.kind
        if kind == "tensor":
            return tensor_rows(table, self.schema)
        if kind == "table":
            columns = {
                column.name: in_dtype(table[column.name], column.type, dtype, marker)
                for column, dtype, marker in zip(
                    self.schema.columns, self.dtypes, self.missing_markers, strict=True
                )
            }
            return pd.DataFrame(columns, index=table.index)
        if kind == "text":
            return [str(text) for text in table.iloc[:, 0]]
        if self.schema.loose:
            return table.iloc[:, 0].tolist()
        if any(isinstance(dtype, np.dtype) and dtype.hasobject for dtype in self.dtypes):
            values = np.empty(table.shape, dtype=object)
            for i, column in enumerate(self.schema.columns):
                values[:, i] = as_objects(table.iloc[:, i], column.type, self.missing_markers[i])
        else:
            # Row by row in memory (order C), as users' arrays are: in order F, numpy sums the
            # squares of a row in another order, and that changes the distances of equal rows.
            # A copy: pandas returns read-only memory, which chi2_kernel refuses.
            values = np.array(table.to_numpy(dtype=np.float64), order="C")
            whole = all(column.type == "int64" for column in self.schema.columns)
            if whole and np.array_equal(values, np.trunc(values)):
                values = values.astype(np.int64)
            elif (
                all(column.type == "bool" for column in self.schema.columns)
                and not np.isnan(values).any()  # a cast would make it True
            ):
                values = values.astype(bool)
        return values[:, 0] if kind == "vector" else values

    def blocks(self, table: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """Convert *table* to the inputs of the graph."""
        result: dict[str, NDArray[Any]] = {}
        if self.schema.kind == "tensor":
            rows = tensor_rows(table, self.schema)
            result["numbers"] = rows.reshape(len(rows), -1).astype(np.float64, copy=False)
        if self.schema.numeric:
            numbers = table.iloc[:, list(self.schema.numeric)].to_numpy(dtype=np.float64)
            result["numbers"] = np.ascontiguousarray(numbers)
        if self.schema.textual:
            strings = table.iloc[:, list(self.schema.textual)].to_numpy(dtype=object)
            result["strings"] = np.where(pd.isna(strings), MISSING_STRING, strings)
        return result


def take_sample(
    X: Any, estimator: Any = None, ignored: tuple[str, ...] = (), *, as_tensors: bool = False
) -> Sample:
    """Describe *X*.

    Parameters
    ----------
    estimator
        Decides whether lists of one length are the rows of a table or lists of labels.
    ignored
        Names of further columns of the training table, which nobody reads.
    as_tensors
        Whether any array of numbers is one of tensors, however few columns it has.

    Raises
    ------
    ConversionError
        *X* is empty, of an unknown kind, or has a column that is neither numbers nor strings.
    """
    if is_tensor_sample(X, 1 if as_tensors else WIDE_COLUMNS) and len(X):
        return Sample(tensor_schema(X), to_table(X), (X.dtype,), (np.nan,))
    kind, columns = _columns_of(X, reads_lists(estimator))
    if not columns or not len(columns[0][1]):
        raise ConversionError(
            f"the sample X has no {'rows' if columns else 'columns'}; pass the training input, or "
            "some rows of it"
        )
    if len({name for name, _ in columns}) != len(columns):
        raise ConversionError(
            "two columns of X have the same name; rename one, the device finds columns by name"
        )
    is_foreign_frame = hasattr(X, "columns") and not isinstance(X, pd.DataFrame)
    schema_columns, values, dtypes, markers = [], {}, [], []
    for name, column in columns:
        if holds_dates(column):
            values[name] = microseconds(name, column)
            described = _describe(name, "datetime", values[name])
            schema_columns.append(replace(described, dates=date_rule(column)))
        else:
            column_type, values[name] = _type_and_values(name, column)
            schema_columns.append(_describe(name, column_type, values[name]))
        dtypes.append(column.dtype)
        markers.append(_missing_marker(column, is_foreign_frame))
    table = pd.DataFrame(values)
    schema = Schema(kind, tuple(schema_columns), ignored=ignored)
    return Sample(schema, table, tuple(dtypes), tuple(markers), zeros_in(X, estimator))


def _missing_marker(column: pd.Series, is_foreign_frame: bool) -> Any:
    """Return the missing value of *column*; where it has none, the one that its library would use.

    polars and others hand None to scikit-learn, pandas and its CSV reader NaN.
    """
    if column.isna().any():
        return column[column.isna()].iloc[0]
    return None if is_foreign_frame else getattr(column.dtype, "na_value", np.nan)


def rows_with_infinity(sample: Sample) -> NDArray[np.bool_]:
    """Mark the rows of *sample* that hold an infinite number, which the device refuses."""
    if sample.schema.kind == "tensor":
        return np.array([bool(np.isinf(row).any()) for row in sample.table.iloc[:, 0]])
    numbers = sample.table.iloc[:, list(sample.schema.numeric)].to_numpy(dtype=np.float64)
    infinite: NDArray[np.bool_] = np.isinf(numbers).any(axis=1)
    return infinite


def reads_lists(estimator: Any) -> bool:
    """Whether a row of *estimator* (of its first step) is a list of labels, or of pairs."""
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.preprocessing import MultiLabelBinarizer

    first = first_step(estimator)
    return isinstance(first, MultiLabelBinarizer) or (
        isinstance(first, FeatureHasher) and first.input_type != "dict"
    )


def _loose_rows(X: Any, as_lists: bool) -> tuple[Any, list[tuple[str, pd.Series]]] | None:
    """Return the kind and the one column of rows that are dicts or lists; None for other rows."""
    if isinstance(X, pd.Series):
        X = X.tolist()
    if not isinstance(X, list | tuple | np.ndarray) or not len(X):
        return None
    rows = [list(row) if isinstance(row, range) else row for row in X]
    if all(isinstance(row, Mapping) for row in rows):
        return "dicts", [("row", pd.Series(rows, dtype=object))]
    if all(isinstance(row, _LISTS) for row in rows):
        ragged = len({len(row) for row in rows}) > 1
        if as_lists or ragged or any(isinstance(row, set | frozenset) for row in rows):
            return "lists", [("row", _object_column(rows))]
    return None


_LISTS = (list, tuple, set, frozenset, np.ndarray)


def _object_column(rows: list[Any]) -> pd.Series:
    """Make a column of *rows*; from lists of one length numpy would make a matrix."""
    cells = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        cells[i] = row
    return pd.Series(cells)


def _columns_of(X: Any, as_lists: bool) -> tuple[Any, list[tuple[str, pd.Series]]]:
    if callable(getattr(X, "collect", None)):
        raise ConversionError(
            f"the sample X is a {type(X).__name__}, which has no rows yet; pass X.collect()"
        )
    loose = _loose_rows(X, as_lists)
    if loose is not None:
        return loose
    if hasattr(X, "toarray"):
        X = X.toarray()
    if hasattr(X, "columns") and hasattr(X, "__getitem__") and not isinstance(X, pd.DataFrame):
        X = pd.DataFrame({str(name): _from_list(X[name].to_list()) for name in X.columns})
    if isinstance(X, pd.DataFrame):
        return "table", [
            (str(name), X.iloc[:, i].reset_index(drop=True)) for i, name in enumerate(X.columns)
        ]
    if isinstance(X, list | tuple) and X and all(isinstance(item, str) for item in X):
        return "text", [("text", pd.Series(list(X), dtype=object))]
    array = np.asarray(X)
    if isinstance(X, list | tuple) and array.dtype.kind in "US":
        # As scikit-learn reads lists: in [["a", 3]], 3 is a number, not a string.
        array = np.asarray(X, dtype=object)
    if (
        array.ndim == 1
        and array.dtype.kind in "OU"
        and all(isinstance(item, str) for item in array)
    ):
        return "text", [("text", pd.Series(array.astype(object)))]
    if array.ndim == 1 and array.dtype.kind in "biuf":
        return "vector", [("x0", pd.Series(array))]
    if array.ndim == 2:
        if array.dtype.kind in "US":
            array = array.astype(object)
        # pandas 3 would convert an object column to its own strings, and None to NaN.
        return "array", [
            (f"x{i}", pd.Series(column, dtype=array.dtype)) for i, column in enumerate(array.T)
        ]
    raise ConversionError(
        f"the sample X is a {type(X).__name__} of {array.ndim} dimension(s) and dtype "
        f"{array.dtype}; expected a 2-d array, an array of pictures or sound, a "
        "DataFrame, or a list of str, of dict or of lists of labels"
    )


def _from_list(values: list[Any]) -> pd.Series:
    """Make a column of another library's values, in which None stays None.

    pandas would make it NaN, which is another value for scikit-learn.
    """
    has_text = any(isinstance(value, str) for value in values)
    return pd.Series(values, dtype=object if has_text else None)


def _type_and_values(name: str, column: pd.Series) -> tuple[ColumnType, Any]:
    """Return the type of a column, and its values: float64, or object with None for missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = _without_categorical_dtype(column)
    if pd.api.types.is_bool_dtype(column.dtype):
        return "bool", column.to_numpy(dtype=np.float64, na_value=np.nan)
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(
        column.dtype
    ):
        is_integer = pd.api.types.is_integer_dtype(column.dtype)
        if is_integer and (column.max() > MAX_EXACT_INTEGER or column.min() < -MAX_EXACT_INTEGER):
            raise ConversionError(
                f"column {name!r} holds whole numbers beyond 2**53, which float64 cannot hold "
                "exactly; convert it to strings"
            )
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return ("int64" if is_integer else "float64"), values
    present = column[~column.isna()]
    if all(isinstance(item, str) for item in present):
        if (present == MISSING_STRING).any():
            raise ConversionError(
                f"column {name!r} holds U+FDD0, which marks a missing string in the graph; "
                "replace it"
            )
        return "string", np.array(
            [item if isinstance(item, str) else None for item in column], dtype=object
        )
    if all(isinstance(item, Mapping) for item in present):
        return "dict", _object_column([dict(item) for item in column]).to_numpy()
    if all(isinstance(item, _LISTS) for item in present):
        return "list", _object_column([_in_order(item) for item in column]).to_numpy()
    if all(isinstance(item, bool | int | float | np.number | np.bool_) for item in present):
        numbers = np.array([np.nan if _is_na(item) else float(item) for item in column])
        return _number_type(present), numbers
    types = sorted({type(item).__name__ for item in present})
    raise ConversionError(
        f"column {name!r} has dtype {column.dtype} with values of type {', '.join(types)}; "
        "expected numbers or "
        "strings: convert it (times and spans to numbers, mixed values to strings) before training"
    )


def _without_categorical_dtype(column: pd.Series) -> pd.Series:
    """Convert to the dtype of the categories; to float64 where integers would need a NaN."""
    dtype = column.cat.categories.dtype
    needs_nan = column.isna().any() and dtype.kind in "biu"
    return column.astype(np.float64 if needs_nan else dtype)


def _number_type(present: pd.Series) -> ColumnType:
    """Return the column type of Python's own numbers: bool or int64 only where all are."""
    if not len(present):
        return "float64"
    if all(isinstance(item, bool | np.bool_) for item in present):
        return "bool"
    is_integer = all(isinstance(item, int | np.integer) for item in present)
    return "int64" if is_integer and max(map(abs, present)) <= MAX_EXACT_INTEGER else "float64"


def _in_order(items: Any) -> list[Any]:
    """Convert to a list; sort a set, whose order differs from run to run."""
    if isinstance(items, set | frozenset):
        return sorted(items, key=lambda item: (type(item).__name__, item))
    return items.tolist() if isinstance(items, np.ndarray) else list(items)


def _is_na(value: Any) -> bool:
    return bool(pd.isna(value))


def _describe(name: str, column_type: ColumnType, values: Any) -> Column:
    if column_type == "string":
        present = sorted({item for item in values if item is not None})
        listed = tuple(present) if len(present) <= MAX_CATEGORIES else None
        missing = any(item is None for item in values)
        return Column(name, column_type, missing, categories=listed, missing_in_training=missing)
    if column_type in ("dict", "list"):
        return Column(name, column_type)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (None, None)
    missing = bool(np.isnan(values).any())
    return Column(name, column_type, missing, low, high, missing_in_training=missing)
