"""Call the estimators inside a meta-estimator, and combine their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.multiclass import type_of_target

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, MethodOutput
from edge_pipeline.conversion.estimators.linear import LOGISTIC, linear_scores
from edge_pipeline.conversion.fitted_arrays import dense_array
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.special_functions import expit
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = [
    "add",
    "average",
    "call_each",
    "column",
    "first_method",
    "linear_parts",
    "logistic_parts",
    "response",
]


def first_method(estimator: Any, methods: str | Sequence[str]) -> str:
    """Return the first of *methods* that *estimator* has (``_check_response_method``)."""
    names = [methods] if isinstance(methods, str) else list(methods)
    return next((name for name in names if hasattr(estimator, name)), names[-1])


def response(
    context: Context,
    estimator: Any,
    X: Tensor | Frame,
    methods: str | Sequence[str],
    *,
    at: str,
    pos_label: Any = None,
) -> MethodOutput:
    """Call *estimator*; for two classes, return one score for each row.

    ``sklearn.utils._response._get_response_values``.

    Parameters
    ----------
    methods
        The first that the estimator has is called.
    pos_label
        The class to score when there are two; the last by default.
    """
    method = first_method(estimator, methods)
    output = context.call(estimator, method, X, at=at)
    if not is_classifier(estimator) or method == "predict":
        return output
    classes = estimator.classes_
    target = type_of_target(classes)
    if target == "binary":
        positive = classes[-1] if pos_label is None else pos_label
        position = int(np.flatnonzero(classes == positive)[0])
        if method == "predict_proba":
            return column(output, position)
        return -1.0 * output if position == 0 else output
    if target == "multilabel-indicator" and isinstance(output, list):
        return ops.stack([column(proba, -1) for proba in output])
    return output


def call_each(context: Context, meta: Any, X: Tensor | Frame, method: str) -> list[Tensor]:
    """Call *method* of every estimator in ``meta.estimators_``."""
    return [
        context.call(estimator, method, X, at=f"estimators_[{i}]")
        for i, estimator in enumerate(meta.estimators_)
    ]


def column(output: Tensor, position: int) -> Tensor:
    """Return ``output[:, position]``."""
    return output[:, position]


def add(parts: Sequence[Tensor]) -> Tensor:
    """Add the parts one after the other: numpy's sum over the first axis, in its order."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    return first.graph.nodes("Sum", parts, [(first.dtype, first.shape)])[0]


def average(parts: Sequence[Tensor], weights: Any = None) -> Tensor:
    """Compute ``numpy.average`` over a first axis of *parts*, in its order of operations."""
    floats = [part.astype(np.float64) for part in parts]
    if weights is None:
        return add(floats) / float(len(floats))
    weights = np.asarray(weights, dtype=np.float64)
    weighted = [part * float(w) for part, w in zip(floats, weights, strict=True)]
    return add(weighted) / float(weights.sum())


def linear_parts(context: Context, estimators: Sequence[Any], X: Tensor | Frame) -> Tensor | None:
    """Compute ``decision_function`` of many binary linear models by one matrix product.

    Shape (n_samples, n_models); None when some estimator is of another kind, or there is only one.
    """
    if len(estimators) < 2:
        return None
    for estimator in estimators:
        if context.converter(estimator, "decision_function") is not linear_scores:
            return None
        if np.shape(estimator.coef_)[0] != 1 or np.ndim(estimator.coef_) != 2:
            return None
    weights = np.vstack([dense_array(estimator.coef_) for estimator in estimators])
    biases = np.array([float(np.ravel(estimator.intercept_)[0]) for estimator in estimators])
    return context.matrix(context.in_dtypes_of(linear_scores, X)) @ weights.T + biases


def logistic_parts(context: Context, estimators: Sequence[Any], X: Tensor | Frame) -> Tensor | None:
    """Compute the probability of the second class of many binary logistic models side by side.

    None when some estimator is of another kind, or there is only one.
    """
    for estimator in estimators:
        # Until scikit-learn 1.7 there was another formula for two classes.
        if getattr(estimator, "multi_class", None) == "multinomial":
            return None
        if context.converter(estimator, "predict_proba") is not LOGISTIC["predict_proba"]:
            return None
    scores = linear_parts(context, estimators, X)
    return None if scores is None else expit(scores)
