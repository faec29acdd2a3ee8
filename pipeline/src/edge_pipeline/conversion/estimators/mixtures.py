"""Convert Gaussian mixtures and EllipticEnvelope: quadratic forms of the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import digamma
from sklearn.covariance import EllipticEnvelope
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_log_det_cholesky

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


def _full(X: Tensor, means: Any, factors: Any) -> Tensor:
    """Compute the squared length of (x - mean) in the basis of each precision, by one product."""
    components, width, _ = factors.shape
    basis = np.concatenate(list(factors), axis=1)
    means = np.concatenate([mean @ factor for mean, factor in zip(means, factors, strict=True)])
    difference = ops.reshape_rows(X @ basis + -means, components, width)
    return ops.sum_(difference * difference, 2)


def _tied(X: Tensor, means: Any, factor: Any) -> Tensor:
    difference = ops.expand_dims(X @ factor, 1) - means @ factor
    return ops.sum_(difference * difference, 2)


def _diagonal(X: Tensor, means: Any, factors: Any) -> Tensor:
    precisions = factors**2
    constant = np.sum(means**2 * precisions, axis=1)
    lengths: Tensor = constant - 2.0 * (X @ (means * precisions).T) + (X * X) @ precisions.T
    return lengths


def _spherical(X: Tensor, means: Any, factors: Any) -> Tensor:
    precisions = factors**2
    constant = np.sum(means**2, axis=1) * precisions
    lengths: Tensor = (
        constant - 2.0 * (X @ means.T * precisions) + ops.sum_(X * X, 1, True) * precisions
    )
    return lengths


_QUADRATICS: Mapping[str, Callable[[Tensor, Any, Any], Tensor]] = {
    # sklearn.mixture._gaussian_mixture._estimate_log_gaussian_prob, by covariance_type
    "full": _full,
    "tied": _tied,
    "diag": _diagonal,
    "spherical": _spherical,
}


def _weighted_log_densities(mixture: Any, X: Tensor) -> Tensor:
    """BaseMixture._estimate_weighted_log_prob: one column for each component."""
    kind, factors, width = mixture.covariance_type, mixture.precisions_cholesky_, X.width
    quadratic = _QUADRATICS[kind](X, mixture.means_, factors)
    log_det = _compute_log_det_cholesky(factors, kind, width)
    density = -0.5 * (width * np.log(2 * np.pi) + quadratic) + log_det
    if isinstance(mixture, BayesianGaussianMixture):
        density = density + _wishart_terms(mixture, width)
    weighted: Tensor = density + np.asarray(mixture._estimate_log_weights())
    return weighted


def _wishart_terms(mixture: Any, width: int) -> Any:
    """BayesianGaussianMixture._estimate_log_prob adds the expected log determinant."""
    freedom = mixture.degrees_of_freedom_
    halves = 0.5 * (freedom - np.arange(width)[:, np.newaxis])
    log_lambda = width * np.log(2.0) + np.sum(digamma(halves), 0)
    return -0.5 * width * np.log(freedom) + 0.5 * (log_lambda - width / mixture.mean_precision_)


def _component(_: Context, mixture: Any, X: Tensor) -> Tensor:
    return ops.argmax(_weighted_log_densities(mixture, X), 1)


def _responsibilities(_: Context, mixture: Any, X: Tensor) -> Tensor:
    return ops.exp(ops.log_softmax(_weighted_log_densities(mixture, X)))


def _log_likelihood(_: Context, mixture: Any, X: Tensor) -> Tensor:
    return ops.logsumexp(_weighted_log_densities(mixture, X), 1)


def _mahalanobis(_: Context, envelope: Any, X: Tensor) -> Tensor:
    """EllipticEnvelope.score_samples: minus the squared Mahalanobis distance.

    scipy takes the root, and scikit-learn squares it again.
    """
    difference = X - envelope.location_
    square = ops.sum_(difference @ envelope.get_precision() * difference, 1)
    distance = ops.sqrt(square)
    return -(distance * distance)


def _margin(context: Context, envelope: Any, X: Tensor) -> Tensor:
    margin: Tensor = _mahalanobis(context, envelope, X) - envelope.offset_
    return margin


def _is_inlier(context: Context, envelope: Any, X: Tensor) -> Tensor:
    return ops.where(_margin(context, envelope, X) >= 0.0, np.int64(1), np.int64(-1))


_MIXTURE: Methods = {
    "predict": _component,
    "predict_proba": _responsibilities,
    "score_samples": _log_likelihood,
}

CONVERTERS: dict[type, Methods] = {
    GaussianMixture: _MIXTURE,
    BayesianGaussianMixture: _MIXTURE,
    EllipticEnvelope: {
        "predict": _is_inlier,
        "decision_function": _margin,
        "score_samples": _mahalanobis,
    },
}
