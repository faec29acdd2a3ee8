"""Write discrete Fourier transforms as matrix products in float64.

onnxruntime has an operator DFT.  For 61 rows of 400 samples it takes 6.9 ms, one product 0.24 ms,
and two products 0.15 ms; it also loses two digits (benchmarks/fourier.py).  So a transform is one
product, or two where the length has a good divisor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["ComplexTensor", "inverse_real_transform", "real_transform", "whole_transform"]

MAX_ONE_PRODUCT = 128
"""Longest transform that is always one product: a matrix of 0.13 MB."""

MAX_MATRIX_NUMBERS = 1 << 22
"""Most numbers in the matrix of one product: 32 MB.  A prime of 2,053 samples exceeds it."""


@dataclass(frozen=True, eq=False)
class ComplexTensor:
    """A complex array of the graph: ONNX has no operators on complex numbers."""

    real: Tensor
    imag: Tensor


def real_transform(x: Tensor) -> ComplexTensor:
    """Return ``numpy.fft.rfft`` along the last axis."""
    n = x.width
    return _transform(x.astype(np.float64), None, n // 2 + 1, -1.0)


def whole_transform(x: Tensor) -> ComplexTensor:
    """Return ``numpy.fft.fft`` of real numbers along the last axis."""
    return _transform(x.astype(np.float64), None, x.width, -1.0)


def inverse_real_transform(x: ComplexTensor, n: int) -> Tensor:
    """Return ``numpy.fft.irfft`` along the last axis: *n* samples from n // 2 + 1 bins."""
    # Bins k and n - k are conjugate; numpy ignores the imaginary parts of bins 0 and n / 2.
    source = np.minimum(np.arange(n), n - np.arange(n))
    sign = np.where(np.arange(n) <= n // 2, 1.0, -1.0)
    sign[0] = 0.0
    if n % 2 == 0:
        sign[n // 2] = 0.0
    at = x.real.ndim - 1
    real, imag = ops.take(x.real, source, at), ops.take(x.imag, source, at) * sign
    return _transform(real, imag, n, 1.0).real * (1.0 / n)


def _transform(real: Tensor, imag: Tensor | None, n_bins: int, sign: float) -> ComplexTensor:
    """Return the first *n_bins* of the sums of ``x[j] * exp(sign * 2i * pi * j * k / n)``."""
    n = real.width
    inner = _divisor(n)
    if inner == 1:
        if n * 2 * n_bins > MAX_MATRIX_NUMBERS:
            raise TypeError(
                f"a Fourier transform of {n} samples: the length has no divisor that makes it "
                "short; take a length that is a product of small numbers"
            )
        return _product(real, imag, _waves(n, np.arange(n), np.arange(n_bins), sign))
    # Cooley and Tukey (1965): j = outer * a + b and k = c + inner * d.
    outer = n // inner
    parts = [_columns_last(part, inner, outer) for part in (real, imag) if part is not None]
    first = _waves(inner, np.arange(inner), np.arange(inner), sign)
    short = _product(parts[0], parts[1] if imag is not None else None, first)  # (..., b, c)
    twiddles = _waves(n, np.arange(outer), np.arange(inner), sign)
    turned = ComplexTensor(
        short.real * twiddles[0] - short.imag * twiddles[1],
        short.real * twiddles[1] + short.imag * twiddles[0],
    )
    n_last = (n_bins - 1) // inner + 1
    second = _waves(outer, np.arange(outer), np.arange(n_last), sign)
    long = _product(_swap(turned.real), _swap(turned.imag), second)  # (..., c, d)
    return ComplexTensor(_in_order(long.real, n_bins), _in_order(long.imag, n_bins))


def _divisor(n: int) -> int:
    """Return the divisor of *n* nearest below its root; 1 where one product is cheaper."""
    if n <= MAX_ONE_PRODUCT:
        return 1
    return next(d for d in range(int(np.sqrt(n)), 0, -1) if n % d == 0)


def _waves(n: int, j: NDArray[np.int64], k: NDArray[np.int64], sign: float) -> NDArray[np.float64]:
    """Return cosines and sines of the angles ``sign * 2 * pi * j * k / n``, shape (2, j, k)."""
    # The product modulo n keeps the angles small, and so exact.
    angles = 2.0 * np.pi * ((j[:, np.newaxis] * k) % n) / n
    return np.stack([np.cos(angles), sign * np.sin(angles)])


def _product(real: Tensor, imag: Tensor | None, waves: NDArray[np.float64]) -> ComplexTensor:
    """Multiply the last axis by complex *waves*, in one product of real matrices."""
    cosines, sines = waves
    matrix = np.concatenate([cosines, sines], axis=1)
    n_bins = cosines.shape[1]
    if imag is None:
        parts = real @ matrix
    else:
        matrix = np.concatenate([matrix, np.concatenate([-sines, cosines], axis=1)])
        parts = ops.concatenate([real, imag], real.ndim - 1) @ matrix
    return ComplexTensor(parts[..., :n_bins], parts[..., n_bins:])


def _columns_last(x: Tensor, inner: int, outer: int) -> Tensor:
    """Reshape the last axis to (inner, outer), and swap these two."""
    return _swap(ops.reshape_rows(x, *_leading(x), inner, outer))


def _in_order(x: Tensor, n_bins: int) -> Tensor:
    """Flatten (..., c, d) to bins k = c + inner * d."""
    swapped = _swap(x)
    *_, last, inner = swapped.shape
    flat = ops.reshape_rows(swapped, *_leading(x)[:-1], (last or 1) * (inner or 1))
    return flat[..., :n_bins]


def _leading(x: Tensor) -> list[int]:
    return [size for size in x.shape[1:-1] if size is not None]


def _swap(x: Tensor) -> Tensor:
    order = [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]
    shape = tuple(x.shape[i] for i in order)
    return x.graph.node("Transpose", x, perm=order, dtype=x.dtype, shape=shape)
