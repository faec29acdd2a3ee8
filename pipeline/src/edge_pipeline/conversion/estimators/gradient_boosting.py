"""Gradient boosting: a constant, then one tree after the other added to it; then a link."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import dummy, ensemble
from sklearn._loss import link as links
from sklearn.ensemble import _gb

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.trees import forest_of, node_values
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import stumps_first, sum_by_target

__all__ = [
    "CONVERTERS",
    "boosted_label",
    "boosted_probabilities",
    "label_of_two",
    "linked",
    "raw_column",
]

_INVERSE_LINKS: Mapping[type, Callable[[Tensor], Tensor]] = {
    links.IdentityLink: lambda raw: raw,
    links.LogLink: ops.exp,
    links.LogitLink: ops.sigmoid,
    links.HalfLogitLink: lambda raw: ops.sigmoid(raw * 2.0),
    links.MultinomialLogit: ops.softmax,
}


def linked(context: Context, model: Any, raw: Tensor) -> Tensor:
    """What the loss makes of raw predictions: the inverse of its link."""
    link = type(model._loss.link)
    if link not in _INVERSE_LINKS:
        raise context.refuse(f"loss={model.loss!r}: its link {link.__name__} is not known here")
    return _INVERSE_LINKS[link](raw)


def raw_column(raw: Tensor) -> Tensor:
    """Raw predictions as decision_function gives them: a vector where there is one a row."""
    return ops.squeeze(raw, 1) if raw.width == 1 else raw


def boosted_probabilities(context: Context, model: Any, raw: Tensor) -> Tensor:
    """The loss's predict_proba.

    For two classes scikit-learn takes the first's from one; the logistic function of minus the
    score is the same to 1.1e-16.
    """
    return linked(context, model, _of_each(raw))


def _of_each(raw: Tensor) -> Tensor:
    """A score of every class: of two, the second's is the raw prediction, the first's minus it."""
    return raw if raw.width > 1 else raw * np.array([-1.0, 1.0])


def boosted_label(context: Context, model: Any, raw: Tensor, *, zero_is_second: bool) -> Tensor:
    """The class of the largest raw prediction, or of its sign."""
    if raw.width > 1:
        return context.labels(model.classes_, ops.argmax(raw, 1))
    if np.asarray(model.classes_).dtype == np.bool_:
        score = raw_column(raw)
        return score >= 0 if zero_is_second else score > 0
    # Of zero and minus zero, which are equal, the last or the first.
    return context.labels(model.classes_, ops.argmax(_of_each(raw), 1, last=zero_is_second))


def label_of_two(classes: Any, second: Tensor) -> Tensor:
    """The second of two classes where *second* holds, in as few nodes as their dtype allows."""
    classes = np.asarray(classes)
    if classes.dtype == np.bool_:
        return second
    if classes.dtype.kind in "iu" and classes.tolist() == [0, 1]:
        return second.astype(np.int64)
    return ops.where(second, classes[1], classes[0])


def _raw(context: Context, model: Any, X: Tensor) -> Tensor:
    """``_raw_predict``, shape (n_samples, n_trees_per_iteration_)."""
    return context.cached(model, "raw", X, lambda: _raw_sum(context, model, X))  # type: ignore[no-any-return]


def _raw_sum(context: Context, model: Any, X: Tensor) -> Tensor:
    """``init`` plus the learning rate times each tree's value, in the order of the stages."""
    trees = list(model.estimators_.ravel())
    n_targets = model.estimators_.shape[1]
    forest, values = forest_of(trees), model.learning_rate * node_values(trees)[:, 0, 0]
    targets = np.tile(np.arange(n_targets), len(model.estimators_))
    constant = _constant_init(model, n_targets)
    if constant is None:
        total = sum_by_target(X, forest, values, targets[forest.tree_of], n_targets)
        return _init(context, model, X) + total
    forest, values = stumps_first(forest, values, constant)
    targets = np.append(np.arange(n_targets), targets)
    return sum_by_target(X, forest, values, targets[forest.tree_of], n_targets)


def _constant_init(model: Any, n_targets: int) -> NDArray[np.float64] | None:
    """The raw predictions of ``init_`` where they are the same for every row."""
    init = model.init_
    if isinstance(init, str) and init == "zero":
        return np.zeros(n_targets)
    constant = isinstance(init, dummy.DummyRegressor) or (
        isinstance(init, dummy.DummyClassifier) and init.strategy in _CONSTANT_STRATEGIES
    )
    if not constant:
        return None
    row = np.zeros((1, model.n_features_in_), dtype=np.float32)
    kind = isinstance(model, ensemble.GradientBoostingClassifier)
    raw = _gb._init_raw_predictions(row, init, model._loss, kind)
    return np.array(raw[0], dtype=np.float64)


_CONSTANT_STRATEGIES = ("prior", "most_frequent", "constant")


def _init(context: Context, model: Any, X: Tensor) -> Tensor:
    """Raw predictions of a user's ``init``, which is asked about X cast to float32."""
    rounded = X.astype(np.float32).astype(np.float64)
    if not isinstance(model, ensemble.GradientBoostingClassifier):
        answer = context.call(model.init_, "predict", rounded, at="init_")
        return _as_matrix(answer).astype(np.float64)
    one = np.zeros((1, model.n_features_in_), dtype=np.float32)
    if np.asarray(model.init_.predict_proba(one)).dtype == np.float32:
        raise context.refuse(
            f"init={model.init_!r}: scikit-learn asks it in float32 and it answers in float32, "
            "whose rounding the logit magnifies; let init begin with a step that casts to float64, "
            "use trees, or init='zero'"
        )
    chances = context.call(model.init_, "predict_proba", rounded, at="init_")
    eps = float(np.finfo(np.float64).eps)
    if model._loss.is_multiclass:
        return _symmetric_logit(ops.clip(chances, eps, 1 - eps))
    second = ops.clip(chances[:, 1:2], eps, 1 - eps)
    logit = ops.log(second / (1.0 - second))
    return 0.5 * logit if isinstance(model._loss.link, links.HalfLogitLink) else logit


def _symmetric_logit(chances: Tensor) -> Tensor:
    """MultinomialLogit.link: the logarithm of each probability over their geometric mean."""
    mean = ops.exp(ops.mean(ops.log(chances), 1, keepdims=True))
    return ops.log(chances / mean)


def _as_matrix(answer: Tensor) -> Tensor:
    return ops.expand_dims(answer, 1) if answer.ndim == 1 else answer


def _decision(context: Context, model: Any, X: Tensor) -> Tensor:
    return raw_column(_raw(context, model, X))


def _probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    return boosted_probabilities(context, model, _raw(context, model, X))


def _label(context: Context, model: Any, X: Tensor) -> Tensor:
    return boosted_label(context, model, _raw(context, model, X), zero_is_second=True)


CONVERTERS: dict[type, Methods] = {
    ensemble.GradientBoostingRegressor: {"predict": _decision},
    ensemble.GradientBoostingClassifier: {
        "predict": _label,
        "predict_proba": _probabilities,
        "decision_function": _decision,
    },
}
