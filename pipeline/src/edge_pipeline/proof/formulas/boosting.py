"""Formulas of boosting and bagging: the constant, the trees in their order, and the link."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import dummy, ensemble
from sklearn._loss import link as links

from edge_pipeline.proof.canonical_trees import Splits, canonical_trees
from edge_pipeline.proof.expressions import apply, running_sums, take, tree_sum
from edge_pipeline.proof.formulas.registry import (
    Formula,
    Formulas,
    Result,
    label_of_highest,
    labels_of,
    looked_up,
)
from edge_pipeline.proof.formulas.trees import added, child_references, divided, each_tree
from edge_pipeline.proof.scalars import Expr, NotUnderstood, constant, make

__all__ = ["FORMULAS"]

_INITS = (dummy.DummyRegressor, dummy.DummyClassifier)


def softmax(scores: Sequence[Expr]) -> list[Expr]:
    """Return the softmax of one row."""
    return [make("softmax", scores, i, str(i).encode()) for i in range(len(scores))]


def _linked(model: Any, raw: Sequence[Expr]) -> list[Expr]:
    """Apply the inverse of the loss's link function."""
    link = type(model._loss.link)
    if link is links.MultinomialLogit:
        return softmax(raw)
    if link not in _INVERSES:
        raise NotUnderstood(f"the link {link.__name__}")
    return [_INVERSES[link](each) for each in raw]


_INVERSES: Mapping[type, Callable[[Expr], Expr]] = {
    links.IdentityLink: lambda x: x,
    links.LogLink: lambda x: apply("exp", x),
    links.LogitLink: lambda x: apply("sigmoid", x),
    links.HalfLogitLink: lambda x: apply("sigmoid", apply("mul", x, constant(2.0))),
}


def _class_probabilities(computed: Sequence[Expr]) -> list[Expr]:
    """Of two classes, P(class 1) is computed and P(class 0) = 1 - P(class 1)."""
    if len(computed) > 1:
        return list(computed)
    return [apply("sub", constant(1.0), computed[0]), computed[0]]


def _flat(raw: list[Expr]) -> Result:
    return raw[0] if len(raw) == 1 else raw


def _by_sign(classes: Any, raw: list[Expr], op: str) -> Expr:
    if len(raw) > 1:
        return label_of_highest(classes, raw)
    return take(labels_of(classes), apply("to int", apply(op, raw[0], constant(0.0))))


def _gradient_raw(model: Any, X: Sequence[Expr]) -> list[Expr]:
    """Follow GradientBoosting*._raw_predict: ``init``, then rate times each tree's value."""
    if not (isinstance(model.init_, str) or type(model.init_) in _INITS):
        raise NotUnderstood("an init estimator that is not constant")
    if getattr(model.init_, "strategy", "prior") in ("stratified", "uniform"):
        raise NotUnderstood("an init estimator that draws at random")
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))[0]
    raw = []
    for k, first in enumerate(np.asarray(start, dtype=np.float64).tolist()):
        trees = [stage[k] for stage in model.estimators_]
        terms = [
            (form, model.learning_rate * tree.tree_.value[leaves, 0, 0])
            for tree, form, leaves in each_tree(trees, X)
        ]
        raw.append(tree_sum([(None, np.array([first])), *terms]))
    return raw


def _histogram_raw(model: Any, X: Sequence[Expr]) -> list[Expr]:
    """Follow HistGradientBoosting*._raw_predict: the baseline, then the value of each tree."""
    columns, encoders = _histogram_columns(model, X)
    training_bitsets = model._bin_mapper.make_known_categories_bitsets()
    raw = []
    for k, first in enumerate(np.ravel(model._baseline_prediction).tolist()):
        terms: list[tuple[Any, NDArray[Any]]] = [(None, np.array([first]))]
        for iteration in model._predictors:
            nodes = iteration[k].nodes
            leaf = nodes["is_leaf"].astype(bool)
            splits = Splits(
                feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
                threshold=nodes["num_threshold"].astype(np.float64),
                nan_is_true=nodes["missing_go_to_left"].astype(bool) & ~leaf,
                true_branch=child_references(nodes["left"], leaf),
                false_branch=child_references(nodes["right"], leaf),
                conditions={
                    int(node): _category_condition(
                        iteration[k], node, encoders, training_bitsets, columns
                    )
                    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf)
                },
            )
            root = np.array([-1 if leaf[0] else 0])
            ((form, leaves),) = canonical_trees(splits, root, columns)
            terms.append((form, nodes["value"][leaves]))
        raw.append(tree_sum(terms))
    return raw


def _histogram_columns(model: Any, X: Sequence[Expr]) -> tuple[list[Expr], list[Any]]:
    """Return the columns as the trees number them, categorical first, and their categories."""
    if model._preprocessor is None:
        return list(X), []
    categorical = np.flatnonzero(model.is_categorical_)
    numeric = np.flatnonzero(~model.is_categorical_)
    encoder = model._preprocessor.named_transformers_["encoder"]
    return [X[int(i)] for i in [*categorical, *numeric]], list(encoder.categories_)


def _category_condition(
    predictor: Any,
    node: Any,
    encoders: list[Any],
    bitsets: tuple[Any, Any],
    columns: Sequence[Expr],
) -> Expr:
    """Return a boolean table: the categories that go left, and whether missing and unseen ones do.

    Follows ``_predict_one_from_raw_data`` in
    sklearn/ensemble/_hist_gradient_boosting/_predictor.pyx.
    """
    row = predictor.nodes[node]
    feature, missing_left = int(row["feature_idx"]), bool(row["missing_go_to_left"])
    left_bitset = predictor.raw_left_cat_bitsets[int(row["bitset_idx"])]
    training_bitset = bitsets[0][bitsets[1][feature]]
    categories = [(c, i) for i, c in enumerate(encoders[feature]) if c == c]  # NaN: missing
    goes_left = [
        _has(left_bitset, i) or (not _has(training_bitset, i) and missing_left)
        for _, i in categories
    ]
    return looked_up(columns[feature], [c for c, _ in categories], goes_left, missing_left)


def _has(bitset: Any, code: int) -> bool:
    return bool(int(bitset[code // 32]) >> (code % 32) & 1)


_RAW = {
    ensemble.GradientBoostingClassifier: (_gradient_raw, "greater or equal"),
    ensemble.GradientBoostingRegressor: (_gradient_raw, ""),
    ensemble.HistGradientBoostingClassifier: (_histogram_raw, "greater"),
    ensemble.HistGradientBoostingRegressor: (_histogram_raw, ""),
}


def _raw(model: Any, X: Sequence[Expr]) -> list[Expr]:
    return _RAW[type(model)][0](model, X)


_BOOSTED: Mapping[str, Formula] = {
    "decision_function": lambda _, model, X: _flat(_raw(model, X)),
    "predict_proba": lambda _, model, X: _class_probabilities(_linked(model, _raw(model, X))),
    "predict": lambda _, model, X: _by_sign(model.classes_, _raw(model, X), _RAW[type(model)][1]),
}


def _ada_decision(_: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    """Follow AdaBoostClassifier.decision_function: weighted votes by the sum of the weights."""
    n_classes = model.n_classes_
    if n_classes == 1:
        raise NotUnderstood("AdaBoostClassifier of one class")
    walked = list(zip(each_tree(model.estimators_, X), model.estimator_weights_, strict=False))
    votes = []
    for label in model.classes_:
        terms = []
        for (tree, form, leaves), weight in walked:
            votes_for_label = (
                tree.classes_[np.argmax(tree.tree_.value[leaves, 0, :], axis=1)] == label
            )
            terms.append((form, np.where(votes_for_label, weight, -1 / (n_classes - 1) * weight)))
        votes.append(divided(added(terms), float(model.estimator_weights_.sum())))
    if n_classes > 2:
        return votes
    return apply("add", apply("neg", votes[0]), votes[1])


def _ada_probabilities(formulas: Formulas, model: Any, X: Sequence[Expr]) -> list[Expr]:
    decision = _ada_decision(formulas, model, X)
    if isinstance(decision, Expr):
        return softmax([divided(apply("neg", decision), 2), divided(decision, 2)])
    return softmax([divided(each, model.n_classes_ - 1) for each in decision])


def _ada_label(formulas: Formulas, model: Any, X: Sequence[Expr]) -> Expr:
    decision = _ada_decision(formulas, model, X)
    raw = [decision] if isinstance(decision, Expr) else decision
    return _by_sign(model.classes_, raw, "greater")


def _ada_median(_: Formulas, model: Any, X: Sequence[Expr]) -> Expr:
    """Return the weighted median: the lowest prediction with half of the weight at or below it."""
    predictions = [
        added([(form, tree.tree_.value[leaves, 0, 0])])
        for tree, form, leaves in each_tree(model.estimators_, X)
    ]
    weights = np.asarray(model.estimator_weights_, dtype=np.float64)[: len(predictions)]
    positions = [str(i).encode() for i in range(len(predictions))]
    ascending = [make("sorted", predictions, i, position) for i, position in enumerate(positions)]
    order = [make("order", predictions, i, position) for i, position in enumerate(positions)]
    reached = running_sums([take(weights, each) for each in order])
    half = apply("mul", constant(0.5), reached[-1])
    is_reached = [apply("to int", apply("greater or equal", each, half)) for each in reached]
    return make("select", [*ascending, apply("argmax", *is_reached)])


def _bagged_probabilities(_: Formulas, model: Any, X: Sequence[Expr]) -> list[Expr]:
    walked = list(each_tree(model.estimators_, X, model.estimators_features_))
    sums = []
    for code in range(model.n_classes_):
        terms = []
        for tree, form, leaves in walked:
            column = np.flatnonzero(np.asarray(tree.classes_) == code)
            values = tree.tree_.value[leaves, 0, :]
            terms.append((form, values[:, column[0]] if len(column) else np.zeros(len(leaves))))
        sums.append(divided(added(terms), model.n_estimators))
    return sums


def _bagged_label(formulas: Formulas, model: Any, X: Sequence[Expr]) -> Expr:
    return label_of_highest(model.classes_, _bagged_probabilities(formulas, model, X))


def _bagged_regression(_: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    walked = list(each_tree(model.estimators_, X, model.estimators_features_))
    sums = [
        divided(
            added([(form, tree.tree_.value[leaves, k, 0]) for tree, form, leaves in walked]),
            model.n_estimators,
        )
        for k in range(model.estimators_[0].n_outputs_)
    ]
    return _flat(sums)


FORMULAS: Mapping[type, Mapping[str, Formula]] = {
    ensemble.GradientBoostingClassifier: _BOOSTED,
    ensemble.HistGradientBoostingClassifier: _BOOSTED,
    ensemble.GradientBoostingRegressor: {"predict": lambda _, model, X: _flat(_raw(model, X))},
    ensemble.HistGradientBoostingRegressor: {
        "predict": lambda _, model, X: _flat(_linked(model, _raw(model, X)))
    },
    ensemble.AdaBoostClassifier: {
        "predict": _ada_label,
        "predict_proba": _ada_probabilities,
        "decision_function": _ada_decision,
    },
    ensemble.AdaBoostRegressor: {"predict": _ada_median},
    ensemble.BaggingClassifier: {
        "predict": _bagged_label,
        "predict_proba": _bagged_probabilities,
    },
    ensemble.BaggingRegressor: {"predict": _bagged_regression},
}
