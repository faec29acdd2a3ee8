"""Compute intervals of values by interval arithmetic, rounded outwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

__all__ = ["ANY", "RANGES", "Interval", "hull", "numeric", "up"]

Interval = tuple[float, float]


def numeric(values: Sequence[object]) -> Interval:
    """Return the interval of the constants *values*; NaN does not count."""
    array = np.asarray(values)
    if array.dtype.kind not in "fib" or not len(array):
        return ANY
    finite = array[~np.isnan(array.astype(np.float64))].astype(np.float64)
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)


ANY: Interval = (-math.inf, math.inf)


def hull(intervals: Sequence[Interval]) -> Interval:
    """Return the smallest interval that contains all *intervals*."""
    return min(low for low, _ in intervals), max(high for _, high in intervals)


def _times(a: Interval, b: Interval) -> Interval:
    ends = [x * y if x and y else 0.0 for x in a for y in b]
    return min(ends), max(ends)


def _over(a: Interval, b: Interval) -> Interval:
    if b[0] <= 0 <= b[1]:
        return ANY
    return _times(a, (1 / b[1], 1 / b[0]))


def _widened(low: float, high: float) -> Interval:
    """Widen an interval by more than the rounding error of one operation."""
    return low - abs(low) * 1e-15, high + abs(high) * 1e-15


RANGES: Mapping[str, Callable[[Sequence[Interval]], Interval]] = {
    "add": lambda r: _widened(r[0][0] + r[1][0], r[0][1] + r[1][1]),
    "sub": lambda r: _widened(r[0][0] - r[1][1], r[0][1] - r[1][0]),
    "div": lambda r: _widened(*_over(r[0], r[1])),
    "neg": lambda r: (-r[0][1], -r[0][0]),
    "relu": lambda r: (max(r[0][0], 0.0), max(r[0][1], 0.0)),
    "max": lambda r: (max(r[0][0], r[1][0]), max(r[0][1], r[1][1])),
    "min": lambda r: (min(r[0][0], r[1][0]), min(r[0][1], r[1][1])),
    "tanh": lambda _: (-1.0, 1.0),
    "sigmoid": lambda _: (0.0, 1.0),
    "exp": lambda r: (0.0, _exp(r[0][1])),
    "pow": lambda r: (0.0, _power(r)),
}


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def _power(ranges: Sequence[Interval]) -> float:
    (low, high), exponent = ranges
    return math.inf if low <= 0 or low != high else _exp(max(math.log(low) * e for e in exponent))


def up(x: float) -> float:
    """Increase *x* slightly, to cover the rounding errors of computing a bound."""
    return x * (1 + 1e-9)
