"""``evaluate``: a sealed model and rows whose target is known in; an Evaluation's figures out.

The model is the sealed file itself, asked as a device asks it: what the page says holds there.
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
from edge_pipeline.evaluation.predictions import predict_rows, take_rows
from edge_pipeline.evaluation.report.curves import calibration, confusion, ranking, residuals
from edge_pipeline.evaluation.report.evaluation import Counts, Group, Importance
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
WIDEST_SHUFFLED = 200
"""Columns are shuffled one by one: more of them would take minutes, and no reader reads so many."""

MOST_GROUPS = 12
"""Groups of one column; one with more is no division that a reader looks for."""

FEWEST_RESAMPLED = 5
"""Fewer rows resampled give an interval that is narrow for no reason."""

GROUPED_COLUMNS = 6
QUARTERS = 4
COMMONEST_ANSWERS = 20


class EvaluationRows(NamedTuple):
    """Rows that training did not see, their targets, and how to judge the answers.

    Attributes
    ----------
    rows
        As the model takes them.
    y
        Their targets, or None.
    task
        As in the manifest.
    metrics
        Names of scikit-learn's scorers.
    y_train
        Targets of the training rows, from which the dummy learns, or None.
    groups
        Columns whose groups the user wants to see.
    seed
        Of resamples and shuffles.
    """

    rows: Any
    y: NDArray[Any] | None
    task: str
    metrics: tuple[str, ...] = ()
    y_train: NDArray[Any] | None = None
    groups: tuple[str, ...] = ()
    seed: int = 0


class Sections:
    """Collects the parts of an evaluation; one that cannot be had is left out with its reason."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.left_out: dict[str, str] = {}

    def add(self, name: str, make: Callable[[], Any]) -> Any:
        """Take what *make* returns for the part *name*; None and an empty list are left out."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                made = make()
        except (
            ValueError,
            TypeError,
            ArithmeticError,
            AttributeError,
            MeasurementError,
        ) as error:
            # scikit-learn refuses by these what makes no sense of such rows: one class alone, say,
            # or a metric of probabilities where there are none.
            self.left_out[name] = " ".join(str(error).split())[:300]
            return None
        if made is not None and not (isinstance(made, Sequence) and not made):
            self.found[name] = tuple(made) if isinstance(made, list) else made
        return made


def evaluate(model: Model, asked: EvaluationRows, sections: Sections) -> int:
    """Add to *sections* what can be said of the answers; return how many rows were refused."""
    if "predict" not in model.methods:
        sections.left_out["scores"] = "the model has no predict"
        return 0
    given = predict_rows(model, "predict", asked.rows)
    rows = take_rows(asked.rows, given.rows.tolist()) if given.refused else asked.rows
    if asked.y is None:
        sections.add("answers", lambda: _counts(given.given))
        return len(given.refused)
    y = np.asarray(asked.y)[given.rows]
    if _width(y) != _width(given.given):
        raise MeasurementError(
            f"the model gives {_width(given.given)} answers a row, and the target has {_width(y)} "
            "columns; name one for each"
        )
    answers = {"predict": given.given, **_scores(model, rows)}
    classes = list(model.manifest.classes.get("predict", ()))
    several = y.ndim > 1
    task = asked.task if asked.task in USUAL_METRICS else "regression"
    judged = stored_predictions(task, answers, classes)
    usual = MULTI_LABEL_METRICS if several and task == "classification" else USUAL_METRICS[task]
    metrics = asked.metrics or usual
    sections.add(
        "scores",
        lambda: score_metrics(
            metrics,
            judged,
            y,
            task=task,
            y_train=asked.y_train,
            seed=asked.seed,
        ),
    )
    if task == "classification" and not several:
        sections.add("confusion", lambda: confusion(y, given.given, classes))
        if "predict_proba" in answers:
            proba = answers["predict_proba"]
            sections.add("calibration", lambda: calibration(y, proba, classes))
        score = answers.get("predict_proba", answers.get("decision_function"))
        if score is not None:
            sections.add("roc", lambda: ranking(y, score, classes, kind="roc"))
            sections.add(
                "precision_recall", lambda: ranking(y, score, classes, kind="precision_recall")
            )
    elif task == "regression":
        sections.add("residuals", lambda: residuals(y, given.given, asked.seed))
    error = _errors(y, given.given, task)
    sections.add("groups", lambda: _groups(rows, error, task, asked))
    if "groups" in sections.found:
        sections.found["groups_of"] = (
            "share of wrong answers" if task == "classification" else "mean absolute error"
        )
    metric = metrics[0]
    if sections.add("importance", lambda: _importance(model, rows, y, task, metric, asked.seed)):
        sections.found["importance_of"] = metric
    return len(given.refused)


def _scores(model: Model, rows: Any) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for method in ("predict_proba", "decision_function"):
        if method in model.methods:
            answer = getattr(model, method)(rows)
            if isinstance(answer, np.ndarray):
                found[method] = answer
    return found


def _counts(answers: NDArray[Any]) -> Counts:
    """The commonest answers, those of a clustering or of an anomaly detector, say."""
    if answers.dtype.kind == "f":
        raise ValueError("the answers are numbers, and their target is not known")
    labels, counts = np.unique(answers.astype(str), return_counts=True)
    order = np.argsort(-counts)[:COMMONEST_ANSWERS]
    return Counts(labels=tuple(labels[order].tolist()), counts=tuple(int(n) for n in counts[order]))


def _width(answers: NDArray[Any]) -> int:
    return answers.shape[1] if answers.ndim > 1 else 1


def _errors(y: NDArray[Any], given: NDArray[Any], task: str) -> NDArray[np.float64]:
    """Of each row: 1 for a wrong class, or how far a number is off."""
    if task == "classification":
        wrong = (y != given).reshape(len(y), -1).any(axis=1)
        return np.asarray(wrong, dtype=np.float64)
    off = np.abs(y.astype(np.float64) - given).reshape(len(y), -1).mean(axis=1)
    return np.asarray(off, dtype=np.float64)


def _groups(rows: Any, error: NDArray[np.float64], task: str, asked: EvaluationRows) -> list[Group]:
    """Errors by group: of the columns asked for, and of those that divide the rows in a few."""
    if not isinstance(rows, pd.DataFrame):
        return []
    names = [name for name in asked.groups if name in rows.columns]
    names += [name for name in rows.columns if name not in names and _divides(rows[name])]
    found = []
    for name in names[: max(GROUPED_COLUMNS, len(asked.groups))]:
        labels = np.array(_labels(rows[name]))
        known = dict.fromkeys(labels[np.argsort(_order(rows[name]), kind="stable")].tolist())
        for label in known:
            found.append(_group(str(name), label, error[labels == label], task, asked.seed))
    return found


def _divides(column: pd.Series[Any]) -> bool:
    words = column.dtype == object or column.dtype == bool
    return bool(words) and 2 <= column.nunique(dropna=False) <= MOST_GROUPS


def _labels(column: pd.Series[Any]) -> list[str]:
    """The group of each row: its value, or the quarter of the rows that it is in."""
    if _is_measured(column):
        codes, edges = pd.qcut(column, QUARTERS, labels=False, retbins=True, duplicates="drop")
        return [
            "missing" if np.isnan(code) else f"{edges[int(code)]:.3g} to {edges[int(code) + 1]:.3g}"
            for code in codes.to_numpy(dtype=np.float64)
        ]
    return ["missing" if pd.isna(value) else str(value) for value in column]


def _order(column: pd.Series[Any]) -> NDArray[Any]:
    """What the groups of *column* are ordered by; what is missing comes last."""
    if pd.api.types.is_numeric_dtype(column):
        return np.asarray(np.nan_to_num(column.to_numpy(dtype=np.float64), nan=np.inf))
    return np.array(["\uffff" if pd.isna(value) else str(value) for value in column])


def _is_measured(column: pd.Series[Any]) -> bool:
    numbers = pd.api.types.is_numeric_dtype(column) and column.dtype != bool
    return bool(numbers) and column.nunique() > MOST_GROUPS


def _group(name: str, label: str, error: NDArray[np.float64], task: str, seed: int) -> Group:
    low: float | None = None
    high: float | None = None
    if task == "classification":
        low, high = wilson(int(error.sum()), len(error))
    elif len(error) >= FEWEST_RESAMPLED:
        low, high, _ = bootstrap(lambda some: error[some].mean(), len(error), seed)
    return Group(
        column=name, group=label, rows=len(error), value=float(error.mean()), low=low, high=high
    )


class _ModelEstimator(BaseEstimator):  # type: ignore[misc]
    """A sealed model as scikit-learn's tools take it."""

    def __init__(self, model: Model, classes: Sequence[Any] = ()) -> None:
        self.model = model
        self.classes = classes
        if len(classes):
            self.classes_ = class_labels(classes)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> _ModelEstimator:
        """Do nothing: it is fitted."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name in ("predict", "predict_proba", "decision_function") and "model" in self.__dict__:
            return getattr(self.model, name)
        raise AttributeError(name)


class _ModelClassifier(ClassifierMixin, _ModelEstimator):  # type: ignore[misc]
    """Tells scorers that the answers are classes."""


class _ModelRegressor(RegressorMixin, _ModelEstimator):  # type: ignore[misc]
    """Tells scorers that the answers are numbers."""


def _importance(
    model: Model, rows: Any, y: NDArray[Any], task: str, metric: str, seed: int
) -> list[Importance]:
    names = model.schema.names
    if model.schema.loose or len(names) < 2:
        return []
    if len(names) > WIDEST_SHUFFLED:
        raise ValueError(f"{len(names)} columns are too many to shuffle one by one")
    if len(y) > SHUFFLED_ROWS:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(y))[:SHUFFLED_ROWS])
        rows, y = take_rows(rows, chosen.tolist()), y[chosen]
    classes = list(model.manifest.classes.get("predict", ()))
    kind = _ModelClassifier if task == "classification" else _ModelRegressor
    found = permutation_importance(
        kind(model, classes), rows, y, scoring=metric, n_repeats=SHUFFLES, random_state=seed
    )
    order = np.argsort(-found.importances_mean, kind="stable")
    return [
        Importance(
            column=str(names[i]),
            mean=float(found.importances_mean[i]),
            std=float(found.importances_std[i]),
        )
        for i in order
    ]
