"""Convert bagging: the mean over estimators of any kind, each on its own columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn import ensemble

from edge_pipeline.conversion.class_labels import predict_largest
from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context, Methods, on_any_dtype
from edge_pipeline.conversion.estimators.decision_trees import are_trees, forest_of, node_values
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.special_functions import logaddexp
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import sum_rows

__all__ = ["CONVERTERS"]


def _parts(model: Any, X: Tensor | Frame) -> Iterator[tuple[Any, Tensor | Frame, str]]:
    """Yield each estimator, the columns it was trained on, and its place for error messages."""
    width = frame_of(X).width
    for i, (estimator, features) in enumerate(
        zip(model.estimators_, model.estimators_features_, strict=True)
    ):
        has_all = np.array_equal(features, np.arange(width))
        columns = X if has_all else frame_of(X).select(features)
        yield estimator, columns, f"estimators_[{i}]"


def _mean(method: str) -> Callable[[Context, Any, Tensor | Frame], Tensor]:
    """Sum the estimators' outputs in their order, then divide once."""

    @on_any_dtype
    def convert(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
        total: Any = 0.0
        for estimator, columns, place in _parts(model, X):
            total = total + context.call(estimator, method, columns, at=place)
        return total / float(model.n_estimators)  # type: ignore[no-any-return]

    return convert


@on_any_dtype
def _regression(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    if not are_trees(model.estimators_):
        return _mean("predict")(context, model, X)
    forest = forest_of(model.estimators_, model.estimators_features_)
    values = node_values(model.estimators_)[:, :, 0]
    mean = sum_rows(context.matrix(X), forest, values, mean=True)
    return ops.squeeze(mean, 1) if values.shape[1] == 1 else mean


@on_any_dtype
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return context.cached(model, "mean", X, lambda: _mean_probabilities(context, model, X))  # type: ignore[no-any-return]


def _mean_probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    if are_trees(model.estimators_):
        trees = model.estimators_
        forest = forest_of(trees, model.estimators_features_)
        rows = [
            tree.tree_.value[:, 0, :] @ _class_positions(tree, model.n_classes_) for tree in trees
        ]
        return sum_rows(context.matrix(X), forest, np.concatenate(rows), mean=True)
    total: Any = 0.0
    for estimator, columns, place in _parts(model, X):
        proba = _probabilities_of_one(context, model, estimator, columns, place)
        total = total + proba.astype(np.float64)
    return total / float(model.n_estimators)  # type: ignore[no-any-return]


def _probabilities_of_one(
    context: Context, model: Any, estimator: Any, columns: Tensor | Frame, place: str
) -> Tensor:
    """Return one estimator's probabilities of all classes; its vote when it has none.

    ``sklearn.ensemble._bagging._parallel_predict_proba``.
    """
    if not hasattr(estimator, "predict_proba"):
        label = context.call(estimator, "predict", columns, at=place)
        return ops.one_hot(label, int(model.n_classes_))
    proba: Tensor = context.call(estimator, "predict_proba", columns, at=place)
    if len(estimator.classes_) == model.n_classes_:
        return proba
    all_classes: Tensor = proba @ _class_positions(estimator, model.n_classes_)
    return all_classes


@on_any_dtype
def _log_probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """Add the estimators' probabilities by their logarithms, in the estimators' order.

    ``sklearn.ensemble._bagging._parallel_predict_log_proba``.
    """
    total: Any = None
    for estimator, columns, place in _parts(model, X):
        logs: Tensor = context.call(estimator, "predict_log_proba", columns, at=place)
        if len(estimator.classes_) < model.n_classes_:
            logs = _with_absent_classes(logs, estimator, model.n_classes_)
        total = logs if total is None else logaddexp(total, logs)
    return total - np.log(model.n_estimators)  # type: ignore[no-any-return]


def _with_absent_classes(logs: Tensor, estimator: Any, n_classes: int) -> Tensor:
    """Return the logarithms in the columns of all classes, minus infinity for absent ones."""
    places = np.full(n_classes, len(estimator.classes_))
    places[np.asarray(estimator.classes_, dtype=np.int64)] = np.arange(len(estimator.classes_))
    absent = ops.full_rows(logs, np.array([-np.inf]))
    return ops.take(ops.concatenate([logs, absent]), places, axis=1)


def _class_positions(estimator: Any, n_classes: int) -> Any:
    """Return the matrix that moves the estimator's classes to their columns among all classes.

    The estimator was trained on class positions, so its ``classes_`` are columns.
    """
    return np.eye(n_classes)[np.asarray(estimator.classes_, dtype=np.int64)]


_CLASSIFIER: Methods = {
    "predict": predict_largest(_probabilities),
    "predict_proba": _probabilities,
    "predict_log_proba": _log_probabilities,
    "decision_function": _mean("decision_function"),
}

CONVERTERS: dict[type, Methods] = {
    ensemble.BaggingClassifier: _CLASSIFIER,
    ensemble.BaggingRegressor: {"predict": _regression},
}
