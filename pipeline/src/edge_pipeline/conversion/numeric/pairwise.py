"""Pairwise products, distances and kernels: rows of a tensor against the rows of a constant.

The formulas are those of ``sklearn.metrics.pairwise``, in its order of operations.  Where a formula
cancels (the dot-product form of a distance does), both sides then lose the same digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.loops import map_rows
from edge_pipeline.conversion.graph.tensor import Tensor, graph_of
from edge_pipeline.conversion.tracing.array import Tracer

__all__ = [
    "dot",
    "manhattan",
    "pairwise_kernel",
    "squared_differences",
    "squared_distances",
    "traced_kernel",
]

TINY_NORM = 10 * np.finfo(np.float64).eps
"""Rows shorter than this are left as they are by ``sklearn.preprocessing.normalize``."""


def pairwise_kernel(context: Context, metric: Any, X: Tensor, Y: Any, **params: Any) -> Tensor:
    """Compute a named kernel, or one that a function of two rows computes.

    The arguments are those of :func:`~edge_pipeline.conversion.numeric.kernels.kernel`.
    """
    if not isinstance(metric, str):
        return traced_kernel(context, metric, X, Y, params)
    if metric == "precomputed":
        return X
    if metric not in _KERNELS:
        raise context.refuse(
            f"kernel={metric!r}: not one of {', '.join(sorted(_KERNELS))} or precomputed"
        )
    return _KERNELS[metric](X, Y, {k: value for k, value in params.items() if value is not None})


def dot(X: Tensor, Y: Any) -> Tensor:
    """``X @ Y.T``."""
    return X @ (Y.T if isinstance(Y, Tensor) else np.asarray(Y, dtype=np.float64).T)


def squared_distances(X: Tensor, Y: Any) -> Tensor:
    """``euclidean_distances(X, Y, squared=True)``: -2 xy + x² + y², not below zero."""
    if isinstance(Y, Tensor):
        lengths: Any = ops.sum_of_squares(Y, 1, keepdims=True).T
    else:
        Y = np.asarray(Y, dtype=np.float64)
        lengths = np.einsum("ij,ij->i", Y, Y)[np.newaxis]
    # Doubling is exact, so that Y may be doubled beforehand.
    products = dot(X, Y * -2.0)
    return ops.maximum(products + ops.sum_of_squares(X, 1, keepdims=True) + lengths, 0.0)


def squared_differences(X: Tensor, Y: Any) -> Tensor:
    """Squared Euclidean distances as scipy and libsvm sum them: of the differences, squared."""
    gap = _differences(X, Y)
    return ops.sum_(gap * gap, -1)


def manhattan(X: Tensor, Y: Any) -> Tensor:
    """Sums of absolute differences."""
    return ops.sum_(abs(_differences(X, Y)), -1)


def _differences(X: Tensor, Y: Any) -> Tensor:
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


def _cosine(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    return dot(_normalized(X), _normalized(Y))


def _normalized(X: Any) -> Any:
    """``sklearn.preprocessing.normalize``: rows of length one, all but the tiniest."""
    if isinstance(X, Tensor):
        lengths = ops.norm(X, 1, keepdims=True)
        return X / ops.where(lengths < TINY_NORM, 1.0, lengths)
    X = np.asarray(X, dtype=np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", X, X))[:, np.newaxis]
    return X / np.where(length < TINY_NORM, 1.0, length)


def _additive_chi2(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    """Minus the sum of (x - y)² / (x + y), terms with a zero sum left out.

    scikit-learn raises for a negative value; a graph cannot, so such a row is NaN.
    """
    gap = _differences(X, Y)
    total = ops.expand_dims(X, 1) + Y
    terms = ops.where(total == 0.0, 0.0, gap * gap / ops.where(total == 0.0, 1.0, total))
    negative = ops.min_(X, 1, True) < 0.0
    return ops.where(negative, np.nan, -ops.sum_(terms, -1))


def _chi2(X: Tensor, Y: Any, params: Mapping[str, Any]) -> Tensor:
    return ops.exp(_additive_chi2(X, Y, params) * float(params.get("gamma", 1.0)))


_KERNELS: Mapping[str, Callable[[Tensor, Any, Mapping[str, Any]], Tensor]] = {
    "additive_chi2": _additive_chi2,
    "chi2": _chi2,
    "cosine": _cosine,
    "laplacian": _laplacian,
    "linear": _linear,
    "poly": _polynomial,
    "polynomial": _polynomial,
    "rbf": _rbf,
    "sigmoid": _sigmoid,
}


def traced_kernel(
    context: Context, function: Any, X: Tensor, Y: Any, params: Mapping[str, Any]
) -> Tensor:
    """Trace *function* once, inside a loop over the rows of *Y* inside a loop over those of *X*."""
    rows_of_y = graph_of(X, Y).tensor(Y)
    tracer = Tracer(X, context.vector)

    def pair(inner: Graph, x: Tensor, y: Tensor) -> Tensor:
        try:
            value = tracer.unwrap(function(tracer.wrap(x), tracer.wrap(y), **params))
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise context.refuse(
                f"the function of two rows {getattr(function, '__name__', function)!r} does what "
                f"has no node: {error}; write it with numpy's elementary functions, or use one by "
                "name"
            ) from error
        return ops.reshape(inner.tensor(value), ())

    return map_rows(
        X, lambda outer, x: map_rows(rows_of_y, lambda inner, y: pair(inner, x, y), graph=outer)
    )
