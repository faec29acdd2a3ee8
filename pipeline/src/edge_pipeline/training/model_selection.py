"""The best candidates in; each exported, run and measured; the one to take out.

A score alone says nothing of the device.  What cannot be exported exactly is not chosen.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_pipeline.data.dataset import Dataset
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.splits import take_rows
from edge_pipeline.errors import ConversionError, MeasurementError, ParityError, SealError
from edge_pipeline.training.engines import limit_threads
from edge_pipeline.training.search import SearchScores
from edge_pipeline.training.search_results import (
    Candidate,
    DeviceFigures,
    SearchResult,
    pareto_front,
)

__all__ = ["DEFAULT_MEASURED", "select_candidate"]

DEFAULT_MEASURED = 3
"""Candidates that are exported and measured when the recipe names no number."""

ROWS = 1000
"""Training rows that a candidate is exported with to be measured: enough for its schema."""


def select_candidate(
    recipe: Recipe,
    dataset: Dataset,
    found: SearchScores,
    fit: Callable[[Any], Any],
    tell: Callable[[int, int], None],
) -> tuple[SearchResult, Any]:
    """Measure the best of *found*, and choose as the recipe prefers.

    Parameters
    ----------
    fit
        Fits an estimator to all training rows, and returns it.
    tell
        Is called with how many are measured, and how many will be.

    Returns
    -------
    tuple
        The result, and the chosen estimator: fitted, or None when it was not measured.
    """
    ranked = found.best_first()
    number = _number(recipe, ranked)
    measured: dict[int, Candidate] = {}
    fitted: dict[int, Any] = {}
    chosen_ones = _candidates_to_measure(ranked, number)
    for done, candidate in enumerate(chosen_ones):
        tell(done, len(chosen_ones))
        estimator = fitted[candidate.number] = fit(found.estimators[candidate.number])
        measured[candidate.number] = _measure_candidate(recipe, dataset, candidate, estimator)
    if chosen_ones:
        tell(len(chosen_ones), len(chosen_ones))
    everything = [measured.get(one.number, one) for one in ranked]
    failed = [one for one in found.candidates if one.number not in {r.number for r in ranked}]
    chosen = _choose(recipe, everything)
    result = SearchResult(
        found.scoring,
        (*everything, *failed),
        chosen,
        pareto_front(everything),
        found.baseline,
        found.folds,
        found.rows,
        found.stopped,
    )
    return result, fitted.get(chosen.number)


def _number(recipe: Recipe, ranked: list[Candidate]) -> int:
    asked = None if recipe.search is None else recipe.search.measured
    return min(len(ranked), DEFAULT_MEASURED if asked is None else asked)


def _candidates_to_measure(ranked: list[Candidate], number: int) -> list[Candidate]:
    """The best of each family, then the best of the rest: a front needs candidates that differ."""
    firsts: dict[str, Candidate] = {}
    for one in ranked:
        firsts.setdefault(one.family, one)
    heads = list(firsts.values())[:number]
    rest = [one for one in ranked if one not in heads]
    return heads + rest[: number - len(heads)]


def _measure_candidate(
    recipe: Recipe, dataset: Dataset, one: Candidate, estimator: Any
) -> Candidate:
    from edge_pipeline.evaluation.isolated_benchmark import bench
    from edge_pipeline.export_estimator import export

    X = dataset.X_train
    some = take_rows(X, list(range(ROWS))) if len(X) > ROWS else X  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="edge-pipeline-") as folder:
        path = Path(folder, "candidate.onnx")
        try:
            with warnings.catch_warnings(), limit_threads(len(some)):
                warnings.simplefilter("ignore")
                export(estimator, some, path, task=recipe.task, tolerance=recipe.export.tolerance)
            found = bench(path, largest_batch=1)
        except (ConversionError, ParityError, SealError, MeasurementError) as error:
            return replace(one, fault=" ".join(str(error).split()))
    figures = DeviceFigures(
        found.model_bytes, found.latency_us_p50, found.latency_us_p99, found.peak_memory_mb
    )
    return replace(one, device=figures)


def _choose(recipe: Recipe, ranked: list[Candidate]) -> Candidate:
    """The preferred of those that fit: within the limits, and within reach of the best score."""
    usable = [one for one in ranked if not one.fault] or ranked
    fitting = [one for one in usable if one.device is not None and _within_limits(recipe, one)]
    prefer = "score" if recipe.search is None else recipe.search.prefer
    if prefer == "score":
        # An unmeasured one of a better score may be over a limit, or may not: the build says so.
        limited = bool(_limits(recipe))
        return (fitting if limited and fitting else usable)[0]
    tolerance = 0.0 if recipe.search is None else recipe.search.score_tolerance
    best = max(one.score for one in fitting or usable)
    near = [one for one in fitting if one.score >= best - tolerance * abs(best)]
    if not near:
        return usable[0]
    return min(near, key=lambda one: (_cost(one, prefer), -one.score))


def _cost(one: Candidate, prefer: str) -> float:
    if one.device is None:
        return float("inf")
    return one.device.model_bytes if prefer == "small" else one.device.latency_us_p50


def _limits(recipe: Recipe) -> dict[str, float]:
    """The limits that a search can see to; the build sees to all."""
    bounds = {} if recipe.limits is None else recipe.limits.bounds(None)
    return {name: bounds[name] for name in _SEARCH_LIMITS if name in bounds}


_SEARCH_LIMITS = ("max_model_bytes", "max_latency_us", "max_peak_memory_mb")


def _within_limits(recipe: Recipe, one: Candidate) -> bool:
    if one.device is None:
        return False
    found = {
        "max_model_bytes": one.device.model_bytes,
        "max_latency_us": one.device.latency_us_p99,
        "max_peak_memory_mb": one.device.peak_memory_mb,
    }
    limits = _limits(recipe)
    return all(found[name] <= limit for name, limit in limits.items())
