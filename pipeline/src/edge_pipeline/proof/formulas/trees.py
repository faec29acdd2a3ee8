"""Formulas of trees and forests: splits on float32, a sum in the order of the trees, a division."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble
from sklearn import tree as sktree
from sklearn.ensemble._iforest import _average_path_length

from edge_pipeline.proof.canonical_trees import Splits, Tree, canonical_trees
from edge_pipeline.proof.expressions import apply, tree_sum, where
from edge_pipeline.proof.formulas.registry import Formula, Formulas, Result, label_of_highest
from edge_pipeline.proof.scalars import Expr, NotUnderstood, constant, make

__all__ = ["FORMULAS", "SINGLE_TREES", "added", "child_references", "divided", "each_tree"]

_CLASSIFIERS = (sktree.DecisionTreeClassifier, sktree.ExtraTreeClassifier)
_REGRESSORS = (sktree.DecisionTreeRegressor, sktree.ExtraTreeRegressor)
SINGLE_TREES = _CLASSIFIERS + _REGRESSORS


def each_tree(
    trees: Sequence[Any], X: Sequence[Expr], features: Sequence[Any] | None = None
) -> Iterator[tuple[Any, Tree, NDArray[np.int64]]]:
    """Yield each fitted tree with its canonical form and the nodes that are its leaves.

    Parameters
    ----------
    features
        The columns of each tree; None where each tree has all.
    """
    # The trees cast their input: sklearn.tree._classes.BaseDecisionTree._validate_X_predict.
    rounded = [make("round to float32", [x]) for x in X]
    for i, tree in enumerate(trees):
        if type(tree) not in SINGLE_TREES:
            raise NotUnderstood(f"an ensemble of {type(tree).__name__}")
        inputs = rounded if features is None else [rounded[int(at)] for at in features[i]]
        nodes = tree.tree_
        leaf = nodes.children_left < 0
        splits = Splits(
            feature=np.where(leaf, 0, nodes.feature).astype(np.int64),
            threshold=nodes.threshold.astype(np.float64),
            nan_is_true=nodes.missing_go_to_left.astype(bool) & ~leaf,
            true_branch=child_references(nodes.children_left, leaf),
            false_branch=child_references(nodes.children_right, leaf),
        )
        (canonical,) = canonical_trees(splits, np.array([-1 if leaf[0] else 0]), inputs)
        yield tree, *canonical


def child_references(children: Any, is_leaf: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the positions of the children, or ``-1 - position`` for leaves."""
    positions = np.asarray(children).astype(np.int64)
    return np.where(is_leaf[positions], -1 - positions, positions)


def added(terms: Sequence[tuple[Tree, NDArray[Any]]]) -> Expr:
    """Return the sum of the trees' values, in their order."""
    return tree_sum(terms)


def divided(total: Expr, count: float) -> Expr:
    """Return ``total / count``."""
    return apply("div", total, constant(float(count)))


def _targets(tree: Any) -> list[tuple[Any, int, int]]:
    """Return the classes of each target, its position, and the number of classes."""
    classes_of_targets = tree.classes_ if tree.n_outputs_ > 1 else [tree.classes_]
    return [(classes, k, len(classes)) for k, classes in enumerate(classes_of_targets)]


def _means(model: Any, X: Sequence[Expr]) -> list[tuple[Any, list[Expr]]]:
    """Return the classes of each target, and the mean of the trees' probabilities."""
    trees = model.estimators_ if hasattr(model, "estimators_") else [model]
    walked = list(each_tree(trees, X))
    result = []
    for classes, k, n_classes in _targets(model):
        sums = [
            added([(form, tree.tree_.value[leaves, k, c]) for tree, form, leaves in walked])
            for c in range(n_classes)
        ]
        if trees[0] is not model:
            sums = [divided(total, len(trees)) for total in sums]
        result.append((classes, sums))
    return result


def _probabilities(formulas: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    means = [mean for _, mean in formulas.shared(_means, model, X)]
    return tuple(means) if len(means) > 1 else means[0]


def _label(formulas: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    means = formulas.shared(_means, model, X)
    labels = [label_of_highest(classes, mean) for classes, mean in means]
    return labels if len(labels) > 1 else labels[0]


def _regression(_: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    trees = model.estimators_ if hasattr(model, "estimators_") else [model]
    walked = list(each_tree(trees, X))
    sums = [
        added([(form, tree.tree_.value[leaves, k, 0]) for tree, form, leaves in walked])
        for k in range(model.n_outputs_)
    ]
    if trees[0] is not model:
        sums = [divided(total, len(trees)) for total in sums]
    return sums if len(sums) > 1 else sums[0]


def _embedding(_: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    """Follow RandomTreesEmbedding.transform: ``apply``, then a column for each leaf."""
    walked = each_tree(model.estimators_, X)
    return [
        added([(form, (leaves == leaf).astype(np.float64))])
        for (_, form, leaves), leaves_of_training in zip(
            walked, model.one_hot_encoder_.categories_, strict=True
        )
        for leaf in leaves_of_training
    ]


def _depth(model: Any, X: Sequence[Expr]) -> Expr:
    """Return the depth of a row in an IsolationForest, summed over the trees."""
    paths = zip(
        each_tree(model.estimators_, X, model.estimators_features_),
        model._decision_path_lengths,
        model._average_path_length_per_tree,
        strict=True,
    )
    return added(
        [(form, length[leaves] + more[leaves] - 1.0) for (_, form, leaves), length, more in paths]
    )


def _usual_depth(model: Any) -> float:
    return float((len(model.estimators_) * _average_path_length([model._max_samples]))[0])


def _isolation_scores(formulas: Formulas, model: Any, X: Sequence[Expr]) -> Expr:
    usual = _usual_depth(model)
    if usual == 0:
        raise NotUnderstood("an IsolationForest of one training row")
    power = apply(
        "pow", constant(2.0), apply("neg", divided(formulas.shared(_depth, model, X), usual))
    )
    return apply("neg", power)


def _isolation_decision(formulas: Formulas, model: Any, X: Sequence[Expr]) -> Expr:
    return apply("sub", _isolation_scores(formulas, model, X), constant(float(model.offset_)))


def _isolation_label(formulas: Formulas, model: Any, X: Sequence[Expr]) -> Expr:
    """Return -1 below the depth at which numpy's own decision is no longer negative.

    The decision grows with the depth, so bisection finds this float64.
    """
    usual, offset = _usual_depth(model), float(model.offset_)
    if usual == 0:
        raise NotUnderstood("an IsolationForest of one training row")
    low, high = 0, int(np.array(np.inf).view(np.int64))
    while low < high:
        middle = (low + high) // 2
        depth = np.array([middle], dtype=np.int64).view(np.float64)
        outlier = bool((-(2 ** -np.divide(depth, usual)) - offset < 0)[0])
        low, high = (middle + 1, high) if outlier else (low, middle)
    first = float(np.array(low, dtype=np.int64).view(np.float64))
    is_outlier = apply("less", formulas.shared(_depth, model, X), constant(first))
    return where(is_outlier, constant(-1), constant(1))


_CLASSIFIER: Mapping[str, Formula] = {"predict": _label, "predict_proba": _probabilities}
_REGRESSOR: Mapping[str, Formula] = {"predict": _regression}

FORMULAS: Mapping[type, Mapping[str, Formula]] = {
    **dict.fromkeys(_CLASSIFIERS, _CLASSIFIER),
    **dict.fromkeys(_REGRESSORS, _REGRESSOR),
    ensemble.RandomForestClassifier: _CLASSIFIER,
    ensemble.ExtraTreesClassifier: _CLASSIFIER,
    ensemble.RandomForestRegressor: _REGRESSOR,
    ensemble.ExtraTreesRegressor: _REGRESSOR,
    ensemble.RandomTreesEmbedding: {"transform": _embedding},
    ensemble.IsolationForest: {
        "score_samples": _isolation_scores,
        "decision_function": _isolation_decision,
        "predict": _isolation_label,
    },
}
