"""Index traced arrays by arrays of constant positions, as numpy does.

numpy itself indexes the positions of one row's elements.  The graph then gathers those positions:
index arrays of any rank, masks, ranges and new axes get numpy's shape because numpy makes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["indexed", "take_along_axis", "take_positions"]


def indexed(x: Tensor, keys: Sequence[Any]) -> Tensor:
    """Return ``x[keys]``.

    Raises
    ------
    TypeError, ValueError, IndexError
        The result depends on other rows of the batch, or *x* has no such elements.
    """
    tensors = [key for key in keys if isinstance(key, Tensor)]
    if any(key.dtype == np.bool_ for key in tensors):
        raise TypeError(
            "selecting by a condition picks rows of the batch; use np.where(condition, a, b)"
        )
    if any(None in key.shape for key in tensors) and None in x.shape:
        raise TypeError(
            "positions that differ from row to row: use np.take_along_axis(x, positions, axis=1)"
        )
    arrays = [np.asarray(key) for key in keys if isinstance(key, list | np.ndarray)]
    if tensors or not any(_needs_numpy(array, len(arrays)) for array in arrays):
        return x[tuple(keys)]
    return _gathered(x, tuple(keys))


def _needs_numpy(array: NDArray[Any], count: int) -> bool:
    """Whether one Gather along one axis is not enough."""
    return count > 1 or array.ndim != 1


def _gathered(x: Tensor, keys: tuple[Any, ...]) -> Tensor:
    if None not in x.shape:
        positions = np.arange(math.prod(_sizes(x.shape))).reshape(_sizes(x.shape))[keys]
        return ops.take(ops.reshape(x, [-1]), np.asarray(positions))
    if x.shape[0] is not None:
        raise TypeError("an index array here needs the rows as the first axis: transpose it first")
    _check_rows(keys)
    sizes = _sizes(x.shape[1:])
    of_row = np.arange(math.prod(sizes)).reshape(sizes)
    once, twice = (np.broadcast_to(of_row, (n, *sizes))[keys] for n in (1, 2))
    at = next(i for i, n in enumerate(twice.shape) if n != once.shape[i])
    flat = x if x.ndim == 2 else ops.reshape_rows(x, of_row.size)
    result = ops.take(flat, np.take(once, 0, at), 1)
    if at == 0:
        return result
    order = [*range(1, at + 1), 0, *range(at + 1, result.ndim)]
    shape = tuple(result.shape[i] for i in order)
    return x.graph.node("Transpose", result, perm=order, dtype=x.dtype, shape=shape)


def _sizes(shape: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(size for size in shape if size is not None)


def _check_rows(keys: tuple[Any, ...]) -> None:
    """Refuse a key of the rows' axis that is not all rows."""
    first = next((key for key in keys if key is not None), slice(None))
    if first is not Ellipsis and not (isinstance(first, slice) and first == slice(None)):
        raise TypeError(
            "an index array for the rows picks rows of the batch: an answer is a function of one "
            "row; index the columns: X[:, positions]"
        )


def take_positions(
    x: Tensor, indices: Any, axis: Any = None, mode: str = "raise", **_: Any
) -> Tensor:
    """Return ``numpy.take``: along one axis that is not the rows."""
    if isinstance(indices, Tensor):
        if None in indices.shape and isinstance(x, Tensor) and None in x.shape:
            raise TypeError("numpy.take with positions of each row: use np.take_along_axis")
        return ops.take(x, indices, 0 if axis is None else axis)
    if axis is None and x.ndim > 1:
        raise ValueError("numpy.take without axis= flattens the rows of the batch; give axis=1")
    at = 0 if axis is None else int(axis) % x.ndim
    size = x.shape[at]
    if size is None:
        raise ValueError("numpy.take along the rows of the batch: an answer is a function of one "
                         "row; give axis=1")  # fmt: skip
    return ops.take(x, np.take(np.arange(size), indices, mode=mode), at)  # type: ignore[call-overload]


def take_along_axis(x: Tensor, indices: Any, axis: Any = -1) -> Tensor:
    """Return ``numpy.take_along_axis``: every row has its own positions."""
    graph = x.graph if isinstance(x, Tensor) else indices.graph
    source, positions = graph.tensor(x), graph.tensor(indices)
    if axis is None or source.ndim != positions.ndim:
        raise TypeError("numpy.take_along_axis is traced along an axis, for positions of the same "
                        "number of dimensions")  # fmt: skip
    at = int(axis) % source.ndim
    if source.shape[at] is None:
        raise ValueError("numpy.take_along_axis along the rows of the batch: an answer is a "
                         "function of one row; give axis=1")  # fmt: skip
    sizes = zip(source.shape, positions.shape, strict=True)
    if any(a != b for i, (a, b) in enumerate(sizes) if i != at):
        raise TypeError("numpy.take_along_axis is traced for positions of every row, in the array's"
                        f" own shape: {source.shape} and {positions.shape}")  # fmt: skip
    return graph.node(
        "GatherElements",
        source,
        positions.astype(np.int64),
        axis=at,
        dtype=source.dtype,
        shape=positions.shape,
    )
