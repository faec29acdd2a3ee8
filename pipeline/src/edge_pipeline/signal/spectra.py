"""Compute spectra, powers of bands, and the shape of a spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.signal.base import NO_SIGNAL, SignalTransformer, positive, ratio, window_of
from edge_pipeline.signal.frames import frame_positions

__all__ = ["BandPower", "SpectralShape", "Spectrum", "Welch", "one_sided"]

_KINDS = ("magnitude", "power", "amplitude")


class Spectrum(SignalTransformer):
    """Compute the discrete Fourier transform of real signals: (..., T) to (..., T // 2 + 1).

    Parameters
    ----------
    kind
        ``magnitude``: abs(numpy.fft.rfft(x * window)).  ``power``: its square.  ``amplitude``: of
        the sine waves, 2 * magnitude / sum(window); without the 2 for the mean and, of an even
        number of samples, the last bin.
    window
        A window of ``scipy.signal.get_window``.
    """

    def __init__(self, kind: str = "magnitude", window: Any = "boxcar") -> None:
        self.kind = kind
        self.window = window

    def _prepare(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}, found {self.kind!r}")
        self.window_ = window_of(self.window, self.n_features_in_)
        self.scale_ = one_sided(self.n_features_in_) / self.window_.sum()

    def compute(self, X: Any) -> Any:
        """Return the spectrum."""
        spectrum = np.fft.rfft(X * self.window_)
        if self.kind == "power":
            return (spectrum * spectrum.conj()).real
        magnitude = np.abs(spectrum)
        return magnitude * self.scale_ if self.kind == "amplitude" else magnitude


class Welch(SignalTransformer):
    """Estimate the power spectral density: (..., T) to (..., nperseg // 2 + 1).

    The mean over half-overlapping segments, each without its mean and times a window (Welch 1967).
    ``scipy.signal.welch(x, rate, window, nperseg)`` returns the same.

    Parameters
    ----------
    rate
        Samples a second.
    nperseg
        Samples of a segment; the whole signal, up to 256, by default.
    window
        A window of ``scipy.signal.get_window``.
    """

    def __init__(self, rate: float = 1.0, nperseg: int | None = None, window: Any = "hann") -> None:
        self.rate = rate
        self.nperseg = nperseg
        self.window = window

    def _prepare(self) -> None:
        n = self.n_features_in_
        length = (
            min(256, n) if self.nperseg is None else positive("nperseg", self.nperseg, at_most=n)
        )
        self.window_ = window_of(self.window, length)
        self.positions_ = frame_positions(n, length, length - length // 2)
        self.scale_ = one_sided(length) / (_rate(self.rate) * np.sum(self.window_**2))
        self.frequencies_ = np.fft.rfftfreq(length, 1.0 / self.rate)

    def compute(self, X: Any) -> Any:
        """Return the density, in squares of the signal's unit a hertz."""
        frames = np.take(X, self.positions_, axis=-1)
        frames = (frames - np.mean(frames, axis=-1, keepdims=True)) * self.window_
        spectrum = np.fft.rfft(frames)
        return np.mean((spectrum * spectrum.conj()).real, axis=-2) * self.scale_

    def _labels(self, count: int) -> Sequence[str]:
        return [f"density_{frequency:g}hz" for frequency in self.frequencies_]


class BandPower(Welch):
    """Compute the power in bands of frequencies: (..., T) to (..., bands).

    The sum of :class:`Welch`'s density over the bins with ``low <= frequency < high``, times the
    width of a bin.

    Parameters
    ----------
    bands
        Pairs of a low and a high frequency, in the unit of *rate*.
    rate, nperseg, window
        As of :class:`Welch`.
    relative
        Whether to divide by the power of all bins; 0 where the signal is constant.
    """

    def __init__(
        self,
        bands: Sequence[tuple[float, float]],
        rate: float = 1.0,
        nperseg: int | None = None,
        window: Any = "hann",
        relative: bool = False,
    ) -> None:
        super().__init__(rate, nperseg, window)
        self.bands = bands
        self.relative = relative

    def _prepare(self) -> None:
        super()._prepare()
        bins = self.frequencies_[:, np.newaxis]
        low, high = np.array([(float(a), float(b)) for a, b in self.bands]).T
        is_inside = (bins >= low) & (bins < high)
        empty = np.flatnonzero(~is_inside.any(axis=0))
        if len(empty):
            raise ValueError(
                f"the band {tuple(self.bands[empty[0]])} holds no bin; bins are "
                f"{self.frequencies_[1]:g} apart, up to {self.frequencies_[-1]:g}"
            )
        self.weights_ = is_inside * self.frequencies_[1]

    def compute(self, X: Any) -> Any:
        """Return the powers, in squares of the signal's unit."""
        density = super().compute(X)
        powers = density @ self.weights_
        if not self.relative:
            return powers
        total = np.sum(density, axis=-1, keepdims=True) * self.frequencies_[1]
        floor = NO_SIGNAL * np.max(np.abs(X), axis=-1, keepdims=True)
        return ratio(powers, total, total > floor * floor)

    def _labels(self, count: int) -> Sequence[str]:
        return [f"power_{low:g}_to_{high:g}hz" for low, high in self.bands]


class SpectralShape(SignalTransformer):
    """Compute centroid, bandwidth, rolloff and flatness of a spectrum: (..., T) to (..., 4).

    With S the magnitudes of the windowed signal, f their frequencies, and p = S / sum(S), as in
    ``librosa.feature``: centroid sum(f * p); bandwidth sqrt(sum((f - centroid) ** 2 * p)); rolloff
    the first f at which the running sum of S reaches *rolloff* of the whole; flatness the geometric
    over the arithmetic mean of max(S ** 2, 1e-10).  All but flatness are 0 for silence.

    Parameters
    ----------
    rate
        Samples a second.
    rolloff
        Share of the sum of magnitudes.
    window
        A window of ``scipy.signal.get_window``.
    """

    def __init__(self, rate: float = 1.0, rolloff: float = 0.85, window: Any = "hann") -> None:
        self.rate = rate
        self.rolloff = rolloff
        self.window = window

    def _prepare(self) -> None:
        if not 0.0 < self.rolloff < 1.0:
            raise ValueError(f"rolloff must be between 0 and 1, found {self.rolloff!r}")
        self.window_ = window_of(self.window, self.n_features_in_)
        self.frequencies_ = np.fft.rfftfreq(self.n_features_in_, 1.0 / _rate(self.rate))

    def compute(self, X: Any) -> Any:
        """Return the four features."""
        S = np.abs(np.fft.rfft(X * self.window_))
        total = np.sum(S, axis=-1, keepdims=True)
        p = ratio(S, total, total > 0.0)
        centroid = np.sum(p * self.frequencies_, axis=-1, keepdims=True)
        offset = self.frequencies_ - centroid
        bandwidth = np.sqrt(np.sum(offset * offset * p, axis=-1, keepdims=True))
        is_above = np.cumsum(S, axis=-1) >= self.rolloff * total
        rolloff = np.min(np.where(is_above, self.frequencies_, np.inf), axis=-1, keepdims=True)
        power = np.maximum(S * S, 1e-10)
        flatness = np.exp(np.mean(np.log(power), axis=-1, keepdims=True))
        flatness = flatness / np.mean(power, axis=-1, keepdims=True)
        return np.concatenate([centroid, bandwidth, rolloff, flatness], axis=-1)

    def _labels(self, count: int) -> Sequence[str]:
        return ["centroid", "bandwidth", "rolloff", "flatness"]


def one_sided(n: int) -> NDArray[np.float64]:
    """Return 2 for each bin that stands for two of a whole spectrum of *n* samples, else 1."""
    factors = np.full(n // 2 + 1, 2.0)
    factors[0] = 1.0
    if n % 2 == 0:
        factors[-1] = 1.0
    return factors


def _rate(rate: float) -> float:
    if not rate > 0:
        raise ValueError(f"rate must be above 0 samples a second, found {rate!r}")
    return float(rate)
