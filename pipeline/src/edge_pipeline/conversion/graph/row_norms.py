"""Sum the squares of rows in the order in which numpy and BLAS sum them.

scikit-learn's fast Euclidean distance is x² - 2xy + y².  Between a row and its twin, or its own
cluster centre, all digits cancel.  The result, the square root of 1e-16, is then nothing but the
order of summation.  A prediction that uses such a distance (inverse-distance weights,
KMeans.transform) agrees to 1e-9 only if the three terms are rounded alike.  The products are:
onnxruntime's and OpenBLAS's MatMul both add along the columns with fused multiply-add (equal to the
last bit up to 128 columns, measured).  This module reproduces the two lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import ddot

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["blas_lengths", "euclidean_squares", "numpy_lengths"]

MIN_LANED_COLUMNS = 16
"""OpenBLAS's ddot on x86-64 sums shorter rows column by column, and longer ones in lanes."""


def euclidean_squares(X: Tensor, Y: Any, lengths: Callable[[Tensor], Tensor]) -> Tensor:
    """Compute ``-2 xy + x² + y²``, not below zero, shape (n_samples, len(Y)).

    Parameters
    ----------
    lengths
        :func:`numpy_lengths` for ``euclidean_distances``; :func:`blas_lengths` for the nearest
        neighbours by brute force.
    """
    Y = np.ascontiguousarray(Y, dtype=np.float64)
    if lengths is numpy_lengths:
        y_lengths = np.einsum("ij,ij->i", Y, Y)
    else:
        y_lengths = np.array([ddot(y, y) for y in Y])
    return ops.unary("Relu", _products(X, -2.0 * Y.T, lengths(X)) + y_lengths)


ONE_BLOCK = 128
"""onnxruntime's float64 MatMul sums so many columns before it adds the sum to the output."""


def _products(X: Tensor, weights: NDArray[np.float64], lengths: Tensor) -> Tensor:
    """Compute ``X @ weights + lengths``, in one node where that rounds alike.

    For 1,000 rows against 1,000, each further node writes eight megabytes.
    """
    if X.ndim != 2 or X.width > ONE_BLOCK:
        return X @ weights + lengths
    return X.graph.node(
        "Gemm", X, weights, lengths, dtype=np.float64, shape=(X.shape[0], weights.shape[1])
    )


def numpy_lengths(X: Tensor) -> Tensor:
    """Compute ``row_norms(X, squared=True)[:, None]`` in the order of np.einsum("ij,ij->i").

    numpy keeps two partial sums, of the even and of the odd columns, and takes each block of eight
    from its end.  This is ``sum_of_products_contig_two`` with two float64 a register, numpy's
    baseline on x86-64 and aarch64.
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


@dataclass(frozen=True)
class DotKernel:
    """The order and the roundings of one ddot of OpenBLAS.

    Attributes
    ----------
    block
        Columns of one step; each column of a block has its own partial sum, called a lane.
    fused
        Whether a lane is added to with one rounding (fused multiply-add) or with two.
    sequential
        Whether the four registers of lanes are added one after the other, then folded in halves; or
        folded to two lanes each first, then added in pairs.
    tail_fused
        The same as *fused* for the columns after the last whole block, which are added one by one.
    """

    block: int
    fused: bool
    sequential: bool
    tail_fused: bool


_KERNELS = tuple(
    DotKernel(block, fused, sequential, tail_fused)
    for block, fused, sequential in (
        (32, True, True),  # SkylakeX, Cooperlake, SapphireRapids
        (16, True, False),  # Haswell, Zen
        (16, False, False),  # Sandybridge, Bulldozer
        (8, False, False),  # Nehalem, Barcelona, Atom
    )
    for tail_fused in (True, False)  # as the compiler that built OpenBLAS chose
)

_PROBED_WIDTHS = (15, 2 * 32 + 16, 2 * 32 + 16 + 15)
"""Columns of the probed rows: a tail alone; two of the largest blocks and half a one; all three."""

_PROBED_ROWS = 16
"""Two orders of summation differ in about every second row of random numbers."""


def blas_lengths(X: Tensor) -> Tensor:
    """Sum the squares of each row in the order of this machine's BLAS ddot.

    Where no kernel of ours fits (Core2 and Prescott, whose order depends on the address of a row;
    a BLAS other than OpenBLAS; aarch64) columns are summed from the left with fused multiply-add.
    The lengths then differ from scikit-learn's in the last bits.
    """
    kernel = probed_kernel()
    if kernel is None:
        return _added_columns(X, None, fused=True)
    if X.width < MIN_LANED_COLUMNS:
        return _added_columns(X, None, fused=kernel.tail_fused)
    return _laned(X, kernel)


@cache
def probed_kernel() -> DotKernel | None:
    """Find the kernel whose sums are those of this machine's BLAS to the last bit."""
    generator = np.random.default_rng(0)
    rows = [generator.normal(size=n) for n in _PROBED_WIDTHS for _ in range(_PROBED_ROWS)]
    lengths = [ddot(row, row) for row in rows]
    for kernel in _KERNELS:
        pairs = zip(rows, lengths, strict=True)
        if all(_emulated(row, kernel) == length for row, length in pairs):
            return kernel
    return None


def _laned(X: Tensor, kernel: DotKernel) -> Tensor:
    """Sum whole blocks in lanes, fold the lanes, then add the columns left over."""
    width, block = X.width, kernel.block
    wide = width // block * block
    whole = width // MIN_LANED_COLUMNS * MIN_LANED_COLUMNS
    if block < MIN_LANED_COLUMNS:
        wide = whole
    lanes = None
    if wide:
        columns = _transposed(ops.reshape_rows(X[:, :wide], wide // block, block))
        if kernel.fused:
            lanes = _fused_dot(columns, columns)
        else:
            ones = ops.full_rows(X, np.ones((block, wide // block)))
            lanes = _fused_dot(columns * columns, ones)
        if block > MIN_LANED_COLUMNS:
            halves = ops.reshape_rows(lanes, 4, 2, 4)
            lanes = ops.reshape_rows(halves[:, :, 0] + halves[:, :, 1], MIN_LANED_COLUMNS)
    if whole > wide:
        half_block = X[:, wide:whole]
        lanes = half_block * half_block if lanes is None else _added(lanes, half_block)
    assert lanes is not None  # a row has at least MIN_LANED_COLUMNS columns here
    registers = ops.reshape_rows(lanes, 4, lanes.width // 4)
    total = ops.sum_(_folded(registers, kernel.sequential), 1, keepdims=True)
    return total if whole == width else _added_columns(X[:, whole:], total, kernel.tail_fused)


def _folded(registers: Any, sequential: bool) -> Any:
    """Fold four registers of lanes to two sums; of tensors and of numpy arrays alike."""
    if not sequential and registers.shape[2] == 4:
        registers = registers[:, :, :2] + registers[:, :, 2:]
    a, b, c, d = (registers[:, i] for i in range(4))
    if not sequential:
        return (a + b) + (c + d)
    register = ((a + b) + c) + d
    return register[:, :2] + register[:, 2:]


def _added_columns(X: Tensor, total: Tensor | None, fused: bool) -> Tensor:
    """Add the squares of the columns of *X* to *total*, one after the other from the left."""
    if not fused:
        squares = X * X if total is None else ops.concatenate([total, X * X], 1)
        return ops.expand_dims(_fused_dot(squares, ops.full_rows(X, np.ones(squares.width))), 1)
    if total is None:
        return ops.expand_dims(_fused_dot(X, X), 1)
    values = ops.concatenate([total, X], 1)
    factors = ops.concatenate([ops.full_rows(X, np.ones(1)), X], 1)
    return ops.expand_dims(_fused_dot(values, factors), 1)


def _fused_dot(x: Tensor, y: Tensor) -> Tensor:
    """Add products along the last axis from the left with fused multiply-add, as MatMul does."""
    last = x.ndim
    product = ops.matmul(ops.expand_dims(x, last - 1), ops.expand_dims(y, last))
    return ops.squeeze(ops.squeeze(product, last), last - 1)


def _transposed(lanes: Tensor) -> Tensor:
    rows, steps, block = lanes.shape
    return lanes.graph.node(
        "Transpose", lanes, perm=[0, 2, 1], dtype=lanes.dtype, shape=(rows, block, steps)
    )


def _added(lanes: Tensor, columns: Tensor) -> Tensor:
    """Compute ``lanes + columns²`` lane by lane, with one rounding."""
    ones = ops.full_rows(columns, np.ones(columns.width))
    return _fused_dot(ops.stack([lanes, columns], 2), ops.stack([ones, columns], 2))


def _emulated(row: NDArray[Any], kernel: DotKernel) -> float:
    """Compute :func:`_laned` for one row, in rational numbers rounded where the kernel rounds."""
    whole = len(row) // MIN_LANED_COLUMNS * MIN_LANED_COLUMNS
    wide = whole if kernel.block < MIN_LANED_COLUMNS else len(row) // kernel.block * kernel.block
    lanes = np.zeros(kernel.block)
    for block in row[:wide].reshape(-1, kernel.block):
        lanes = _plus_squares(lanes, block, kernel.fused)
    if kernel.block > MIN_LANED_COLUMNS:
        halves = lanes.reshape(4, 2, 4)
        lanes = (halves[:, 0] + halves[:, 1]).ravel()
    if whole > wide:
        lanes = _plus_squares(lanes, row[wide:whole], kernel.fused)
    total = _folded(lanes.reshape(1, 4, -1), kernel.sequential).sum(axis=1)
    for column in row[whole:, np.newaxis]:
        total = _plus_squares(total, column, kernel.tail_fused)
    return float(total[0])


def _plus_squares(sums: NDArray[Any], values: NDArray[Any], fused: bool) -> NDArray[np.float64]:
    """Compute ``sums + values²`` with one rounding or with two."""
    if not fused:
        return np.asarray(sums + values * values)
    pairs = zip(sums.tolist(), values.tolist(), strict=True)
    return np.array([float(Fraction(value) ** 2 + Fraction(total)) for total, value in pairs])
