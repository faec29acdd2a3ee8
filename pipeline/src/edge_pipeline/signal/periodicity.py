"""Find what repeats in a signal: its envelope's spectrum, and the peak of its autocorrelation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_pipeline.signal.base import NO_SIGNAL, SignalTransformer, positive, ratio
from edge_pipeline.signal.spectra import one_sided

__all__ = ["AutocorrelationPeak", "EnvelopeSpectrum"]


class EnvelopeSpectrum(SignalTransformer):
    """Compute the spectrum of the envelope, where a damaged bearing shows (..., T // 2 + 1).

    The envelope is the magnitude of the analytic signal, ``abs(scipy.signal.hilbert(x))``.  The
    output is the amplitude spectrum of the envelope without its mean: 2 * abs(rfft) / T.  See
    Randall and Antoni, Rolling element bearing diagnostics - a tutorial (2011), section 4.

    Parameters
    ----------
    band
        Frequencies (low, high), in the unit of *rate*, that pass before the envelope is taken: bins
        outside are set to zero.  None for all.
    rate
        Samples a second.
    """

    def __init__(self, band: tuple[float, float] | None = None, rate: float = 1.0) -> None:
        self.band = band
        self.rate = rate

    def _prepare(self) -> None:
        n = self.n_features_in_
        frequencies = np.fft.rfftfreq(n, 1.0 / self.rate)
        low, high = (0.0, np.inf) if self.band is None else self.band
        passes = (frequencies >= low) & (frequencies <= high)
        if not passes.any():
            raise ValueError(
                f"no frequency is within the band {self.band!r}; they go up to {frequencies[-1]:g}"
            )
        self.passes_ = passes.astype(np.float64)
        self.scale_ = one_sided(n) / n

    def compute(self, X: Any) -> Any:
        """Return the spectrum of the envelope."""
        n = self.n_features_in_
        spectrum = np.fft.rfft(X) * self.passes_
        x = X if self.passes_.all() else np.fft.irfft(spectrum, n)
        # Of bins 0 and n / 2, numpy.fft.irfft ignores the imaginary part, as hilbert does.
        quadrature = np.fft.irfft(spectrum * -1j, n)
        envelope = np.sqrt(x * x + quadrature * quadrature)
        deviation = envelope - np.mean(envelope, axis=-1, keepdims=True)
        return np.abs(np.fft.rfft(deviation)) * self.scale_


class AutocorrelationPeak(SignalTransformer):
    """Find the strongest repetition: (..., T) to (..., 2), the lag in samples and the correlation.

    With d = x - mean(x): r(lag) = sum(d[i] * d[i + lag]) / sum(d ** 2), as
    ``numpy.correlate(d, d, "full")`` divided by its value at lag 0.  The output is the lag of the
    largest r from *min_lag* to *max_lag*, the first of equal ones, and that r.  Both are 0 for a
    constant signal.

    Parameters
    ----------
    min_lag, max_lag
        In samples, both included; max_lag is half of the signal by default.
    """

    def __init__(self, min_lag: int = 1, max_lag: int | None = None) -> None:
        self.min_lag = min_lag
        self.max_lag = max_lag

    def _prepare(self) -> None:
        n = self.n_features_in_
        low = positive("min_lag", self.min_lag, at_most=n - 1)
        high = n // 2 if self.max_lag is None else positive("max_lag", self.max_lag, at_most=n - 1)
        if high < low:
            raise ValueError(f"max_lag must be at least min_lag, found {high} and {low}")
        self.lags_ = np.arange(low, high + 1)
        # By Wiener and Khinchin; twice the length, so that the end does not meet the start.
        angles = np.pi * ((np.arange(n + 1)[:, np.newaxis] * self.lags_) % (2 * n)) / n
        self.cosines_ = np.cos(angles) * (one_sided(2 * n) / (2 * n))[:, np.newaxis]

    def compute(self, X: Any) -> Any:
        """Return lag and correlation."""
        deviation = X - np.mean(X, axis=-1, keepdims=True)
        spectrum = np.fft.rfft(deviation, 2 * self.n_features_in_)
        r = (spectrum * spectrum.conj()).real @ self.cosines_
        energy = np.sum(deviation * deviation, axis=-1)
        floor = NO_SIGNAL * np.max(np.abs(X), axis=-1)
        varies = energy > floor * floor
        height = np.max(r, axis=-1)
        lag = np.argmax(r, axis=-1) + float(self.lags_[0])
        parts = [np.where(varies, lag, 0.0), ratio(height, energy, varies)]
        return np.stack(parts, axis=-1)

    def _labels(self, count: int) -> Sequence[str]:
        return ["lag", "correlation"]
