"""Projections: the row, centred and scaled, times one matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
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


def _principal(_: Context, pca: Any, X: Tensor) -> Tensor:
    """_BasePCA.transform: projected first, centred after."""
    axes = np.asarray(pca.components_)
    projected: Tensor = X @ axes.T + -(pca.mean_ @ axes.T)
    if pca.whiten:
        scale = np.sqrt(pca.explained_variance_)
        projected = projected / np.maximum(scale, np.finfo(scale.dtype).eps)
    return projected


def _log_likelihood(_: Context, model: Any, X: Tensor) -> Tensor:
    """Log density of a Gaussian, its precision from the generative model (PCA, FactorAnalysis)."""
    precision = model.get_precision()
    gap = X - model.mean_
    quadratic = -0.5 * ops.sum_(gap * (gap @ precision), 1)
    answer: Tensor = quadratic - 0.5 * (X.width * LOG_TWO_PI - fast_logdet(precision))
    return answer


def _factors(_: Context, model: Any, X: Tensor) -> Tensor:
    """FactorAnalysis.transform: the mean of the latent variables (Barber, 21.2.33)."""
    weighted = model.components_ / model.noise_variance_
    covariance = linalg.inv(np.eye(len(weighted)) + np.dot(weighted, model.components_.T))
    answer: Tensor = (X - model.mean_) @ weighted.T @ covariance
    return answer


def _sources(_: Context, ica: Any, X: Tensor) -> Tensor:
    """FastICA.transform."""
    answer: Tensor = (X - ica.mean_ if ica.whiten else X) @ ica.components_.T
    return answer


def _sparse_principal(_: Context, pca: Any, X: Tensor) -> Tensor:
    """SparsePCA.transform: ridge regression on the components, by its normal equations.

    ``_solve_cholesky``: (C Cᵀ + alpha I)⁻¹ C x; the right side is the row's, the matrix is not, so
    its factor is applied as one product.  A singular matrix goes to ``_solve_svd``.
    """
    design = pca.components_.T
    answer: Tensor = (X - pca.mean_) @ _ridge(design, pca.ridge_alpha).T
    return answer


def _ridge(design: Any, alpha: float) -> Any:
    gram = design.T @ design + alpha * np.eye(design.shape[1])
    try:
        return linalg.solve(gram, design.T, assume_a="pos")
    except linalg.LinAlgError:
        left, singular, right = linalg.svd(design, full_matrices=False)
        large = singular > 1e-15
        shrunk = np.zeros_like(singular)
        shrunk[large] = singular[large] / (singular[large] ** 2 + alpha)
        return right.T @ (shrunk[:, np.newaxis] * left.T)


def _standardized(rotation: str) -> Converter:
    """Cross decompositions: centre, scale, rotate."""
    return lambda _, model, X: (X - model._x_mean) / model._x_std @ getattr(model, rotation)


def _targets(_: Context, model: Any, X: Tensor) -> Tensor:
    """_PLS.predict."""
    answer = (X - model._x_mean) @ model.coef_.T + model.intercept_
    return ops.squeeze(answer, 1) if model._predict_1d else answer


def _product(attribute: str = "components_") -> Callable[[Context, Any, Tensor], Tensor]:
    """The row times the transposed components."""

    def convert(_: Context, model: Any, X: Tensor) -> Tensor:
        matrix = getattr(model, attribute)
        return X @ np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix).T

    return convert


_PRODUCT: Methods = {"transform": _product()}
_RIDGE: Methods = {"transform": _sparse_principal}
_PLS: Methods = {"transform": _standardized("x_rotations_"), "predict": _targets}

CONVERTERS: dict[type, Methods] = {
    dc.PCA: {"transform": _principal, "score_samples": _log_likelihood},
    dc.IncrementalPCA: {"transform": _principal},
    dc.FactorAnalysis: {"transform": _factors, "score_samples": _log_likelihood},
    dc.FastICA: {"transform": _sources},
    PLSSVD: {"transform": _standardized("x_weights_")},
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
