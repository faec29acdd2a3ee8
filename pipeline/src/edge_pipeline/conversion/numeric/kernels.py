"""Pairwise kernels and distances: rows of a tensor against the rows of a constant, as nodes.

What ``sklearn.metrics.pairwise`` computes, in its order of operations, so that where a formula
cancels (the dot-product form of a distance does) both sides lose the same digits.
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
    "ROUNDING",
    "dot",
    "kernel",
    "manhattan",
    "squared_differences",
    "squared_distances",
    "weighted",
]

EXACT = 1e-9
"""Relative difference that a sum may have and still be called exact (``verifying.EXACT``)."""

ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""What adding the terms of a sum in another order changes, times the sum of their sizes."""

TINY_NORM = 10 * np.finfo(np.float64).eps
"""Rows shorter than this are left as they are by ``sklearn.preprocessing.normalize``."""


def kernel(context: Context, metric: Any, X: Tensor, Y: Any, **params: Any) -> Tensor:
    """``sklearn.metrics.pairwise.pairwise_kernels``, shape (n_samples, len(Y)).

    Parameters
    ----------
    metric
        The name of a kernel; ``precomputed``; a ``sklearn.gaussian_process`` kernel; or a function
        of two rows, which is traced.
    X
        Shape (n_samples, n_features); of ``precomputed``, the kernel itself.
    Y
        The rows that training kept: an array, or a tensor.
    **params
        ``gamma``, ``degree``, ``coef0`` as the estimator has them: those that the named kernel does
        not know are ignored, None stands for its default.  A function receives all of them.

    Raises
    ------
    UnsupportedEstimatorError
        The kernel is not known, or the function does something that has no node.
    """
    Y = Y.toarray() if hasattr(Y, "toarray") else Y
    if isinstance(metric, str):
        if metric == "precomputed":
            return X
        if metric not in _KERNELS:
            raise context.refuse(
                f"kernel={metric!r}: not one of {', '.join(sorted(_KERNELS))} or precomputed"
            )
        given = {name: value for name, value in params.items() if value is not None}
        return _KERNELS[metric](X, Y, given)
    if _is_process_kernel(metric):
        from edge_pipeline.conversion.numeric.gp_kernels import covariance

        return covariance(context, metric, X, Y)
    return _traced(context, metric, X, Y, params)


def weighted(context: Context, similarities: Tensor, weights: Any) -> Tensor:
    """``similarities @ weights``; doubts rows for which the sum is nothing but rounding.

    Where training rows are nearly alike their weights are huge, of either sign: what is left of
    the sum then depends on the order in which BLAS adds.
    """
    weights = np.asarray(weights, dtype=np.float64)
    answer: Tensor = similarities @ weights
    lost = abs(answer) * EXACT < abs(similarities) @ np.abs(weights) * ROUNDING
    context.mark_ambiguous(lost if lost.ndim == 1 else ops.max_(lost.astype(np.int64), 1) > 0)
    return answer


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


def _is_process_kernel(metric: Any) -> bool:
    from sklearn.gaussian_process.kernels import Kernel

    return isinstance(metric, Kernel)


def _traced(
    context: Context, function: Any, X: Tensor, Y: Any, params: Mapping[str, Any]
) -> Tensor:
    """*function* of each pair of rows: a loop over *X*, in it one over *Y*, in it the call."""
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
