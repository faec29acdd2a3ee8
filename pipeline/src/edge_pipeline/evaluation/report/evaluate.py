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

from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.accuracy import check_target_width
from edge_pipeline.evaluation.predictions import predict_rows, take_rows
from edge_pipeline.evaluation.report.class_scores import class_scores, threshold_counts
from edge_pipeline.evaluation.report.column_histograms import number_histogram
from edge_pipeline.evaluation.report.confusion import confusion
from edge_pipeline.evaluation.report.curves import calibration, ranking, residuals
from edge_pipeline.evaluation.report.importance import importance, partial_dependence
from edge_pipeline.evaluation.report.measurements import Counts, Group
from edge_pipeline.evaluation.report.row_groups import group_labels, has_few_values, sort_keys
from edge_pipeline.evaluation.report.scores import (
    bootstrap,
    classes_of,
    score_metrics,
    stored_predictions,
    target_accuracies,
    wilson,
)
from edge_pipeline.evaluation.report.worst_rows import anomalous_rows, far_rows, wrong_rows

__all__ = [
    "NO_ROWS",
    "USUAL_METRICS",
    "EvaluationRows",
    "Sections",
    "evaluate",
]

MULTI_LABEL_METRICS = ("accuracy", "f1_macro")
USUAL_METRICS = {
    "classification": ("accuracy", "balanced_accuracy"),
    "regression": ("r2", "neg_mean_absolute_error"),
}

MIN_RESAMPLED_ROWS = 5
"""Resampling fewer rows gives an interval that is too narrow."""

GROUPED_COLUMNS = 6
NO_ROWS = "single rows are private: the report was written without them"
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
    targets
        Names of the target columns; empty when they are unknown.
    show_rows
        Whether single rows may be shown.
    """

    rows: Any
    y: NDArray[Any] | None
    task: str
    metrics: tuple[str, ...] = ()
    y_train: NDArray[Any] | None = None
    groups: tuple[str, ...] = ()
    seed: int = 0
    targets: tuple[str, ...] = ()
    show_rows: bool = True


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
    if data.task == "anomaly":
        _add_anomalies(model, rows, predictions.values, data, sections)
    if data.y is None:
        sections.add("answers", lambda: _label_counts(predictions.values))
        _add_dependence(model, rows, data, sections)
        return len(refused)
    y = np.asarray(data.y)[predictions.rows]
    check_target_width(_width(predictions.values), _width(y))
    task = _task_of(data.task, y)
    metrics = data.metrics or _usual_metrics(task, several_targets=y.ndim > 1)
    by_method = {"predict": predictions.values, **_class_scores(model, rows)}
    _add_scores(model, y, by_method, data._replace(task=task, metrics=metrics), sections)
    _add_rows(model, rows, y, by_method, data._replace(task=task), sections)
    errors = _errors(y, predictions.values, task)
    if sections.add("groups", lambda: _groups(rows, errors, task, data)):
        sections.values["groups_of"] = (
            "share of wrong predictions" if task == "classification" else "mean absolute error"
        )
    metric = _importance_metric(metrics[0], y, task)
    if sections.add("importance", lambda: importance(model, rows, y, task, metric, data.seed)):
        sections.values["importance_of"] = metric if isinstance(metric, str) else "accuracy"
    _add_dependence(model, rows, data, sections)
    return len(refused)


def _importance_metric(name: str, y: NDArray[Any], task: str) -> Any:
    """Return the name of the metric, or the accuracy of all labels of several targets."""
    if y.ndim == 1 or task != "classification":
        return name
    return lambda estimator, X, y_true: float((estimator.predict(X) == y_true).mean())


def _task_of(task: str, y: NDArray[Any]) -> str:
    """Choose the metrics: a detector of anomalies is a classifier of 1 and -1."""
    if task == "anomaly":
        if not {-1, 1}.issuperset(np.unique(y).tolist()):
            raise MeasurementError(
                "the target of an anomaly detector must be -1 for an anomaly and 1 for any other "
                f"row, as its predictions; found {np.unique(y)[:5].tolist()}"
            )
        return "classification"
    return task if task in USUAL_METRICS else "regression"


def _add_scores(
    model: Model,
    y: NDArray[Any],
    by_method: dict[str, NDArray[Any]],
    data: EvaluationRows,
    sections: Sections,
) -> None:
    """Add the metrics, and the curves of the task."""
    classes = classes_of(model.manifest)
    estimator = stored_predictions(data.task, by_method, classes)
    sections.add(
        "scores",
        lambda: score_metrics(
            data.metrics, estimator, y, task=data.task, y_train=data.y_train, seed=data.seed
        ),
    )
    predicted = by_method["predict"]
    if y.ndim > 1 and data.task == "classification" and "scores" not in sections.values:
        # scikit-learn has no metric for several targets with more than two classes.
        sections.left_out.pop("scores", None)
        sections.add("scores", lambda: target_accuracies(y, predicted, data.y_train, data.targets))
    if data.task != "classification":
        sections.add("residuals", lambda: residuals(y, predicted, data.seed, data.targets))
        return
    names = data.targets if y.ndim > 1 else ("",)
    names = names or tuple(f"target {i + 1}" for i in range(_width(y)))
    sections.add("classes", lambda: class_scores(y, predicted, data.y_train, names))
    if y.ndim == 1:
        sections.add("confusion", lambda: confusion(y, predicted, classes))
        if model.manifest.task == "anomaly":
            _add_anomaly_curves(y, by_method, sections)
        else:
            _add_class_curves(y, by_method, classes, sections)


def _add_rows(
    model: Model,
    rows: Any,
    y: NDArray[Any],
    by_method: dict[str, NDArray[Any]],
    data: EvaluationRows,
    sections: Sections,
) -> None:
    """Add the rows with the worst predictions, unless rows are private."""
    names, predicted = model.schema.names, by_method["predict"]
    if not data.show_rows:
        sections.left_out["rows"] = NO_ROWS
    elif data.task == "classification":
        sections.add("rows", lambda: wrong_rows(rows, names, y, predicted, by_method))
    else:
        sections.add("rows", lambda: far_rows(rows, names, y, predicted))


def _add_anomalies(
    model: Model,
    rows: Any,
    predicted: NDArray[Any],
    data: EvaluationRows,
    sections: Sections,
) -> None:
    """Add the scores of an anomaly detector, and its most anomalous rows."""
    method = next((m for m in ("decision_function", "score_samples") if m in model.methods), None)
    if method is None:
        return
    score = np.asarray(getattr(model, method)(rows), dtype=np.float64).reshape(-1)
    sections.add("anomaly_scores", lambda: number_histogram(method, score, None))
    if data.y is None and data.show_rows:
        names = model.schema.names
        sections.add("rows", lambda: anomalous_rows(rows, names, predicted, score))
    elif data.y is None:
        sections.left_out["rows"] = NO_ROWS


def _add_dependence(model: Model, rows: Any, data: EvaluationRows, sections: Sections) -> None:
    """Add the partial dependence of the most important columns, or of the first ones."""
    columns = [item.column for item in sections.values.get("importance", ())]
    sections.add(
        "dependence",
        lambda: partial_dependence(
            model, rows, columns or model.schema.names, data.targets, data.seed
        ),
    )


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
    """Add calibration, ROC, precision and recall, and the thresholds of two classes."""
    if len(classes) == 2:
        _add_thresholds(y, by_method, classes, sections)
    if "predict_proba" in by_method:
        proba = by_method["predict_proba"]
        sections.add("calibration", lambda: calibration(y, proba, classes))
    score = by_method.get("predict_proba", by_method.get("decision_function"))
    if score is not None:
        _add_ranking(y, score, classes, sections)


def _add_anomaly_curves(
    y: NDArray[Any], by_method: dict[str, NDArray[Any]], sections: Sections
) -> None:
    """Add the curves of the anomalies, whose decision values are the lowest."""
    if "decision_function" in by_method:
        score = -by_method["decision_function"].reshape(-1)
        _add_ranking(np.where(y == -1, "anomaly", "normal"), score, ("normal", "anomaly"), sections)


def _add_ranking(
    y: NDArray[Any], score: NDArray[Any], classes: Sequence[Any], sections: Sections
) -> None:
    sections.add("roc", lambda: ranking(y, score, classes, kind="roc"))
    sections.add("precision_recall", lambda: ranking(y, score, classes, kind="precision_recall"))


def _add_thresholds(
    y: NDArray[Any],
    by_method: dict[str, NDArray[Any]],
    classes: Sequence[Any],
    sections: Sections,
) -> None:
    """Add the effect of a threshold on the probability, or on the decision value."""
    if "predict_proba" in by_method:
        score, name = by_method["predict_proba"][:, 1], "probability"
    elif "decision_function" in by_method:
        score, name = by_method["decision_function"].reshape(-1), "decision value"
    else:
        return
    sections.add("thresholds", lambda: threshold_counts(y, score, classes, score_name=name))


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
    names += [name for name in rows.columns if name not in names and has_few_values(rows[name])]
    groups = []
    for name in names[: max(GROUPED_COLUMNS, len(data.groups))]:
        labels = np.array(group_labels(rows[name]))
        order = np.argsort(sort_keys(rows[name]), kind="stable")
        for label in dict.fromkeys(labels[order].tolist()):
            groups.append(_group(str(name), label, errors[labels == label], task, data.seed))
    return groups


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
