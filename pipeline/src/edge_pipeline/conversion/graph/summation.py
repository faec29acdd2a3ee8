"""Sums in numpy's order of additions, where rounding decides the answer."""

from __future__ import annotations

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["sum_as_numpy"]

BLOCK = 128
"""PW_BLOCKSIZE of numpy's pairwise summation (numpy/_core/src/umath/loops_utils.h.src)."""


def sum_as_numpy(x: Tensor) -> Tensor:
    """``x.sum(axis=-1)`` bit by bit as numpy adds the values of a row that lie side by side.

    Fewer than eight one after the other; up to 128 in eight lanes; more in halves (numpy's
    ``pairwise_sum``).  ReduceSum adds in the order that suits the CPU's vectors.
    """
    return ops.squeeze(_pairwise(x), -1)


def _pairwise(x: Tensor) -> Tensor:
    """The sum, with a last axis of one."""
    n = x.width
    if n < 8:
        return _in_turn(_split(x, [1] * n))
    if n <= BLOCK:
        lanes, n_single = n - n % 8, n % 8
        parts = _split(x, [8] * (lanes // 8) + [1] * n_single)
        total = _in_turn(parts[: lanes // 8])
        for _ in range(3):  # ((0+1)+(2+3))+((4+5)+(6+7))
            total = total[..., ::2] + total[..., 1::2]
        return _in_turn([total, *parts[lanes // 8 :]])
    half = n // 2
    half -= half % 8
    lower, upper = _split(x, [half, n - half])
    return _pairwise(lower) + _pairwise(upper)


def _in_turn(parts: list[Tensor]) -> Tensor:
    """The parts added one after the other: onnxruntime's Sum goes from left to right."""
    if len(parts) == 1:
        return parts[0]
    return parts[0].graph.nodes("Sum", parts, [(parts[0].dtype, parts[0].shape)])[0]


def _split(x: Tensor, sizes: list[int]) -> list[Tensor]:
    if len(sizes) == 1:
        return [x]
    shapes = [(x.dtype, (*x.shape[:-1], size)) for size in sizes]
    return list(
        x.graph.nodes("Split", [x, np.array(sizes, dtype=np.int64)], shapes, axis=x.ndim - 1)
    )
