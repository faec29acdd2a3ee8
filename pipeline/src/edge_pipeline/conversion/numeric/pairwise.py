"""Pairwise products, distances and kernels: rows of a tensor against the rows of a constant.

The formulas are those of ``sklearn.metrics.pairwise``, in its order of operations.  Where a formula
cancels (the dot-product form of a distance does), both sides then lose the same digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.sparse_rows import row_products

__all__ = [
    "NAMED_KERNELS",
    "TAKE_SPARSE_ROWS",
    "cosine",
    "dot",
    "manhattan",
    "row_differences",
    "squared_differences",
    "squared_distances",
]

TINY_NORM = 10 * np.finfo(np.float64).eps
"""Rows shorter than this are left as they are by ``sklearn.preprocessing.normalize``."""


TAKE_SPARSE_ROWS = ("cosine", "linear", "poly", "polynomial", "rbf", "sigmoid")
"""Kernels that need nothing but products: the rows of Y may be a sparse matrix."""


def dot(X: Tensor, Y: Any) -> Tensor:
    """``X @ Y.T``."""
    if sparse.issparse(Y):
        return row_products(X, Y)
    return X @ (Y.T if isinstance(Y, Tensor) else np.asarray(Y, dtype=np.float64).T)


def squared_distances(X: Tensor, Y: Any) -> Tensor:
    """``euclidean_distances(X, Y, squared=True)``: -2 xy + x² + y², not below zero."""
    if isinstance(Y, Tensor):
        lengths: Any = ops.sum_of_squares(Y, 1, keepdims=True).T
    elif sparse.issparse(Y):
        lengths = np.asarray(Y.multiply(Y).sum(axis=1)).reshape(1, -1)
    else:
        Y = np.asarray(Y, dtype=np.float64)
        lengths = np.einsum("ij,ij->i", Y, Y)[np.newaxis]
    # Doubling is exact, so that Y may be doubled beforehand.
    products = dot(X, Y * -2.0)
    return ops.maximum(products + ops.sum_of_squares(X, 1, keepdims=True) + lengths, 0.0)


def squared_differences(X: Tensor, Y: Any) -> Tensor:
    """Squared Euclidean distances as scipy and libsvm sum them: of the differences, squared."""
    gap = row_differences(X, Y)
    return ops.sum_(gap * gap, -1)


def manhattan(X: Tensor, Y: Any) -> Tensor:
    """Sums of absolute differences."""
    return ops.sum_(abs(row_differences(X, Y)), -1)


def row_differences(X: Tensor, Y: Any) -> Tensor:
    """Each row of *X* minus each row of *Y*: shape (n_samples, len(Y), n_features)."""
    gap: Tensor = ops.expand_dims(X, 1) - Y
    return gap


def _gamma(X: Tensor, params: Mapping[str, Any]) -> float:
    return float(params.get("gamma", 1.0 / X.width))


def _linear(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    return dot(X, Y)


def _polynomial(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    scaled = dot(X, Y) * _gamma(X, params) + float(params.get("coef0", 1.0))
    return scaled ** float(params.get("degree", 3))


def _sigmoid(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    return ops.tanh(dot(X, Y) * _gamma(X, params) + float(params.get("coef0", 1.0)))


def _rbf(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    return ops.exp(squared_distances(X, Y) * -_gamma(X, params))


def _laplacian(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    return ops.exp(-_gamma(X, params) * manhattan(X, Y))


def cosine(X: Tensor, Y: Any) -> Tensor:
    """``cosine_similarity(X, Y)``."""
    return dot(_normalized(X), _normalized(Y))


def _cosine_kernel(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    return cosine(X, Y)


def _normalized(X: Any) -> Any:
    """``sklearn.preprocessing.normalize``: rows of length one, all but the tiniest."""
    if isinstance(X, Tensor):
        lengths = ops.norm(X, 1, keepdims=True)
        return X / ops.where(lengths < TINY_NORM, 1.0, lengths)
    if sparse.issparse(X):
        return normalize(X)
    X = np.asarray(X, dtype=np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", X, X))[:, np.newaxis]
    return X / np.where(length < TINY_NORM, 1.0, length)


def _additive_chi2(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    """Minus the sum of (x - y)² / (x + y), terms with a zero sum left out.

    scikit-learn raises for a negative value; a graph cannot, so such a row is NaN.
    """
    gap = row_differences(X, Y)
    total = ops.expand_dims(X, 1) + Y
    terms = ops.where(total == 0.0, 0.0, gap * gap / ops.where(total == 0.0, 1.0, total))
    negative = ops.min_(X, 1, True) < 0.0
    return ops.where(negative, np.nan, -ops.sum_(terms, -1))


def _chi2(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    return ops.exp(_additive_chi2(X, Y, params) * float(params.get("gamma", 1.0)))


NAMED_KERNELS: Mapping[str, Callable[[Tensor, Any, Mapping[str, Any]], Tensor]] = {
    "additive_chi2": _additive_chi2,
    "chi2": _chi2,
    "cosine": _cosine_kernel,
    "laplacian": _laplacian,
    "linear": _linear,
    "poly": _polynomial,
    "polynomial": _polynomial,
    "rbf": _rbf,
    "sigmoid": _sigmoid,
}
