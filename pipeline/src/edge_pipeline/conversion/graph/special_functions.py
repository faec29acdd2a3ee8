"""Functions that onnxruntime has no float64 kernel for, composed of those it has.

Two ways: identities that keep the relative precision, and tables of local polynomials that fit
scipy's own function (:func:`tabulated`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import special

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cosh", "erf", "erfc", "expit",
    "logaddexp", "sinh", "tabulated", "tan",
]  # fmt: skip


def expit(x: Tensor) -> Tensor:
    """The logistic function with full relative precision, however small it is.

    onnxruntime's Sigmoid (``ops.sigmoid``, one node instead of four) is 0 below -37 or so: right in
    absolute terms, wrong where small numbers are then scaled to sum to one.
    """
    return 1.0 / (1.0 + ops.exp(-x))


def logaddexp(x: Any, y: Any) -> Tensor:
    """log(exp(x) + exp(y)) without overflow."""
    high, low = ops.maximum(x, y), ops.minimum(x, y)
    gap = ops.where(high == low, 0.0, low - high)  # two equal infinities have no difference
    return high + ops.log1p(ops.exp(gap))


def erf(x: Tensor) -> Tensor:
    """The error function, within 2e-15 relative of scipy's."""
    size = abs(x)
    inner = x * tabulated(_erf_slope, size, 0.0, _ERF_ONE, 48)
    return ops.where(size < _ERF_ONE, inner, ops.sign(x))


def erfc(x: Tensor) -> Tensor:
    """1 - erf(x), within 1e-13 relative of scipy's down to 1e-300."""
    size = ops.minimum(abs(x), 28.0)
    tail = ops.exp(-size * size) * tabulated(special.erfcx, size, 0.0, 28.0, 224)
    return ops.where(x < 0.5, 1.0 - erf(x), tail)


def atan(x: Tensor) -> Tensor:
    """Arctangent."""
    size = abs(x)
    far = size > 1.0
    t = ops.where(far, 1.0 / ops.where(far, size, 1.0), size)
    angle = t * tabulated(_atan_slope, t, 0.0, 1.0, 16)
    return ops.sign(x) * ops.where(far, math.pi / 2 - angle, angle)


def asin(x: Tensor) -> Tensor:
    """Arcsine."""
    return atan(x / ops.sqrt((1.0 - x) * (1.0 + x)))


def acos(x: Tensor) -> Tensor:
    """Arccosine."""
    return 2.0 * atan(ops.sqrt((1.0 - x) / (1.0 + x)))


def tan(x: Tensor) -> Tensor:
    """Tangent of radians; near a pole as good as onnxruntime's cosine, off by 1e-16 there."""
    return ops.sin(x) / ops.cos(x)


def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine."""
    half = 0.5 * ops.sign(x)
    size = abs(x)
    e = ops.expm1(ops.minimum(size, 22.0))
    root = ops.exp(0.5 * size)  # exp(size) alone overflows 0.7 too early
    return ops.where(size < 22.0, half * (e + e / (e + 1.0)), half * root * root)


def cosh(x: Tensor) -> Tensor:
    """Hyperbolic cosine."""
    root = ops.exp(0.5 * abs(x))
    return 0.5 * root * root + 0.5 / root / root


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine."""
    size = abs(x)
    near = ops.minimum(size, _LARGE)
    close = ops.log1p(near + near * near / (1.0 + ops.sqrt(near * near + 1.0)))
    far = ops.log(ops.maximum(size, _LARGE)) + math.log(2.0)
    return ops.sign(x) * ops.where(size < _LARGE, close, far)


def acosh(x: Tensor) -> Tensor:
    """Inverse hyperbolic cosine."""
    t = ops.minimum(x, _LARGE) - 1.0
    far = ops.log(ops.maximum(x, _LARGE)) + math.log(2.0)
    return ops.where(x < _LARGE, ops.log1p(t + ops.sqrt(t) * ops.sqrt(2.0 + t)), far)


def atanh(x: Tensor) -> Tensor:
    """Inverse hyperbolic tangent."""
    size = abs(x)
    return 0.5 * ops.sign(x) * ops.log1p(2.0 * size / (1.0 - size))


def tabulated(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    x: Tensor,
    low: float,
    high: float,
    pieces: int,
    *,
    noise: float = 4e-16,
) -> Tensor:
    """*function*, smooth on [low, high], from a table of polynomials.

    Each of *pieces* equal intervals has the polynomial that fits *function* at Chebyshev points.
    An *x* outside is taken to the nearer end; NaN stays NaN.

    Parameters
    ----------
    noise
        Relative rounding error of *function* itself.

    Raises
    ------
    ValueError
        The pieces are too wide for the degree: the polynomials would be off by more than rounding;
        or *function* is not finite.
    """
    table = _polynomials(function, low, high, pieces, noise)
    place = (ops.clip(x, low, high) - low) * (pieces / (high - low))
    piece = ops.clip(ops.floor(place), 0.0, pieces - 1.0)
    # A NaN has no piece; it comes back through t.
    index = ops.where(ops.isnan(x), 0.0, piece).astype(np.int64)
    t = ops.expand_dims(place - piece - 0.5, x.ndim)
    powers = t ** np.arange(_DEGREE + 1, dtype=np.float64)
    value = ops.sum_(ops.take(table, index) * powers, -1)
    return ops.where(ops.isnan(x), x, value)


_DEGREE = 10
_LARGE = 1e8
_ERF_ONE = 6.0
"""From here erf(x) is 1 in float64 (1 - erf(6) = 2e-17)."""


def _polynomials(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    low: float,
    high: float,
    pieces: int,
    noise: float,
) -> NDArray[np.float64]:
    """Coefficients, lowest power first, of each piece's polynomial in t from -1/2 to 1/2."""
    nodes = chebyshev.chebpts1(4 * (_DEGREE + 1))  # four times what it takes: rounding averages out
    width = (high - low) / pieces
    middles = low + (np.arange(pieces) + 0.5) * width
    values = function(middles[:, np.newaxis] + 0.5 * width * nodes)
    coefficients = np.linalg.lstsq(chebyshev.chebvander(nodes, _DEGREE), values.T)[0].T
    if not (np.abs(coefficients[:, -1]) <= noise * np.abs(coefficients[:, 0])).all():
        raise ValueError(f"{pieces} pieces are too few to tabulate {function} from {low} to {high}")
    # cheb2poly of each unit vector: the change of basis, as a matrix.
    basis = [chebyshev.cheb2poly(unit) for unit in np.eye(_DEGREE + 1)]
    change = np.array([np.pad(p, (0, _DEGREE + 1 - len(p))) for p in basis])
    return np.asarray(coefficients @ change * 2.0 ** np.arange(_DEGREE + 1))


def _erf_slope(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """erf(x) / x, which unlike erf keeps its relative precision down to zero."""
    return np.asarray(special.erf(x) / x)


def _atan_slope(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.arctan(x) / x)
