"""Linear models: one matrix product, then a link function or a choice of class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import linear_model as lm
from sklearn.svm import LinearSVC, LinearSVR

from edge_pipeline.convert import ops
from edge_pipeline.convert.context import Context, Methods
from edge_pipeline.convert.tensor import Tensor

__all__ = ["CONVERTERS", "choose", "linear_scores"]


def linear_prediction(_: Context, model: Any, X: Tensor) -> Tensor:
    """``X @ coef_.T + intercept_``, in the shape that ``coef_`` asks for."""
    return X @ np.asarray(model.coef_, dtype=np.float64).T + np.asarray(model.intercept_, float)


def linear_scores(_: Context, model: Any, X: Tensor) -> Tensor:
    """LinearClassifierMixin.decision_function: one column a class, none for two classes."""
    scores = X @ model.coef_.T + model.intercept_
    return ops.reshape(scores, [None]) if scores.shape[1] == 1 else scores


def choose(context: Context, classes: Any, scores: Tensor) -> Tensor:
    """The class of the highest score, or of the sign when there is one score a row."""
    index = (scores > 0).astype(np.int64) if scores.ndim == 1 else ops.argmax(scores, 1)
    return context.labels(classes, index)


def linear_label(context: Context, model: Any, X: Tensor) -> Tensor:
    """LinearClassifierMixin.predict."""
    return choose(context, model.classes_, linear_scores(context, model, X))


def _logistic_probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    scores = linear_scores(context, model, X)
    if scores.ndim == 1:
        # LogisticRegression takes the softmax of (-s, s) / 2 where the loss was multinomial; for two
        # classes 1.8 has dropped that: it is the logistic function of s.
        positive = ops.sigmoid(scores)
        return ops.stack([1.0 - positive, positive])
    if model.solver == "liblinear":
        return _one_against_rest(scores)
    return ops.softmax(scores)


def _one_against_rest(scores: Tensor) -> Tensor:
    """LinearClassifierMixin._predict_proba_lr: logistic scores, scaled to sum to one."""
    each = ops.sigmoid(scores)
    return each / ops.sum_(each, 1, keepdims=True)


def glm_prediction(link: Callable[[Tensor], Tensor]) -> Callable[[Context, Any, Tensor], Tensor]:
    """A generalised linear model: the inverse link of the linear prediction."""
    return lambda context, model, X: link(linear_prediction(context, model, X))


REGRESSOR: Methods = {"predict": linear_prediction}
CLASSIFIER: Methods = {"predict": linear_label, "decision_function": linear_scores}
LOGISTIC: Methods = {**CLASSIFIER, "predict_proba": _logistic_probabilities}

CONVERTERS: dict[type, Methods] = {
    **dict.fromkeys((lm.LinearRegression, lm.Ridge, lm.RidgeCV, lm.Lasso, LinearSVR), REGRESSOR),
    **dict.fromkeys((lm.RidgeClassifier, lm.RidgeClassifierCV, LinearSVC), CLASSIFIER),
    **dict.fromkeys((lm.LogisticRegression, lm.LogisticRegressionCV), LOGISTIC),
}
