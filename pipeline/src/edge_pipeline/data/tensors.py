"""Describe a sample of pictures, sound or wide rows as one column of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.bundle.tensor_type import (
    MAX_DIMENSIONS,
    TENSOR_DTYPES,
    StreamSettings,
    TensorType,
)
from edge_runtime.errors import IntegrityError
from numpy.typing import NDArray

from edge_pipeline.errors import ConversionError

__all__ = [
    "TENSOR",
    "WIDE_COLUMNS",
    "check_same_shape",
    "columns_of_numbers",
    "is_tensor_sample",
    "tensor_rows",
    "tensor_schema",
    "to_table",
    "with_stream",
]

TENSOR = "x"
"""Name of the only column."""

WIDE_COLUMNS = 1024
"""Columns from which an array without names is a tensor: spectra, flattened pictures, recordings.

A name, a range and deciles for each of 12,288 columns make a manifest of 4 MB."""


def is_tensor_sample(X: Any, min_columns: int = WIDE_COLUMNS) -> bool:
    """Whether *X* is an array of tensors, or of at least *min_columns*, which nobody names.

    Raises
    ------
    ConversionError
        It has more than two dimensions, and no tensor can be described so.
    """
    if not isinstance(X, np.ndarray) or isinstance(X, np.ma.MaskedArray) or X.ndim < 2:
        return False
    has_dtype = X.dtype.name in TENSOR_DTYPES and X.dtype.isnative
    if X.ndim == 2:
        return has_dtype and X.shape[1] >= min_columns
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


def check_same_shape(schema: Schema, unseen: Schema) -> None:
    """Refuse an X_test whose tensors have another shape than those of X.

    Raises
    ------
    ConversionError
        With both shapes.
    """
    tensor, other_tensor = schema.columns[0].tensor, unseen.columns[0].tensor
    if tensor is None or other_tensor is None or tensor.shape != other_tensor.shape:
        shape = other_tensor.shape if other_tensor else f"{len(unseen.columns)} columns"
        raise ConversionError(
            f"the rows of X are {tensor}, those of X_test {shape}; pass an ndarray of the same "
            f"shape and of one of the dtypes {', '.join(TENSOR_DTYPES)}"
        )


def with_stream(schema: Schema, stream: Mapping[str, Any]) -> Schema:
    """Add to a schema of tensors how a stream is cut into them.

    Parameters
    ----------
    stream
        ``rate``, and if need be ``hop``, ``channels``, ``time_axis`` and ``full_scale``.

    Raises
    ------
    ConversionError
        A key is unknown or missing, or does not suit the shape of the tensors.
    """
    tensor = schema.columns[0].tensor if schema.kind == "tensor" else None
    if tensor is None:
        raise ConversionError(
            "stream= needs windows of samples: pass X as an ndarray (n, samples), (n, channels, "
            f"samples) or (n, samples, channels) of {', '.join(TENSOR_DTYPES)}"
        )
    unknown = sorted(set(stream) - set(_STREAM_KEYS))
    if unknown or "rate" not in stream:
        problem = f"found {unknown[0]!r}" if unknown else "found no rate"
        raise ConversionError(f"stream takes the keys {', '.join(_STREAM_KEYS)}; {problem}")
    shape = tensor.shape
    time_axis = stream.get("time_axis", len(shape) - 1 if len(shape) > 1 else 0)
    if isinstance(time_axis, int) and time_axis < 0:
        time_axis += len(shape)
    n_samples = shape[time_axis] if time_axis in range(len(shape)) else 1
    n_channels = int(np.prod(shape)) // n_samples
    settings = {
        "rate": stream["rate"],
        "hop": stream.get("hop", max(1, n_samples // 2)),
        "channels": list(stream.get("channels", [f"channel{i}" for i in range(n_channels)])),
        "time_axis": time_axis,
        "full_scale": stream.get("full_scale", _FULL_SCALES[tensor.dtype]),
    }
    try:
        checked = StreamSettings.from_json(settings)
    except IntegrityError as error:
        raise ConversionError(
            f"stream needs a rate and a full_scale above 0, a whole hop above 0, and names of "
            f"channels that differ, found {settings}"
        ) from error
    if checked.faults(shape):
        raise ConversionError(f"stream: {checked.faults(shape)}")
    column = replace(schema.columns[0], tensor=replace(tensor, stream=checked))
    return replace(schema, columns=(column,))


_STREAM_KEYS = ("rate", "hop", "channels", "time_axis", "full_scale")
_FULL_SCALES = {"uint8": 128.0, "int16": 32768.0, "float32": 1.0, "float64": 1.0}


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
