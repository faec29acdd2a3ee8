"""Export and measure the best candidates of a search, and select one for the device.

A candidate that cannot be exported exactly is not selected.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

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
"""Default number of candidates that are exported and measured."""

ROWS = 1000
"""Training rows with which a candidate is exported: enough for its schema."""


def select_candidate(
    recipe: Recipe,
    dataset: Dataset,
    scores: SearchScores,
    fit: Callable[[Any], Any],
    on_progress: Callable[[int, int], None],
) -> tuple[SearchResult, Any]:
    """Measure the best candidates, and select one as the recipe prefers.

    Parameters
    ----------
    fit
        Fits an estimator to all training rows, and returns it.
    on_progress
        Called with the number of candidates measured so far, and in all.

    Returns
    -------
    tuple
        The result, and the selected estimator: fitted, or None when it was not measured.
    """
    ranked = scores.best_first()
    to_measure = _candidates_to_measure(recipe, ranked)
    with_figures: dict[int, Candidate] = {}
    fitted: dict[int, Any] = {}
    for count, candidate in enumerate(to_measure):
        on_progress(count, len(to_measure))
        estimator = fitted[candidate.number] = fit(scores.estimators[candidate.number])
        with_figures[candidate.number] = _measure_candidate(recipe, dataset, candidate, estimator)
    if to_measure:
        on_progress(len(to_measure), len(to_measure))
    ranked = [with_figures.get(candidate.number, candidate) for candidate in ranked]
    ranked_numbers = {candidate.number for candidate in ranked}
    failed = [c for c in scores.candidates if c.number not in ranked_numbers]
    selected = _select(recipe, ranked)
    result = SearchResult(
        scores.scoring,
        (*ranked, *failed),
        selected,
        pareto_front(ranked),
        scores.baseline,
        scores.folds,
        scores.rows,
        scores.stopped,
    )
    return result, fitted.get(selected.number)


def _candidates_to_measure(recipe: Recipe, ranked: list[Candidate]) -> list[Candidate]:
    """Return the best of each family, then the best others: a front needs different candidates."""
    number = None if recipe.search is None else recipe.search.measured
    number = DEFAULT_MEASURED if number is None else number
    best_of_family: dict[str, Candidate] = {}
    for candidate in ranked:
        best_of_family.setdefault(candidate.family, candidate)
    firsts = list(best_of_family.values())
    return [*firsts, *(candidate for candidate in ranked if candidate not in firsts)][:number]


def _measure_candidate(
    recipe: Recipe, dataset: Dataset, candidate: Candidate, estimator: Any
) -> Candidate:
    """Export a fitted candidate, and measure the file; add the figures or the reason why not."""
    from edge_pipeline.evaluation.isolated_benchmark import bench
    from edge_pipeline.export_estimator import export

    X = dataset.X_train
    sample = take_rows(X, np.arange(ROWS)) if len(X) > ROWS else X
    with tempfile.TemporaryDirectory(prefix="edge-pipeline-") as folder:
        path = Path(folder, "candidate.onnx")
        try:
            with warnings.catch_warnings(), limit_threads(len(sample)):
                warnings.simplefilter("ignore")
                export(estimator, sample, path, task=recipe.task, tolerance=recipe.export.tolerance)
            result = bench(path, largest_batch=1)
        except (ConversionError, ParityError, SealError, MeasurementError) as error:
            return replace(candidate, fault=" ".join(str(error).split()))
    figures = DeviceFigures(
        result.model_bytes, result.latency_us_p50, result.latency_us_p99, result.peak_memory_mb
    )
    return replace(candidate, device=figures)


def _select(recipe: Recipe, ranked: list[Candidate]) -> Candidate:
    """Select the preferred candidate within the limits and the score tolerance."""
    usable = [candidate for candidate in ranked if not candidate.fault] or ranked
    limits = _search_limits(recipe)
    fitting = [candidate for candidate in usable if _is_within_limits(candidate, limits)]
    prefer = "score" if recipe.search is None else recipe.search.prefer
    if prefer == "score":
        # A better candidate that was not measured may break a limit: the build checks that.
        return (fitting if limits and fitting else usable)[0]
    tolerance = 0.0 if recipe.search is None else recipe.search.score_tolerance
    best = max(candidate.score for candidate in fitting or usable)
    near = [c for c in fitting if c.score >= best - tolerance * abs(best)]
    if not near:
        return usable[0]
    return min(near, key=lambda candidate: (_cost(candidate, prefer), -candidate.score))


def _cost(candidate: Candidate, prefer: str) -> float:
    if candidate.device is None:
        return float("inf")
    return candidate.device.model_bytes if prefer == "small" else candidate.device.latency_us_p50


_SEARCH_LIMITS = ("max_model_bytes", "max_latency_us", "max_peak_memory_mb")
"""The limits that a search can check; the build checks all."""


def _search_limits(recipe: Recipe) -> dict[str, float]:
    bounds = {} if recipe.limits is None else recipe.limits.bounds(None)
    return {name: bounds[name] for name in _SEARCH_LIMITS if name in bounds}


def _is_within_limits(candidate: Candidate, limits: Mapping[str, float]) -> bool:
    device = candidate.device
    if device is None:
        return False
    figures = {
        "max_model_bytes": device.model_bytes,
        "max_latency_us": device.latency_us_p99,
        "max_peak_memory_mb": device.peak_memory_mb,
    }
    return all(figures[name] <= limit for name, limit in limits.items())
