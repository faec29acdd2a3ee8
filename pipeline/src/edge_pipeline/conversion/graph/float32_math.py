"""Write exp, sigmoid and softmax in float32, rounded as XGBoost rounds them on glibc and musl.

XGBoost calls ``expf`` of the C library.  onnxruntime's float32 Exp is another approximation, and
float64 Exp rounded to float32 differs in one number of 2,000.  These nodes repeat the library's own
algorithm, which computes in float64 and rounds once (``sysdeps/ieee754/flt-32/e_expf.c`` of glibc
2.28 and later, from ARM's optimized routines).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["SMALLEST_POSITIVE", "exp_float32", "sigmoid_float32", "softmax_float32"]

SMALLEST_POSITIVE = np.float32(float.fromhex("0x1.800002p-24"))
"""The smallest number whose :func:`sigmoid_float32` is above one half."""

_PARTS = 32
"""exp(x) is 2**(k / 32), k a whole number, times a cubic polynomial (EXP2F_TABLE_BITS 5)."""

_PER_UNIT = float.fromhex("0x1.71547652b82fep+0") * _PARTS
"""32 / log(2)."""

_CUBIC = float.fromhex("0x1.c6af84b912394p-5") / _PARTS**3
_SQUARE = float.fromhex("0x1.ebfce50fac4f3p-3") / _PARTS**2
_LINEAR = float.fromhex("0x1.62e42ff0c52d6p-1") / _PARTS
"""``poly_scaled`` of glibc's e_exp2f_data.c."""

_ZERO_BELOW, _INFINITE_ABOVE = -110.0, 90.0
"""Exponents of which float32 exp is certainly zero, or infinite."""

_SIGMOID_LIMIT = 88.7
"""The exponent at which XGBoost cuts its sigmoid off (``src/common/math.h``)."""


def exp_float32(x: Tensor, bound: float) -> Tensor:
    """Write ``expf``.

    Parameters
    ----------
    x
        float32, without NaN.
    bound
        No element of *x* is larger in magnitude.
    """
    return _exp(x.astype(np.float64) * _PER_UNIT, -bound, bound)


def sigmoid_float32(x: Tensor, bound: float) -> Tensor:
    """Write ``Sigmoid`` of XGBoost's ``src/common/math.h``, of *x* as in :func:`exp_float32`."""
    if bound > _SIGMOID_LIMIT:
        x = ops.maximum(x, -np.float32(_SIGMOID_LIMIT))
    e = _exp(x.astype(np.float64) * -_PER_UNIT, -bound, min(bound, _SIGMOID_LIMIT))
    one = np.float32(1)
    return one / (e + one)


def softmax_float32(x: Tensor, bound: float) -> Tensor:
    """Write ``Softmax`` of XGBoost's ``src/common/math.h``, which adds its terms in float64."""
    shifted = x - ops.max_(x, -1, True)
    e = _exp(shifted.astype(np.float64) * _PER_UNIT, -2.0 * bound, 0.0)
    total = ops.cumsum(e.astype(np.float64), -1)[:, e.width - 1 : e.width]
    return e / total.astype(np.float32)


def _exp(scaled: Tensor, low: float, high: float) -> Tensor:
    """Write ``expf`` of *scaled* / _PER_UNIT, a number between *low* and *high*."""
    if low < _ZERO_BELOW or high > _INFINITE_ABOVE:
        low, high = max(low, _ZERO_BELOW), min(high, _INFINITE_ABOVE)
        scaled = ops.clip(scaled, low * _PER_UNIT, high * _PER_UNIT)
    whole = ops.rint(scaled)
    t = scaled - whole
    polynomial = ((t * _CUBIC + _SQUARE) * t + _LINEAR) * t + 1.0
    powers = ops.take(_powers(low, high), whole.astype(np.int64))
    return (polynomial * powers).astype(np.float32)


def _powers(low: float, high: float) -> NDArray[np.float64]:
    """Return 2**(k / 32) at position k; negative k are positions from the end, as Gather has it."""
    first = int(np.floor(low * _PER_UNIT)) - 1
    last = int(np.ceil(high * _PER_UNIT)) + 1
    exponents = np.concatenate([np.arange(max(last, 0) + 1), np.arange(min(first, 0), 0)])
    return np.asarray(2.0 ** (exponents / _PARTS))
