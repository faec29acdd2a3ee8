"""Describe the distribution of a signal's samples: rms, peak, crest, kurtosis, percentiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_pipeline.signal.base import NO_SIGNAL, SignalTransformer, ratio

__all__ = ["Statistics"]


class Statistics(SignalTransformer):
    """Compute statistics of the last axis: (..., T) to (..., features).

    With m_k the k-th central moment, the mean of ``(x - mean(x)) ** k``:

    - ``mean``, ``min``, ``max``, ``range`` (max - min), ``energy`` (sum of squares)
    - ``std``: sqrt(m_2)
    - ``rms``: sqrt(mean(x ** 2))
    - ``peak``: max(abs(x))
    - ``crest``: peak / rms; ``impulse``: peak / mean(abs(x)); ``shape``: rms / mean(abs(x))
      (ISO 13373-2 has the first for bearings)
    - ``skew``: m_3 / m_2 ** 1.5, as ``scipy.stats.skew``
    - ``kurtosis``: m_4 / m_2 ** 2, as ``scipy.stats.kurtosis(fisher=False)``: 3 for noise
    - ``zero_crossings``: how often the sign changes, with 0 positive

    A ratio is 0 where the signal is silent, or constant up to rounding; scipy returns NaN there,
    which no estimator takes.

    Parameters
    ----------
    statistics
        Names of the above, in the order of the output.
    percentiles
        Percentiles after them, from 0 to 100, by numpy's method linear.
    """

    def __init__(
        self,
        statistics: Sequence[str] = ("rms", "peak", "crest", "skew", "kurtosis"),
        percentiles: Sequence[float] = (),
    ) -> None:
        self.statistics = statistics
        self.percentiles = percentiles

    def _prepare(self) -> None:
        unknown = [name for name in self.statistics if name not in _STATISTICS]
        if isinstance(self.statistics, str) or unknown:
            raise ValueError(
                f"statistics must be some of {', '.join(_STATISTICS)}, found {self.statistics!r}"
            )
        if not all(0 <= percentile <= 100 for percentile in self.percentiles):
            raise ValueError(f"percentiles must be from 0 to 100, found {self.percentiles!r}")
        if not len(self.statistics) + len(self.percentiles):
            raise ValueError("expected statistics or percentiles, found none")

    def compute(self, X: Any) -> Any:
        """Return the statistics, one beside the other."""
        parts = [_STATISTICS[name](X) for name in self.statistics]
        parts += [np.percentile(X, float(percentile), axis=-1) for percentile in self.percentiles]
        return np.stack(parts, axis=-1)

    def _labels(self, count: int) -> Sequence[str]:
        return [*self.statistics, *(f"percentile{p:g}" for p in self.percentiles)]


def _rms(x: Any) -> Any:
    return np.sqrt(np.mean(x * x, axis=-1))


def _peak(x: Any) -> Any:
    return np.max(np.abs(x), axis=-1)


def _mean_magnitude(x: Any) -> Any:
    return np.mean(np.abs(x), axis=-1)


def _over_rms(numerator: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: ratio(numerator(x), _rms(x), _rms(x) > 0.0)


def _over_mean_magnitude(numerator: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: ratio(numerator(x), _mean_magnitude(x), _mean_magnitude(x) > 0.0)


def _standard_moment(order: int) -> Callable[[Any], Any]:
    """Return the function m_order / m_2 ** (order / 2)."""

    def moment(x: Any) -> Any:
        deviation = x - np.mean(x, axis=-1, keepdims=True)
        squares = deviation * deviation
        variance = np.mean(squares, axis=-1)
        high = squares * deviation if order == 3 else squares * squares
        power = variance * np.sqrt(variance) if order == 3 else variance * variance
        floor = NO_SIGNAL * _peak(x)
        return ratio(np.mean(high, axis=-1), power, variance > floor * floor)

    return moment


def _zero_crossings(x: Any) -> Any:
    is_negative = np.where(x < 0.0, 1.0, 0.0)
    return np.sum(np.abs(is_negative[..., 1:] - is_negative[..., :-1]), axis=-1)


_STATISTICS: Mapping[str, Callable[[Any], Any]] = {
    "mean": lambda x: np.mean(x, axis=-1),
    "std": lambda x: np.std(x, axis=-1),
    "min": lambda x: np.min(x, axis=-1),
    "max": lambda x: np.max(x, axis=-1),
    "range": lambda x: np.max(x, axis=-1) - np.min(x, axis=-1),
    "energy": lambda x: np.sum(x * x, axis=-1),
    "rms": _rms,
    "peak": _peak,
    "crest": _over_rms(_peak),
    "impulse": _over_mean_magnitude(_peak),
    "shape": _over_mean_magnitude(_rms),
    "skew": _standard_moment(3),
    "kurtosis": _standard_moment(4),
    "zero_crossings": _zero_crossings,
}
