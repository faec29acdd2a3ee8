"""Make vibration.csv, which the model learns from, and the recording of examples/vibration.

    python models/vibration/simulate.py [FOLDER]     # into FOLDER, instead of where they belong

Every window is a second of a pump's housing: noise, the rest of an unbalance that no balancing
takes away, and, with a fault, either more of it or the blows of a pit in the outer ring.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "examples/vibration"
sys.path.insert(0, str(EXAMPLE))

from features import RATE_HZ, WINDOW, features  # noqa: E402

STATES = ("ok", "unbalance", "bearing")
WINDOWS_A_STATE = 300
SEED = 20
BLOWS_A_TURN = 3.57
"""Balls that pass a point of the outer ring: of 9 balls, each 0.207 times as thick as the circle
of their centres is wide, 9 / 2 * (1 - 0.207)."""


def window(rng: np.random.Generator, state: str, rpm: float) -> NDArray[np.float64]:
    """A second of acceleration, in g, of a pump in *state*."""
    t = np.arange(WINDOW) / RATE_HZ
    turns = rpm / 60 * t + rng.uniform()
    # The force of an unbalance grows with the square of the speed.
    speed = (rpm / 1800) ** 2
    unbalance = 0.02 * rng.lognormal(0, 0.4)
    if state == "unbalance":
        unbalance += rng.uniform(0.04, 0.4)
    g = unbalance * speed * np.sin(2 * np.pi * turns)
    g += 0.25 * unbalance * speed * np.sin(4 * np.pi * turns + rng.uniform(0, 6))
    g += rng.normal(0, rng.uniform(0.015, 0.03), WINDOW)
    if state == "bearing":
        g += _blows(rng, t, rpm)
    return g + rng.normal(1, 0.02)  # gravity


def _blows(rng: np.random.Generator, t: NDArray[np.float64], rpm: float) -> NDArray[np.float64]:
    """Blows of the balls on a pit, each of which makes the housing ring."""
    strength, hertz = rng.uniform(0.06, 0.5), rng.uniform(230, 330)
    between = 60 / rpm / BLOWS_A_TURN
    ringing = np.zeros_like(t)
    for at in np.arange(rng.uniform(0, between), 1, between):
        since = t - at * (1 + rng.normal(0, 0.001))
        ring = np.exp(-np.maximum(since, 0) / 0.006) * np.sin(2 * np.pi * hertz * since)
        ringing += np.where(since >= 0, strength * rng.lognormal(0, 0.2) * ring, 0)
    return ringing


def write_table(path: Path) -> None:
    """Write the features of all windows, and the state of each."""
    rng = np.random.default_rng(SEED)
    rows = []
    for _ in range(WINDOWS_A_STATE):
        for state in STATES:
            rpm = float(rng.integers(1200, 2900))
            rows.append({**features(window(rng, state, rpm), rpm), "state": state})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        for row in rows:
            # Fewer digits than a sensor has noise, and the same on every machine.
            writer.writerow([v if isinstance(v, str) else f"{v:.5g}" for v in row.values()])


def write_recording(path: Path) -> None:
    """Write what a sensor gives in three seconds: a window of each state."""
    rng = np.random.default_rng(SEED + 1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["rpm", "g"])
        for state in STATES:
            for g in window(rng, state, 1480):
                writer.writerow([1480, f"{g:.4f}"])


if __name__ == "__main__":
    table, recording = (Path(sys.argv[1]),) * 2 if len(sys.argv) > 1 else (HERE, EXAMPLE)
    write_table(table / "vibration.csv")
    write_recording(recording / "recorded.csv")
