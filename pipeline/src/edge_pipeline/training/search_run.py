"""Run scikit-learn's searches in batches, with progress and a stop between two batches.

scikit-learn's search classes pass all candidates to the function ``evaluate_candidates``, in
``_run_search``, the method that custom searches override.  Here the function gets them in batches.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.splits import Rows, make_folds
from edge_pipeline.errors import TrainingError
from edge_pipeline.progress import ProgressListener
from edge_pipeline.training.engines import Engine, limit_threads, use_engine
from edge_pipeline.training.search_results import Candidate

__all__ = ["CandidateScore", "SearchRun", "make_preset_search", "make_search"]

ATTEMPTS = 4
"""How often a batch is sent to a cluster whose workers die."""


class _StoppedError(Exception):
    """End a search, and keep the scores so far."""


@dataclass(frozen=True)
class CandidateScore:
    """The scores of one candidate.

    *iteration* counts the rounds of a halving search, and *fold_scores* has the score of each fold.
    *tie_breaker* is the score that decides between candidates of equal score.
    """

    number: int
    parameters: Mapping[str, Any]
    score: float
    spread: float
    seconds: float
    iteration: int = 0
    fault: str = ""
    fold_scores: tuple[float, ...] = ()
    tie_breaker: float = math.nan

    def to_candidate(self, family: str, parameters: Mapping[str, Any]) -> Candidate:
        """Convert to a candidate of the report."""
        return Candidate(
            self.number,
            family,
            parameters,
            self.score,
            self.spread,
            self.seconds,
            fault=self.fault,
        )


class SearchRun:
    """Run one search, and record the score of each candidate."""

    def __init__(
        self, recipe: Recipe, rows: Rows, scoring: str, watcher: ProgressListener, engine: Engine
    ) -> None:
        self.rows = rows
        self.scoring = scoring
        self.outcomes: list[CandidateScore] = []
        self.stopped = ""
        self.total: int | None = None
        self.tie_breaker: str | None = None
        self.max_seconds = None if recipe.search is None else recipe.search.max_seconds
        self.splitter = make_folds(recipe, rows)
        self.folds: int = self.splitter.get_n_splits(rows.X, rows.y, rows.groups)
        self.baseline: float | None = None
        self._task = recipe.task
        self._watcher = watcher
        self._engine = engine
        self._batch_size = 1
        self._started = 0.0

    def fit(self, search: Any) -> None:
        """Fit *search*, a search of :func:`make_search`, and record its scores.

        Raises
        ------
        TrainingError
            No candidate could be fitted, or the cluster lost its workers again and again.
        """
        self._started = time.perf_counter()
        # scikit-learn calls a single scorer "score".
        scorers = {"score": self.scoring, "tie_breaker": self.tie_breaker}
        search.set_params(scoring=scorers if self.tie_breaker else self.scoring, cv=self.splitter)
        search.run = self
        with warnings.catch_warnings(), limit_threads(len(self.rows.X)):
            # The warnings of many candidates are noise; the final fit repeats those of the best.
            warnings.simplefilter("ignore")
            self.baseline = self._baseline_score()
            with use_engine(self._engine, (self.rows.X, self.rows.y)) as workers:
                if workers > 1:
                    self._batch_size = max(1, math.ceil(2 * workers / self.folds))
                self._fit_until_stopped(search)
        if not self.has_scores():
            reasons = (outcome.fault for outcome in self.outcomes if outcome.fault)
            raise TrainingError(f"no candidate could be fitted: {next(reasons, 'none was tried')}")

    def _fit_until_stopped(self, search: Any) -> None:
        try:
            search.fit(self.rows.X, self.rows.y, **self._group_arguments())
        except _StoppedError:
            pass
        except KeyboardInterrupt:
            if not self.has_scores():
                raise
            self.stopped = f"interrupted, with {len(self.outcomes)} candidates tried"
        except ValueError as error:
            raise TrainingError(f"the search cannot run: {_one_line(error)}") from error

    def has_scores(self) -> bool:
        """Return whether any candidate could be fitted."""
        return any(not math.isnan(outcome.score) for outcome in self.outcomes)

    def finalists(self) -> frozenset[int] | None:
        """Return the candidates of a halving search's last round; None for other searches."""
        last_round = max((outcome.iteration for outcome in self.outcomes), default=0)
        if last_round == 0:
            return None
        return frozenset(o.number for o in self.outcomes if o.iteration == last_round)

    def in_batches(self, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap scikit-learn's ``evaluate_candidates``, so that it gets one batch at a time."""

        def evaluate_in_batches(
            candidates: Iterable[Mapping[str, Any]],
            cv: Any = None,
            more_results: Mapping[str, list[Any]] | None = None,
            **_: Any,
        ) -> Any:
            candidates = list(candidates)
            results: Any = {}
            for start in range(0, len(candidates), self._batch_size):
                batch = slice(start, start + self._batch_size)
                more = more_results and {key: column[batch] for key, column in more_results.items()}
                results = self._evaluate_batch(evaluate, candidates[batch], cv, more) or results
            return results

        return evaluate_in_batches

    def _evaluate_batch(
        self,
        evaluate: Callable[..., Any],
        batch: list[Mapping[str, Any]],
        cv: Any,
        more_results: Mapping[str, list[Any]] | None,
    ) -> Any:
        """Evaluate a batch and record its scores; stop the search when its time is over."""
        self._check_time()
        try:
            results = self._evaluate_with_retries(evaluate, batch, cv, more_results)
        except ValueError as error:
            # The message of scikit-learn when a candidate failed on every fold.
            if "fits failed" not in str(error) or more_results is not None:
                raise
            reason = _last_line(error)
            for parameters in batch:
                number = len(self.outcomes)
                self._add(CandidateScore(number, parameters, math.nan, math.nan, 0.0, fault=reason))
            return None
        for i, parameters in enumerate(batch):
            iteration = 0 if more_results is None else int(more_results["iter"][i])
            self._add(self._outcome(parameters, iteration, results, i - len(batch)))
        return results

    def _check_time(self) -> None:
        seconds = time.perf_counter() - self._started
        if self.outcomes and self.max_seconds is not None and not seconds <= self.max_seconds:
            of_total = "" if self.total is None else f" of {self.total}"
            count = f"{len(self.outcomes)}{of_total}"
            self.stopped = f"after {self.max_seconds:g} s, with {count} candidates tried"
            raise _StoppedError

    def _outcome(
        self, parameters: Mapping[str, Any], iteration: int, results: Any, index: int
    ) -> CandidateScore:
        """Read the scores of the candidate at *index* from ``cv_results_``."""
        score = float(results["mean_test_score"][index])
        return CandidateScore(
            number=len(self.outcomes),
            parameters=parameters,
            score=score,
            spread=float(results["std_test_score"][index]),
            seconds=float(results["mean_fit_time"][index]),
            iteration=iteration,
            fault="" if np.isfinite(score) else "failed on some folds",
            fold_scores=tuple(
                float(results[f"split{fold}_test_score"][index]) for fold in range(self.folds)
            ),
            tie_breaker=(
                float(results["mean_test_tie_breaker"][index]) if self.tie_breaker else math.nan
            ),
        )

    def _evaluate_with_retries(
        self, evaluate: Callable[..., Any], batch: Any, cv: Any, more_results: Any
    ) -> Any:
        """Evaluate a batch, again when the cluster lost the worker that ran it."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return evaluate(batch, cv=cv, more_results=more_results)
            except Exception as error:
                if not _is_lost_worker(error):
                    raise
                if attempt == ATTEMPTS:
                    raise TrainingError(
                        f"the cluster lost a candidate {ATTEMPTS} times: {_one_line(error)}; "
                        "do its workers have memory enough?"
                    ) from error

    def _add(self, outcome: CandidateScore) -> None:
        self.outcomes.append(outcome)
        scores = [o.score for o in self.outcomes if not math.isnan(o.score)]
        best = max(scores, default=math.nan)
        self._watcher.candidate(len(self.outcomes), self.total, outcome.score, best)

    def _baseline_score(self) -> float | None:
        """Score the dummy estimator, which ignores the features."""
        from sklearn.dummy import DummyClassifier, DummyRegressor
        from sklearn.model_selection import cross_val_score

        if self.rows.y is None:
            return None
        dummy = DummyClassifier() if self._task == "classification" else DummyRegressor()
        try:
            scores = cross_val_score(
                dummy,
                np.zeros((len(self.rows.y), 1)),
                self.rows.y,
                scoring=self.scoring,
                cv=self.splitter,
                params=self._group_arguments(),
            )
        except ValueError:  # the scorer needs a method that the dummy lacks
            return None
        return float(scores.mean()) if np.isfinite(scores).all() else None

    def _group_arguments(self) -> dict[str, Any]:
        return {} if self.rows.groups is None else {"groups": self.rows.groups}


def make_search(kind: str, estimator: Any, space: Mapping[str, Any], **options: Any) -> Any:
    """Make a grid, random or halving search of scikit-learn, for :meth:`SearchRun.fit`."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV

    kinds = {"grid": GridSearchCV, "random": RandomizedSearchCV, "halving": HalvingRandomSearchCV}
    return _batched_search_class(kinds[kind])(
        estimator, space, refit=False, error_score=np.nan, **options
    )


def make_preset_search(task: str, evaluate_all: Callable[[Callable[..., Any]], None]) -> Any:
    """Make a search over pipelines whose candidates come from *evaluate_all*."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.pipeline import Pipeline

    dummy = DummyClassifier() if task == "classification" else DummyRegressor()
    base = Pipeline([("preprocess", "passthrough"), ("estimator", dummy)])
    search = make_search("grid", base, {})
    search.evaluate_all = evaluate_all
    return search


def _batched_search_class(kind: Any) -> Any:
    """Make a subclass of a search that evaluates its candidates through ``self.run``."""

    class BatchedSearch(kind):  # type: ignore[misc]
        """A search of scikit-learn that evaluates its candidates in batches."""

        def _run_search(self, evaluate_candidates: Any, callback_ctx: Any = None) -> None:
            evaluate = self.run.in_batches(evaluate_candidates)
            run_search = super()._run_search
            if hasattr(self, "evaluate_all"):
                self.evaluate_all(evaluate)
            elif "callback_ctx" in signature(run_search).parameters:  # since scikit-learn 1.9
                run_search(evaluate, callback_ctx=callback_ctx)
            else:
                run_search(evaluate)
            if not self.run.has_scores():
                raise _StoppedError  # fit() would select the best of no scores

        def __reduce__(self) -> Any:
            # The tasks for a worker include the search; the run must stay here.
            return kind, (self.estimator, {})

    BatchedSearch.__name__ = kind.__name__
    return BatchedSearch


def _is_lost_worker(error: BaseException) -> bool:
    """Return whether the error means a lost worker, which is worth another attempt."""
    from concurrent.futures import BrokenExecutor, CancelledError

    module = type(error).__module__.partition(".")[0]
    return isinstance(error, CancelledError | BrokenExecutor) or module == "distributed"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__
