"""Convert CalibratedClassifierCV: the mean over folds of each classifier's calibrated scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV

from edge_pipeline.conversion.class_labels import predict_largest
from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_any_dtype
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.special_functions import expit
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import average, first_method, linear_parts, response

__all__ = ["CONVERTERS"]

_SCORES = ("decision_function", "predict_proba")


@on_any_dtype
def _probabilities(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    parts = meta.calibrated_classifiers_
    scores = _scores(context, parts, X)
    if parts[0].method == "sigmoid" and _have_all_classes(parts, scores):
        return _all_sigmoids(parts, scores)
    return average(
        [
            _calibrated(context, part, score, f"calibrated_classifiers_[{i}]")
            for i, (part, score) in enumerate(zip(parts, scores, strict=True))
        ]
    )


def _scores(context: Context, parts: Any, X: Tensor | Frame) -> list[Tensor]:
    """Return the scores of each fold's classifier: one column for two classes, else one a class."""
    together = linear_parts(context, [part.estimator for part in parts], X)
    if together is not None:
        return [together[:, i : i + 1] for i in range(len(parts))]
    scores = []
    for i, part in enumerate(parts):
        at = f"calibrated_classifiers_[{i}].estimator"
        score = response(context, part.estimator, X, _SCORES, at=at)
        scores.append(ops.expand_dims(score, 1) if score.ndim == 1 else score)
    return scores


def _have_all_classes(parts: Any, scores: list[Tensor]) -> bool:
    """Whether every fold has a score for every class; a fold may lack a small class."""
    n_classes = len(parts[0].classes)
    width = 1 if n_classes == 2 else n_classes
    return len(parts) > 1 and all(
        score.width == width and len(part.estimator.classes_) == n_classes
        for part, score in zip(parts, scores, strict=True)
    )


def _all_sigmoids(parts: Any, scores: list[Tensor]) -> Tensor:
    """Calibrate all folds with one formula: the same numbers as one by one, in far fewer nodes."""
    n_folds, width = len(parts), scores[0].width
    slopes = np.array([c.a_ for part in parts for c in part.calibrators])
    shifts = np.array([c.b_ for part in parts for c in part.calibrators])
    # expit keeps the relative precision of small numbers; they are scaled to sum to one below.
    calibrated = expit(-(ops.concatenate(scores, 1) * slopes + shifts))
    if width == 1:
        positive = ops.sum_(calibrated, 1, keepdims=True) / float(n_folds)
        return ops.concatenate([1.0 - positive, positive], 1)
    by_fold = ops.reshape_rows(calibrated, n_folds, width)
    return ops.sum_(_scaled_to_one(by_fold), 1) / float(n_folds)


def _calibrated(context: Context, part: Any, score: Tensor, at: str) -> Tensor:
    """``_CalibratedClassifier.predict_proba``."""
    if part.method == "temperature":
        return _temperature_scaled(context, part, score)
    n_classes = len(part.classes)
    positions = np.searchsorted(part.classes, part.estimator.classes_)[: score.width]
    values = _values(context, part, score, at).astype(np.float64)
    if n_classes == 2:
        return _rounded_to_one(ops.concatenate([1.0 - values, values], 1))
    columns = {int(p): values[:, i : i + 1] for i, p in enumerate(positions)}
    zero = ops.full_rows(score, np.zeros(1))
    proba = ops.concatenate([columns.get(p, zero) for p in range(n_classes)], 1)
    return _rounded_to_one(_scaled_to_one(proba))


def _values(context: Context, part: Any, score: Tensor, at: str) -> Tensor:
    """Apply to each column its own calibrator."""
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


def _scaled_to_one(proba: Tensor) -> Tensor:
    """Divide by the sum over the last axis; uniform where that is zero."""
    total = ops.sum_(proba, -1, keepdims=True)
    is_zero = total == 0.0
    return ops.where(is_zero, 1.0 / float(proba.width), proba / ops.where(is_zero, 1.0, total))


def _rounded_to_one(proba: Tensor) -> Tensor:
    """Set to one what exceeds one by rounding."""
    return ops.where((proba > 1.0) & (proba <= 1.0 + 1e-5), 1.0, proba)


def _temperature_scaled(context: Context, part: Any, score: Tensor) -> Tensor:
    """``_TemperatureScaling.predict``: softmax of logits divided by the temperature.

    scikit-learn treats scores as probabilities when every row of the batch looks like one.  Here
    predict_proba counts as probabilities and decision_function as logits.
    """
    is_probability = first_method(part.estimator, _SCORES) == "predict_proba"
    if score.width == 1:
        score = ops.concatenate([1.0 - score if is_probability else -score, score], 1)
    beta = part.calibrators[0].beta_
    if score.dtype != np.float32:
        logits = ops.log(score + 1e-12) if is_probability else score
        return ops.softmax(logits * float(beta))
    # numpy's float32 log and exp depend on the CPU; these are the correctly rounded ones.
    context.record_float32_functions()
    logits = _in_float64(ops.log, score + np.float32(1e-12)) if is_probability else score
    scaled = logits * np.float32(beta)
    e = _in_float64(ops.exp, scaled - ops.max_(scaled, -1, True))
    return e / ops.sum_(e, -1, True)


def _in_float64(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Compute *function* of float32 numbers, rounded to float32 once."""
    return function(x.astype(np.float64)).astype(np.float32)


CONVERTERS: dict[type, Methods] = {
    CalibratedClassifierCV: {
        "predict": predict_largest(_probabilities),
        "predict_proba": _probabilities,
    }
}
