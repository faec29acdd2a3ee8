"""Train a model of what a person does, from raw samples of an accelerometer and a gyroscope.

    edge-pipeline export models/motion/train.py:motion     # seals dist/motion.onnx
    python models/motion/train.py                          # prints the score on unseen persons
    python models/motion/train.py examples/motion/recorded.csv    # writes the recording again

Every window is two seconds of six channels on a belt.  The samples are simulated: gravity, turned
as the device hangs; steps with two harmonics, whose rate and strength differ from person to person;
and the noise of a cheap sensor.  A real device needs recordings of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from edge_pipeline.signal import AutocorrelationPeak, BandPower, Flatten, LogScale, Statistics
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

RATE_HZ = 50
WINDOW = 2 * RATE_HZ
CHANNELS = ("ax", "ay", "az", "gx", "gy", "gz")
STATES = ("still", "walking", "running", "shaking")
STREAM = {"rate": RATE_HZ, "hop": WINDOW // 2, "channels": list(CHANNELS)}
PERSONS, UNSEEN_PERSONS, WINDOWS_A_STATE = 24, 8, 12
SEED = 20

_BY_STATE = {
    # Steps a second; their acceleration in g; degrees a second of the turns they cause.
    "still": ((0.1, 0.3), (0.002, 0.01), (0.2, 2.0)),
    "walking": ((1.5, 2.1), (0.15, 0.4), (15.0, 60.0)),
    "running": ((2.4, 3.2), (0.7, 1.6), (40.0, 150.0)),
    "shaking": ((4.0, 6.5), (0.3, 1.2), (100.0, 400.0)),
}


def motion() -> tuple[Pipeline, NDArray[np.float64], dict[str, Any]]:
    """Return the fitted estimator, its training windows, and how a stream is cut."""
    X, y = windows(range(PERSONS))
    return estimator().fit(X, y), X, STREAM


def estimator() -> Pipeline:
    """Return features of each channel, and a linear classifier."""
    bands = [(0.5, 1.3), (1.3, 2.3), (2.3, 3.6), (3.6, 8.0), (8.0, 20.0)]
    features = make_union(
        make_pipeline(Statistics(["std", "range", "kurtosis", "zero_crossings"]), Flatten()),
        make_pipeline(BandPower(bands, RATE_HZ, WINDOW), LogScale(1e-6), Flatten()),
        make_pipeline(AutocorrelationPeak(5, 60), Flatten()),
    )
    return make_pipeline(features, StandardScaler(), LogisticRegression(C=0.3, max_iter=1000))


def windows(persons: range) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Simulate windows (n, 6, WINDOW) of *persons*, and the state in each."""
    X, y = [], []
    for person in persons:
        rng = np.random.default_rng([SEED, person])
        for state in STATES:
            for _ in range(WINDOWS_A_STATE):
                X.append(samples(rng, state, WINDOW).T)
                y.append(state)
    # Fewer digits than a sensor has noise, and the same on every machine.
    return np.stack(X).round(4), np.array(y)


def samples(rng: np.random.Generator, state: str, n: int) -> NDArray[np.float64]:
    """Simulate *n* samples of the six channels, shape (n, 6)."""
    hertz, strength, turn = (rng.uniform(*limits) for limits in _BY_STATE[state])
    phase = 2 * np.pi * (hertz * np.arange(n) / RATE_HZ + rng.uniform())
    steps = np.stack([np.sin(phase), np.sin(2 * phase + rng.uniform(0, 6))], axis=1)
    tilt = rng.normal(0, 0.2, size=2)
    gravity = np.array([tilt[0], tilt[1], np.sqrt(max(0.0, 1 - tilt @ tilt))])
    shares = rng.dirichlet((2, 2, 6), size=2)
    acceleration = gravity + strength * steps @ (shares * [[1.0], [0.4]])
    rotation = turn * steps @ (rng.dirichlet((2, 2, 2), size=2) * [[1.0], [0.3]])
    acceleration += rng.normal(0, 0.01, size=acceleration.shape)
    rotation += rng.normal(0, 0.5, size=rotation.shape)
    return np.concatenate([acceleration, rotation], axis=1)


def main(path: str | None = None) -> None:
    """Print the score on persons that training did not see, or write the recording."""
    if path is None:
        fitted, _, _ = motion()
        X, y = windows(range(PERSONS, PERSONS + UNSEEN_PERSONS))
        print(f"accuracy on {len(y)} windows of {UNSEEN_PERSONS} unseen persons: "
              f"{fitted.score(X, y):.3f}")  # fmt: skip
        return
    rng = np.random.default_rng([SEED, PERSONS + UNSEEN_PERSONS])
    parts = [samples(rng, state, 3 * RATE_HZ) for state in STATES]
    rows = [
        ",".join(CHANNELS),
        *(",".join(f"{v:.4f}" for v in row) for part in parts for row in part),
    ]
    Path(path).write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
