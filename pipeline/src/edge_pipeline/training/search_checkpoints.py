"""scikit-learn's searches, told of and stopped between two candidates.

Its search classes hand their candidates to ``evaluate_candidates``, the hook that it offers to
searches of one's own; here they arrive there in pieces.
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
"""How often a piece is sent to a cluster whose workers die under it."""

INTERRUPTED = "interrupted"


class _StoppedError(Exception):
    """Ends a search that keeps what it has."""


@dataclass(frozen=True)
class CandidateScore:
    """How one candidate did; *iteration* counts the rounds of a halving search.

    *folds* has its score on each fold; *finer* the score that tells equals apart.
    """

    number: int
    parameters: Mapping[str, Any]
    score: float
    spread: float
    seconds: float
    iteration: int = 0
    fault: str = ""
    folds: tuple[float, ...] = ()
    finer: float = math.nan

    def candidate(self, family: str, parameters: Mapping[str, Any]) -> Candidate:
        """The same as told in the report."""
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
    """One search over some rows, and what came of it so far."""

    def __init__(
        self, recipe: Recipe, rows: Rows, scoring: str, watcher: ProgressListener, engine: Engine
    ) -> None:
        self.rows = rows
        self.scoring = scoring
        self.outcomes: list[CandidateScore] = []
        self.stopped = ""
        self.total: int | None = None
        self.finer: str | None = None
        self.max_seconds = None if recipe.search is None else recipe.search.max_seconds
        self.splitter = make_folds(recipe, rows)
        self.folds: int = self.splitter.get_n_splits(rows.X, rows.y, rows.groups)
        self.baseline: float | None = None
        self._task = recipe.task
        self._watcher = watcher
        self._engine = engine
        self._size = 1
        self._started = 0.0

    def through(self, search: Any) -> None:
        """Fit *search*, which hands its candidates to this run.

        Raises
        ------
        TrainingError
            No candidate could be fitted, or the cluster lost its workers again and again.
        """
        self._started = time.perf_counter()
        # scikit-learn calls a single scorer "score".
        several = {"score": self.scoring, "finer": self.finer}
        search.set_params(scoring=several if self.finer else self.scoring, cv=self.splitter)
        search.run = self
        with warnings.catch_warnings(), limit_threads(len(self.rows.X)):
            # What each of many candidates warns about is noise; the chosen one warns again.
            warnings.simplefilter("ignore")
            self.baseline = self._baseline_score()
            with use_engine(self._engine, (self.rows.X, self.rows.y)) as workers:
                if workers > 1:
                    self._size = max(1, math.ceil(2 * workers / self.folds))
                try:
                    search.fit(self.rows.X, self.rows.y, **self._groups())
                except _StoppedError:
                    pass
                except KeyboardInterrupt:
                    if not self.has_scores():
                        raise
                    self.stopped = f"{INTERRUPTED}, with {len(self.outcomes)} candidates tried"
                except ValueError as error:
                    raise TrainingError(f"the search cannot run: {_one_line(error)}") from error
        if not self.has_scores():
            fault = next((one.fault for one in self.outcomes if one.fault), "none was tried")
            raise TrainingError(f"no candidate could be fitted: {fault}")

    def has_scores(self) -> bool:
        """Whether any candidate could be fitted."""
        return any(not math.isnan(one.score) for one in self.outcomes)

    def finalists(self) -> frozenset[int] | None:
        """Candidates of the last round of a halving search; None for the other searches."""
        last = max((one.iteration for one in self.outcomes), default=0)
        if last == 0:
            return None
        return frozenset(one.number for one in self.outcomes if one.iteration == last)

    def in_batches(self, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        """*evaluate*, given some candidates at a time."""

        def evaluate_pieces(
            candidates: Iterable[Mapping[str, Any]],
            cv: Any = None,
            more_results: Mapping[str, list[Any]] | None = None,
            **_: Any,
        ) -> Any:
            everything: list[Mapping[str, Any]] = list(candidates)
            results: Any = {}
            for start in range(0, len(everything), self._size):
                end = start + self._size
                more = more_results and {key: all_[start:end] for key, all_ in more_results.items()}
                results = self._evaluate_batch(evaluate, everything[start:end], cv, more) or results
            return results

        return evaluate_pieces

    def _evaluate_batch(
        self,
        evaluate: Callable[..., Any],
        piece: list[Mapping[str, Any]],
        cv: Any,
        more: Mapping[str, list[Any]] | None,
    ) -> Any:
        spent = time.perf_counter() - self._started
        if self.outcomes and self.max_seconds is not None and not spent <= self.max_seconds:
            of = "" if self.total is None else f" of {self.total}"
            tried = f"{len(self.outcomes)}{of} candidates tried"
            self.stopped = f"after {self.max_seconds:g} s, with {tried}"
            raise _StoppedError
        try:
            results = self._evaluate_with_retries(evaluate, piece, cv, more)
        except ValueError as error:
            # scikit-learn's text when a candidate failed on every fold.
            if "fits failed" not in str(error) or more is not None:
                raise
            for parameters in piece:
                number = len(self.outcomes)
                fault = _last_line(error)
                self._add(CandidateScore(number, parameters, math.nan, math.nan, 0.0, fault=fault))
            return None
        for i, parameters in enumerate(piece):
            at = i - len(piece)
            score = float(results["mean_test_score"][at])
            one = CandidateScore(
                len(self.outcomes),
                parameters,
                score,
                float(results["std_test_score"][at]),
                float(results["mean_fit_time"][at]),
                0 if more is None else int(more["iter"][i]),
                "" if np.isfinite(score) else "failed on some folds",
                tuple(float(results[f"split{n}_test_score"][at]) for n in range(self.folds)),
                float(results["mean_test_finer"][at]) if self.finer else math.nan,
            )
            self._add(one)
        return results

    def _evaluate_with_retries(
        self, evaluate: Callable[..., Any], piece: Any, cv: Any, more: Any
    ) -> Any:
        """Evaluate a piece; again when the cluster lost the worker that held it."""
        for _ in range(ATTEMPTS - 1):
            try:
                return evaluate(piece, cv=cv, more_results=more)
            except Exception as error:
                if not _is_lost_worker(error):
                    raise
        try:
            return evaluate(piece, cv=cv, more_results=more)
        except Exception as error:
            if not _is_lost_worker(error):
                raise
            raise TrainingError(
                f"the cluster lost a candidate {ATTEMPTS} times: {_one_line(error)}; "
                "do its workers have memory enough?"
            ) from error

    def _add(self, one: CandidateScore) -> None:
        self.outcomes.append(one)
        scores = [one.score for one in self.outcomes if not math.isnan(one.score)]
        best = max(scores, default=math.nan)
        self._watcher.candidate(len(self.outcomes), self.total, one.score, best)

    def _baseline_score(self) -> float | None:
        """Score of a model that does not look at the columns."""
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
                params=self._groups(),
            )
        except ValueError:  # a scorer that asks for what a dummy lacks
            return None
        return float(scores.mean()) if np.isfinite(scores).all() else None

    def _groups(self) -> dict[str, Any]:
        return {} if self.rows.groups is None else {"groups": self.rows.groups}


def make_search(kind: str, estimator: Any, space: Mapping[str, Any], **options: Any) -> Any:
    """scikit-learn's search of that *kind*, for a :class:`SearchRun`."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401  adds the third
    from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV

    kinds = {"grid": GridSearchCV, "random": RandomizedSearchCV, "halving": HalvingRandomSearchCV}
    return _batched_search_class(kinds[kind])(
        estimator, space, refit=False, error_score=np.nan, **options
    )


def make_preset_search(task: str, try_them: Callable[[Callable[..., Any]], None]) -> Any:
    """A search whose candidates *try_them* hands over: pipelines of preprocess and estimator."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.pipeline import Pipeline

    dummy = DummyClassifier() if task == "classification" else DummyRegressor()
    base = Pipeline([("preprocess", "passthrough"), ("estimator", dummy)])
    search = make_search("grid", base, {})
    search.try_them = try_them
    return search


def _batched_search_class(kind: Any) -> Any:
    """A subclass of a search that goes through ``self.run``."""

    class Watched(kind):  # type: ignore[misc]
        """A search of scikit-learn in pieces."""

        def _run_search(self, evaluate_candidates: Any, callback_ctx: Any = None) -> None:
            evaluate = self.run.in_batches(evaluate_candidates)
            own = super()._run_search
            if hasattr(self, "try_them"):
                self.try_them(evaluate)
            elif "callback_ctx" in signature(own).parameters:  # from scikit-learn 1.9 on
                own(evaluate, callback_ctx=callback_ctx)
            else:
                own(evaluate)
            if not self.run.has_scores():
                raise _StoppedError  # the rest of fit picks from scores

        def __reduce__(self) -> Any:
            # A worker is sent the search that it works for, and must not ask for the run.
            return kind, (self.estimator, {})

    Watched.__name__ = kind.__name__
    return Watched


def _is_lost_worker(error: BaseException) -> bool:
    """Whether a cluster lost a worker, and not the work: that is worth another attempt."""
    from concurrent.futures import BrokenExecutor, CancelledError

    module = type(error).__module__.partition(".")[0]
    return isinstance(error, CancelledError | BrokenExecutor) or module == "distributed"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__
