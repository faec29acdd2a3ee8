"""Cast traced arrays between numbers and booleans, as numpy's astype does."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.graph.types import ONNX_TYPES

__all__ = ["cast"]


def cast(x: Tensor, dtype: Any) -> Tensor:
    """Cast as numpy's astype does, to a dtype that a graph has."""
    try:
        target = np.dtype(dtype)
    except TypeError:
        target = np.dtype(object)
    if target == x.dtype:
        return x
    if target.kind == "O" and dtype in (object, "O", "object"):
        return x  # the same numbers, held as Python objects
    if target not in ONNX_TYPES or x.is_string or target.kind == "O":
        raise TypeError(f"astype({dtype!r}) of {x.dtype} has no form in a graph")
    if target == np.bool_:
        return ~(x == 0)  # NaN is true in numpy, and undefined in an ONNX Cast
    if x.dtype.kind == "f" and target.kind in "iu":
        return _truncate_to_integer(x, target)
    return x.astype(target)


def _truncate_to_integer(x: Tensor, target: np.dtype[Any]) -> Tensor:
    """Truncate to integers; NaN and numbers beyond the type become what x86 makes of them.

    C leaves their cast undefined.  An x86 CPU, hence numpy on the build machine, gives the lowest
    integer.  An ARM CPU gives the nearest integer or 0.  In a uint8 its result depends on the
    position of the row in the batch, as an emulated board showed (docs/arm.md).  So Cast never
    gets such a number.
    """
    # uint8 is cast through int32: C defines the cast between integers.
    signed = np.dtype(np.int64) if target == np.int64 else np.dtype(np.int32)
    lowest = float(np.iinfo(signed).min)
    is_in_range = (x >= lowest) & (x < -lowest)
    return ops.where(is_in_range, x, lowest).astype(signed).astype(target)
