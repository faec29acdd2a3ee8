"""Convert projections: the row, centred and scaled, times one matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn import decomposition as dc
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.utils.extmath import fast_logdet

from edge_pipeline.conversion.context import Context, Converter, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]

LOG_TWO_PI = float(np.log(2.0 * np.pi))


def _principal_components(_: Context, pca: Any, X: Tensor) -> Tensor:
    """_BasePCA.transform: project first, then subtract the projected mean."""
    axes = np.asarray(pca.components_)
    projected: Tensor = X @ axes.T + -(pca.mean_ @ axes.T)
    if pca.whiten:
        scale = np.sqrt(pca.explained_variance_)
        projected = projected / np.maximum(scale, np.finfo(scale.dtype).eps)
    return projected


WIDE = 512
"""From this many features on, a precision matrix (2 MB) is stored as its factors."""


def _log_likelihood(_: Context, model: Any, X: Tensor) -> Tensor:
    """PCA.score_samples, FactorAnalysis.score_samples: the log density of a Gaussian."""
    precision = model.get_precision()
    centred = X - model.mean_
    factors = _precision_factors(model) if X.width >= WIDE else None
    if factors is None:
        square = ops.sum_(centred * (centred @ precision), 1)
    else:
        inverse_noise, weights = factors
        square = ops.sum_(centred * centred * inverse_noise, 1)
        square = square - ops.sum_of_squares(centred @ weights, 1)
    density: Tensor = -0.5 * square - 0.5 * (X.width * LOG_TWO_PI - fast_logdet(precision))
    return density


def _precision_factors(model: Any) -> tuple[Any, NDArray[np.float64]] | None:
    """Split the precision matrix of ``get_precision`` into diag(d) - W @ W.T.

    It is the matrix inversion lemma, by which scikit-learn computes that matrix.  None where that
    inverts the whole covariance instead, or where d and W are no smaller than the matrix.
    """
    components, noise = np.asarray(model.components_, dtype=np.float64), model.noise_variance_
    if not 0 < 2 * len(components) < components.shape[1] or not np.all(noise > 0.0):
        return None
    if isinstance(model, dc.PCA):
        variance = model.explained_variance_
        components = components * np.sqrt(variance)[:, np.newaxis] if model.whiten else components
        with np.errstate(divide="ignore"):
            inner = np.diag(1.0 / np.maximum(variance - noise, 0.0))
    else:
        inner = np.eye(len(components))
    inner = inner + (components / noise) @ components.T
    try:
        lower = linalg.cholesky(inner, lower=True)
    except (linalg.LinAlgError, ValueError):  # a component that explains no more than the noise
        return None
    return 1.0 / noise, linalg.solve_triangular(lower, components / noise, lower=True).T


def _factors(_: Context, model: Any, X: Tensor) -> Tensor:
    """FactorAnalysis.transform: the mean of the latent variables (Barber 2012, eq. 21.2.33)."""
    weighted = model.components_ / model.noise_variance_
    covariance = linalg.inv(np.eye(len(weighted)) + np.dot(weighted, model.components_.T))
    means: Tensor = (X - model.mean_) @ weighted.T @ covariance
    return means


def _sources(_: Context, ica: Any, X: Tensor) -> Tensor:
    """FastICA.transform."""
    sources: Tensor = (X - ica.mean_ if ica.whiten else X) @ ica.components_.T
    return sources


def _sparse_principal(_: Context, pca: Any, X: Tensor) -> Tensor:
    """_BaseSparsePCA.transform: ridge regression on the components, by its normal equations.

    The solution (C Cᵀ + alpha I)⁻¹ C x is the row times a matrix that does not depend on the row.
    """
    coefficients: Tensor = (X - pca.mean_) @ _ridge_solver(pca.components_.T, pca.ridge_alpha).T
    return coefficients


def _ridge_solver(design: Any, alpha: float) -> Any:
    """Return the matrix that ridge regression multiplies a row by.

    ``sklearn.linear_model._ridge``: ``_solve_cholesky``, or ``_solve_svd`` for a singular matrix.
    """
    gram = design.T @ design + alpha * np.eye(design.shape[1])
    try:
        return linalg.solve(gram, design.T, assume_a="pos")
    except linalg.LinAlgError:
        U, singular, Vt = linalg.svd(design, full_matrices=False)
        large = singular > 1e-15
        shrunk = np.zeros_like(singular)
        shrunk[large] = singular[large] / (singular[large] ** 2 + alpha)
        return Vt.T @ (shrunk[:, np.newaxis] * U.T)


def _rotated(attribute: str) -> Converter:
    """Convert ``transform`` of a cross decomposition: centre, scale, rotate by *attribute*."""
    return lambda _, model, X: (X - model._x_mean) / model._x_std @ getattr(model, attribute)


def _pls_prediction(_: Context, model: Any, X: Tensor) -> Tensor:
    """_PLS.predict."""
    predictions = (X - model._x_mean) @ model.coef_.T + model.intercept_
    return ops.squeeze(predictions, 1) if model._predict_1d else predictions


def _projection(_: Context, model: Any, X: Tensor) -> Tensor:
    """Multiply the row by the transposed components, dense or sparse."""
    components = model.components_
    matrix = components.toarray() if hasattr(components, "toarray") else components
    return X @ np.asarray(matrix).T


_PRODUCT: Methods = {"transform": _projection}
_RIDGE: Methods = {"transform": _sparse_principal}
_PLS: Methods = {"transform": _rotated("x_rotations_"), "predict": _pls_prediction}

CONVERTERS: dict[type, Methods] = {
    dc.PCA: {"transform": _principal_components, "score_samples": _log_likelihood},
    dc.IncrementalPCA: {"transform": _principal_components},
    dc.FactorAnalysis: {"transform": _factors, "score_samples": _log_likelihood},
    dc.FastICA: {"transform": _sources},
    PLSSVD: {"transform": _rotated("x_weights_")},
    **dict.fromkeys((CCA, PLSCanonical, PLSRegression), _PLS),
    **dict.fromkeys((dc.SparsePCA, dc.MiniBatchSparsePCA), _RIDGE),
    **dict.fromkeys(
        (
            dc.TruncatedSVD,
            GaussianRandomProjection,
            NeighborhoodComponentsAnalysis,
            SparseRandomProjection,
        ),
        _PRODUCT,
    ),
}
