"""Give a column of the sample's table the user's own dtype back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import ColumnType

from edge_pipeline.data.dates import as_dates

__all__ = ["as_objects", "in_dtype", "is_narrow"]


def is_narrow(dtype: Any) -> bool:
    """Whether *dtype* is a float type narrower than float64: float32, float16."""
    subtype = getattr(dtype, "subtype", dtype)  # of a sparse column
    return pd.api.types.is_float_dtype(subtype) and getattr(subtype, "itemsize", 8) < 8


def in_dtype(values: pd.Series, column_type: ColumnType, dtype: Any, marker: Any) -> pd.Series:
    """Convert *values* to the user's dtype where it can hold them, but never to float32."""
    if column_type == "datetime":
        return as_dates(values, dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        return _with_categories(values, dtype)
    if pd.api.types.is_integer_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
        return values.astype(dtype) if _holds(dtype, values) else values
    if isinstance(dtype, np.dtype) and dtype.hasobject:
        return pd.Series(as_objects(values, column_type, marker), index=values.index, dtype=object)
    if is_narrow(dtype):
        # The device computes in float64, and so must the estimator that is compared with it.
        is_extension = pd.api.types.is_extension_array_dtype(dtype)
        return values.astype("Float64" if is_extension else np.float64)
    return values.astype(dtype)


def _with_categories(values: pd.Series, dtype: pd.CategoricalDtype) -> pd.Series:
    """Convert to *dtype*, with unseen values as further categories, as in a user's own table."""
    if dtype.categories.dtype.kind in "biu":
        category_of = {float(category): category for category in dtype.categories}
        values = pd.Series(
            [category_of.get(value, value) for value in values], index=values.index, dtype=object
        )
    present = values[values.notna()]
    unseen = present[~present.isin(dtype.categories)].unique()
    if len(unseen):
        dtype = pd.CategoricalDtype([*dtype.categories, *unseen], ordered=dtype.ordered)
    return values.astype(dtype)


def as_objects(values: pd.Series, column_type: ColumnType, marker: Any) -> Any:
    """Convert *values* to Python objects: encoders compare categories with objects."""
    if column_type == "datetime":
        values = as_dates(values, np.dtype(object))
    cells = values.astype(object).to_numpy(copy=True)
    missing = values.isna().to_numpy()
    cells[missing] = marker
    if column_type in ("bool", "int64"):
        python_type = bool if column_type == "bool" else int
        for i in np.flatnonzero(~missing):
            cells[i] = python_type(cells[i]) if cells[i] == int(cells[i]) else cells[i]
    return cells


def _holds(dtype: Any, values: pd.Series) -> bool:
    """Whether *dtype*, of integers or booleans, holds *values* unchanged.

    A user's table with other values has a wider dtype: pandas chooses it, and so does a CSV reader.
    """
    present = values.dropna()
    numpy_dtype = np.dtype(getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype)))
    can_be_missing = hasattr(dtype, "numpy_dtype")
    low, high = (0, 1) if numpy_dtype.kind == "b" else _limits(numpy_dtype)
    return bool(
        (can_be_missing or len(present) == len(values))
        and (present == np.trunc(present)).all()
        and present.between(low, high).all()
    )


def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)
