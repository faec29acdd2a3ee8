"""Element types and static shapes of the tensors of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

__all__ = ["ONNX_TYPES", "STRING", "Shape"]

STRING = np.dtype(object)
"""dtype of a string tensor, as onnxruntime's Python binding has it."""

Shape = tuple[int | None, ...]
"""Static shape; None is the number of rows."""

ONNX_TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.bool_): TensorProto.BOOL,
    STRING: TensorProto.STRING,
}
