"""Convert linear models: one matrix product, then a link function or the largest score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import linear_model as lm
from sklearn._loss import link as links
from sklearn.svm import LinearSVC, LinearSVR

from edge_pipeline.conversion.context import Context, MethodOutput, Methods
from edge_pipeline.conversion.fitted_arrays import dense_array
from edge_pipeline.conversion.graph import ops, special_functions
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.kernels import EXACT, ROUNDING

__all__ = [
    "CONVERTERS",
    "INVERSE_LINKS",
    "LOGISTIC",
    "linear_label",
    "linear_scores",
    "second_score",
]


CANCELLING = 1e-3 * EXACT / ROUNDING
"""Sum of the sizes of a linear model's terms, relative to its predictions, from which rows are
looked at one by one: such sums may cancel to a prediction with fewer than nine digits."""

WIDEST_CANCELLING = 512
"""Columns up to which the terms are looked at; it takes 20 us a column."""


def linear_prediction(context: Context, model: Any, X: Tensor) -> Tensor:
    """Compute ``X @ coef_.T + intercept_``; a one-dimensional ``coef_`` gives a vector."""
    weights, bias = dense_array(model.coef_), np.asarray(model.intercept_, dtype=np.float64)
    _mark_cancelling_rows(context, np.atleast_2d(weights).T, bias, X)
    predictions: Tensor = X @ np.atleast_2d(weights).T + bias
    return ops.squeeze(predictions, 1) if weights.ndim == 1 else predictions


def _mark_cancelling_rows(
    context: Context, weights: NDArray[np.float64], bias: Any, X: Tensor
) -> None:
    """Mark the rows whose terms cancel: there BLAS's order of adding decides the ninth digit.

    A least-squares fit of a polynomial of high degree has weights of 1e11, of either sign.
    """
    rows = context.example_rows(X) if X.width <= WIDEST_CANCELLING else None
    if rows is None:
        return
    values = np.nan_to_num(np.asarray(rows, dtype=np.float64))
    sizes = np.abs(values) @ np.abs(weights) + np.abs(bias)
    if not np.any(sizes > CANCELLING * np.abs(values @ weights + bias).max(initial=0.0)):
        return
    sizes = abs(X) @ np.abs(weights) + np.abs(bias)
    cancels = abs(X @ weights + bias) * EXACT < sizes * ROUNDING
    context.mark_ambiguous(ops.max_(cancels.astype(np.int64), 1) > 0)


def linear_scores(context: Context, model: Any, X: Tensor) -> Tensor:
    """LinearClassifierMixin.decision_function: a column for each class, or a vector for two."""
    if _is_narrow(model):
        return second_score(_two_columns(model, X))
    return _flat(linear_prediction(context, model, X))


TWO_COLUMNS_UP_TO = 512
"""Up to this many features two classes have two score columns, the first of zeros.

Label, probabilities and scores are then one node each after the product.  With more features, a
product of twice the size costs more than that saves."""


def _is_narrow(model: Any) -> bool:
    shape = model.coef_.shape
    return len(shape) == 2 and shape[0] == 1 and shape[1] <= TWO_COLUMNS_UP_TO


def _two_columns(model: Any, X: Tensor) -> Tensor:
    """Return the scores of two classes: zero, and the decision function."""
    weights = np.vstack([np.zeros(X.width), dense_array(model.coef_)]).T
    bias = np.append(0.0, np.asarray(model.intercept_, dtype=np.float64))
    scores: Tensor = X @ weights + bias
    return scores


def second_score(scores: Tensor) -> Tensor:
    """Return the second of two columns; the first is zero.

    Their sum takes 3.5 us for 1,000 rows, and picking a column takes 8 us (onnxruntime 1.32).
    """
    return ops.sum_(scores, 1)


def linear_label(context: Context, model: Any, X: Tensor) -> Tensor:
    """LinearClassifierMixin.predict."""
    if _is_narrow(model):
        return context.labels(model.classes_, ops.argmax(_two_columns(model, X), 1))
    scores = linear_scores(context, model, X)
    index = (scores > 0).astype(np.int64) if scores.ndim == 1 else ops.argmax(scores, 1)
    return context.labels(model.classes_, index)


def _scaled_to_one(scores: Tensor) -> Tensor:
    """Scale rows of non-negative numbers to sum to one; a row of zeros becomes uniform."""
    total = ops.sum_(scores, 1, keepdims=True)
    is_zero = total == 0.0
    return ops.where(is_zero, 1.0, scores) / ops.where(is_zero, float(scores.width), total)


def _flat(scores: Tensor) -> Tensor:
    return ops.squeeze(scores, 1) if scores.ndim == 2 and scores.shape[1] == 1 else scores


def _one_versus_rest(context: Context, model: Any, X: Tensor) -> Tensor:
    """LinearClassifierMixin._predict_proba_lr: logistic scores, scaled to sum to one."""
    if _is_narrow(model):
        return ops.softmax(_two_columns(model, X))
    scores = linear_prediction(context, model, X)
    if scores.width == 1:
        positive = ops.sigmoid(scores)
        return ops.concatenate([1.0 - positive, positive], 1)
    return _scaled_to_one(special_functions.expit(scores))


def _logistic_probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    """LogisticRegression.predict_proba: softmax, or the logistic function for two classes.

    Up to scikit-learn 1.7 ``multi_class`` (and liblinear) selected one-versus-rest or multinomial.
    A model trained with such a version is converted by its formula.
    """
    multi_class = getattr(model, "multi_class", "deprecated")
    scores = linear_prediction(context, model, X)
    if multi_class == "multinomial":
        return ops.softmax(ops.concatenate([-scores, scores], 1) if scores.width == 1 else scores)
    if len(model.classes_) <= 2 or multi_class == "ovr" or model.solver == "liblinear":
        return _one_versus_rest(context, model, X)
    return ops.softmax(scores)


def _sgd_probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    """SGDClassifier.predict_proba, which exists for two losses."""
    if model.loss == "log_loss":
        return _one_versus_rest(context, model, X)
    scores = linear_prediction(context, model, X)
    clipped = (ops.clip(scores, -1.0, 1.0) + 1.0) / 2.0
    if clipped.width == 1:
        return ops.concatenate([1.0 - clipped, clipped], 1)
    return _scaled_to_one(clipped)


def _ridge_label(context: Context, model: Any, X: Tensor) -> Tensor:
    """RidgeClassifier.predict; with several labels a row, every label with a positive score."""
    if model._label_binarizer.y_type_.startswith("multilabel"):
        return (linear_prediction(context, model, X) > 0.0).astype(np.int64)
    return linear_label(context, model, X)


def _glm_prediction(context: Context, model: Any, X: Tensor) -> Tensor:
    """_GeneralizedLinearRegressor.predict: the loss's inverse link of the linear prediction."""
    inverse = INVERSE_LINKS.get(type(model._base_loss.link))
    if inverse is None:
        raise context.refuse(f"link {type(model._base_loss.link).__name__} has no inverse here")
    return inverse(linear_prediction(context, model, X))


INVERSE_LINKS: Mapping[type, Callable[[Tensor], Tensor]] = {
    links.IdentityLink: lambda raw: raw,
    links.LogLink: ops.exp,
    links.LogitLink: ops.sigmoid,
    links.HalfLogitLink: lambda raw: ops.sigmoid(raw * 2.0),
}
"""Links of ``sklearn._loss.link`` to their inverse."""


def _one_class_score(_: Context, model: Any, X: Tensor) -> Tensor:
    """SGDOneClassSVM.decision_function."""
    product: Tensor = X @ dense_array(model.coef_).reshape(-1, 1) + -float(model.offset_[0])
    return ops.squeeze(product, 1)


def _one_class_samples(context: Context, model: Any, X: Tensor) -> Tensor:
    """SGDOneClassSVM.score_samples: subtract the offset and add it again, as scikit-learn does."""
    return _one_class_score(context, model, X) + float(model.offset_[0])


def _one_class_label(context: Context, model: Any, X: Tensor) -> Tensor:
    return ops.where(_one_class_score(context, model, X) >= 0.0, np.int64(1), np.int64(-1))


def _consensus(context: Context, model: Any, X: Tensor) -> MethodOutput:
    """RANSACRegressor.predict: the estimator fitted on the inliers."""
    return context.call(model.estimator_, "predict", X, at="estimator_")


def _deviation(_: Context, model: Any, X: Tensor) -> Tensor:
    """BayesianRidge and ARDRegression, ``predict(return_std=True)``: Bishop (2006), eq. 3.59."""
    centred = X - np.asarray(model.X_offset_, dtype=np.float64)
    if isinstance(model, lm.ARDRegression):
        relevant = np.flatnonzero(model.lambda_ < model.threshold_lambda)
        centred = ops.take(centred, relevant, 1)
    variance = ops.sum_((centred @ np.asarray(model.sigma_, dtype=np.float64)) * centred, 1)
    return ops.sqrt(variance + 1.0 / float(model.alpha_))


REGRESSOR: Methods = {"predict": linear_prediction}
BAYESIAN: Methods = {**REGRESSOR, "predict_std": _deviation}
CLASSIFIER: Methods = {"predict": linear_label, "decision_function": linear_scores}
LOGISTIC: Methods = {**CLASSIFIER, "predict_proba": _logistic_probabilities}
RIDGE_CLASSIFIER: Methods = {**CLASSIFIER, "predict": _ridge_label}
GLM: Methods = {"predict": _glm_prediction}

_REGRESSORS = (
    "ElasticNet ElasticNetCV HuberRegressor Lars LarsCV Lasso LassoCV "
    "LassoLars LassoLarsCV LassoLarsIC LinearRegression MultiTaskElasticNet MultiTaskElasticNetCV "
    "MultiTaskLasso MultiTaskLassoCV OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV "
    "PassiveAggressiveRegressor QuantileRegressor Ridge RidgeCV SGDRegressor TheilSenRegressor"
)
_CLASSIFIERS = "PassiveAggressiveClassifier Perceptron"

CONVERTERS: dict[type, Methods] = {
    # By name: scikit-learn 1.10 removes PassiveAggressive*.
    **{getattr(lm, name): REGRESSOR for name in _REGRESSORS.split() if hasattr(lm, name)},
    **{getattr(lm, name): CLASSIFIER for name in _CLASSIFIERS.split() if hasattr(lm, name)},
    **dict.fromkeys((lm.ARDRegression, lm.BayesianRidge), BAYESIAN),
    **dict.fromkeys((lm.RidgeClassifier, lm.RidgeClassifierCV), RIDGE_CLASSIFIER),
    **dict.fromkeys((lm.LogisticRegression, lm.LogisticRegressionCV), LOGISTIC),
    **dict.fromkeys((lm.GammaRegressor, lm.PoissonRegressor, lm.TweedieRegressor), GLM),
    lm.RANSACRegressor: {"predict": _consensus},
    lm.SGDClassifier: {**CLASSIFIER, "predict_proba": _sgd_probabilities},
    lm.SGDOneClassSVM: {
        "predict": _one_class_label,
        "decision_function": _one_class_score,
        "score_samples": _one_class_samples,
    },
    LinearSVC: CLASSIFIER,
    LinearSVR: REGRESSOR,
}
