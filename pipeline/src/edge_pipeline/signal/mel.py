"""Compute what speech recognition reads: mel spectrograms, logarithms, cosine transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.signal.base import SignalTransformer, positive, window_of
from edge_pipeline.signal.frames import frame_positions

__all__ = ["DCT", "MFCC", "LogScale", "MelSpectrogram", "mel_filters"]


class MelSpectrogram(SignalTransformer):
    """Compute powers on the mel scale: (..., T) to (..., frames, n_mels).

    ``librosa.feature.melspectrogram(y, sr=rate, ...)`` of librosa 0.11 returns the same, with the
    last two axes swapped, and with its filters rounded to float32.

    Parameters
    ----------
    rate
        Samples a second.
    n_fft, hop_length
        Samples of a frame, and from one frame to the next; a quarter of n_fft by default.
    n_mels, fmin, fmax
        Number of filters, and the frequencies that they span; fmax is half of the rate by default.
    window
        A window of ``scipy.signal.get_window``.
    center
        Whether zeros before and after the signal put its start into the middle of the first frame.
    power
        2 for powers, 1 for magnitudes.
    htk
        The mel scale of HTK in place of Slaney's.
    norm
        "slaney" for filters of equal area, None for filters of equal height.
    """

    def __init__(
        self,
        rate: float = 22050.0,
        n_fft: int = 2048,
        hop_length: int | None = None,
        n_mels: int = 128,
        fmin: float = 0.0,
        fmax: float | None = None,
        window: Any = "hann",
        center: bool = True,
        power: float = 2.0,
        htk: bool = False,
        norm: str | None = "slaney",
    ) -> None:
        self.rate = rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.window = window
        self.center = center
        self.power = power
        self.htk = htk
        self.norm = norm

    def _prepare(self) -> None:
        n_fft = positive("n_fft", self.n_fft)
        hop = n_fft // 4 if self.hop_length is None else positive("hop_length", self.hop_length)
        if self.power not in (1, 2):
            raise ValueError(f"power must be 1 or 2, found {self.power!r}")
        self.padding_ = n_fft // 2 if self.center else 0
        n_samples = self.n_features_in_ + 2 * self.padding_
        positive("n_fft", n_fft, at_most=n_samples)
        self.positions_ = frame_positions(n_samples, n_fft, max(1, hop))
        self.window_ = window_of(self.window, n_fft)
        fmax = self.rate / 2 if self.fmax is None else self.fmax
        self.filters_ = mel_filters(
            self.rate, n_fft, self.n_mels, self.fmin, fmax, htk=self.htk, norm=self.norm
        )

    def compute(self, X: Any) -> Any:
        """Return the powers of the filters."""
        if self.padding_:
            zeros = np.zeros_like(np.take(X, np.zeros(self.padding_, dtype=np.int64), axis=-1))
            X = np.concatenate([zeros, X, zeros], axis=-1)
        spectrum = np.fft.rfft(np.take(X, self.positions_, axis=-1) * self.window_)
        powers = (spectrum * spectrum.conj()).real
        return (powers if self.power == 2 else np.sqrt(powers)) @ self.filters_


class LogScale(SignalTransformer):
    """Take logarithms of powers: log(max(x, floor)), or decibels; the shape stays.

    In decibels, 10 * log10(max(x, floor)); with *top_db*, nothing is further below the largest
    number of the row.  ``librosa.power_to_db`` returns the same (amin=floor, ref=1).

    Parameters
    ----------
    floor
        The least number that is not raised.  Below it a spectrum is rounding.
    decibels
        Whether to return decibels in place of natural logarithms.
    top_db
        Decibels below the largest of the row, all axes together; None for no limit.
    """

    def __init__(
        self, floor: float = 1e-10, decibels: bool = False, top_db: float | None = None
    ) -> None:
        self.floor = floor
        self.decibels = decibels
        self.top_db = top_db

    def _prepare(self) -> None:
        if not self.floor > 0:
            raise ValueError(f"floor must be above 0, found {self.floor!r}")
        if self.top_db is not None and not (self.decibels and self.top_db > 0):
            raise ValueError(f"top_db must be above 0, with decibels=True, found {self.top_db!r}")

    def compute(self, X: Any) -> Any:
        """Return the logarithms."""
        return log_scale(X, self.floor, decibels=self.decibels, top_db=self.top_db)


class DCT(SignalTransformer):
    """Compute the first cosine coefficients of the last axis: (..., k) to (..., n_coefficients).

    Type II, orthonormal: ``scipy.fft.dct(x, type=2, norm="ortho")[..., :n_coefficients]``.

    Parameters
    ----------
    n_coefficients
        How many; all by default.
    """

    def __init__(self, n_coefficients: int | None = None) -> None:
        self.n_coefficients = n_coefficients

    def _prepare(self) -> None:
        n = self.n_features_in_
        count = n if self.n_coefficients is None else self.n_coefficients
        self.cosines_ = _cosines(n, positive("n_coefficients", count, at_most=n))

    def compute(self, X: Any) -> Any:
        """Return the coefficients."""
        return X @ self.cosines_


class MFCC(MelSpectrogram):
    """Compute mel-frequency cepstral coefficients: (..., T) to (..., frames, n_mfcc).

    The orthonormal :class:`DCT` of the decibels (top_db 80) of :class:`MelSpectrogram`, as
    ``librosa.feature.mfcc`` (Davis and Mermelstein 1980).

    Parameters
    ----------
    n_mfcc
        Number of coefficients.
    rate, n_fft, hop_length, n_mels, fmin, fmax, window, center, htk
        As of :class:`MelSpectrogram`.
    """

    def __init__(
        self,
        rate: float = 22050.0,
        n_mfcc: int = 20,
        n_fft: int = 2048,
        hop_length: int | None = None,
        n_mels: int = 128,
        fmin: float = 0.0,
        fmax: float | None = None,
        window: Any = "hann",
        center: bool = True,
        htk: bool = False,
    ) -> None:
        super().__init__(rate, n_fft, hop_length, n_mels, fmin, fmax, window, center, htk=htk)
        self.n_mfcc = n_mfcc

    def _prepare(self) -> None:
        super()._prepare()
        count = positive("n_mfcc", self.n_mfcc)
        if count > self.n_mels:
            raise ValueError(f"n_mfcc must be at most n_mels={self.n_mels}, found {count}")
        self.cosines_ = _cosines(self.n_mels, count)

    def compute(self, X: Any) -> Any:
        """Return the coefficients."""
        powers = super().compute(X)
        return log_scale(powers, 1e-10, decibels=True, top_db=80.0) @ self.cosines_


def log_scale(x: Any, floor: float, *, decibels: bool, top_db: float | None) -> Any:
    """Return logarithms of *x* as :class:`LogScale` says."""
    logarithm = np.log(np.maximum(x, floor))
    if not decibels:
        return logarithm
    level = logarithm * (10.0 / np.log(10.0))
    if top_db is None:
        return level
    axes = tuple(range(1, len(x.shape)))
    return np.maximum(level, np.max(level, axis=axes, keepdims=True) - top_db)


def mel_filters(
    rate: float, n_fft: int, n_mels: int, fmin: float, fmax: float, *, htk: bool, norm: str | None
) -> NDArray[np.float64]:
    """Return triangular filters, shape (n_fft // 2 + 1, n_mels), as ``librosa.filters.mel``.

    Raises
    ------
    ValueError
        The frequencies are out of order, or a filter holds no bin.
    """
    if not 0 <= fmin < fmax <= rate / 2:
        raise ValueError(
            f"expected 0 <= fmin < fmax <= {rate / 2:g}, half of the rate, found {fmin!r} and "
            f"{fmax!r}"
        )
    if norm not in ("slaney", None):
        raise ValueError(f"norm must be 'slaney' or None, found {norm!r}")
    bins = np.fft.rfftfreq(n_fft, 1.0 / rate)[:, np.newaxis]
    low, high = _to_mel(np.array([fmin, fmax]), htk)
    edges = _to_hertz(np.linspace(low, high, positive("n_mels", n_mels) + 2), htk)
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    empty = int(np.sum(~filters.any(axis=0)))
    if empty:
        raise ValueError(
            f"{empty} of {n_mels} filters hold no bin of {n_fft} samples; take fewer mels, or a "
            "larger n_fft"
        )
    return filters * (2.0 / (edges[2:] - edges[:-2])) if norm == "slaney" else filters


_HERTZ_A_MEL = 200.0 / 3.0
_FIRST_LOG_HERTZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0
"""Slaney's Auditory Toolbox (1998): linear up to 1,000 Hz, then 27 mels to 6,400 Hz."""


def _to_mel(hertz: NDArray[np.float64], htk: bool) -> NDArray[np.float64]:
    if htk:
        return 2595.0 * np.log10(1.0 + hertz / 700.0)
    above = np.log(np.maximum(hertz, _FIRST_LOG_HERTZ) / _FIRST_LOG_HERTZ) / _LOG_STEP
    return np.where(
        hertz >= _FIRST_LOG_HERTZ, _FIRST_LOG_HERTZ / _HERTZ_A_MEL + above, hertz / _HERTZ_A_MEL
    )


def _to_hertz(mels: NDArray[np.float64], htk: bool) -> NDArray[np.float64]:
    if htk:
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    first = _FIRST_LOG_HERTZ / _HERTZ_A_MEL
    above = _FIRST_LOG_HERTZ * np.exp(_LOG_STEP * (mels - first))
    return np.where(mels >= first, above, mels * _HERTZ_A_MEL)


def _cosines(n: int, count: int) -> NDArray[np.float64]:
    """Return the orthonormal cosines of type II, shape (n, count)."""
    k = np.arange(count)
    angles = np.pi * (2 * np.arange(n)[:, np.newaxis] + 1) * k / (2 * n)
    return np.cos(angles) * np.where(k == 0, np.sqrt(1.0 / n), np.sqrt(2.0 / n))
