"""Fit an estimator with ``partial_fit`` on a table that is read in chunks."""

from __future__ import annotations

import copy
import inspect
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    """The fitted pipeline, the loss after each epoch, and notes for the user."""

    estimator: Any
    losses: tuple[float, ...]
    notes: tuple[str, ...]


def fit_chunks(recipe: Recipe, dataset: Dataset, watcher: ProgressListener) -> PartialFitResult:
    """Fit the estimator of *recipe* on the chunks of *dataset*.

    The preprocessing is fitted to the sample.  In each epoch the last step learns from every
    training row, in table order.  A KeyboardInterrupt ends the training, and the estimator stays as
    it is then.

    Raises
    ------
    RecipeError
        The estimator has no ``partial_fit``.
    TrainingError
        The estimator refused the rows.
    """
    estimator = make_estimator(recipe, dataset)
    fitter = _PartialFitter(recipe, dataset, estimator)
    name = type(fitter.last_step).__name__
    notes: tuple[str, ...] = ()
    losses: list[float] = []
    try:
        with limit_threads(0):
            fitter.fit_preprocessing()
            for epoch in range(1, recipe.training.epochs + 1):
                fitter.fit_epoch(watcher)
                loss = fitter.loss()
                if loss is not None:
                    losses.append(loss)
                    watcher.epoch(epoch, loss)
                if fitter.should_stop(loss):
                    break
    except KeyboardInterrupt:
        if not fitter.rows_learnt:
            raise
        notes = (f"interrupted; {name} learnt from {fitter.rows_learnt} rows",)
    except Exception as error:
        # An estimator of any library may raise anything.
        if isinstance(error, TrainingError | OSError):
            raise
        reason = " ".join(str(error).split())
        raise TrainingError(f"{name} refused the training rows: {reason}") from error
    return PartialFitResult(fitter.pipeline(), tuple(losses), notes)


class _PartialFitter:
    """Fit a pipeline epoch by epoch, and keep its best last step for early stopping."""

    def __init__(self, recipe: Recipe, dataset: Dataset, estimator: Any) -> None:
        from sklearn.pipeline import Pipeline

        self._recipe, self._dataset = recipe, dataset
        self._table: ChunkedTable = dataset.parts
        self._steps = list(estimator.steps) if isinstance(estimator, Pipeline) else []
        self._preprocessing: Any = Pipeline(self._steps[:-1]) if len(self._steps) > 1 else None
        self.last_step = last_step(estimator)
        if not hasattr(self.last_step, "partial_fit"):
            raise recipe.error(
                "data.chunk_rows",
                f"{type(self.last_step).__name__} has no partial_fit, and needs the whole table; "
                "estimators of scikit-learn with partial_fit: "
                f"{join_names(_estimators_with_partial_fit(recipe.task))}",
            )
        parameters = inspect.signature(self.last_step.partial_fit).parameters
        labels = self._table.labels
        self._classes = {}
        if "classes" in parameters and labels is not None and len(recipe.data.targets) == 1:
            self._classes = {"classes": check_target(recipe, labels)}
        self.rows_learnt = 0
        self._best_loss = math.inf
        self._best_step: Any = None
        self._epochs_without_gain = 0

    def fit_preprocessing(self) -> None:
        """Fit the steps before the last one to the sample."""
        if self._preprocessing is not None:
            self._preprocessing.fit(self._dataset.X_train, self._dataset.y_train)

    def fit_epoch(self, watcher: ProgressListener) -> None:
        """Learn from every training row once."""
        rows_in_epoch = 0
        for X, y in self._table.training_chunks():
            features = X if self._preprocessing is None else self._preprocessing.transform(X)
            if y is None:
                self.last_step.partial_fit(features)
            else:
                self.last_step.partial_fit(features, y, **self._classes)
            rows_in_epoch += len(X)
            self.rows_learnt += len(X)
            watcher.part(rows_in_epoch, self._table.train_rows)

    def loss(self) -> float | None:
        """Compute log loss, mean squared error or error rate on the validation rows."""
        X, y = self._dataset.X_train, self._dataset.y_train
        if len(self._table.validation):
            X, y = self._table.features_and_target(self._table.validation)
        if y is None:
            return None
        from sklearn.metrics import log_loss, mean_squared_error

        pipeline = self._with_last_step(self.last_step)
        if self._recipe.task == "regression":
            return float(mean_squared_error(y, pipeline.predict(X)))
        if y.ndim == 1 and hasattr(pipeline, "predict_proba"):
            probabilities = pipeline.predict_proba(X)
            return float(log_loss(y, probabilities, labels=self.last_step.classes_))
        is_wrong = np.atleast_2d((pipeline.predict(X) != y).T)
        return float(np.mean(np.any(is_wrong, axis=0)))

    def should_stop(self, loss: float | None) -> bool:
        """Return whether ``patience`` epochs in a row brought no gain; keep the best step."""
        patience = self._recipe.training.patience
        if patience is None or loss is None:
            return False
        if loss < self._best_loss:
            self._best_loss, self._epochs_without_gain = loss, 0
            self._best_step = copy.deepcopy(self.last_step)
            return False
        self._epochs_without_gain += 1
        return self._epochs_without_gain >= patience

    def pipeline(self) -> Any:
        """Return the fitted pipeline, with the last step of the best epoch."""
        return self._with_last_step(self.last_step if self._best_step is None else self._best_step)

    def _with_last_step(self, step: Any) -> Any:
        from sklearn.pipeline import Pipeline

        if self._preprocessing is None:
            return step
        return Pipeline([*self._preprocessing.steps, (self._steps[-1][0], step)])


_ESTIMATOR_TYPES = {
    "classification": "classifier",
    "regression": "regressor",
    "clustering": "cluster",
    "transform": "transformer",
}


def _estimators_with_partial_fit(task: str) -> list[str]:
    from sklearn.utils import all_estimators

    estimators = all_estimators(type_filter=_ESTIMATOR_TYPES.get(task))
    return sorted((name for name, cls in estimators if hasattr(cls, "partial_fit")), reverse=True)
