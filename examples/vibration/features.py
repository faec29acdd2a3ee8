"""Compute the model's eight features from a second of acceleration; needs numpy alone.

The training table of models/vibration was computed with the same function.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 800
"""Samples a second: an ADXL345 sends as many over I2C without losing any."""

WINDOW = RATE_HZ
"""Samples in a window: a second."""

HIGH_HZ = 180.0
"""A machine of up to 3,000 rpm is quiet above this frequency, unless a part resonates."""


def features(g: NDArray[np.float64], rpm: float) -> dict[str, float]:
    """Compute the features of one window.

    Parameters
    ----------
    g
        Acceleration in units of gravity, shape (WINDOW,).
    rpm
        Turns of the shaft a minute.

    Returns
    -------
    dict
        ``rpm``; ``rms``, ``peak`` and ``crest`` of the vibration; its ``kurtosis``, 3 for noise and
        more for blows; its amplitude ``at_1x`` and ``at_2x`` the speed of the shaft; and the
        ``high`` frequencies' rms.
    """
    g = np.asarray(g, dtype=np.float64)
    if g.shape != (WINDOW,):
        raise ValueError(f"expected {WINDOW} samples, found the shape {g.shape}")
    if not np.ptp(g) > 0:
        raise ValueError("the sensor gives the same number all the time; is it connected?")
    g = g - g.mean()  # gravity itself, and the sensor's offset
    rms = float(np.sqrt((g**2).mean()))
    peak = float(np.abs(g).max())
    # A Hann window halves every amplitude.
    spectrum = np.abs(np.fft.rfft(g * np.hanning(WINDOW))) * 4 / WINDOW
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)
    high = np.fft.irfft(np.where(hertz >= HIGH_HZ, np.fft.rfft(g), 0), WINDOW)
    return {
        "rpm": float(rpm),
        "rms": rms,
        "peak": peak,
        "crest": peak / rms,
        "kurtosis": float((g**4).mean() / rms**4),
        "at_1x": _amplitude(spectrum, hertz, rpm / 60),
        "at_2x": _amplitude(spectrum, hertz, rpm / 30),
        "high": float(np.sqrt((high**2).mean())),
    }


def _amplitude(
    spectrum: NDArray[np.float64], hertz: NDArray[np.float64], frequency: float
) -> float:
    """Return the largest amplitude within 2 Hz, the accuracy of a measured speed."""
    return float(spectrum[np.abs(hertz - frequency) <= 2.0].max())
