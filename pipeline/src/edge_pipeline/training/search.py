"""Search for the estimator or the parameters that a recipe leaves open.

scikit-learn's search classes do the work.  :mod:`edge_pipeline.training.search_run` adds progress,
and a stop between two candidates that keeps every score so far.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_pipeline.data.dataset import Dataset
from edge_pipeline.data.imports import did_you_mean, join_names
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.recipe_schema import Range, SearchTable
from edge_pipeline.data.splits import Rows
from edge_pipeline.progress import ProgressListener
from edge_pipeline.training.engines import Engine
from edge_pipeline.training.presets import Preset, make_presets
from edge_pipeline.training.search_results import Candidate
from edge_pipeline.training.search_run import SearchRun, make_preset_search, make_search

__all__ = ["AUTO_ROWS", "AUTO_SECONDS", "SearchScores", "search_parameters", "search_presets"]

AUTO_ROWS = 20_000
"""Most rows that a search of ``estimator = "auto"`` uses; the final fit uses all rows."""

AUTO_SECONDS = 300.0
"""Default of ``max_seconds`` for ``estimator = "auto"``."""

SCORE_DIGITS = 10
"""Digits of the scores that are compared: the last ones depend on the number of threads."""


@dataclass
class SearchScores:
    """The candidates of a search, their scores and their unfitted estimators.

    Attributes
    ----------
    scoring, baseline, folds, rows, stopped
        As in the :class:`~edge_pipeline.training.search_results.SearchResult`.
    candidates
        All candidates, in the order in which they were tried.
    estimators
        Number of a candidate to its unfitted estimator.
    finalists
        Numbers of the candidates that were scored on all rows; None when all were.
    tie_breakers
        Number of a candidate to the score that decides between equal scores.
    preferred
        Number of the candidate to put first although another has a better score, or None.
    """

    scoring: str
    folds: int
    rows: int
    candidates: list[Candidate] = field(default_factory=list)
    estimators: dict[int, Any] = field(default_factory=dict)
    finalists: frozenset[int] | None = None
    tie_breakers: dict[int, float] = field(default_factory=dict)
    preferred: int | None = None
    baseline: float | None = None
    stopped: str = ""

    def best_first(self) -> list[Candidate]:
        """Sort the scored candidates by score, then tie breaker, then order of trying."""
        scored = [candidate for candidate in self.candidates if not math.isnan(candidate.score)]
        return sorted(scored, key=self._rank)

    def _rank(self, candidate: Candidate) -> tuple[bool, bool, float, float, int]:
        number = candidate.number
        is_eliminated = self.finalists is not None and number not in self.finalists
        tie_breaker = self.tie_breakers.get(number, math.nan)
        return (
            number != self.preferred,
            is_eliminated,
            -_round_score(candidate.score),
            math.inf if math.isnan(tie_breaker) else -_round_score(tie_breaker),
            number,
        )


def _round_score(score: float) -> float:
    return float(f"{score:.{SCORE_DIGITS}g}")


def search_presets(
    recipe: Recipe, dataset: Dataset, watcher: ProgressListener, engine: Engine
) -> SearchScores:
    """Score the candidates of ``estimator = "auto"``.

    Raises
    ------
    TrainingError
        None of them could be fitted.
    """
    scoring = _scoring(recipe)
    presets = make_presets(recipe, dataset, scoring)
    if not presets:
        raise recipe.error("estimator.families", 'texts are for the family "linear"; add it')
    run = SearchRun(recipe, _search_rows(recipe, dataset, AUTO_ROWS), scoring, watcher, engine)
    run.max_seconds = run.max_seconds or AUTO_SECONDS
    y = dataset.y_train
    if recipe.task == "classification" and y is not None and y.ndim == 1:
        # On few rows many candidates have the same accuracy; the log loss is finer.
        run.tie_breaker = "neg_log_loss"
    run.total = len(presets)
    schedule = _PresetSchedule(run, presets)
    run.fit(make_preset_search(recipe.task, schedule.evaluate_all))
    scores = _empty_scores(run)
    for outcome in run.outcomes:
        preset = schedule.tried[outcome.number]
        scores.candidates.append(outcome.to_candidate(preset.family, preset.parameters))
        scores.estimators[outcome.number] = preset.pipeline()
        scores.tie_breakers[outcome.number] = outcome.tie_breaker
    scores.preferred = _linear_unless_beaten(run, scores)
    return scores


class _PresetSchedule:
    """Evaluate the first preset of each family, then the others of families that may still win.

    A search that is stopped early has then tried every family.
    """

    def __init__(self, run: SearchRun, presets: list[Preset]) -> None:
        self._run = run
        self._by_family: dict[str, list[Preset]] = {}
        for preset in presets:
            self._by_family.setdefault(preset.family, []).append(preset)
        self.tried: list[Preset] = []

    def evaluate_all(self, evaluate: Callable[..., Any]) -> None:
        """Evaluate the presets with scikit-learn's ``evaluate_candidates``."""
        firsts = [presets[0] for presets in self._by_family.values()]
        self._evaluate(evaluate, firsts)
        families = self._families_that_may_win()
        followers = [preset for family in families for preset in self._by_family[family][1:]]
        self._run.total = len(firsts) + len(followers)
        if followers:
            self._evaluate(evaluate, followers)

    def _evaluate(self, evaluate: Callable[..., Any], presets: list[Preset]) -> None:
        self.tried.extend(presets)
        evaluate(
            [
                {
                    "preprocess": "passthrough"
                    if preset.preprocessing is None
                    else preset.preprocessing,
                    "estimator": preset.estimator,
                }
                for preset in presets
            ]
        )

    def _families_that_may_win(self) -> list[str]:
        """Return the families whose spread over the folds overlaps that of the best one."""
        scored = [outcome for outcome in self._run.outcomes if not math.isnan(outcome.score)]
        if not scored:
            return []
        best = max(scored, key=lambda outcome: outcome.score)
        overlapping = {
            self.tried[outcome.number].family
            for outcome in scored
            if outcome.score + outcome.spread >= best.score - best.spread
        }
        return [family for family in self._by_family if family in overlapping]


def search_parameters(
    recipe: Recipe, dataset: Dataset, estimator: Any, watcher: ProgressListener, engine: Engine
) -> SearchScores:
    """Score the parameters that ``[search]`` names, for the recipe's own *estimator*.

    Raises
    ------
    RecipeError
        The estimator has no such parameter.
    TrainingError
        No candidate could be fitted.
    """
    from sklearn.base import clone
    from sklearn.model_selection import ParameterGrid

    table = recipe.search or SearchTable()
    space, prefix = _search_space(recipe, table, estimator)
    run = SearchRun(recipe, _search_rows(recipe, dataset, None), _scoring(recipe), watcher, engine)
    n_draws = _number_of_draws(space, table.candidates)
    seed = recipe.split.seed
    if table.method == "grid":
        run.total = len(ParameterGrid(space))
        run.fit(make_search("grid", estimator, space))
    elif table.method == "random":
        run.total = n_draws
        run.fit(make_search("random", estimator, space, n_iter=n_draws, random_state=seed))
    else:
        run.fit(make_search("halving", estimator, space, n_candidates=n_draws, random_state=seed))
    scores = _empty_scores(run)
    family = type(estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator).__name__
    for outcome in run.outcomes:
        parameters = {key.removeprefix(prefix): value for key, value in outcome.parameters.items()}
        scores.candidates.append(outcome.to_candidate(family, parameters))
        scores.estimators[outcome.number] = clone(estimator).set_params(**outcome.parameters)
    return scores


def _empty_scores(run: SearchRun) -> SearchScores:
    return SearchScores(
        run.scoring,
        run.folds,
        len(run.rows.X),
        finalists=run.finalists(),
        baseline=run.baseline,
        stopped=run.stopped,
    )


def _scoring(recipe: Recipe) -> str:
    """Return the name of the scorer that ranks the candidates."""
    if recipe.search is not None and recipe.search.scoring is not None:
        return recipe.search.scoring
    return "accuracy" if recipe.task == "classification" else "r2"


def _search_rows(recipe: Recipe, dataset: Dataset, max_rows: int | None) -> Rows:
    """Return the training rows, or a sample of *max_rows* of them in table order."""
    rows = Rows(dataset.X_train, dataset.y_train, groups=dataset.groups_train)
    count = len(dataset.X_train)
    if max_rows is None or count <= max_rows:
        return rows
    sample = np.random.default_rng(recipe.split.seed).choice(count, max_rows, replace=False)
    return rows.at(np.sort(sample))


def _linear_unless_beaten(run: SearchRun, scores: SearchScores) -> int | None:
    """Return the best linear candidate, unless another one is significantly better.

    On few rows the best of many candidates is often best by chance, and a linear model is the
    smallest.  "Significantly" means by more than one standard error of the score difference.  The
    error is corrected for the training rows that the folds share: Nadeau and Bengio 2003, Inference
    for the generalization error, section 4.
    """
    ranked = scores.best_first()
    linear = next((c.number for c in ranked if c.family == "linear"), None)
    if linear is None or ranked[0].number == linear or scores.folds < 2:
        return None
    fold_scores = {outcome.number: np.array(outcome.fold_scores) for outcome in run.outcomes}
    gains = fold_scores[ranked[0].number] - fold_scores[linear]
    n_splits = getattr(run.splitter, "n_splits", None) or run.splitter.cvargs["n_splits"]
    standard_error = gains.std(ddof=1) * math.sqrt(1 / len(gains) + 1 / max(1, n_splits - 1))
    return None if gains.mean() > standard_error else linear


def _search_space(recipe: Recipe, table: SearchTable, estimator: Any) -> tuple[dict[str, Any], str]:
    """Return the values or ranges of each parameter, and the prefix of the names in a pipeline."""
    prefix = "estimator__" if recipe.preprocessing is not None else ""
    names = {
        name.removeprefix(prefix)
        for name in estimator.get_params(deep=True)
        if name.startswith(prefix)
    }
    space: dict[str, Any] = {}
    for name, values in table.parameters.items():
        if name not in names:
            raise recipe.error(
                f"search.parameters.{name}",
                f"the estimator has no such parameter{did_you_mean(name, names)}"
                f"; it has {join_names(sorted(names))}",
            )
        space[prefix + name] = _RangeSampler(values) if isinstance(values, Range) else values
    return space, prefix


@dataclass(frozen=True)
class _RangeSampler:
    """Draw numbers of a range, through the ``rvs`` method that scikit-learn's searches call."""

    range: Range

    def rvs(self, size: Any = None, random_state: Any = None) -> float | int:
        """Draw one number."""
        random = np.random.RandomState(random_state) if random_state is None else random_state
        low, high = self.range.low, self.range.high
        if self.range.whole:
            # Half a step beyond both ends: the ends are then as likely as any other number.
            low, high = low - 0.5, high + 0.5
        if self.range.scale == "log":
            low = max(low, 0.5) if self.range.whole else low
            number = math.exp(random.uniform(math.log(low), math.log(high)))
        else:
            number = random.uniform(low, high)
        if self.range.whole:
            return int(min(max(round(number), self.range.low), self.range.high))
        return float(number)


def _number_of_draws(space: Mapping[str, Any], candidates: int) -> int:
    """Limit *candidates* to the number of combinations, when that is finite."""
    if any(isinstance(values, _RangeSampler) for values in space.values()):
        return candidates
    return min(candidates, math.prod(len(values) for values in space.values()))
