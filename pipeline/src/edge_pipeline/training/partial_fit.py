"""A table read in parts in; an estimator that learnt from one after the other out."""

from __future__ import annotations

import copy
import inspect
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.dataset import Dataset
from edge_pipeline.data.imports import join_names
from edge_pipeline.data.out_of_core import ChunkedTable
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.targets import check_target
from edge_pipeline.errors import TrainingError
from edge_pipeline.progress import ProgressListener
from edge_pipeline.training.engines import limit_threads
from edge_pipeline.training.estimator_factory import last_step, make_estimator

__all__ = ["PartialFitResult", "fit_chunks"]


@dataclass(frozen=True)
class PartialFitResult:
    """The fitted whole, the loss after each epoch, and what should be known of it."""

    estimator: Any
    losses: tuple[float, ...]
    notes: tuple[str, ...]


def fit_chunks(recipe: Recipe, dataset: Dataset, watcher: ProgressListener) -> PartialFitResult:
    """Learn from the parts of *dataset*.

    The steps before the last are fitted to the sample; the last learns from every training row,
    in the order of the table, once an epoch.  A KeyboardInterrupt ends the learning, and what was
    learnt until then is kept.

    Raises
    ------
    RecipeError
        The estimator learns from whole tables alone.
    TrainingError
        It refused the rows.
    """
    estimator = make_estimator(recipe, dataset)
    learner = _PartialFitter(recipe, dataset, dataset.parts, estimator)
    name = type(learner.last).__name__
    notes: tuple[str, ...] = ()
    losses: list[float] = []
    try:
        with limit_threads(0):
            learner.prepare()
            for epoch in range(1, recipe.training.epochs + 1):
                learner.learn(watcher)
                loss = learner.loss()
                if loss is not None:
                    losses.append(loss)
                    watcher.epoch(epoch, loss)
                if learner.is_enough(loss):
                    break
    except KeyboardInterrupt:
        if not learner.rows:
            raise
        notes = (f"interrupted; {name} learnt from {learner.rows} rows",)
    except Exception as error:
        # An estimator of any library may raise anything; none of it is about our code.
        if isinstance(error, TrainingError | OSError):
            raise
        reason = " ".join(str(error).split())
        raise TrainingError(f"{name} refused the training rows: {reason}") from error
    return PartialFitResult(learner.whole(), tuple(losses), notes)


class _PartialFitter:
    """What was learnt so far."""

    def __init__(
        self, recipe: Recipe, dataset: Dataset, parts: ChunkedTable, estimator: Any
    ) -> None:
        from sklearn.pipeline import Pipeline

        self._recipe, self._dataset, self._parts = recipe, dataset, parts
        self._steps = list(estimator.steps) if isinstance(estimator, Pipeline) else []
        self._before: Any = Pipeline(self._steps[:-1]) if len(self._steps) > 1 else None
        self.last = last_step(estimator)
        if not hasattr(self.last, "partial_fit"):
            raise recipe.error(
                "data.chunk_rows",
                f"{type(self.last).__name__} learns from whole tables alone; of scikit-learn's, "
                f"these learn in parts: {join_names(_estimators_with_partial_fit(recipe.task))}",
            )
        takes = inspect.signature(self.last.partial_fit).parameters
        self._more = {}
        if "classes" in takes and parts.labels is not None and len(recipe.data.targets) == 1:
            self._more = {"classes": check_target(recipe, parts.labels)}
        self.rows = 0
        self._best = math.inf
        self._kept: Any = None
        self._waited = 0

    def prepare(self) -> None:
        """Fit the steps before the last one to the sample."""
        if self._before is not None:
            self._before.fit(self._dataset.X_train, self._dataset.y_train)

    def learn(self, watcher: ProgressListener) -> None:
        """Go through the training rows once."""
        done = 0
        for X, y in self._parts.training():
            ready = X if self._before is None else self._before.transform(X)
            if y is None:
                self.last.partial_fit(ready)
            else:
                self.last.partial_fit(ready, check_target(self._recipe, y), **self._more)
            done += len(X)
            self.rows += len(X)
            watcher.part(done, self._parts.train_rows)

    def loss(self) -> float | None:
        """On the rows held out, or on the sample: log loss, mean square, or share of errors."""
        X, y = self._validation_rows()
        if y is None:
            return None
        from sklearn.metrics import log_loss, mean_squared_error

        whole = self._with(self.last)
        if self._recipe.task == "regression":
            return float(mean_squared_error(y, whole.predict(X)))
        if y.ndim == 1 and hasattr(whole, "predict_proba"):
            found = log_loss(y, whole.predict_proba(X), labels=self.last.classes_)
            return float(found)
        return float(np.mean(np.any(np.atleast_2d((whole.predict(X) != y).T), axis=0)))

    def is_enough(self, loss: float | None) -> bool:
        """Whether as many epochs as the recipe waits brought nothing; the best one is kept."""
        patience = self._recipe.training.patience
        if patience is None or loss is None:
            return False
        if loss < self._best:
            self._best, self._waited, self._kept = loss, 0, copy.deepcopy(self.last)
            return False
        self._waited += 1
        return self._waited >= patience

    def whole(self) -> Any:
        """Every step, fitted; the last one as it was when it was best."""
        return self._with(self.last if self._kept is None else self._kept)

    def _with(self, last: Any) -> Any:
        from sklearn.pipeline import Pipeline

        if self._before is None:
            return last
        return Pipeline([*self._before.steps, (self._steps[-1][0], last)])

    def _validation_rows(self) -> tuple[pd.DataFrame, NDArray[Any] | None]:
        if len(self._parts.held):
            X, y = self._parts.divided(self._parts.held)
            return X, None if y is None else check_target(self._recipe, y)
        return self._dataset.X_train, self._dataset.y_train


_KINDS = {
    "classification": "classifier",
    "regression": "regressor",
    "clustering": "cluster",
    "transform": "transformer",
}


def _estimators_with_partial_fit(task: str) -> list[str]:
    from sklearn.utils import all_estimators

    found = all_estimators(type_filter=_KINDS.get(task))
    return sorted((name for name, kind in found if hasattr(kind, "partial_fit")), reverse=True)
