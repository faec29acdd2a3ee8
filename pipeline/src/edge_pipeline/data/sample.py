"""A sample of the training input: its schema, and rows like it.

In: what the user trained on (ndarray, DataFrame of pandas or polars, sparse matrix, list of str,
list of dict, list of lists of labels).  Out: a :class:`Sample`, which knows the schema and makes
rows of the same container.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING, Column, ColumnType, Schema
from numpy.typing import NDArray

from edge_pipeline.errors import ConversionError

__all__ = ["MAX_CATEGORIES", "Sample", "is_narrow", "rows_with_infinity", "take_sample"]

MAX_EXACT_INTEGER = 2**53
"""Up to here float64 holds every whole number (IEEE 754, 53 bits of significand)."""

MAX_CATEGORIES = 1000
"""Categories listed in the schema; a string column with more is taken for free text."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of the training input as one table, and the way back to the user's container.

    Attributes
    ----------
    schema
        What a row looks like.
    table
        The rows; one column each of ``schema.columns``, in order: float64, or object for strings,
        dicts and lists.
    dtypes
        The user's dtype of each column.
    missing_markers
        What stands for a missing string in each of the user's columns: None, NaN or pandas.NA.
        scikit-learn tells them apart: SimpleImputer takes NaN for missing, and None for a word.
    """

    schema: Schema
    table: pd.DataFrame
    dtypes: tuple[Any, ...]
    missing_markers: tuple[Any, ...]

    def as_trained(self, table: pd.DataFrame) -> Any:
        """*table* in the container that the estimator was trained on.

        Parameters
        ----------
        table
            Columns as in ``self.table``.
        """
        kind = self.schema.kind
        if kind == "table":
            columns = {
                column.name: _restored(table[column.name], column.type, dtype, gap)
                for column, dtype, gap in zip(
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
                values[:, i] = _as_objects(table.iloc[:, i], column.type, self.missing_markers[i])
        else:
            # Row by row in memory, as users' arrays are: numpy sums the squares of a row in another
            # order where columns lie together, and a distance between twins is such a difference.
            # A copy: pandas hands out memory that must not be written, which chi2_kernel refuses.
            values = np.array(table.to_numpy(dtype=np.float64), order="C")
            whole = all(column.type == "int64" for column in self.schema.columns)
            if whole and np.array_equal(values, np.trunc(values)):
                values = values.astype(np.int64)
            elif all(column.type == "bool" for column in self.schema.columns):
                values = values.astype(bool)
        return values[:, 0] if kind == "vector" else values

    def blocks(self, table: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """*table* as the graph's inputs."""
        result: dict[str, NDArray[Any]] = {}
        if self.schema.numeric:
            numbers = table.iloc[:, list(self.schema.numeric)].to_numpy(dtype=np.float64)
            result["numbers"] = np.ascontiguousarray(numbers)
        if self.schema.textual:
            strings = table.iloc[:, list(self.schema.textual)].to_numpy(dtype=object)
            result["strings"] = np.where(pd.isna(strings), MISSING_STRING, strings)
        return result


def take_sample(X: Any, estimator: Any = None) -> Sample:
    """Look at *X* once and describe it.

    Parameters
    ----------
    estimator
        Tells a table from as many lists of labels, which look the same when all have one length.

    Raises
    ------
    ConversionError
        *X* is empty, of an unknown kind, or has a column that is neither numbers nor strings.
    """
    kind, columns = _columns_of(X, takes_lists(estimator))
    if not columns or not len(columns[0][1]):
        raise ConversionError(
            f"the sample X has no {'rows' if columns else 'columns'}; hand the training input, or "
            "some rows of it"
        )
    if len({name for name, _ in columns}) != len(columns):
        raise ConversionError(
            "two columns of X share a name; rename one, the device finds columns by name"
        )
    described, values, dtypes, gaps = [], {}, [], []
    for name, column in columns:
        kind_of_column, clean = _clean(name, column)
        described.append(_describe(name, kind_of_column, clean))
        values[name] = clean
        dtypes.append(column.dtype)
        gaps.append(next(iter(column[column.isna()]), None))
    table = pd.DataFrame(values)
    return Sample(Schema(kind, tuple(described)), table, tuple(dtypes), tuple(gaps))


def is_narrow(dtype: Any) -> bool:
    """Whether *dtype* is of floats that hold less than float64: float32, float16."""
    subtype = getattr(dtype, "subtype", dtype)  # of a sparse column
    return pd.api.types.is_float_dtype(subtype) and getattr(subtype, "itemsize", 8) < 8


def rows_with_infinity(sample: Sample) -> NDArray[np.bool_]:
    """Which rows of *sample* hold an infinite number: the device takes finite ones alone."""
    numbers = sample.table.iloc[:, list(sample.schema.numeric)].to_numpy(dtype=np.float64)
    infinite: NDArray[np.bool_] = np.isinf(numbers).any(axis=1)
    return infinite


def takes_lists(estimator: Any) -> bool:
    """Whether a row of *estimator* (of its first step) is a list of labels, or of pairs."""
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MultiLabelBinarizer

    if isinstance(estimator, Pipeline) and estimator.steps:
        return takes_lists(estimator.steps[0][1])
    return isinstance(estimator, MultiLabelBinarizer) or (
        isinstance(estimator, FeatureHasher) and estimator.input_type != "dict"
    )


def _loose_rows(X: Any, as_lists: bool) -> tuple[Any, list[tuple[str, pd.Series]]] | None:
    """*X* as rows that are dicts or lists, or None when it is something else."""
    if isinstance(X, pd.Series):
        X = X.tolist()
    if not isinstance(X, list | tuple | np.ndarray) or not len(X):
        return None
    rows = list(X)
    if all(isinstance(row, Mapping) for row in rows):
        return "dicts", [("row", pd.Series(rows, dtype=object))]
    if all(isinstance(row, _LISTS) for row in rows):
        ragged = len({len(row) for row in rows}) > 1
        if as_lists or ragged or any(isinstance(row, set | frozenset) for row in rows):
            return "lists", [("row", _one_by_one(rows))]
    return None


_LISTS = (list, tuple, set, frozenset, np.ndarray)


def _one_by_one(rows: list[Any]) -> pd.Series:
    """A column of *rows*; numpy would take lists of one length for a matrix."""
    cells = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        cells[i] = row
    return pd.Series(cells)


def _columns_of(X: Any, as_lists: bool) -> tuple[Any, list[tuple[str, pd.Series]]]:
    if callable(getattr(X, "collect", None)):
        raise ConversionError(
            f"the sample X is a {type(X).__name__}, whose rows are not there yet; hand X.collect()"
        )
    loose = _loose_rows(X, as_lists)
    if loose is not None:
        return loose
    if hasattr(X, "toarray"):
        X = X.toarray()
    if hasattr(X, "columns") and hasattr(X, "__getitem__") and not isinstance(X, pd.DataFrame):
        X = pd.DataFrame({str(name): _listed(X[name].to_list()) for name in X.columns})
    if isinstance(X, pd.DataFrame):
        return "table", [
            (str(name), X.iloc[:, i].reset_index(drop=True)) for i, name in enumerate(X.columns)
        ]
    if isinstance(X, list | tuple) and X and all(isinstance(item, str) for item in X):
        return "text", [("text", pd.Series(list(X), dtype=object))]
    array = np.asarray(X)
    if isinstance(X, list | tuple) and array.dtype.kind in "US":
        # As scikit-learn reads lists: in [["a", 3]], 3 is a number and no text.
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
        # Of an object column pandas 3 makes one of its own strings, where None has become NaN.
        return "array", [
            (f"x{i}", pd.Series(column, dtype=array.dtype)) for i, column in enumerate(array.T)
        ]
    raise ConversionError(
        f"the sample X is a {type(X).__name__} of {array.ndim} dimension(s) and dtype "
        f"{array.dtype}; expected a 2-d array (flatten images: X.reshape(len(X), -1)), a "
        "DataFrame, or a list of str, of dict or of lists of labels"
    )


def _listed(values: list[Any]) -> pd.Series:
    """A column of another library's frame, its missing strings kept as None.

    pandas would make them NaN, which to scikit-learn is another value.
    """
    has_text = any(isinstance(value, str) for value in values)
    return pd.Series(values, dtype=object if has_text else None)


def _clean(name: str, column: pd.Series) -> tuple[ColumnType, Any]:
    """The column's type, and its values as float64 or as object with None for a missing string."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        kind = column.cat.categories.dtype
        has_gap = column.isna().any() and kind.kind in "biu"
        column = column.astype(np.float64 if has_gap else kind)
    if pd.api.types.is_bool_dtype(column.dtype):
        return "bool", column.to_numpy(dtype=np.float64, na_value=np.nan)
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(
        column.dtype
    ):
        whole = pd.api.types.is_integer_dtype(column.dtype)
        if whole and (column.max() > MAX_EXACT_INTEGER or column.min() < -MAX_EXACT_INTEGER):
            raise ConversionError(
                f"column {name!r} holds whole numbers beyond 2**53, which float64 cannot tell "
                "apart; make it a string"
            )
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return ("int64" if whole else "float64"), values
    present = column[~column.isna()]
    if all(isinstance(item, str) for item in present):
        if (present == MISSING_STRING).any():
            raise ConversionError(
                f"column {name!r} holds U+FDD0, which stands for a missing string in the graph"
            )
        return "string", np.array(
            [item if isinstance(item, str) else None for item in column], dtype=object
        )
    if all(isinstance(item, Mapping) for item in present):
        return "dict", _one_by_one([dict(item) for item in column]).to_numpy()
    if all(isinstance(item, _LISTS) for item in present):
        return "list", _one_by_one([_in_order(item) for item in column]).to_numpy()
    if all(isinstance(item, bool | int | float | np.number | np.bool_) for item in present):
        numbers = np.array([np.nan if _is_na(item) else float(item) for item in column])
        return _kind_of_objects(present), numbers
    found = sorted({type(item).__name__ for item in present})
    raise ConversionError(
        f"column {name!r} has dtype {column.dtype} with values of type {', '.join(found)}; "
        "expected numbers or "
        "strings: convert it (dates to numbers, mixed values to strings) before training"
    )


def _kind_of_objects(present: pd.Series) -> ColumnType:
    """What Python's own numbers are: flags or whole ones, where all are."""
    if not len(present):
        return "float64"
    if all(isinstance(item, bool | np.bool_) for item in present):
        return "bool"
    whole = all(isinstance(item, int | np.integer) for item in present)
    return "int64" if whole and max(map(abs, present)) <= MAX_EXACT_INTEGER else "float64"


def _as_objects(values: pd.Series, kind: ColumnType, gap: Any) -> Any:
    """*values* as Python's own: encoders compare categories with objects, not with floats."""
    cells = values.astype(object).to_numpy(copy=True)
    missing = values.isna().to_numpy()
    cells[missing] = gap
    if kind in ("bool", "int64"):
        whole = bool if kind == "bool" else int
        for i in np.flatnonzero(~missing):
            cells[i] = whole(cells[i]) if cells[i] == int(cells[i]) else cells[i]
    return cells


def _in_order(items: Any) -> list[Any]:
    """A list; a set's order differs from run to run, so it is given one."""
    if isinstance(items, set | frozenset):
        return sorted(items, key=lambda item: (type(item).__name__, item))
    return items.tolist() if isinstance(items, np.ndarray) else list(items)


def _is_na(value: Any) -> bool:
    return bool(pd.isna(value))


def _describe(name: str, kind: ColumnType, values: Any) -> Column:
    if kind == "string":
        present = sorted({item for item in values if item is not None})
        listed = tuple(present) if len(present) <= MAX_CATEGORIES else None
        return Column(name, kind, missing=any(item is None for item in values), categories=listed)
    if kind in ("dict", "list"):
        return Column(name, kind)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (None, None)
    return Column(name, kind, missing=bool(np.isnan(values).any()), minimum=low, maximum=high)


def _restored(values: pd.Series, kind: ColumnType, dtype: Any, gap: Any) -> pd.Series:
    """*values* with the user's dtype where that holds them, otherwise as they are; no float32."""
    missing = values.isna()
    if isinstance(dtype, pd.CategoricalDtype):
        # A category that the dtype does not list would become a missing value, another question.
        if not values[~missing].isin(dtype.categories).all():
            return values.astype(object).where(~missing, np.nan)
        if dtype.categories.dtype.kind in "biu":
            values = values.map({float(category): category for category in dtype.categories})
        return values.astype(dtype)
    if pd.api.types.is_integer_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
        exact = not missing.any() and (values == np.trunc(values)).all()
        return (
            values.astype(dtype)
            if exact or pd.api.types.is_extension_array_dtype(dtype)
            else values
        )
    if isinstance(dtype, np.dtype) and dtype.hasobject:
        return pd.Series(_as_objects(values, kind, gap), index=values.index, dtype=object)
    if is_narrow(dtype):
        # The device computes in float64, and so must whoever is compared with it.
        wide = "Float64" if pd.api.types.is_extension_array_dtype(dtype) else np.float64
        return values.astype(wide)
    return values.astype(dtype)
