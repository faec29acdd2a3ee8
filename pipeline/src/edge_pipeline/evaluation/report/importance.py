"""Measure which columns a sealed model uses: permutation importance, and partial dependence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.model import Model
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.inspection import permutation_importance

from edge_pipeline.evaluation.predictions import take_rows
from edge_pipeline.evaluation.report.measurements import Curve, Dependence, Importance
from edge_pipeline.evaluation.report.scores import class_labels, classes_of

__all__ = ["importance", "partial_dependence"]

SHUFFLES = 5
SHUFFLED_ROWS = 2000
MAX_SHUFFLED_COLUMNS = 200
"""Most columns with an importance: they are shuffled one by one, which takes minutes for more."""

DEPENDENT_COLUMNS = 6
DEPENDENCE_ROWS = 200
GRID_POINTS = 20
MAX_CATEGORIES = 12
MAX_CURVES = 4


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
        raise AttributeError(f"the model has no {name}")


class _ModelClassifier(ClassifierMixin, _ModelEstimator):  # type: ignore[misc]
    """Tells scorers that the predictions are classes."""


class _ModelRegressor(RegressorMixin, _ModelEstimator):  # type: ignore[misc]
    """Tells scorers that the predictions are numbers."""


def importance(
    model: Model, rows: Any, y: NDArray[Any], task: str, metric: Any, seed: int
) -> list[Importance]:
    """Measure how much *metric* drops when a column is shuffled, the largest drop first.

    Parameters
    ----------
    metric
        Name of a scorer, or a scorer.
    """
    names = model.schema.names
    if model.schema.loose or len(names) < 2:
        return []
    if len(names) > MAX_SHUFFLED_COLUMNS:
        raise ValueError(f"{len(names)} columns are too many to shuffle one by one")
    sample = _sample(len(y), SHUFFLED_ROWS, seed)
    rows, y = take_rows(rows, sample.tolist()), y[sample]
    classes = classes_of(model.manifest)
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


def partial_dependence(
    model: Model, rows: Any, columns: Sequence[str], target_names: Sequence[str], seed: int
) -> list[Dependence]:
    """Compute the mean prediction for each value of a column, over a sample of *rows*.

    Parameters
    ----------
    columns
        Names of columns, the most important first.
    target_names
        A name for each target of a regression.
    """
    if model.schema.loose or not len(rows):
        return []
    sample = take_rows(rows, _sample(len(rows), DEPENDENCE_ROWS, seed).tolist())
    names, predict = _curve_function(model, target_names)
    place = {name: i for i, name in enumerate(model.schema.names)}
    dependences = []
    for column in columns[:DEPENDENT_COLUMNS]:
        position = place[column]
        values = _grid(_column_cells(sample, position), model.schema.columns[position])
        if len(values) < 2:
            continue
        try:
            heights = np.array(
                [predict(_with_value(sample, position, value)).mean(axis=0) for value in values]
            )
        except (InputError, InferenceError):  # a value that the model refuses beside others
            continue
        is_number = not isinstance(values[0], str | bool)
        xs = tuple(map(float, values)) if is_number else tuple(map(str, values))
        curves = tuple(
            Curve(name=name, x=(), y=tuple(heights[:, i].tolist())) for i, name in enumerate(names)
        )
        dependences.append(Dependence(column=column, values=xs, curves=curves))
    return dependences


def _curve_function(
    model: Model, target_names: Sequence[str]
) -> tuple[list[str], Callable[[Any], NDArray[np.float64]]]:
    """Choose what the curves show: probabilities, or predicted numbers, or anomaly scores."""
    classes = list(model.manifest.classes.get("predict", ()))
    if classes and isinstance(classes[0], list):
        raise ValueError("the model predicts several classes a row")
    if "predict_proba" in model.methods and classes:
        first = 1 if len(classes) == 2 else 0
        curves = slice(first, first + (1 if first else MAX_CURVES))
        labels = [str(label) for label in classes[curves]]
        return labels, lambda X: np.asarray(model.predict_proba(X))[:, curves]
    method = next((m for m in ("decision_function", "predict") if m in model.methods), None)
    if method is None:
        raise ValueError("the model has no predict")

    def predict(X: Any) -> NDArray[np.float64]:
        values = np.asarray(getattr(model, method)(X), dtype=np.float64)
        return values.reshape(len(values), -1)[:, :MAX_CURVES]

    width = predict(_first_golden_row(model)).shape[1]
    by_class = method == "decision_function" and len(classes) == width
    names = list(map(str, classes)) if by_class else list(target_names)
    return [*names, *(f"output {i + 1}" for i in range(len(names), width))][:width], predict


def _first_golden_row(model: Model) -> Any:
    from edge_runtime.engine.self_test import golden_rows

    row = golden_rows(model.manifest)[0]
    names = model.schema.names
    return {name: [cell] for name, cell in zip(names, row, strict=True)}


def _sample(count: int, most: int, seed: int) -> NDArray[np.intp]:
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def _column_cells(rows: Any, position: int) -> pd.Series[Any]:
    if hasattr(rows, "iloc"):
        return pd.Series(rows.iloc[:, position].to_numpy())
    array = np.asarray(rows)
    return pd.Series(array if array.ndim == 1 else array[:, position])


def _grid(cells: pd.Series[Any], column: Column) -> list[Any]:
    """Choose values of a column: its commonest categories, or numbers between its quantiles.

    A text must be a category of training, as the file names them: any other may be private.
    """
    present = cells.dropna()
    if column.type == "datetime":  # a prediction by date shows the calendar, not a curve
        return []
    if column.is_string:
        present = present[present.isin(column.categories or ())]
    is_number = pd.api.types.is_numeric_dtype(present) and present.dtype != bool
    if not is_number or present.nunique() <= MAX_CATEGORIES:
        return sorted(present.value_counts().index[:MAX_CATEGORIES].tolist())
    low, high = np.percentile(present.to_numpy(dtype=np.float64), [2.5, 97.5])
    grid = np.linspace(low, high, GRID_POINTS)
    return list(np.unique(grid.round() if present.dtype.kind in "iu" else grid).tolist())


def _with_value(rows: Any, position: int, value: Any) -> Any:
    """Copy *rows* with the same value in one column."""
    if hasattr(rows, "iloc"):
        columns = [rows.iloc[:, i] for i in range(rows.shape[1])]
        name = rows.columns[position]
        columns[position] = pd.Series([value] * len(rows), index=rows.index, name=name)
        return pd.concat(columns, axis="columns")
    modified = np.array(rows)
    columns_of_row = modified.reshape(len(rows), -1)  # a view, of a vector too
    columns_of_row[:, position] = value
    return modified
