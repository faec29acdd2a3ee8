"""Convert gradient boosting: a constant plus one tree after the other, then a link function."""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import dummy, ensemble
from sklearn._loss import link as links
from sklearn.ensemble import _gb

from edge_pipeline.conversion.column_frame import matrix_of
from edge_pipeline.conversion.context import Context, Converter, Methods
from edge_pipeline.conversion.estimators.decision_trees import forest_of, node_values
from edge_pipeline.conversion.estimators.linear import INVERSE_LINKS
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import prepend_constant_trees, sum_by_target

__all__ = ["CONVERTERS", "boosted_classifier", "inverse_link", "raw_column"]

_INVERSE_LINKS = {**INVERSE_LINKS, links.MultinomialLogit: ops.softmax}


def inverse_link(context: Context, model: Any, raw: Tensor) -> Tensor:
    """Apply the inverse of the loss's link to raw predictions."""
    link = type(model._loss.link)
    if link not in _INVERSE_LINKS:
        raise context.refuse(f"loss={model.loss!r}: its link {link.__name__} has no inverse here")
    return _INVERSE_LINKS[link](raw)


def raw_column(raw: Tensor) -> Tensor:
    """Return raw predictions as decision_function does: a vector where there is one column."""
    return ops.squeeze(raw, 1) if raw.width == 1 else raw


def boosted_classifier(raw: Converter, *, zero_is_second: bool) -> Methods:
    """Convert the methods of a boosted classifier from its raw predictions.

    Parameters
    ----------
    zero_is_second
        Whether a raw prediction of zero means the second of two classes.
    """

    @wraps(raw)
    def label(context: Context, model: Any, X: Any) -> Tensor:
        predictions = raw(context, model, X)
        if predictions.width > 1:
            return context.labels(model.classes_, ops.argmax(predictions, 1))
        if np.asarray(model.classes_).dtype == np.bool_:
            score = raw_column(predictions)
            return score >= 0 if zero_is_second else score > 0
        # Zero and minus zero are equal: argmax takes the last or the first of them.
        scores = _score_of_each(predictions)
        return context.labels(model.classes_, ops.argmax(scores, 1, last=zero_is_second))

    @wraps(raw)
    def probabilities(context: Context, model: Any, X: Any) -> Tensor:
        # For two classes scikit-learn computes 1 - P(second).  The logistic function of minus the
        # score is the same to 1.1e-16.
        return inverse_link(context, model, _score_of_each(raw(context, model, X)))

    @wraps(raw)
    def decision(context: Context, model: Any, X: Any) -> Tensor:
        return raw_column(raw(context, model, X))

    return {"predict": label, "predict_proba": probabilities, "decision_function": decision}


def _score_of_each(raw: Tensor) -> Tensor:
    """Return a score for every class; two classes have minus and plus the raw prediction."""
    return raw if raw.width > 1 else raw * np.array([-1.0, 1.0])


def _raw(context: Context, model: Any, X: Tensor) -> Tensor:
    """``_raw_predict``, shape (n_samples, n_trees_per_iteration_)."""
    return context.cached(model, "raw", X, lambda: _raw_sum(context, model, X))  # type: ignore[no-any-return]


def _raw_sum(context: Context, model: Any, X: Tensor) -> Tensor:
    """Add the learning rate times each tree's value to ``init``, in the order of the stages."""
    trees = list(model.estimators_.ravel())
    n_targets = model.estimators_.shape[1]
    forest, values = forest_of(trees), model.learning_rate * node_values(trees)[:, 0, 0]
    targets = np.tile(np.arange(n_targets), len(model.estimators_))
    constant = _constant_init(model, n_targets)
    if constant is None:
        total = sum_by_target(X, forest, values, targets[forest.tree_of], n_targets)
        return _init(context, model, X) + total
    forest, values = prepend_constant_trees(forest, values, constant)
    targets = np.append(np.arange(n_targets), targets)
    return sum_by_target(X, forest, values, targets[forest.tree_of], n_targets)


def _constant_init(model: Any, n_targets: int) -> NDArray[np.float64] | None:
    """Return the raw predictions of ``init_`` where they are the same for every row, else None."""
    init = model.init_
    if isinstance(init, str) and init == "zero":
        return np.zeros(n_targets)
    is_constant = isinstance(init, dummy.DummyRegressor) or (
        isinstance(init, dummy.DummyClassifier) and init.strategy in _CONSTANT_STRATEGIES
    )
    if not is_constant:
        return None
    row = np.zeros((1, model.n_features_in_), dtype=np.float32)
    is_classifier = isinstance(model, ensemble.GradientBoostingClassifier)
    raw = _gb._init_raw_predictions(row, init, model._loss, is_classifier)
    return np.array(raw[0], dtype=np.float64)


_CONSTANT_STRATEGIES = ("prior", "most_frequent", "constant")


def _init(context: Context, model: Any, X: Tensor) -> Tensor:
    """Return the raw predictions of a user's ``init``, which scikit-learn runs on float32 input.

    ``sklearn.ensemble._gb._init_raw_predictions``.
    """
    rounded = X.astype(np.float32).astype(np.float64)
    if not isinstance(model, ensemble.GradientBoostingClassifier):
        predictions = context.call(model.init_, "predict", rounded, at="init_")
        return matrix_of(predictions).astype(np.float64)
    one = np.zeros((1, model.n_features_in_), dtype=np.float32)
    if np.asarray(model.init_.predict_proba(one)).dtype == np.float32:
        raise context.refuse(
            f"init={model.init_!r}: scikit-learn runs it in float32 and gets float32, whose "
            "rounding the logit magnifies; let init begin with a step that casts to float64, "
            "use trees, or init='zero'"
        )
    proba = context.call(model.init_, "predict_proba", rounded, at="init_")
    eps = float(np.finfo(np.float64).eps)
    if model._loss.is_multiclass:
        return _symmetric_logit(ops.clip(proba, eps, 1 - eps))
    second = ops.clip(proba[:, 1:2], eps, 1 - eps)
    logit = ops.log(second / (1.0 - second))
    return 0.5 * logit if isinstance(model._loss.link, links.HalfLogitLink) else logit


def _symmetric_logit(proba: Tensor) -> Tensor:
    """MultinomialLogit.link: the logarithm of each probability over their geometric mean."""
    mean = ops.exp(ops.mean(ops.log(proba), 1, keepdims=True))
    return ops.log(proba / mean)


def _prediction(context: Context, model: Any, X: Tensor) -> Tensor:
    return raw_column(_raw(context, model, X))


CONVERTERS: dict[type, Methods] = {
    ensemble.GradientBoostingRegressor: {"predict": _prediction},
    ensemble.GradientBoostingClassifier: boosted_classifier(_raw, zero_is_second=True),
}
