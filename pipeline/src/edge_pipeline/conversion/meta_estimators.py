"""What a meta-estimator asks of its parts: which method, which column, many parts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.multiclass import type_of_target

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, MethodOutput
from edge_pipeline.conversion.estimators.linear import LOGISTIC, linear_scores
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.special_functions import expit
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["add", "average", "column", "first_method", "linear_parts", "logistic_parts", "response"]


def first_method(estimator: Any, methods: str | Sequence[str]) -> str:
    """The first of *methods* that *estimator* has (``_check_response_method``)."""
    wanted = [methods] if isinstance(methods, str) else list(methods)
    return next((method for method in wanted if hasattr(estimator, method)), wanted[-1])


def response(
    context: Context,
    estimator: Any,
    X: Tensor | Frame,
    methods: str | Sequence[str],
    *,
    at: str,
    pos_label: Any = None,
) -> MethodOutput:
    """``sklearn.utils._response._get_response_values``: of two classes, one score a row.

    Parameters
    ----------
    methods
        The first that the estimator has is asked.
    pos_label
        The class to score when there are two; the last one by default.
    """
    method = first_method(estimator, methods)
    answer = context.call(estimator, method, X, at=at)
    if not is_classifier(estimator) or method == "predict":
        return answer
    classes = estimator.classes_
    target = type_of_target(classes)
    if target == "binary":
        chosen = classes[-1] if pos_label is None else pos_label
        position = int(np.flatnonzero(classes == chosen)[0])
        if method == "predict_proba":
            return column(answer, position)
        return -1.0 * answer if position == 0 else answer
    if target == "multilabel-indicator" and isinstance(answer, list):
        return ops.stack([column(each, -1) for each in answer])
    return answer


def column(answer: Tensor, position: int) -> Tensor:
    """``answer[:, position]``."""
    return answer[:, position]


def add(parts: Sequence[Tensor]) -> Tensor:
    """The parts added one after the other, in their order: numpy's sum over the first axis."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    return first.graph.nodes("Sum", parts, [(first.dtype, first.shape)])[0]


def average(parts: Sequence[Tensor], weights: Any = None) -> Tensor:
    """``numpy.average`` over a first axis of *parts*, in its order of operations."""
    floats = [part.astype(np.float64) for part in parts]
    if weights is None:
        return add(floats) / float(len(floats))
    weights = np.asarray(weights, dtype=np.float64)
    weighted = [part * float(w) for part, w in zip(floats, weights, strict=True)]
    return add(weighted) / float(weights.sum())


def linear_parts(context: Context, estimators: Sequence[Any], X: Tensor | Frame) -> Tensor | None:
    """``decision_function`` of many binary linear models by one product: (n_samples, n_models).

    None when some estimator is not one, or when there is nothing to gain.
    """
    if len(estimators) < 2:
        return None
    for estimator in estimators:
        if context.converter(estimator, "decision_function") is not linear_scores:
            return None
        if np.shape(estimator.coef_)[0] != 1 or np.ndim(estimator.coef_) != 2:
            return None
    weights = np.vstack([_dense(estimator.coef_) for estimator in estimators])
    biases = np.array([float(np.ravel(estimator.intercept_)[0]) for estimator in estimators])
    return context.matrix(X) @ weights.T + biases


def logistic_parts(context: Context, estimators: Sequence[Any], X: Tensor | Frame) -> Tensor | None:
    """Second columns of ``predict_proba`` of many binary logistic models, side by side.

    None when some estimator is not one.
    """
    for estimator in estimators:
        # Until scikit-learn 1.7 there was another formula for two classes.
        if getattr(estimator, "multi_class", None) == "multinomial":
            return None
        if context.converter(estimator, "predict_proba") is not LOGISTIC["predict_proba"]:
            return None
    scores = linear_parts(context, estimators, X)
    return None if scores is None else expit(scores)


def _dense(coefficients: Any) -> Any:
    return coefficients.toarray() if hasattr(coefficients, "toarray") else coefficients
