"""Convert Gaussian processes: covariances with the training rows, then one product."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process._gpc import COEFS, LAMBDAS, _BinaryGaussianProcessClassifierLaplace

from edge_pipeline.conversion.context import Context, MethodOutput, Methods
from edge_pipeline.conversion.graph import ops, special_functions
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.gp_kernels import covariance, variance
from edge_pipeline.conversion.numeric.kernels import ROUNDING, weighted_sum

__all__ = ["CONVERTERS"]


_TIE = 1e-11
"""Probabilities that differ by less are equal: the five error functions have weights of 3,500."""


MAX_VARIANCE_NOISE = 1e-11
"""Share of a variance up to which the rounding of each of its terms leaves it nine exact digits."""


def _mean(context: Context, model: Any, X: Tensor) -> Tensor:
    """GaussianProcessRegressor.predict: algorithm 2.1 of Rasmussen and Williams (2006), line 4."""
    if not hasattr(model, "X_train_"):
        raise context.refuse(
            "it is not fitted, and its prior is the same for every row; fit it before"
        )
    similarities = covariance(context, model.kernel_, X, model.X_train_)
    mean = weighted_sum(context, similarities, model.alpha_)
    scaled = np.asarray(model._y_train_std) * mean + np.asarray(model._y_train_mean)
    return ops.squeeze(scaled, 1) if scaled.ndim == 2 and scaled.shape[1] == 1 else scaled


def _deviation(context: Context, model: Any, X: Tensor) -> Tensor:
    """GaussianProcessRegressor.predict(return_std=True): algorithm 2.1, lines 5 and 6.

    Near a training row the variance is a difference that cancels, and scikit-learn's own result is
    rounding there.
    """
    solver = solve_triangular(model.L_, np.eye(len(model.L_)), lower=True)
    similarities = covariance(context, model.kernel_, X, model.X_train_)
    prior = variance(context, model.kernel_, X)
    v = similarities @ solver.T
    terms = abs(v) * (abs(similarities) @ np.abs(solver).T)
    posterior = ops.maximum(prior - ops.sum_of_squares(v, 1), 0.0)
    noise = np.finfo(np.float64).eps * (prior + ops.sum_(terms, 1))
    context.mark_ambiguous(noise >= MAX_VARIANCE_NOISE * posterior, "predict_std")
    scale = np.ravel(np.asarray(model._y_train_std, dtype=np.float64)) ** 2
    if scale.size == 1:
        return ops.sqrt(posterior * scale[0])
    return ops.sqrt(ops.expand_dims(posterior, 1) * scale)


def _latent_mean(context: Context, model: Any, X: Tensor) -> Tensor:
    """Rasmussen and Williams (2006), algorithm 3.2, line 4."""
    similarities = covariance(context, model.kernel_, X, model.X_train_)
    return similarities @ np.asarray(model.y_train_ - model.pi_)


def _latent_variance(context: Context, model: Any, X: Tensor) -> Tensor:
    """Rasmussen and Williams (2006), algorithm 3.2, lines 5 and 6.

    L is the factor of I + W½KW½, whose eigenvalues are at least 1.  So inverting L is accurate.
    """
    n = len(model.L_)
    solver = solve_triangular(model.L_, np.eye(n), lower=True) * model.W_sr_
    v = covariance(context, model.kernel_, X, model.X_train_) @ solver.T
    return variance(context, model.kernel_, X) - ops.sum_of_squares(v, 1)


def _binary_label(context: Context, model: Any, X: Tensor) -> Tensor:
    latent = _latent_mean(context, model, X)
    similarities = covariance(context, model.kernel_, X, model.X_train_)
    terms = abs(similarities) @ np.abs(model.y_train_ - model.pi_)
    context.mark_ambiguous(abs(latent) < terms * ROUNDING)
    positive = latent > 0.0
    return context.labels(model.classes_, positive.astype(np.int64))


def _binary_probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    """_BinaryGaussianProcessClassifierLaplace.predict_proba.

    The logistic integral as a sum of five error functions (Williams and Barber 1998).
    """
    mean = ops.expand_dims(_latent_mean(context, model, X), 1)
    variances = ops.expand_dims(_latent_variance(context, model, X), 1)
    lambdas, coefficients = LAMBDAS.ravel(), COEFS.ravel()
    alpha = 1.0 / (2.0 * variances)
    width = ops.sqrt(alpha / (alpha + lambdas**2))
    height = ops.sqrt(np.pi / alpha) / (2.0 * ops.sqrt(variances * 2.0 * np.pi))
    integrals = height * special_functions.erf(lambdas * mean * width)
    positive = ops.sum_(coefficients * integrals, 1, keepdims=True) + 0.5 * coefficients.sum()
    return ops.concatenate([1.0 - positive, positive], 1)


def _label(context: Context, model: Any, X: Tensor) -> MethodOutput:
    """GaussianProcessClassifier.predict: one binary process, or several (rest or pairs)."""
    estimator = model.base_estimator_
    if len(model.classes_) > 2:
        is_one_vs_one = model.multi_class == "one_vs_one"
        method = "decision_function" if is_one_vs_one else "predict_proba"
        scores = context.call(estimator, method, X)
        best = ops.top_k(scores, 2)[0]
        context.mark_ambiguous(best[:, 0] - best[:, 1] < _TIE)
    return context.call(estimator, "predict", X, at="base_estimator_")


def _probabilities(context: Context, model: Any, X: Tensor) -> MethodOutput:
    return context.call(model.base_estimator_, "predict_proba", X, at="base_estimator_")


CONVERTERS: dict[type, Methods] = {
    GaussianProcessRegressor: {"predict": _mean, "predict_std": _deviation},
    GaussianProcessClassifier: {"predict": _label, "predict_proba": _probabilities},
    _BinaryGaussianProcessClassifierLaplace: {
        "predict": _binary_label,
        "predict_proba": _binary_probabilities,
    },
}
