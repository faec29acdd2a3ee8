"""Hold the result of a search: its candidates, their measurements and the selected one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_pipeline.short_repr import short_repr

__all__ = ["Candidate", "DeviceFigures", "SearchResult", "pareto_front"]


@dataclass(frozen=True)
class DeviceFigures:
    """Size, latency and memory of a sealed candidate, measured on this machine.

    Attributes
    ----------
    model_bytes
        Size of the sealed file.
    latency_us_p50, latency_us_p99
        Microseconds of ``predict_one``, median and 99th percentile.
    peak_memory_mb
        Peak memory of a process with the runtime alone, Python and onnxruntime included.
    """

    model_bytes: int
    latency_us_p50: float
    latency_us_p99: float
    peak_memory_mb: float


@short_repr
@dataclass(frozen=True)
class Candidate:
    """A set of parameters, with its score on the folds.

    Attributes
    ----------
    number
        Its position in the order of trying, from 0.
    family
        linear, forest, boosting or network; the name of the class when the recipe names one.
    parameters
        The parameters in which it differs from the other candidates.
    score
        Mean score over the folds, or NaN when it could not be fitted.
    spread
        Standard deviation of the score over the folds.
    seconds
        Mean time of one fit.
    device
        Size, latency and memory, when they were measured.
    fault
        The reason why it could not be fitted or exported; empty when it could.
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
        """Return plain JSON values."""
        return {
            "number": self.number,
            "family": self.family,
            "parameters": {name: _to_json_value(value) for name, value in self.parameters.items()},
            "score": None if math.isnan(self.score) else self.score,
            "spread": None if math.isnan(self.spread) else self.spread,
            "seconds": round(self.seconds, 4),
            "device": None if self.device is None else vars(self.device),
            "fault": self.fault,
        }


@short_repr
@dataclass(frozen=True)
class SearchResult:
    """The candidates of a search, the best first, and the selected one.

    Attributes
    ----------
    scoring
        Name of the scorer; a greater score is better.
    candidates
        The candidates that were tried, the best score first.
    chosen
        The selected candidate.
    front
        The measured candidates on the Pareto front of score, bytes and latency.
    baseline
        Score of a dummy estimator, which ignores the features, on the same folds.
    folds
        Number of fits of each candidate.
    rows
        Number of training rows in the search.
    stopped
        The reason why it ended early; empty when it tried every candidate.
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
        """Return plain JSON values."""
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
    """Return the candidates that no other one dominates in score, bytes and latency.

    Candidates without measurements are left out.
    """
    costs = {
        candidate.number: (-candidate.score, device.model_bytes, device.latency_us_p50)
        for candidate in candidates
        if (device := candidate.device) is not None and not candidate.fault
    }
    return tuple(
        candidate
        for candidate in candidates
        if candidate.number in costs
        and not any(_dominates(cost, costs[candidate.number]) for cost in costs.values())
    )


def _dominates(costs: tuple[float, ...], other_costs: tuple[float, ...]) -> bool:
    """Return whether no cost is higher than the other's, and some cost is lower."""
    return costs != other_costs and all(
        cost <= other_cost for cost, other_cost in zip(costs, other_costs, strict=True)
    )


def _to_json_value(value: Any) -> Any:
    """Convert *value* to a JSON value, or to its text when JSON has no such type."""
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, tuple | list):
        return [_to_json_value(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _to_json_value(value.item())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    return " ".join(repr(value).split())[:200]
