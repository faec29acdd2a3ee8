"""Convert forests: a sum over the trees in their order, then one division."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import ensemble

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.decision_trees import (
    class_columns,
    forest_of,
    labels_of_targets,
    node_values,
    per_target,
)
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import sum_by_target, sum_rows, sum_values

__all__ = ["CONVERTERS"]

_MOST_WHOLE_NUMBERS = 2**24
"""float32 represents every whole number below this exactly."""


def _means(context: Context, model: Any, X: Tensor) -> list[tuple[Any, Tensor]]:
    """Return the classes and the mean probabilities of every output."""

    def mean_rows() -> Tensor:
        values = node_values(model.estimators_)
        rows = values.reshape(len(values), -1)
        return sum_rows(X, forest_of(model.estimators_), rows, mean=True)

    mean = context.cached(model, "means", X, mean_rows)
    if model.n_outputs_ == 1:
        return [(model.classes_, mean)]
    return [(classes, mean[:, at]) for classes, at in class_columns(model)]


def _votes(model: Any, X: Tensor) -> tuple[Tensor, Any] | None:
    """Count the trees that vote for the second of two classes, and tabulate the probabilities.

    Where every leaf holds one class (trees grown in full), the sums are whole numbers.  One sum and
    one table look-up save 3 us of a row's 28 against two sums (benchmarks/against_skl2onnx.py).
    float32 represents these sums, and the trees compare float32 input with float32 thresholds
    anyway.

    Returns
    -------
    The count for each row, and the probabilities for each count; None where a leaf is mixed.
    """
    if model.n_outputs_ != 1 or model.n_classes_ != 2:
        return None
    forest, values = forest_of(model.estimators_), node_values(model.estimators_)[:, 0, :]
    pure = np.isin(values[forest.is_leaf], (0.0, 1.0)).all()
    if not pure or forest.n_trees >= _MOST_WHOLE_NUMBERS:
        return None
    count = sum_values(X, forest, values[:, 1], dtype=np.float32).astype(np.int64)
    second = np.arange(forest.n_trees + 1.0)
    return count, np.stack([forest.n_trees - second, second], axis=1) / forest.n_trees


def _probabilities(context: Context, model: Any, X: Tensor) -> Any:
    votes = context.cached(model, "votes", X, lambda: _votes(model, X))
    if votes is not None:
        return ops.take(votes[1], votes[0], 0)
    return per_target([mean for _, mean in _means(context, model, X)])


def _label(context: Context, model: Any, X: Tensor) -> Tensor:
    votes = context.cached(model, "votes", X, lambda: _votes(model, X))
    if votes is not None:
        return ops.take(model.classes_[np.argmax(votes[1], axis=1)], votes[0], 0)
    return labels_of_targets(
        [
            context.labels(classes, ops.argmax(mean, 1))
            for classes, mean in _means(context, model, X)
        ]
    )


def _regression(_: Context, model: Any, X: Tensor) -> Tensor:
    forest = forest_of(model.estimators_)
    values = node_values(model.estimators_)[:, :, 0]
    mean = sum_rows(X, forest, values, mean=True)
    return ops.squeeze(mean, 1) if model.n_outputs_ == 1 else mean


def _one_hot_leaves(_: Context, model: Any, X: Tensor) -> Tensor:
    """RandomTreesEmbedding.transform: each leaf is a target of its own, with weight one."""
    forest = forest_of(model.estimators_)
    columns = np.zeros(forest.n_nodes, dtype=np.int64)
    start = 0
    for root, leaves in zip(forest.roots, model.one_hot_encoder_.categories_, strict=True):
        columns[root + leaves] = start + np.arange(len(leaves))
        start += len(leaves)
    return sum_by_target(X, forest, np.ones(forest.n_nodes), columns, start)


def _depth(model: Any, X: Tensor) -> Tensor:
    """Sum the depths of a row's leaves over the trees (``_compute_score_samples``)."""
    forest = forest_of(model.estimators_, model.estimators_features_)
    lengths = zip(model._decision_path_lengths, model._average_path_length_per_tree, strict=True)
    return sum_values(
        X, forest, np.concatenate([path + average - 1.0 for path, average in lengths])
    )


def _expected_depth(model: Any) -> float:
    """Return the depth that IsolationForest expects, summed over its trees."""
    return float(len(model.estimators_) * _average_path_length([model._max_samples])[0])


def _isolation_scores(_: Context, model: Any, X: Tensor) -> Tensor:
    """IsolationForest.score_samples: minus 2 to the power of minus the relative depth."""
    expected = _expected_depth(model)
    relative = _depth(model, X) / expected if expected != 0 else ops.full_rows(X, 1.0)
    return -(2.0**-relative)


def _isolation_decision(context: Context, model: Any, X: Tensor) -> Tensor:
    return _isolation_scores(context, model, X) - float(model.offset_)


def _isolation_label(context: Context, model: Any, X: Tensor) -> Tensor:
    """IsolationForest.predict: -1 where the decision is below zero.

    With ``contamination`` the decision of a training row can be exactly zero, and one bit of the
    power would flip it.  So the graph compares the depth with the one where the sign changes.
    """
    if _expected_depth(model) == 0:
        outlier = _isolation_decision(context, model, X) < 0
    else:
        outlier = _depth(model, X) < _least_inlier_depth(
            _expected_depth(model), float(model.offset_)
        )
    return ops.where(outlier, np.int64(-1), np.int64(1))


def _least_inlier_depth(expected: float, offset: float) -> float:
    """Return the smallest depth with a decision of zero or more, by bisection over all floats.

    Positive floats are ordered as their bit patterns are, so the patterns are bisected.
    """

    def is_inlier(bits: int) -> bool:
        depth = np.array([bits], dtype=np.int64).view(np.float64)
        return bool((-(2.0 ** -(depth / expected)) - offset >= 0)[0])

    low, high = -1, int(np.array([np.inf]).view(np.int64)[0])
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_inlier(middle) else (middle, high)
    return float(np.array([high], dtype=np.int64).view(np.float64)[0])


def _average_path_length(n_samples: Any) -> Any:
    """Call ``sklearn.ensemble._iforest._average_path_length``, because its last bits matter."""
    from sklearn.ensemble._iforest import _average_path_length as average_path_length

    return average_path_length(n_samples)


_CLASSIFIER: Methods = {"predict": _label, "predict_proba": _probabilities}
_REGRESSOR: Methods = {"predict": _regression}

CONVERTERS: dict[type, Methods] = {
    ensemble.RandomForestClassifier: _CLASSIFIER,
    ensemble.ExtraTreesClassifier: _CLASSIFIER,
    ensemble.RandomForestRegressor: _REGRESSOR,
    ensemble.ExtraTreesRegressor: _REGRESSOR,
    ensemble.RandomTreesEmbedding: {"transform": _one_hot_leaves},
    ensemble.IsolationForest: {
        "score_samples": _isolation_scores,
        "decision_function": _isolation_decision,
        "predict": _isolation_label,
    },
}
