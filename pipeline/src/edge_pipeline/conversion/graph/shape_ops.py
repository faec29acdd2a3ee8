"""Operations that move elements without computing with them: joining, selecting, reshaping.

Converters use them through ``edge_pipeline.conversion.graph.ops``, beside the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph.tensor import Tensor, expand_dims, graph_of
from edge_pipeline.conversion.graph.types import STRING

__all__ = [
    "concatenate",
    "full_rows",
    "gather_elements",
    "reshape",
    "reshape_rows",
    "rows",
    "stack",
]


def concatenate(parts: Sequence[Tensor], axis: int = -1) -> Tensor:
    """Join along *axis*; numbers are promoted as numpy does, one part is returned as it is."""
    if len(parts) == 1:
        return parts[0]
    axis %= parts[0].ndim
    dtype = STRING if parts[0].is_string else np.result_type(*(part.dtype for part in parts))
    sizes = [part.shape[axis] for part in parts]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    rows_ = next((part.shape[0] for part in parts if part.shape[0] != 1), 1)
    shape = [rows_, *parts[0].shape[1:]]
    shape[axis] = total
    return graph_of(*parts).nodes(
        "Concat", [part.astype(dtype) for part in parts], [(dtype, tuple(shape))], axis=axis
    )[0]


def stack(parts: Sequence[Tensor], axis: int = 1) -> Tensor:
    """Join along a new axis."""
    return concatenate([expand_dims(part, axis) for part in parts], axis)


def gather_elements(x: Tensor, indices: Tensor, axis: int = -1) -> Tensor:
    """Numpy's take_along_axis."""
    axis %= x.ndim
    return graph_of(x, indices).node(
        "GatherElements", x, indices, axis=axis, dtype=x.dtype, shape=indices.shape
    )


def reshape(x: Tensor, shape: Sequence[int | None]) -> Tensor:
    """Reshape; the one None stands for the rows."""
    target = np.array([-1 if size is None else size for size in shape], dtype=np.int64)
    return x.graph.node("Reshape", x, target, dtype=x.dtype, shape=tuple(shape))


def reshape_rows(x: Tensor, *sizes: int) -> Tensor:
    """Reshape every row to *sizes*, the rows kept; works for zero rows too."""
    target = np.array([0, *sizes], dtype=np.int64)
    return x.graph.node("Reshape", x, target, dtype=x.dtype, shape=(x.shape[0], *sizes))


def rows(x: Tensor) -> Tensor:
    """The number of rows, as a 1-d int64 tensor of one element."""
    return x.graph.node("Shape", x, start=0, end=1, dtype=np.int64, shape=(1,))


def full_rows(x: Tensor, value: Any) -> Tensor:
    """*value* (a scalar or a row of any shape) repeated for every row of *x*."""
    array = np.asarray(value)
    graph = x.graph
    target = rows(x)
    if array.ndim:
        target = concatenate([target, graph.constant(np.array(array.shape, dtype=np.int64))], 0)
    source = graph.constant(array)
    return graph.node(
        "Expand", source, target, dtype=source.dtype, shape=(x.shape[0], *array.shape)
    )
