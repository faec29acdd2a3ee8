"""Operations that move elements without computing with them: joining, selecting, reshaping.

Converters use them through ``edge_pipeline.conversion.graph.ops``, beside the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph.tensor import STRING, Tensor, graph_of

__all__ = [
    "concatenate",
    "expand_dims",
    "full_rows",
    "gather_elements",
    "getitem",
    "reshape",
    "reshape_rows",
    "rows",
    "squeeze",
    "stack",
    "take",
]


def concatenate(parts: Sequence[Tensor], axis: int = -1) -> Tensor:
    """Join along *axis*; numbers are promoted as numpy does, one part is returned as it is."""
    if len(parts) == 1:
        return parts[0]
    axis %= parts[0].ndim
    dtype = STRING if parts[0].is_string else np.result_type(*(part.dtype for part in parts))
    sizes = [part.shape[axis] for part in parts]
    joined = None if None in sizes else sum(size for size in sizes if size is not None)
    rows_ = next((part.shape[0] for part in parts if part.shape[0] != 1), 1)
    shape = [rows_, *parts[0].shape[1:]]
    shape[axis] = joined
    return graph_of(*parts).nodes(
        "Concat", [part.astype(dtype) for part in parts], [(dtype, tuple(shape))], axis=axis
    )[0]


def stack(parts: Sequence[Tensor], axis: int = 1) -> Tensor:
    """Join along a new axis."""
    return concatenate([expand_dims(part, axis) for part in parts], axis)


def take(x: Any, indices: Any, axis: int = 0) -> Tensor:
    """Select along *axis* by positions (numpy's take)."""
    graph = graph_of(x, indices)
    source, at = graph.tensor(x), graph.tensor(indices)
    axis %= source.ndim
    shape = source.shape[:axis] + at.shape + source.shape[axis + 1 :]
    return graph.node("Gather", source, at, axis=axis, dtype=source.dtype, shape=shape)


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


def expand_dims(x: Tensor, axis: int) -> Tensor:
    """A new axis of size 1."""
    axis %= x.ndim + 1
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    return x.graph.node("Unsqueeze", x, np.array([axis]), dtype=x.dtype, shape=shape)


def squeeze(x: Tensor, axis: int = -1) -> Tensor:
    """Without the axis of size 1."""
    axis %= x.ndim
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    return x.graph.node("Squeeze", x, np.array([axis]), dtype=x.dtype, shape=shape)


def getitem(x: Tensor, key: Any) -> Tensor:
    """Index along the columns: ``x[:, k]``, ``x[:, a:b:c]``, ``x[:, [..]]``, None, Ellipsis."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in [k for k in keys if k is Ellipsis]:
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        missing = x.ndim - (len(keys) - 1 - sum(k is None for k in keys))
        keys[at : at + 1] = [slice(None)] * missing
    axis = 0
    for item in keys:
        if item is None:
            x = expand_dims(x, axis)
        elif isinstance(item, slice):
            if item != slice(None):
                x = _cut(x, axis, item)
        elif isinstance(item, int | np.integer):
            x = take(x, np.array(_position(x, axis, int(item)), dtype=np.int64), axis)
            continue
        elif isinstance(item, Tensor):
            x = take(x, item, axis)
        else:
            x = take(x, _positions(x, axis, np.asarray(item)), axis)
        axis += 1
    return x


def _cut(x: Tensor, axis: int, cut: slice) -> Tensor:
    size = x.shape[axis]
    if size is None:
        raise ValueError("the rows of a batch cannot be sliced: an answer is a function of one row")
    start, stop, step = cut.indices(size)
    if step < 0:
        return take(x, np.arange(start, stop, step, dtype=np.int64), axis)
    shape = (*x.shape[:axis], len(range(start, stop, step)), *x.shape[axis + 1 :])
    bounds = [np.array([value], dtype=np.int64) for value in (start, stop, axis, step)]
    return x.graph.node("Slice", x, *bounds, dtype=x.dtype, shape=shape)


def _position(x: Tensor, axis: int, item: int) -> int:
    size = x.shape[axis]
    if size is None:
        raise ValueError("one row of a batch cannot be picked: an answer is a function of one row")
    if not -size <= item < size:
        raise IndexError(f"index {item} is out of bounds for axis {axis} with size {size}")
    return item % size


def _positions(x: Tensor, axis: int, item: Any) -> Any:
    if item.dtype == np.bool_:
        item = np.flatnonzero(item)
    return np.array([_position(x, axis, int(i)) for i in item.ravel()], dtype=np.int64)


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
