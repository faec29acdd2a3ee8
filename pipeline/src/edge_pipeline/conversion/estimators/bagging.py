"""Bagging: the mean over estimators of any kind, each on its own columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn import ensemble

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.estimators.trees import are_trees, forest_of, node_values
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import sum_rows

__all__ = ["CONVERTERS"]


def _parts(model: Any, X: Tensor | Frame) -> Iterator[tuple[Any, Tensor | Frame, str]]:
    """Each estimator with the columns that it was given and its place."""
    width = frame_of(X).width
    for i, (estimator, features) in enumerate(
        zip(model.estimators_, model.estimators_features_, strict=True)
    ):
        whole = np.array_equal(features, np.arange(width))
        columns = X if whole else frame_of(X).select(features)
        yield estimator, columns, f"estimators_[{i}]"


def _mean(method: str) -> Callable[[Context, Any, Tensor | Frame], Tensor]:
    """Sum of the estimators' answers in their order, then one division."""

    @on_frame
    def convert(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
        total: Any = 0.0
        for estimator, columns, place in _parts(model, X):
            total = total + context.call(estimator, method, columns, at=place)
        return total / float(model.n_estimators)  # type: ignore[no-any-return]

    return convert


@on_frame
def _regression(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    if not are_trees(model.estimators_):
        return _mean("predict")(context, model, X)
    forest = forest_of(model.estimators_, model.estimators_features_)
    values = node_values(model.estimators_)[:, :, 0]
    mean = sum_rows(context.matrix(X), forest, values, mean=True)
    return ops.squeeze(mean, 1) if values.shape[1] == 1 else mean


@on_frame
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return context.cached(model, "mean", X, lambda: _mean_probabilities(context, model, X))  # type: ignore[no-any-return]


def _mean_probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    if are_trees(model.estimators_):
        trees = model.estimators_
        forest = forest_of(trees, model.estimators_features_)
        rows = [tree.tree_.value[:, 0, :] @ _places(tree, model.n_classes_) for tree in trees]
        return sum_rows(context.matrix(X), forest, np.concatenate(rows), mean=True)
    total: Any = 0.0
    for estimator, columns, place in _parts(model, X):
        total = total + _chances(context, model, estimator, columns, place)
    return total / float(model.n_estimators)  # type: ignore[no-any-return]


def _chances(
    context: Context, model: Any, estimator: Any, columns: Tensor | Frame, place: str
) -> Tensor:
    """One estimator's probabilities, or its one vote when it has none, for all classes."""
    if not hasattr(estimator, "predict_proba"):
        label = context.call(estimator, "predict", columns, at=place)
        return ops.one_hot(label, int(model.n_classes_))
    answer: Tensor = context.call(estimator, "predict_proba", columns, at=place)
    if len(estimator.classes_) == model.n_classes_:
        return answer
    placed: Tensor = answer @ _places(estimator, model.n_classes_)
    return placed


def _places(estimator: Any, n_classes: int) -> Any:
    """Ones where the estimator's class (it was trained on codes) is among all classes."""
    return np.eye(n_classes)[np.asarray(estimator.classes_, dtype=np.int64)]


@on_frame
def _label(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return context.labels(model.classes_, ops.argmax(_probabilities(context, model, X), 1))


_CLASSIFIER: Methods = {
    "predict": _label,
    "predict_proba": _probabilities,
    "decision_function": _mean("decision_function"),
}

CONVERTERS: dict[type, Methods] = {
    ensemble.BaggingClassifier: _CLASSIFIER,
    ensemble.BaggingRegressor: {"predict": _regression},
}
