"""Describe a sample of pictures, sound or wide rows as one column of tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.bundle.tensor_type import MAX_DIMENSIONS, TENSOR_DTYPES, TensorType
from numpy.typing import NDArray

from edge_pipeline.errors import ConversionError

__all__ = [
    "TENSOR",
    "WIDE_COLUMNS",
    "columns_of_numbers",
    "is_tensor_sample",
    "tensor_rows",
    "tensor_schema",
    "to_table",
]

TENSOR = "x"
"""Name of the only column."""

WIDE_COLUMNS = 1024
"""Columns from which an array without names is a tensor: spectra, flattened pictures, recordings.

A name, a range and deciles for each of 12,288 columns make a manifest of 4 MB."""


def is_tensor_sample(X: Any) -> bool:
    """Whether *X* is an array of tensors, or of so many columns that nobody names them.

    Raises
    ------
    ConversionError
        It has more than two dimensions, and no tensor can be described so.
    """
    if not isinstance(X, np.ndarray) or isinstance(X, np.ma.MaskedArray) or X.ndim < 2:
        return False
    has_dtype = X.dtype.name in TENSOR_DTYPES and X.dtype.isnative
    if X.ndim == 2:
        return has_dtype and X.shape[1] >= WIDE_COLUMNS
    if not has_dtype:
        raise ConversionError(
            f"the sample X is an array of dtype {X.dtype} and {X.ndim} dimensions; tensors have "
            f"one of the dtypes {', '.join(TENSOR_DTYPES)}: convert it before training, e.g. "
            "X.astype(float)"
        )
    if X.ndim > MAX_DIMENSIONS + 1 or not X.size:
        raise ConversionError(
            f"the sample X has the shape {X.shape}; expected some rows, each of 1 to "
            f"{MAX_DIMENSIONS} axes that are not empty"
        )
    return True


def tensor_schema(X: NDArray[Any]) -> Schema:
    """Describe the tensors that are the rows of *X*: dtype, shape, and one range."""
    low, high, missing = _range_of(X)
    tensor = TensorType(X.dtype.name, tuple(map(int, X.shape[1:])))
    column = Column(
        TENSOR, "tensor", missing, low, high, missing_in_training=missing, tensor=tensor
    )
    return Schema("tensor", (column,))


def columns_of_numbers(schema: Schema) -> list[Column]:
    """Return the column of each number that the graph reads, before derived ones.

    A cell of a tensor is a column of numbers, as converters know the columns of an array.
    """
    first = schema.columns[0] if schema.columns else None
    if first is None or first.tensor is None:
        return [schema.columns[position] for position in schema.numeric]
    is_whole = np.dtype(first.tensor.dtype).kind in "iu"
    cell = replace(first, type="int64" if is_whole else "float64", tensor=None)
    return [cell] * first.tensor.size


def to_table(X: NDArray[Any]) -> pd.DataFrame:
    """Return the rows of *X* as one column; nothing is copied."""
    cells = np.empty(len(X), dtype=object)
    for i, row in enumerate(X):
        cells[i] = row
    return pd.DataFrame({TENSOR: cells})


def tensor_rows(table: pd.DataFrame, schema: Schema) -> NDArray[Any]:
    """Return the tensors of *table* as an array of float64, or of int64 if all are whole."""
    tensor = schema.columns[0].tensor
    if tensor is None:
        raise ValueError(f"the schema describes no tensor: {schema!r}")
    rows = np.empty((len(table), *tensor.shape))
    for i, cell in enumerate(table[TENSOR]):
        rows[i] = cell
    if np.dtype(tensor.dtype).kind in "iu" and np.array_equal(rows, np.trunc(rows)):
        with np.errstate(invalid="ignore"):
            whole = rows.astype(np.int64)
        return whole if np.array_equal(whole, rows) else rows
    return rows


def _range_of(X: NDArray[Any]) -> tuple[float | None, float | None, bool]:
    """Return the least and the largest finite number, and whether a value is missing."""
    if X.dtype.kind != "f":
        return float(X.min()), float(X.max()), False
    low, high = float(X.min()), float(X.max())
    if np.isfinite([low, high]).all():
        return low, high, False
    finite = X[np.isfinite(X)]
    missing = bool(np.isnan(X).any())
    return (
        (float(finite.min()), float(finite.max()), missing)
        if len(finite)
        else (None, None, missing)
    )
