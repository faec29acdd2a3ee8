"""Train the same forest on raw windows: the features are in the sealed file, not on the board.

    edge-pipeline export models/vibration/raw.py:vibration_raw     # dist/vibration_raw.onnx
    edge-runtime stream dist/vibration_raw.onnx examples/vibration/recorded.csv

A window is a second of two channels: the speed of the shaft in turns a minute, and the acceleration
in g.  ``features`` computes what examples/vibration/features.py does, for all windows at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

sys.path.insert(0, str(Path(__file__).resolve().parent))

from simulate import RATE_HZ, SEED, STATES, WINDOW, WINDOWS_A_STATE, window

HIGH_HZ = 180.0
STREAM = {"rate": RATE_HZ, "hop": WINDOW, "channels": ["rpm", "g"]}


def vibration_raw() -> tuple[Pipeline, NDArray[np.float64], dict[str, Any]]:
    """Return the fitted estimator, its training windows, and how a stream is cut."""
    X, y = windows(SEED, WINDOWS_A_STATE)
    forest = RandomForestClassifier(n_estimators=60, max_depth=8, random_state=0)
    return make_pipeline(FunctionTransformer(features), forest).fit(X, y), X, STREAM


def windows(seed: int, n_a_state: int) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Simulate windows (n, 2, WINDOW), and the state of the pump in each."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for _ in range(n_a_state):
        for state in STATES:
            rpm = float(rng.integers(1200, 2900))
            X.append(np.stack([np.full(WINDOW, rpm), window(rng, state, rpm)]))
            y.append(state)
    return np.stack(X).round(5), np.array(y)


def features(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute rpm, rms, peak, crest, kurtosis, at_1x, at_2x and high of each window."""
    rpm, g = X[:, 0, :1], X[:, 1]
    g = g - g.mean(axis=1, keepdims=True)  # gravity itself, and the sensor's offset
    rms = np.sqrt((g**2).mean(axis=1, keepdims=True))
    rms = np.maximum(rms, 1e-9)  # of a sensor that always gives the same number
    peak = np.abs(g).max(axis=1, keepdims=True)
    kurtosis = (g**4).mean(axis=1, keepdims=True) / rms**4
    # A Hann window halves every amplitude.
    spectrum = np.abs(np.fft.rfft(g * np.hanning(WINDOW))) * 4 / WINDOW
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)
    is_at_1x = np.abs(hertz - rpm / 60) <= 2.0  # the accuracy of a measured speed
    is_at_2x = np.abs(hertz - rpm / 30) <= 2.0
    at_1x = np.where(is_at_1x, spectrum, 0.0).max(axis=1, keepdims=True)
    at_2x = np.where(is_at_2x, spectrum, 0.0).max(axis=1, keepdims=True)
    high = np.fft.irfft(np.where(hertz >= HIGH_HZ, np.fft.rfft(g), 0), WINDOW)
    high_rms = np.sqrt((high**2).mean(axis=1, keepdims=True))
    parts = [rpm, rms, peak, peak / rms, kurtosis, at_1x, at_2x, high_rms]
    return np.concatenate(parts, axis=1)
