"""Convert classifiers with a decision threshold: compare the score of the positive class."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Converter, Methods, on_any_dtype
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import first_method, response

__all__ = ["CONVERTERS"]

_AUTO = ("predict_proba", "decision_function")


@on_any_dtype
def _fixed(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    threshold = meta.threshold
    if threshold == "auto":
        method = first_method(_estimator(meta), _methods(meta))
        threshold = 0.5 if method == "predict_proba" else 0.0
    return _label(context, meta, X, threshold, meta.pos_label)


@on_any_dtype
def _tuned(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    pos_label = meta._curve_scorer._get_pos_label()
    return _label(context, meta, X, meta.best_threshold_, pos_label)


def _label(
    context: Context, meta: Any, X: Tensor | Frame, threshold: float, pos_label: Any
) -> Tensor:
    """``_threshold_scores_to_class_labels``: a score at the threshold is the positive class."""
    estimator, classes = _estimator(meta), meta.classes_
    score = response(context, estimator, X, _methods(meta), at="estimator_", pos_label=pos_label)
    order = [0, 1]
    if pos_label is not None:
        positive = int(np.flatnonzero(classes == pos_label)[0])
        order = [1 - positive, positive]
    index = (score >= float(threshold)).astype(np.int64)
    return context.labels(np.asarray(classes)[order], index)


def _methods(meta: Any) -> Any:
    return _AUTO if meta.response_method == "auto" else meta.response_method


def _estimator(meta: Any) -> Any:
    """Return the fitted estimator, which may have been fitted before (``prefit``)."""
    return getattr(meta, "estimator_", meta.estimator)


def _of_estimator(method: str) -> Converter:
    """Convert *method* as that of the estimator."""
    return on_any_dtype(
        lambda context, meta, X: context.call(_estimator(meta), method, X, at="estimator_")
    )


_SCORES: Methods = {method: _of_estimator(method) for method in (*_AUTO, "predict_log_proba")}

CONVERTERS: dict[type, Methods] = {
    FixedThresholdClassifier: {**_SCORES, "predict": _fixed},
    TunedThresholdClassifierCV: {**_SCORES, "predict": _tuned},
}
