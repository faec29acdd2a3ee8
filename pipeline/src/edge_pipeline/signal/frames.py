"""Cut signals into frames, and reduce the frames' features to those of the signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_pipeline.signal.base import SignalTransformer, positive, window_of

__all__ = ["Flatten", "Frames", "Pool", "frame_positions"]


class Frames(SignalTransformer):
    """Cut the last axis into overlapping frames, times a window: (..., T) to (..., n, length).

    Frame i is ``x[i * hop : i * hop + length] * window``; a rest shorter than *length* is dropped.
    So do ``scipy.signal.ShortTimeFFT`` and librosa with ``center=False``.

    Parameters
    ----------
    length, hop
        In samples; hop is half of the length by default.
    window
        A window of ``scipy.signal.get_window``, such as "hann" or ("kaiser", 8.0).
    """

    def __init__(self, length: int, hop: int | None = None, window: Any = "boxcar") -> None:
        self.length = length
        self.hop = hop
        self.window = window

    def _prepare(self) -> None:
        length = positive("length", self.length, at_most=self.n_features_in_)
        hop = max(1, length // 2) if self.hop is None else positive("hop", self.hop)
        self.positions_ = frame_positions(self.n_features_in_, length, hop)
        self.window_ = window_of(self.window, length)

    def compute(self, X: Any) -> Any:
        """Return the frames."""
        frames = np.take(X, self.positions_, axis=-1)
        return frames if (self.window_ == 1.0).all() else frames * self.window_


class Pool(SignalTransformer):
    """Reduce the axis before the last, usually frames: (..., n, k) to (..., k * statistics).

    Parameters
    ----------
    statistics
        Some of "mean", "std" (of the population), "min", "max" and "sum", in the order of the
        output.
    """

    def __init__(self, statistics: Sequence[str] = ("mean", "std")) -> None:
        self.statistics = statistics

    def _prepare(self) -> None:
        unknown = [name for name in self.statistics if name not in _POOLS]
        if unknown or not len(self.statistics):
            raise ValueError(
                f"statistics must be some of {', '.join(_POOLS)}, found {self.statistics!r}"
            )
        if len(self.shape_in_) < 2:
            raise ValueError(
                f"expected frames (n, frames, features), found rows of the shape {self.shape_in_}; "
                "put Frames before it"
            )

    def compute(self, X: Any) -> Any:
        """Return the statistics of each feature over the frames."""
        return np.concatenate([_POOLS[name](X, axis=-2) for name in self.statistics], axis=-1)

    def _labels(self, count: int) -> Sequence[str]:
        width = self.shape_in_[-1]
        return [f"{name}{i}" for name in self.statistics for i in range(width)]


class Flatten(SignalTransformer):
    """Make a matrix for an estimator: (n, ...) to (n, features)."""

    def compute(self, X: Any) -> Any:
        """Return the rows flattened."""
        return X.reshape(len(X), int(np.prod(self.shape_in_)))


_POOLS: dict[str, Any] = {
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "max": np.max,
    "sum": np.sum,
}


def frame_positions(n_samples: int, length: int, hop: int) -> Any:
    """Return the positions of the samples of each frame, shape (n_frames, length)."""
    starts = np.arange(0, n_samples - length + 1, hop)
    return starts[:, np.newaxis] + np.arange(length)
