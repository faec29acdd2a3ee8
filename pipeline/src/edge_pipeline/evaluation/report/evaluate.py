"""Evaluate a sealed model on test rows: metrics, curves, errors by group, importance.

The model is the sealed file itself, run by edge_runtime, so the figures hold on the device.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from edge_runtime.model import Model
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.inspection import permutation_importance

from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.accuracy import check_target_width
from edge_pipeline.evaluation.predictions import predict_rows, take_rows
from edge_pipeline.evaluation.report.curves import calibration, confusion, ranking, residuals
from edge_pipeline.evaluation.report.measurements import Counts, Group, Importance
from edge_pipeline.evaluation.report.scores import (
    bootstrap,
    class_labels,
    score_metrics,
    stored_predictions,
    wilson,
)

__all__ = ["USUAL_METRICS", "EvaluationRows", "Sections", "evaluate"]

MULTI_LABEL_METRICS = ("accuracy", "f1_macro")
USUAL_METRICS = {
    "classification": ("accuracy", "balanced_accuracy"),
    "regression": ("r2", "neg_mean_absolute_error"),
}

SHUFFLES = 5
SHUFFLED_ROWS = 2000
MAX_SHUFFLED_COLUMNS = 200
"""Most columns with an importance: they are shuffled one by one, which takes minutes for more."""

MAX_GROUPS = 12
"""Most distinct values of a column that is shown by group."""

MIN_RESAMPLED_ROWS = 5
"""Resampling fewer rows gives an interval that is too narrow."""

GROUPED_COLUMNS = 6
QUARTILES = 4
COMMONEST_LABELS = 20


class EvaluationRows(NamedTuple):
    """Rows that training did not see, their targets, and the settings of the evaluation.

    Attributes
    ----------
    rows
        In a container that the model accepts.
    y
        Their targets, or None.
    task
        The task in the manifest.
    metrics
        Names of scikit-learn's scorers.
    y_train
        Targets of the training rows, on which the baseline is fitted, or None.
    groups
        Columns for which the user wants errors by group.
    seed
        Seed of resamples and shuffles.
    """

    rows: Any
    y: NDArray[Any] | None
    task: str
    metrics: tuple[str, ...] = ()
    y_train: NDArray[Any] | None = None
    groups: tuple[str, ...] = ()
    seed: int = 0


class Sections:
    """Collect the sections of an evaluation, and the reasons for those that are left out."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.left_out: dict[str, str] = {}

    def add(self, name: str, compute: Callable[[], Any]) -> Any:
        """Store what *compute* returns as section *name*; leave out None and empty lists."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                value = compute()
        except (
            ValueError,
            TypeError,
            ArithmeticError,
            AttributeError,
            MeasurementError,
        ) as error:
            # scikit-learn raises these when a figure is undefined for the rows: for one class
            # alone, say, or for a metric of probabilities where there are none.
            self.left_out[name] = " ".join(str(error).split())[:300]
            return None
        if value is not None and not (isinstance(value, Sequence) and not value):
            self.values[name] = tuple(value) if isinstance(value, list) else value
        return value


def evaluate(model: Model, data: EvaluationRows, sections: Sections) -> int:
    """Add the evaluation of *model* to *sections*; return the number of refused rows."""
    if "predict" not in model.methods:
        sections.left_out["scores"] = "the model has no predict"
        return 0
    predictions = predict_rows(model, "predict", data.rows)
    refused = predictions.refused
    rows = take_rows(data.rows, predictions.rows.tolist()) if refused else data.rows
    if data.y is None:
        sections.add("answers", lambda: _label_counts(predictions.values))
        return len(refused)
    y = np.asarray(data.y)[predictions.rows]
    check_target_width(_width(predictions.values), _width(y))
    by_method = {"predict": predictions.values, **_class_scores(model, rows)}
    task = data.task if data.task in USUAL_METRICS else "regression"
    metrics = data.metrics or _usual_metrics(task, several_targets=y.ndim > 1)
    classes = list(model.manifest.classes.get("predict", ()))
    estimator = stored_predictions(task, by_method, classes)
    sections.add(
        "scores",
        lambda: score_metrics(
            metrics, estimator, y, task=task, y_train=data.y_train, seed=data.seed
        ),
    )
    if task == "classification" and y.ndim == 1:
        _add_class_curves(y, by_method, classes, sections)
    elif task == "regression":
        sections.add("residuals", lambda: residuals(y, predictions.values, data.seed))
    errors = _errors(y, predictions.values, task)
    if sections.add("groups", lambda: _groups(rows, errors, task, data)):
        sections.values["groups_of"] = (
            "share of wrong predictions" if task == "classification" else "mean absolute error"
        )
    metric = metrics[0]
    if sections.add("importance", lambda: _importance(model, rows, y, task, metric, data.seed)):
        sections.values["importance_of"] = metric
    return len(refused)


def _usual_metrics(task: str, *, several_targets: bool) -> tuple[str, ...]:
    if several_targets and task == "classification":
        return MULTI_LABEL_METRICS
    return USUAL_METRICS[task]


def _add_class_curves(
    y: NDArray[Any],
    by_method: dict[str, NDArray[Any]],
    classes: Sequence[Any],
    sections: Sections,
) -> None:
    """Add confusion matrix, calibration, ROC, and precision and recall."""
    sections.add("confusion", lambda: confusion(y, by_method["predict"], classes))
    if "predict_proba" in by_method:
        proba = by_method["predict_proba"]
        sections.add("calibration", lambda: calibration(y, proba, classes))
    score = by_method.get("predict_proba", by_method.get("decision_function"))
    if score is not None:
        sections.add("roc", lambda: ranking(y, score, classes, kind="roc"))
        sections.add(
            "precision_recall", lambda: ranking(y, score, classes, kind="precision_recall")
        )


def _class_scores(model: Model, rows: Any) -> dict[str, NDArray[Any]]:
    """Run ``predict_proba`` and ``decision_function`` where the model has them."""
    results: dict[str, NDArray[Any]] = {}
    for method in ("predict_proba", "decision_function"):
        if method in model.methods:
            result = getattr(model, method)(rows)
            if isinstance(result, np.ndarray):  # a list: several targets
                results[method] = result
    return results


def _label_counts(predicted: NDArray[Any]) -> Counts:
    """Count the commonest labels, of a clustering or of an anomaly detector, say."""
    if predicted.dtype.kind == "f":
        raise ValueError("the predictions are numbers, and their target is unknown")
    labels, counts = np.unique(predicted.astype(str), return_counts=True)
    order = np.argsort(-counts)[:COMMONEST_LABELS]
    return Counts(labels=tuple(labels[order].tolist()), counts=tuple(int(n) for n in counts[order]))


def _width(values: NDArray[Any]) -> int:
    return values.shape[1] if values.ndim > 1 else 1


def _errors(y: NDArray[Any], predicted: NDArray[Any], task: str) -> NDArray[np.float64]:
    """Compute the error of each row: 1 for a wrong class, or the absolute error of a number."""
    if task == "classification":
        is_wrong = (y != predicted).reshape(len(y), -1).any(axis=1)
        return np.asarray(is_wrong, dtype=np.float64)
    absolute = np.abs(y.astype(np.float64) - predicted).reshape(len(y), -1).mean(axis=1)
    return np.asarray(absolute, dtype=np.float64)


def _groups(rows: Any, errors: NDArray[np.float64], task: str, data: EvaluationRows) -> list[Group]:
    """Compute errors by group, for the user's columns and for those with few distinct values."""
    if not isinstance(rows, pd.DataFrame):
        return []
    names = [name for name in data.groups if name in rows.columns]
    names += [name for name in rows.columns if name not in names and _has_few_values(rows[name])]
    groups = []
    for name in names[: max(GROUPED_COLUMNS, len(data.groups))]:
        labels = np.array(_group_labels(rows[name]))
        order = np.argsort(_sort_keys(rows[name]), kind="stable")
        for label in dict.fromkeys(labels[order].tolist()):
            groups.append(_group(str(name), label, errors[labels == label], task, data.seed))
    return groups


def _has_few_values(column: pd.Series[Any]) -> bool:
    is_categorical = column.dtype == object or column.dtype == bool
    return bool(is_categorical) and 2 <= column.nunique(dropna=False) <= MAX_GROUPS


def _group_labels(column: pd.Series[Any]) -> list[str]:
    """Name the group of each row: its value, or the quartile of a column of measurements."""
    if _is_measured(column):
        codes, edges = pd.qcut(column, QUARTILES, labels=False, retbins=True, duplicates="drop")
        return [
            "missing" if np.isnan(code) else f"{edges[int(code)]:.3g} to {edges[int(code) + 1]:.3g}"
            for code in codes.to_numpy(dtype=np.float64)
        ]
    return ["missing" if pd.isna(value) else str(value) for value in column]


def _sort_keys(column: pd.Series[Any]) -> NDArray[Any]:
    """Return the values that order the groups of *column*; missing values come last."""
    if pd.api.types.is_numeric_dtype(column):
        return np.asarray(np.nan_to_num(column.to_numpy(dtype=np.float64), nan=np.inf))
    return np.array(["\uffff" if pd.isna(value) else str(value) for value in column])


def _is_measured(column: pd.Series[Any]) -> bool:
    numbers = pd.api.types.is_numeric_dtype(column) and column.dtype != bool
    return bool(numbers) and column.nunique() > MAX_GROUPS


def _group(name: str, label: str, errors: NDArray[np.float64], task: str, seed: int) -> Group:
    low: float | None = None
    high: float | None = None
    if task == "classification":
        low, high = wilson(int(errors.sum()), len(errors))
    elif len(errors) >= MIN_RESAMPLED_ROWS:
        low, high, _ = bootstrap(lambda sample: errors[sample].mean(), len(errors), seed)
    return Group(
        column=name, group=label, rows=len(errors), value=float(errors.mean()), low=low, high=high
    )


class _ModelEstimator(BaseEstimator):  # type: ignore[misc]
    """Wrap a sealed model as a fitted scikit-learn estimator."""

    def __init__(self, model: Model, classes: Sequence[Any] = ()) -> None:
        self.model = model
        self.classes = classes
        if len(classes):
            self.classes_ = class_labels(classes)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> _ModelEstimator:
        """Do nothing: the model is fitted."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name in ("predict", "predict_proba", "decision_function") and "model" in self.__dict__:
            return getattr(self.model, name)
        raise AttributeError(name)


class _ModelClassifier(ClassifierMixin, _ModelEstimator):  # type: ignore[misc]
    """Tells scorers that the predictions are classes."""


class _ModelRegressor(RegressorMixin, _ModelEstimator):  # type: ignore[misc]
    """Tells scorers that the predictions are numbers."""


def _importance(
    model: Model, rows: Any, y: NDArray[Any], task: str, metric: str, seed: int
) -> list[Importance]:
    names = model.schema.names
    if model.schema.loose or len(names) < 2:
        return []
    if len(names) > MAX_SHUFFLED_COLUMNS:
        raise ValueError(f"{len(names)} columns are too many to shuffle one by one")
    if len(y) > SHUFFLED_ROWS:
        sample = np.sort(np.random.default_rng(seed).permutation(len(y))[:SHUFFLED_ROWS])
        rows, y = take_rows(rows, sample.tolist()), y[sample]
    classes = list(model.manifest.classes.get("predict", ()))
    kind = _ModelClassifier if task == "classification" else _ModelRegressor
    result = permutation_importance(
        kind(model, classes), rows, y, scoring=metric, n_repeats=SHUFFLES, random_state=seed
    )
    order = np.argsort(-result.importances_mean, kind="stable")
    return [
        Importance(
            column=str(names[i]),
            mean=float(result.importances_mean[i]),
            std=float(result.importances_std[i]),
        )
        for i in order
    ]
