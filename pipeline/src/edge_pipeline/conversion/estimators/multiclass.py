"""Many classes from binary estimators: one against the rest, one against one, output codes."""

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
from edge_pipeline.conversion.context import Context, MethodOutput, Methods, on_frame
from edge_pipeline.conversion.estimators.linear import linear_label
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import column, linear_parts, logistic_parts

__all__ = ["CONVERTERS"]


def _binary_scores(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    """``_predict_binary`` of every part, side by side: shape (n_samples, n_estimators)."""
    together = linear_parts(context, meta.estimators_, X)
    if together is not None:
        return together
    return ops.stack([_binary_score(context, meta, i, X) for i in range(len(meta.estimators_))])


def _binary_score(context: Context, meta: Any, position: int, X: Tensor | Frame) -> Tensor:
    """What a regressor predicts, a classifier's decision_function, or else its probability."""
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


@on_frame
def _rest_label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    scores = _binary_scores(context, meta, X)
    kind = meta.label_binarizer_.y_type_
    if kind == "multiclass":
        return context.labels(meta.classes_, ops.argmax(scores, 1))
    chosen = (scores > _threshold(meta)).astype(np.int64)
    if kind == "multilabel-indicator":
        return chosen
    return context.labels(meta.classes_, ops.squeeze(chosen, 1))


@on_frame
def _rest_probabilities(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    parts = meta.estimators_
    Y = logistic_parts(context, parts, X)
    if Y is None:
        each = [
            column(context.call(part, "predict_proba", X, at=f"estimators_[{i}]"), 1)
            for i, part in enumerate(parts)
        ]
        Y = ops.stack(each)
    if len(parts) == 1:
        Y = ops.concatenate([1.0 - Y, Y], 1)
    if meta.multilabel_:
        return Y
    total = ops.sum_(Y, 1, keepdims=True)
    return Y / ops.where(total == 0.0, 1.0, total)


@on_frame
def _rest_scores(context: Context, meta: Any, X: Tensor | Frame) -> MethodOutput:
    if len(meta.estimators_) == 1:
        return context.call(meta.estimators_[0], "decision_function", X, at="estimators_[0]")
    return _binary_scores(context, meta, X)


@on_frame
def _duel_scores(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    """Votes of all pairs, and between equal votes the sum of confidences, squeezed below 1/3."""
    confidences = _duel_confidences(context, meta, X)
    votes_for = _duel_votes(context, meta, X, confidences)
    first, second = _pairs(len(meta.classes_))
    total = confidences @ (second - first)
    Y = votes_for + total / (3.0 * (abs(total) + 1.0))
    return column(Y, 1) if len(meta.classes_) == 2 else Y


def _duel_confidences(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    if meta.pairwise_indices_ is None:
        return _binary_scores(context, meta, X)
    return ops.stack(
        [_binary_score(context, meta, i, seen) for i, seen in enumerate(_seen(context, meta, X))]
    )


def _duel_votes(context: Context, meta: Any, X: Tensor | Frame, confidences: Tensor) -> Tensor:
    parts = meta.estimators_
    first, second = _pairs(len(meta.classes_))
    if meta.pairwise_indices_ is None and all(
        context.converter(part, "predict") is linear_label for part in parts
    ):
        # They predict by the sign of the score.
        won = (confidences > 0.0).astype(np.float64)
        votes: Tensor = won @ second + (1.0 - won) @ first
        return votes
    answers = [
        context.call(estimator, "predict", seen, at=f"estimators_[{i}]")
        for i, (estimator, seen) in enumerate(zip(parts, _seen(context, meta, X), strict=True))
    ]
    predictions = ops.stack(answers)
    lost, won = predictions == 0, predictions == 1
    counted: Tensor = won.astype(np.float64) @ second + lost.astype(np.float64) @ first
    return counted


def _seen(context: Context, meta: Any, X: Tensor | Frame) -> list[Any]:
    """What each pair's estimator sees: of a precomputed kernel, the columns it was fitted on."""
    if meta.pairwise_indices_ is None:
        return [X] * len(meta.estimators_)
    matrix = context.matrix(X)
    return [matrix[:, indices] for indices in meta.pairwise_indices_]


def _pairs(n_classes: int) -> tuple[Any, Any]:
    """Which class each pair votes for when it predicts 0, and when 1: one-hot rows."""
    ahead, behind = np.triu_indices(n_classes, 1)
    identity = np.eye(n_classes)
    return identity[ahead], identity[behind]


@on_frame
def _duel_label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    scores = _duel_scores(context, meta, X)
    if len(meta.classes_) == 2:
        threshold = _threshold(meta)
        return context.labels(meta.classes_, (scores > threshold).astype(np.int64))
    return context.labels(meta.classes_, ops.argmax(scores, 1))


@on_frame
def _code_label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    """The class whose code is nearest: scikit-learn compares |code|² - 2 code.y."""
    Y = _binary_scores(context, meta, X)
    book = np.asarray(meta.code_book_, dtype=np.float64)
    gaps = Y @ (-2.0 * book.T) + np.einsum("ij,ij->i", book, book)
    return context.labels(meta.classes_, ops.argmin(gaps, 1))


@on_frame
def _constant(context: Context, part: Any, X: Tensor | Frame) -> Tensor:
    return ops.full_rows(_some_tensor(X), np.asarray(part.y_)[0])


@on_frame
def _constant_probabilities(context: Context, part: Any, X: Tensor | Frame) -> Tensor:
    y = float(part.y_[0])
    return ops.full_rows(_some_tensor(X), np.array([1.0 - y, y]))


def _some_tensor(X: Tensor | Frame) -> Tensor:
    return X if isinstance(X, Tensor) else X.columns[0][0]


CONVERTERS: dict[type, Methods] = {
    OneVsRestClassifier: {
        "predict": _rest_label,
        "predict_proba": _rest_probabilities,
        "decision_function": _rest_scores,
    },
    OneVsOneClassifier: {"predict": _duel_label, "decision_function": _duel_scores},
    OutputCodeClassifier: {"predict": _code_label},
    _ConstantPredictor: {
        "predict": _constant,
        "decision_function": _constant,
        "predict_proba": _constant_probabilities,
    },
}
