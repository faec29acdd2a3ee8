"""Squared lengths of rows, summed in the order in which numpy and BLAS sum them.

scikit-learn's fast Euclidean distance is x² - 2xy + y²: between a row and its twin, or its own
cluster centre, all digits cancel and what is left, the square root of 1e-16, is the order of
summation.  An answer that uses such a distance (inverse-distance weights, KMeans.transform) agrees
to 1e-9 only if the three terms are rounded alike.  The products are (onnxruntime's and OpenBLAS's
MatMul both add along the columns with fused multiply-add; equal to the last bit up to 128 columns,
measured), so the lengths are all that is left to reproduce.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import ddot

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["blas_lengths", "euclidean_squares", "numpy_lengths"]

LANES = 16
"""Partial sums that OpenBLAS's ddot keeps, on x86-64; shorter rows are summed in one."""

_PROBED_ROWS = 8


def euclidean_squares(X: Tensor, Y: Any, lengths: Callable[[Tensor], Tensor]) -> Tensor:
    """``-2 xy + x² + y²``, not below zero, shape (n_samples, len(Y)).

    Parameters
    ----------
    lengths
        :func:`numpy_lengths` for ``euclidean_distances``; :func:`blas_lengths` of the training rows
        for the nearest neighbours by brute force.
    """
    Y = np.ascontiguousarray(Y, dtype=np.float64)
    own = np.array([ddot(y, y) for y in Y]) if lengths is not numpy_lengths else _einsum(Y)
    return ops.unary("Relu", _products(X, -2.0 * Y.T, lengths(X)) + own)


ONE_BLOCK = 128
"""onnxruntime's products of float64 add so many columns before they touch what is there already."""


def _products(X: Tensor, weights: NDArray[np.float64], lengths: Tensor) -> Tensor:
    """``X @ weights + lengths``: in one node where that rounds alike.

    Of 1,000 rows against 1,000 each further node writes eight megabytes.
    """
    if X.ndim != 2 or X.width > ONE_BLOCK:
        return X @ weights + lengths
    return X.graph.node(
        "Gemm", X, weights, lengths, dtype=np.float64, shape=(X.shape[0], weights.shape[1])
    )


def numpy_lengths(X: Tensor) -> Tensor:
    """``row_norms(X, squared=True)[:, None]``: np.einsum("ij,ij->i"), two partial sums.

    Even and odd columns are summed apart, each block of eight from its end (numpy's
    ``sum_of_products_contig_two`` with two float64 a register, which is its baseline on x86-64 and
    aarch64).
    """
    width = X.width
    squares = X * X
    order = [i for start in range(0, width - 7, 8) for i in _BLOCK + start]
    order += range(len(order), width)
    if width % 2:
        squares = ops.concatenate([squares, ops.full_rows(X, np.zeros(1))], 1)
        order.append(width)
    if order != list(range(len(order))):
        squares = ops.take(squares, np.array(order), 1)
    pairs = ops.reshape_rows(squares, len(order) // 2, 2)
    return ops.sum_(ops.sum_(pairs, 1), 1, keepdims=True)


_BLOCK = np.array([6, 7, 4, 5, 2, 3, 0, 1])


def blas_lengths(rows: NDArray[Any]) -> Callable[[Tensor], Tensor]:
    """The lengths as this machine's BLAS ddot sums them: its kernel is found by asking it.

    Parameters
    ----------
    rows
        Some rows to ask about.
    """
    rows = np.ascontiguousarray(rows[:_PROBED_ROWS], dtype=np.float64)
    width = rows.shape[1]
    if width >= LANES:
        asked = [ddot(row, row) for row in rows]
        for block, pairwise in _KERNELS.values():
            if asked == [_fused_length(row, block, pairwise) for row in rows]:
                return lambda X: _lanes(X, block, pairwise)
    return _sequential


_KERNELS: Mapping[str, tuple[int, bool]] = {"SkylakeX": (32, False), "Haswell": (16, True)}
"""OpenBLAS core: columns a step, and whether the four registers are added in pairs."""


def _einsum(Y: NDArray[Any]) -> NDArray[Any]:
    lengths: NDArray[Any] = np.einsum("ij,ij->i", Y, Y)
    return lengths


def _fused_dot(left: Tensor, right: Tensor) -> Tensor:
    """Products along the last axis, added from the left with fused multiply-add, as MatMul does."""
    last = left.ndim
    product = ops.matmul(ops.expand_dims(left, last - 1), ops.expand_dims(right, last))
    return ops.squeeze(ops.squeeze(product, last), last - 1)


def _sequential(X: Tensor) -> Tensor:
    return ops.expand_dims(_fused_dot(X, X), 1)


def _lanes(X: Tensor, block: int, pairwise: bool) -> Tensor:
    """Lanes of partial sums over whole blocks, folded; then the columns left, one by one."""
    width = X.width
    wide, whole = width // block * block, width // LANES * LANES
    sums = None
    if wide:
        steps = wide // block
        lanes = ops.reshape_rows(X[:, :wide], steps, block)
        sums = _fused_dot(*[_transposed(lanes)] * 2)
        if block > LANES:
            halves = ops.reshape_rows(sums, 4, 2, 4)
            sums = ops.reshape_rows(halves[:, :, 0] + halves[:, :, 1], LANES)
    if whole > wide:
        more = X[:, wide:whole]
        sums = more * more if sums is None else _added(sums, more)
    assert sums is not None  # a row has at least LANES columns here
    registers = ops.reshape_rows(sums, 4, 4)
    a, b, c, d = (registers[:, i] for i in range(4))
    one = (a + b) + (c + d) if pairwise else ((a + b) + c) + d
    total = ops.sum_(one[:, :2] + one[:, 2:], 1, keepdims=True)
    if whole == width:
        return total
    tail = X[:, whole:]
    left = ops.concatenate([total, tail], 1)
    right = ops.concatenate([ops.full_rows(X, np.ones(1)), tail], 1)
    return ops.expand_dims(_fused_dot(left, right), 1)


def _transposed(lanes: Tensor) -> Tensor:
    rows, steps, block = lanes.shape
    return lanes.graph.node(
        "Transpose", lanes, perm=[0, 2, 1], dtype=lanes.dtype, shape=(rows, block, steps)
    )


def _added(sums: Tensor, more: Tensor) -> Tensor:
    """``sums + more²``, lane by lane, with one rounding."""
    ones = ops.full_rows(more, np.ones(more.width))
    return _fused_dot(ops.stack([sums, more], 2), ops.stack([ones, more], 2))


def _fused_length(row: NDArray[Any], block: int, pairwise: bool) -> float:
    """What :func:`_lanes` computes, in rational numbers rounded as a fused multiply-add rounds."""
    wide, whole = len(row) // block * block, len(row) // LANES * LANES
    lanes = np.zeros(block)
    for start in range(0, wide, block):
        lanes = np.array(
            [_fma(v, s) for v, s in zip(row[start : start + block], lanes, strict=True)]
        )
    if block > LANES:
        halves = lanes.reshape(4, 2, 4)
        lanes = (halves[:, 0] + halves[:, 1]).ravel()
    for start in range(wide, whole, LANES):
        lanes = np.array(
            [_fma(v, s) for v, s in zip(row[start : start + LANES], lanes, strict=True)]
        )
    a, b, c, d = lanes.reshape(4, 4)
    one = (a + b) + (c + d) if pairwise else ((a + b) + c) + d
    half = one[:2] + one[2:]
    total = float(half[0] + half[1])
    for value in row[whole:]:
        total = _fma(value, total)
    return total


def _fma(value: float, total: float) -> float:
    return float(Fraction(float(value)) ** 2 + Fraction(float(total)))
