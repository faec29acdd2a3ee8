"""A recipe that leaves something open in, its candidates with their scores out.

The searching is scikit-learn's; what is added is that it is told of, and can be stopped, between
two candidates, with everything kept that was tried.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
from edge_pipeline.training.search_checkpoints import SearchRun, make_preset_search, make_search
from edge_pipeline.training.search_results import Candidate

__all__ = ["AUTO_ROWS", "AUTO_SECONDS", "SearchScores", "search_parameters", "search_presets"]

AUTO_ROWS = 20_000
"""Rows that the search of ``estimator = "auto"`` looks at; its choice is then fitted to all."""

AUTO_SECONDS = 300.0
"""A search of ``estimator = "auto"`` tries no further candidate after that, unless told so."""

SCORE_DIGITS = 10
"""Scores are compared to so many digits: the last ones differ with the number of threads."""


@dataclass
class SearchScores:
    """What a search found.

    Attributes
    ----------
    scoring, baseline, folds, rows, stopped
        As in the :class:`~edge_pipeline.training.search_results.SearchResult`.
    candidates
        In the order of trying.
    estimators
        Number of a candidate to the unfitted estimator that it stands for.
    finalists
        Numbers of those that were scored on all rows, or None when all were.
    finer
        Number of a candidate to the score that tells equals apart, where there is one.
    preferred
        Number of one that goes before the best, which is better by chance as likely as not.
    """

    scoring: str
    folds: int
    rows: int
    candidates: list[Candidate] = field(default_factory=list)
    estimators: dict[int, Any] = field(default_factory=dict)
    finalists: frozenset[int] | None = None
    finer: dict[int, float] = field(default_factory=dict)
    preferred: int | None = None
    baseline: float | None = None
    stopped: str = ""

    def best_first(self) -> list[Candidate]:
        """Those that were scored, the best first; equals by the finer score, then as tried."""

        def rank(one: Candidate) -> tuple[bool, bool, float, float, int]:
            late = self.finalists is not None and one.number not in self.finalists
            score = float(f"{one.score:.{SCORE_DIGITS}g}")
            finer = self.finer.get(one.number, math.nan)
            finer = -math.inf if math.isnan(finer) else float(f"{finer:.{SCORE_DIGITS}g}")
            return one.number != self.preferred, late, -score, -finer, one.number

        return sorted((one for one in self.candidates if not math.isnan(one.score)), key=rank)


def search_presets(
    recipe: Recipe, dataset: Dataset, watcher: ProgressListener, engine: Engine
) -> SearchScores:
    """Score the presets for *recipe*: the likeliest of each family first, then what may still win.

    Raises
    ------
    TrainingError
        None of them could be fitted.
    """
    scoring = _scoring(recipe)
    tried = make_presets(recipe, dataset, scoring)
    if not tried:
        raise recipe.error("estimator.families", 'texts are for the family "linear"; add it')
    by_family: dict[str, list[Preset]] = {}
    for preset in tried:
        by_family.setdefault(preset.family, []).append(preset)
    run = SearchRun(recipe, _search_rows(recipe, dataset, AUTO_ROWS), scoring, watcher, engine)
    run.max_seconds = run.max_seconds or AUTO_SECONDS
    if (
        recipe.task == "classification"
        and dataset.y_train is not None
        and dataset.y_train.ndim == 1
    ):
        # Few rows have few accuracies; probabilities tell more.
        run.finer = "neg_log_loss"
    run.total = len(tried)
    order: list[Preset] = []

    def candidates(chosen: list[Preset]) -> list[dict[str, Any]]:
        order.extend(chosen)
        return [
            {
                "preprocess": "passthrough" if preset.prepare is None else preset.prepare,
                "estimator": preset.estimator,
            }
            for preset in chosen
        ]

    def try_them(evaluate: Any) -> None:
        # The likeliest of each first: a search that is stopped early has something of all.
        firsts = [family[0] for family in by_family.values()]
        evaluate(candidates(firsts))
        rest = [
            preset
            for family, members in by_family.items()
            if family in _open_families(run, order)
            for preset in members[1:]
        ]
        run.total = len(firsts) + len(rest)
        if rest:
            evaluate(candidates(rest))

    run.through(make_preset_search(recipe.task, try_them))
    found = _found(run)
    for outcome in run.outcomes:
        preset = order[outcome.number]
        found.candidates.append(outcome.candidate(preset.family, preset.parameters))
        found.estimators[outcome.number] = preset.pipeline()
        found.finer[outcome.number] = outcome.finer
    found.preferred = _linear_unless_beaten(run, found)
    return found


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
    space, prefix = _space(recipe, table, estimator)
    run = SearchRun(recipe, _search_rows(recipe, dataset, None), _scoring(recipe), watcher, engine)
    count = _count(space, table.candidates)
    seed = recipe.split.seed
    if table.method == "grid":
        run.total = len(ParameterGrid(space))
        run.through(make_search("grid", estimator, space))
    elif table.method == "random":
        run.total = count
        run.through(make_search("random", estimator, space, n_iter=count, random_state=seed))
    else:
        run.through(make_search("halving", estimator, space, n_candidates=count, random_state=seed))
    found = _found(run)
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    for outcome in run.outcomes:
        named = {key.removeprefix(prefix): value for key, value in outcome.parameters.items()}
        found.candidates.append(outcome.candidate(type(last).__name__, named))
        found.estimators[outcome.number] = clone(estimator).set_params(**outcome.parameters)
    return found


def _found(run: SearchRun) -> SearchScores:
    return SearchScores(
        run.scoring,
        run.folds,
        len(run.rows.X),
        finalists=run.finalists(),
        baseline=run.baseline,
        stopped=run.stopped,
    )


def _scoring(recipe: Recipe) -> str:
    """The scorer that a search goes by."""
    if recipe.search is not None and recipe.search.scoring is not None:
        return recipe.search.scoring
    return "accuracy" if recipe.task == "classification" else "r2"


def _search_rows(recipe: Recipe, dataset: Dataset, most: int | None) -> Rows:
    """The training rows, or *most* of them, drawn and in their order."""
    rows = Rows(dataset.X_train, dataset.y_train, groups=dataset.groups_train)
    count = len(dataset.X_train)
    if most is None or count <= most:
        return rows
    drawn = np.random.default_rng(recipe.split.seed).choice(count, most, replace=False)
    return rows.at(np.sort(drawn))


def _open_families(run: SearchRun, order: list[Preset]) -> set[str]:
    """Families whose first candidate is not plainly behind: the spreads of the two overlap."""
    scored = [one for one in run.outcomes if not math.isnan(one.score)]
    if not scored:
        return set()
    best = max(scored, key=lambda one: one.score)
    return {
        order[one.number].family
        for one in scored
        if one.score + one.spread >= best.score - best.spread
    }


def _linear_unless_beaten(run: SearchRun, found: SearchScores) -> int | None:
    """The best linear candidate, unless the best of all is plainly better.

    Plainly: by more than one standard error of the difference on the same folds, corrected for the
    rows that folds share (Nadeau and Bengio 2003, Inference for the generalization error, sec. 4).
    On few rows the best of many candidates is best by chance, and a linear model is the smallest.
    """
    ranked = found.best_first()
    linear = next((one.number for one in ranked if one.family == "linear"), None)
    if linear is None or ranked[0].number == linear or found.folds < 2:
        return None
    folds = {one.number: np.array(one.folds) for one in run.outcomes}
    gain = folds[ranked[0].number] - folds[linear]
    parts = getattr(run.splitter, "n_splits", None) or run.splitter.cvargs["n_splits"]
    error = gain.std(ddof=1) * math.sqrt(1 / len(gain) + 1 / max(1, parts - 1))
    return None if gain.mean() > error else linear


def _space(recipe: Recipe, table: SearchTable, estimator: Any) -> tuple[dict[str, Any], str]:
    """What to draw from, by scikit-learn's names of the parameters, and their common prefix."""
    prefix = "estimator__" if recipe.preprocessing is not None else ""
    known = {
        name.removeprefix(prefix)
        for name in estimator.get_params(deep=True)
        if name.startswith(prefix)
    }
    space: dict[str, Any] = {}
    for name, values in table.parameters.items():
        if name not in known:
            raise recipe.error(
                f"search.parameters.{name}",
                f"the estimator has no such parameter{did_you_mean(name, known)}"
                f"; it has {join_names(sorted(known))}",
            )
        space[prefix + name] = _Draw(values) if isinstance(values, Range) else values
    return space, prefix


@dataclass(frozen=True)
class _Draw:
    """Numbers of a range, as scikit-learn's searches ask for them."""

    range: Range

    def rvs(self, size: Any = None, random_state: Any = None) -> float | int:
        """Draw one number."""
        random = np.random.RandomState(random_state) if random_state is None else random_state
        low, high = self.range.low, self.range.high
        if self.range.whole:
            # Half a step beyond both ends, so that these are drawn as often as the others.
            low, high = low - 0.5, high + 0.5
        if self.range.scale == "log":
            low = max(low, 0.5) if self.range.whole else low
            drawn = math.exp(random.uniform(math.log(low), math.log(high)))
        else:
            drawn = random.uniform(low, high)
        if self.range.whole:
            return int(min(max(round(drawn), self.range.low), self.range.high))
        return float(drawn)


def _count(space: Mapping[str, Any], wanted: int) -> int:
    """Candidates to draw: no more than there are combinations."""
    if any(isinstance(values, _Draw) for values in space.values()):
        return wanted
    return min(wanted, math.prod(len(values) for values in space.values()))
