"""Convert AdaBoost: the weighted votes of its estimators, or their weighted median."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble

from edge_pipeline.conversion.class_labels import label_of_two
from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_any_dtype
from edge_pipeline.conversion.estimators.decision_trees import are_trees, forest_of, node_values
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import sum_rows, sum_values, value_per_tree

__all__ = ["CONVERTERS"]


def _weights(model: Any) -> NDArray[np.float64]:
    return np.asarray(model.estimator_weights_, dtype=np.float64)[: len(model.estimators_)]


def _votes_of_trees(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """Sum the votes when every estimator is a tree: its leaves hold the votes."""
    trees = model.estimators_
    forest = forest_of(trees)
    label = np.concatenate(
        [tree.classes_[np.argmax(tree.tree_.value[:, 0, :], axis=1)] for tree in trees]
    )
    weight = _weights(model)[forest.tree_of]
    matrix = context.matrix(X)
    if model.n_classes_ == 2:
        # The votes against a class are those for it with the sign changed, rounding included.
        return sum_values(matrix, forest, np.where(label == model.classes_[1], weight, -weight))
    against = -1 / (model.n_classes_ - 1) * weight
    is_class = label[:, np.newaxis] == model.classes_
    votes = np.where(is_class, weight[:, np.newaxis], against[:, np.newaxis])
    return sum_rows(matrix, forest, votes)


def _votes(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """Sum the votes; for two classes only those for the second, shape (n_samples,)."""
    if are_trees(model.estimators_):
        return context.cached(model, "votes", X, lambda: _votes_of_trees(context, model, X))  # type: ignore[no-any-return]
    is_binary = model.n_classes_ == 2
    classes = np.asarray(model.classes_)
    total: Any = 0.0
    for i, (estimator, weight) in enumerate(zip(model.estimators_, _weights(model), strict=True)):
        label = context.call(estimator, "predict", X, at=f"estimators_[{i}]")
        is_class = label == classes[1] if is_binary else ops.expand_dims(label, 1) == classes
        total = total + ops.where(is_class, weight, -1 / (model.n_classes_ - 1) * weight)
    return total  # type: ignore[no-any-return]


@on_any_dtype
def _decision(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """AdaBoostClassifier.decision_function (SAMME; Zhu, Zou, Rosset, Hastie 2009)."""
    if model.n_classes_ == 1:
        return ops.full_rows(context.matrix(X), np.zeros(1))
    votes = _votes(context, model, X) / float(np.sum(model.estimator_weights_))
    return votes + votes if model.n_classes_ == 2 else votes


@on_any_dtype
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """AdaBoostClassifier._compute_proba_from_decision."""
    if model.n_classes_ == 1:
        return ops.full_rows(context.matrix(X), np.ones(1))
    decision = _decision(context, model, X)
    if model.n_classes_ == 2:
        return ops.softmax(ops.expand_dims(decision, 1) * np.array([-0.5, 0.5]))
    return ops.softmax(decision / float(model.n_classes_ - 1))


@on_any_dtype
def _label(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    decision = _decision(context, model, X)
    if model.n_classes_ == 2:
        return label_of_two(model.classes_, decision > 0)
    return context.labels(model.classes_, ops.argmax(decision, 1))


@on_any_dtype
def _weighted_median(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """AdaBoostRegressor._get_median_predict.

    The first of the ascending predictions at which the weights so far reach half of all weights.
    """
    predictions = _predictions(context, model.estimators_, X)
    values, order = ops.top_k(predictions, predictions.width, largest=False)
    weight = ops.cumsum(ops.take(_weights(model), order, 0), 1)
    reached = weight >= 0.5 * weight[:, -1:]
    first = ops.argmax(reached, 1, keepdims=True)
    return ops.squeeze(ops.gather_elements(values, first, 1), 1)


def _predictions(context: Context, estimators: Sequence[Any], X: Tensor | Frame) -> Tensor:
    """Predict with every estimator, shape (n_samples, n_estimators)."""
    if are_trees(estimators):
        values = node_values(estimators)[:, 0, 0]
        return value_per_tree(context.matrix(X), forest_of(estimators), values)
    return ops.stack(
        [
            context.call(estimator, "predict", X, at=f"estimators_[{i}]")
            for i, estimator in enumerate(estimators)
        ]
    )


CONVERTERS: dict[type, Methods] = {
    ensemble.AdaBoostClassifier: {
        "predict": _label,
        "predict_proba": _probabilities,
        "decision_function": _decision,
    },
    ensemble.AdaBoostRegressor: {"predict": _weighted_median},
}
