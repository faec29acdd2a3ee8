"""Convert single decision trees: find the leaf of each row, then look up its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import tree as sktree

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import (
    Forest,
    float32_splits,
    join_forests,
    leaf_rows,
    value_per_tree,
)

__all__ = [
    "CONVERTERS",
    "are_trees",
    "class_columns",
    "forest_of",
    "labels_of_targets",
    "node_values",
    "per_target",
]

_CLASSIFIERS = (sktree.DecisionTreeClassifier, sktree.ExtraTreeClassifier)
_REGRESSORS = (sktree.DecisionTreeRegressor, sktree.ExtraTreeRegressor)


def are_trees(estimators: Sequence[Any]) -> bool:
    """Whether all are scikit-learn's single trees, so that one node can evaluate them together."""
    return all(type(estimator) in _CLASSIFIERS + _REGRESSORS for estimator in estimators)


def forest_of(trees: Sequence[Any], features: Sequence[Any] | None = None) -> Forest:
    """Join fitted trees in one forest.

    Parameters
    ----------
    features
        The columns that each tree was trained on; None when each was trained on all.
    """
    forests = [_forest(tree.tree_) for tree in trees]
    if features is not None:
        forests = [
            forest.with_features(columns) for forest, columns in zip(forests, features, strict=True)
        ]
    return join_forests(forests)


def node_values(trees: Sequence[Any]) -> NDArray[np.float64]:
    """Join ``tree_.value`` of all trees, shape (n_nodes, n_outputs, max_n_classes)."""
    return np.concatenate([tree.tree_.value for tree in trees])


def class_columns(tree: Any) -> list[tuple[Any, slice]]:
    """Return the classes of every output, and their columns in a flat row of ``tree_.value``."""
    width = int(np.max(tree.n_classes_))
    by_output = tree.classes_ if tree.n_outputs_ > 1 else [tree.classes_]
    return [
        (classes, slice(k * width, k * width + len(classes))) for k, classes in enumerate(by_output)
    ]


def per_target(outputs: Sequence[Tensor]) -> Any:
    """Return one output as it is, several as the list that predict_proba returns."""
    return list(outputs) if len(outputs) > 1 else outputs[0]


def labels_of_targets(labels: Sequence[Tensor]) -> Tensor:
    """Return one target's labels as a vector, those of several targets side by side."""
    return ops.stack(labels, 1) if len(labels) > 1 else labels[0]


def _forest(tree: Any) -> Forest:
    """Read ``sklearn.tree._tree.Tree``, where float32(x) <= threshold goes left."""
    return Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=tree.feature.astype(np.int64),
        threshold=float32_splits(tree.threshold),
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        missing_left=tree.missing_go_to_left.astype(np.bool_),
    )


def _value_row(tree: Any, X: Tensor) -> tuple[Tensor, NDArray[np.float64]]:
    """Return each sample's row, shape (n_samples,), in a table of ``tree_.value``."""
    values = node_values([tree])
    rows, table = leaf_rows(X, forest_of([tree]), values.reshape(len(values), -1))
    return ops.squeeze(rows, 1), table


def _probabilities(_: Context, tree: Any, X: Tensor) -> Any:
    row, table = _value_row(tree, X)
    return per_target([ops.take(table[:, at], row, 0) for _, at in class_columns(tree)])


def _label(_: Context, tree: Any, X: Tensor) -> Tensor:
    row, table = _value_row(tree, X)
    return labels_of_targets(
        [
            ops.take(classes[np.argmax(table[:, at], axis=1)], row, 0)
            for classes, at in class_columns(tree)
        ]
    )


def _regression(_: Context, tree: Any, X: Tensor) -> Tensor:
    if tree.n_outputs_ == 1:
        values = node_values([tree])[:, 0, 0]
        return ops.squeeze(value_per_tree(X, forest_of([tree]), values), 1)
    row, table = _value_row(tree, X)
    return ops.take(table, row, 0)


_CLASSIFIER: Methods = {"predict": _label, "predict_proba": _probabilities}
_REGRESSOR: Methods = {"predict": _regression}

CONVERTERS: dict[type, Methods] = {
    **dict.fromkeys(_CLASSIFIERS, _CLASSIFIER),
    **dict.fromkeys(_REGRESSORS, _REGRESSOR),
}
