"""CalibratedClassifierCV: scores of every fold's classifier through its calibrator, averaged."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.special_functions import expit
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import average, first_method, linear_parts, response

__all__ = ["CONVERTERS"]

_SCORES = ("decision_function", "predict_proba")


@on_frame
def _probabilities(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    parts = meta.calibrated_classifiers_
    scores = _scores(context, parts, X)
    if parts[0].method == "sigmoid" and _alike(parts, scores):
        return _all_sigmoids(parts, scores)
    return average(
        [
            _calibrated(context, part, score, f"calibrated_classifiers_[{i}]")
            for i, (part, score) in enumerate(zip(parts, scores, strict=True))
        ]
    )


@on_frame
def _label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    return context.labels(meta.classes_, ops.argmax(_probabilities(context, meta, X), 1))


def _scores(context: Context, parts: Any, X: Tensor | Frame) -> list[Tensor]:
    """What each fold's classifier says: one column for two classes, else one a class."""
    together = linear_parts(context, [part.estimator for part in parts], X)
    if together is not None:
        return [together[:, i : i + 1] for i in range(len(parts))]
    scores = []
    for i, part in enumerate(parts):
        at = f"calibrated_classifiers_[{i}].estimator"
        score = response(context, part.estimator, X, _SCORES, at=at)
        scores.append(ops.expand_dims(score, 1) if score.ndim == 1 else score)
    return scores


def _alike(parts: Any, scores: list[Tensor]) -> bool:
    """Whether every fold has a score for every class (a small class may be missing from a fold)."""
    n_classes = len(parts[0].classes)
    width = 1 if n_classes == 2 else n_classes
    return len(parts) > 1 and all(
        score.width == width and len(part.estimator.classes_) == n_classes
        for part, score in zip(parts, scores, strict=True)
    )


def _all_sigmoids(parts: Any, scores: list[Tensor]) -> Tensor:
    """All folds in one formula: the same numbers as one by one, in far fewer nodes."""
    n_folds, width = len(parts), scores[0].width
    slopes = np.array([c.a_ for part in parts for c in part.calibrators])
    shifts = np.array([c.b_ for part in parts for c in part.calibrators])
    # Small ones are scaled to sum to one: they need their relative precision.
    each = expit(-(ops.concatenate(scores, 1) * slopes + shifts))
    if width == 1:
        positive = ops.sum_(each, 1, keepdims=True) / float(n_folds)
        return ops.concatenate([1.0 - positive, positive], 1)
    by_fold = ops.reshape_rows(each, n_folds, width)
    return ops.sum_(_to_one(by_fold), 1) / float(n_folds)


def _calibrated(context: Context, part: Any, score: Tensor, at: str) -> Tensor:
    """``_CalibratedClassifier.predict_proba``."""
    if part.method == "temperature":
        return _tempered(part, score)
    n_classes = len(part.classes)
    positions = np.searchsorted(part.classes, part.estimator.classes_)[: score.width]
    values = _values(context, part, score, at)
    if n_classes == 2:
        return _held_to_one(ops.concatenate([1.0 - values, values], 1))
    columns = {int(p): values[:, i : i + 1] for i, p in enumerate(positions)}
    nothing = ops.full_rows(score, np.zeros(1))
    proba = ops.concatenate([columns.get(p, nothing) for p in range(n_classes)], 1)
    return _held_to_one(_to_one(proba))


def _values(context: Context, part: Any, score: Tensor, at: str) -> Tensor:
    """Each column through its own calibrator."""
    calibrators = part.calibrators[: score.width]
    if part.method == "sigmoid":
        slopes = np.array([c.a_ for c in calibrators])
        shifts = np.array([c.b_ for c in calibrators])
        return expit(-(score * slopes + shifts))
    return ops.stack(
        [
            context.call(c, "predict", score[:, i : i + 1], at=f"{at}.calibrators[{i}]")
            for i, c in enumerate(calibrators)
        ]
    )


def _to_one(proba: Tensor) -> Tensor:
    """Divided by their sum over the last axis; where that is zero, all alike."""
    total = ops.sum_(proba, -1, keepdims=True)
    empty = total == 0.0
    return ops.where(empty, 1.0 / float(proba.width), proba / ops.where(empty, 1.0, total))


def _held_to_one(proba: Tensor) -> Tensor:
    """What exceeds one by rounding is one."""
    return ops.where((proba > 1.0) & (proba <= 1.0 + 1e-5), 1.0, proba)


def _tempered(part: Any, score: Tensor) -> Tensor:
    """``_TemperatureScaling.predict``: softmax of logits divided by the temperature.

    scikit-learn takes scores for probabilities when all rows of the batch look like some; that is
    so for predict_proba, and a decision_function is taken for logits.
    """
    probabilities = first_method(part.estimator, _SCORES) == "predict_proba"
    if score.width == 1:
        score = ops.concatenate([1.0 - score if probabilities else -score, score], 1)
    logits = ops.log(score + 1e-12) if probabilities else score
    return ops.softmax(logits * float(part.calibrators[0].beta_))


CONVERTERS: dict[type, Methods] = {
    CalibratedClassifierCV: {"predict": _label, "predict_proba": _probabilities}
}
