"""Convert many classes from binary estimators: one-vs-rest, one-vs-one, output codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
    _ConstantPredictor,
)

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, MethodOutput, Methods, on_any_dtype
from edge_pipeline.conversion.estimators.dummy import constant_rows
from edge_pipeline.conversion.estimators.linear import linear_label
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import column, linear_parts, logistic_parts

__all__ = ["CONVERTERS"]


def _binary_scores(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    """Call ``_predict_binary`` of every estimator, shape (n_samples, n_estimators)."""
    together = linear_parts(context, meta.estimators_, X)
    if together is not None:
        return together
    return ops.stack([_binary_score(context, meta, i, X) for i in range(len(meta.estimators_))])


def _binary_score(context: Context, meta: Any, position: int, X: Tensor | Frame) -> Tensor:
    """Call predict of a regressor, else decision_function or predict_proba (_predict_binary)."""
    estimator, at = meta.estimators_[position], f"estimators_[{position}]"
    if is_regressor(estimator):
        score = context.call(estimator, "predict", X, at=at)
    elif hasattr(estimator, "decision_function"):
        score = context.call(estimator, "decision_function", X, at=at)
    else:
        score = column(context.call(estimator, "predict_proba", X, at=at), 1)
    score = ops.reshape(score, [None]) if score.ndim == 2 else score
    return score.astype(np.float64)


def _threshold(meta: Any) -> float:
    """``_threshold_for_binary_predict``."""
    first = meta.estimators_[0]
    return 0.0 if hasattr(first, "decision_function") and is_classifier(first) else 0.5


@on_any_dtype
def _one_vs_rest_label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    scores = _binary_scores(context, meta, X)
    kind = meta.label_binarizer_.y_type_
    if kind == "multiclass":
        return context.labels(meta.classes_, ops.argmax(scores, 1))
    is_positive = (scores > _threshold(meta)).astype(np.int64)
    if kind == "multilabel-indicator":
        return is_positive
    return context.labels(meta.classes_, ops.squeeze(is_positive, 1))


@on_any_dtype
def _one_vs_rest_probabilities(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    Y = logistic_parts(context, meta.estimators_, X)
    if Y is None:
        second = [
            column(context.call(estimator, "predict_proba", X, at=f"estimators_[{i}]"), 1)
            for i, estimator in enumerate(meta.estimators_)
        ]
        Y = ops.stack(second)
    if len(meta.estimators_) == 1:
        Y = ops.concatenate([1.0 - Y, Y], 1)
    if meta.multilabel_:
        return Y
    total = ops.sum_(Y, 1, keepdims=True)
    return Y / ops.where(total == 0.0, 1.0, total)


@on_any_dtype
def _one_vs_rest_scores(context: Context, meta: Any, X: Tensor | Frame) -> MethodOutput:
    if len(meta.estimators_) == 1:
        return context.call(meta.estimators_[0], "decision_function", X, at="estimators_[0]")
    return _binary_scores(context, meta, X)


@on_any_dtype
def _one_vs_one_scores(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    """``_ovr_decision_function``: votes of all pairs plus summed confidences scaled below 1/3."""
    confidences = _pair_confidences(context, meta, X)
    votes = _pair_votes(context, meta, X, confidences)
    first, second = _pairs(len(meta.classes_))
    total = confidences @ (second - first)
    Y = votes + total / (3.0 * (abs(total) + 1.0))
    return column(Y, 1) if len(meta.classes_) == 2 else Y


def _pair_confidences(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    if meta.pairwise_indices_ is None:
        return _binary_scores(context, meta, X)
    return ops.stack(
        [
            _binary_score(context, meta, i, inputs)
            for i, inputs in enumerate(_pair_inputs(context, meta, X))
        ]
    )


def _pair_votes(context: Context, meta: Any, X: Tensor | Frame, confidences: Tensor) -> Tensor:
    estimators = meta.estimators_
    first, second = _pairs(len(meta.classes_))
    if meta.pairwise_indices_ is None and all(
        context.converter(part, "predict") is linear_label for part in estimators
    ):
        # They predict by the sign of the score.
        is_second = (confidences > 0.0).astype(np.float64)
        votes: Tensor = is_second @ second + (1.0 - is_second) @ first
        return votes
    inputs = _pair_inputs(context, meta, X)
    predictions = ops.stack(
        [
            context.call(estimator, "predict", part, at=f"estimators_[{i}]")
            for i, (estimator, part) in enumerate(zip(estimators, inputs, strict=True))
        ]
    )
    for_first, for_second = predictions == 0, predictions == 1
    total: Tensor = for_second.astype(np.float64) @ second + for_first.astype(np.float64) @ first
    return total


def _pair_inputs(context: Context, meta: Any, X: Tensor | Frame) -> list[Any]:
    """Return the input of each pair's estimator: with a precomputed kernel, its own columns."""
    if meta.pairwise_indices_ is None:
        return [X] * len(meta.estimators_)
    matrix = context.matrix(X)
    return [matrix[:, indices] for indices in meta.pairwise_indices_]


def _pairs(n_classes: int) -> tuple[Any, Any]:
    """Return one-hot rows of the class that each pair votes for when it predicts 0, and when 1."""
    first, second = np.triu_indices(n_classes, 1)
    identity = np.eye(n_classes)
    return identity[first], identity[second]


@on_any_dtype
def _one_vs_one_label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    scores = _one_vs_one_scores(context, meta, X)
    if len(meta.classes_) == 2:
        threshold = _threshold(meta)
        return context.labels(meta.classes_, (scores > threshold).astype(np.int64))
    return context.labels(meta.classes_, ops.argmax(scores, 1))


@on_any_dtype
def _code_label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    """OutputCodeClassifier.predict: the nearest code, by |code|² - 2 code·y."""
    Y = _binary_scores(context, meta, X)
    book = np.asarray(meta.code_book_, dtype=np.float64)
    distances = Y @ (-2.0 * book.T) + np.einsum("ij,ij->i", book, book)
    return context.labels(meta.classes_, ops.argmin(distances, 1))


@on_any_dtype
def _constant(context: Context, part: Any, X: Tensor | Frame) -> Tensor:
    return constant_rows(X, np.asarray(part.y_)[0])


@on_any_dtype
def _constant_probabilities(context: Context, part: Any, X: Tensor | Frame) -> Tensor:
    y = float(part.y_[0])
    return constant_rows(X, np.array([1.0 - y, y]))


CONVERTERS: dict[type, Methods] = {
    OneVsRestClassifier: {
        "predict": _one_vs_rest_label,
        "predict_proba": _one_vs_rest_probabilities,
        "decision_function": _one_vs_rest_scores,
    },
    OneVsOneClassifier: {"predict": _one_vs_one_label, "decision_function": _one_vs_one_scores},
    OutputCodeClassifier: {"predict": _code_label},
    _ConstantPredictor: {
        "predict": _constant,
        "decision_function": _constant,
        "predict_proba": _constant_probabilities,
    },
}
