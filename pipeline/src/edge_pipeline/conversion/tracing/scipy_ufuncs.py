"""Convert the ufuncs of scipy.special that are closed formulas, branch by branch as scipy's code.

A ufunc that is a series, a root search or an integral is not here, and tracing refuses it by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special as sp

from edge_pipeline.conversion.graph import ops, special_functions
from edge_pipeline.conversion.graph.tensor import Tensor, arithmetic, comparison, graph_of

__all__ = ["SCIPY_UFUNCS", "cube_root"]

_LARGEST_EXPONENT = 709.78
"""scipy takes another formula where exp would overflow."""


def cube_root(x: Tensor) -> Tensor:
    """Return the cube root: a power, and one step of Newton, because 1 / 3 is rounded."""
    size: Tensor = abs(x)
    power = arithmetic("Pow", size, 1 / 3)
    is_ordinary = (size > 0.0) & (size < np.inf)
    start = ops.where(is_ordinary, power, 1.0)
    root = ops.where(is_ordinary, start - (start - size / start / start) / 3.0, power)
    integer = ops.rint(root)
    return ops.sign(x) * ops.where(integer * integer * integer == size, integer, root)


def _logit(p: Tensor) -> Tensor:
    double = 2.0 * (p - 0.5)
    near_half = (p >= 0.3) & (p <= 0.65)
    precise = ops.log1p(double) - ops.log1p(-double)
    return ops.where(near_half, precise, ops.log(p / (1.0 - p)))


def _log_expit(x: Tensor) -> Tensor:
    return ops.minimum(x, 0.0) - ops.log1p(ops.exp(-abs(x)))


def _times_logarithm(logarithm: Callable[[Tensor], Tensor]) -> Callable[[Any, Any], Tensor]:
    """Convert xlogy or xlog1py: zero times any logarithm but NaN is zero."""

    def traced(x: Any, y: Any) -> Tensor:
        graph = graph_of(x, y)
        x, y = graph.tensor(x), graph.tensor(y)
        return ops.where((x == 0.0) & ~ops.isnan(y), 0.0, x * logarithm(y))

    return traced


def _entr(x: Tensor) -> Tensor:
    inside = -x * ops.log(ops.where(x > 0.0, x, 1.0))
    return ops.where(x < 0.0, -np.inf, ops.where(x == 0.0, 0.0, inside))


def _rel_entr(x: Any, y: Any) -> Tensor:
    """Return x log(x / y); infinite where *x* or *y* is not a probability."""
    graph = graph_of(x, y)
    x, y = graph.tensor(x), graph.tensor(y)
    are_positive = (x > 0.0) & (y > 0.0)
    top, bottom = ops.where(are_positive, x, 1.0), ops.where(are_positive, y, 1.0)
    ratio = top / bottom
    is_near = (ratio > 0.5) & (ratio < 2.0)
    is_number = (ratio > np.finfo(np.float64).tiny) & (ratio < np.inf)
    logarithm = ops.where(is_number, ops.log(ratio), ops.log(top) - ops.log(bottom))
    gap = ops.where(is_near, (top - bottom) / bottom, 0.0)
    inside = top * ops.where(is_near, ops.log1p(gap), logarithm)
    result = ops.where(are_positive, inside, ops.where((x == 0.0) & (y >= 0.0), 0.0, np.inf))
    return ops.where(ops.isnan(x) | ops.isnan(y), np.nan, result)


def _kl_div(x: Any, y: Any) -> Tensor:
    graph = graph_of(x, y)
    x, y = graph.tensor(x), graph.tensor(y)
    are_positive = (x > 0.0) & (y > 0.0)
    top, bottom = ops.where(are_positive, x, 1.0), ops.where(are_positive, y, 1.0)
    inside = top * ops.log(top / bottom) - top + bottom
    result = ops.where(are_positive, inside, ops.where((x == 0.0) & (y >= 0.0), y, np.inf))
    return ops.where(ops.isnan(x) | ops.isnan(y), np.nan, result)


def _huber(delta: Any, r: Any) -> Tensor:
    graph = graph_of(delta, r)
    delta, r = graph.tensor(delta), graph.tensor(r)
    size = abs(r)
    loss = ops.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))
    return ops.where(comparison("Less", delta, 0.0), np.inf, loss)


def _pseudo_huber(delta: Any, r: Any) -> Tensor:
    graph = graph_of(delta, r)
    delta, r = graph.tensor(delta), graph.tensor(r)
    share = r / delta
    loss = delta * delta * ops.expm1(0.5 * ops.log1p(share * share))
    loss = ops.where((delta == 0.0) | (r == 0.0), 0.0, loss)
    return ops.where(delta < 0.0, np.inf, loss)


def _exprel(x: Tensor) -> Tensor:
    is_tiny = abs(x) < 1e-16
    ratio = ops.expm1(x) / ops.where(is_tiny, 1.0, x)
    return ops.where(is_tiny, 1.0, ops.where(x > 717.0, np.inf, ratio))


def _cosm1(x: Tensor) -> Tensor:
    half = ops.sin(0.5 * x)
    return ops.where(abs(x) < math.pi / 4, -2.0 * half * half, ops.cos(x) - 1.0)


def _power_of(value: Any, name: str) -> float:
    if isinstance(value, Tensor) or np.ndim(value):
        raise TypeError(f"scipy.special.{name} is traced for one constant power, a number")
    return float(value)


def _boxcox(logarithm: Callable[[Tensor], Tensor], name: str) -> Callable[[Any, Any], Tensor]:
    def traced(x: Tensor, power: Any) -> Tensor:
        power = _power_of(power, name)
        exponent = logarithm(x)
        if abs(power) < 1e-19:
            return exponent
        scaled = power * exponent
        result: Tensor = ops.expm1(scaled) / power
        if abs(power) <= 1.0:
            return result
        sign = math.copysign(1.0, power)
        far: Tensor = sign * ops.exp(scaled - math.log(abs(power))) - 1.0 / power
        return ops.where(scaled > _LARGEST_EXPONENT, far, result)

    return traced


def _inv_boxcox(exponential: Callable[[Tensor], Tensor], name: str) -> Callable[[Any, Any], Tensor]:
    def traced(y: Tensor, power: Any) -> Tensor:
        power = _power_of(power, name)
        if power == 0.0:
            return exponential(y)
        scaled = power * y
        result = exponential(ops.log1p(scaled) / power)
        if name == "inv_boxcox1p":
            result = ops.where(abs(scaled) < 1e-154, y, result)
        if abs(power) <= 1.0:
            return result
        sign = math.copysign(1.0, power)
        far = ops.log(sign * (y + 1.0 / power)) + math.log(abs(power))
        return ops.where(scaled >= np.finfo(np.float64).max, exponential(far / power), result)

    return traced


def _ndtr(x: Tensor) -> Tensor:
    return 0.5 * special_functions.erfc(x * -math.sqrt(0.5))


SCIPY_UFUNCS: Mapping[Any, Callable[..., Tensor]] = {
    sp.boxcox: _boxcox(ops.log, "boxcox"),
    sp.boxcox1p: _boxcox(ops.log1p, "boxcox1p"),
    sp.cbrt: cube_root,
    sp.cosm1: _cosm1,
    sp.entr: _entr,
    sp.erf: special_functions.erf,
    sp.erfc: special_functions.erfc,
    sp.exp10: lambda x: arithmetic("Pow", 10.0, x),
    sp.exp2: lambda x: arithmetic("Pow", 2.0, x),
    sp.expit: special_functions.expit,
    sp.expm1: ops.expm1,
    sp.exprel: _exprel,
    sp.huber: _huber,
    sp.inv_boxcox: _inv_boxcox(ops.exp, "inv_boxcox"),
    sp.inv_boxcox1p: _inv_boxcox(ops.expm1, "inv_boxcox1p"),
    sp.kl_div: _kl_div,
    sp.log1p: ops.log1p,
    sp.log_expit: _log_expit,
    sp.logit: _logit,
    sp.ndtr: _ndtr,
    sp.pseudo_huber: _pseudo_huber,
    sp.rel_entr: _rel_entr,
    sp.round: ops.rint,
    sp.xlog1py: _times_logarithm(ops.log1p),
    sp.xlogy: _times_logarithm(ops.log),
}
