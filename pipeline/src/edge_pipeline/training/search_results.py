"""What a search tried, what it measured, and what it chose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Candidate", "DeviceFigures", "SearchResult", "pareto_front"]


@dataclass(frozen=True)
class DeviceFigures:
    """What a candidate costs, sealed and run in a bare process of this machine.

    Attributes
    ----------
    model_bytes
        Size of the sealed file.
    latency_us_p50, latency_us_p99
        Microseconds of ``predict_one``.
    peak_memory_mb
        The most memory that the process held, Python and onnxruntime included.
    """

    model_bytes: int
    latency_us_p50: float
    latency_us_p99: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Candidate:
    """One set of parameters, tried on every fold.

    Attributes
    ----------
    number
        Its place in the order of trying, from 0.
    family
        linear, forest, boosting or network; the estimator's class for a search of one's own.
    parameters
        What sets it apart.
    score
        Mean over the folds, or NaN when it could not be fitted.
    spread
        Standard deviation over the folds.
    seconds
        Mean time of one fit.
    device
        What it costs, when it was measured.
    fault
        Why it could not be fitted or exported; empty when it could.
    """

    number: int
    family: str
    parameters: Mapping[str, Any]
    score: float
    spread: float
    seconds: float
    device: DeviceFigures | None = None
    fault: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "number": self.number,
            "family": self.family,
            "parameters": {name: _plain(value) for name, value in self.parameters.items()},
            "score": None if math.isnan(self.score) else self.score,
            "spread": None if math.isnan(self.spread) else self.spread,
            "seconds": round(self.seconds, 4),
            "device": None if self.device is None else vars(self.device),
            "fault": self.fault,
        }


@dataclass(frozen=True)
class SearchResult:
    """A search: its candidates, the best first, and the one that was taken.

    Attributes
    ----------
    scoring
        Name of the scorer; more is better.
    candidates
        Those tried, the best score first.
    chosen
        The one taken.
    front
        Of those measured: those that no other beats in score, bytes and microseconds at once.
    baseline
        Score of a model that does not look at the columns, on the same folds.
    folds
        How often each candidate was fitted.
    rows
        Training rows that the search saw.
    stopped
        Why it ended before everything was tried; empty when it did not.
    """

    scoring: str
    candidates: tuple[Candidate, ...]
    chosen: Candidate
    front: tuple[Candidate, ...]
    baseline: float | None
    folds: int
    rows: int
    stopped: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "scoring": self.scoring,
            "folds": self.folds,
            "rows": self.rows,
            "baseline": self.baseline,
            "stopped": self.stopped,
            "chosen": self.chosen.number,
            "front": [candidate.number for candidate in self.front],
            "candidates": [candidate.to_json() for candidate in self.candidates],
        }


def pareto_front(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    """Those of *candidates* that no other equals or beats in score, bytes and time at once.

    Candidates without figures of the device are left out.
    """
    measured = [one for one in candidates if one.device is not None and not one.fault]
    return tuple(
        one
        for one in measured
        if not any(_dominates(other, one) for other in measured if other is not one)
    )


def _dominates(one: Candidate, other: Candidate) -> bool:
    if one.device is None or other.device is None:
        return False
    pairs = (
        (one.score, other.score),
        (-one.device.model_bytes, -other.device.model_bytes),
        (-one.device.latency_us_p50, -other.device.latency_us_p50),
    )
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _plain(value: Any) -> Any:
    """*value* as JSON takes it; what it cannot take is told by its text."""
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _plain(value.item())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    return " ".join(repr(value).split())[:200]
