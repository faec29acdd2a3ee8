"""Replace the distances and kernels of scikit-learn and scipy in a traced function.

They convert their arguments to real arrays.  Each has a counterpart here that accepts traced
arrays, computes in the order of the original, and calls it for the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial import distance as sp
from sklearn.metrics import pairwise as sk

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.pairwise import (
    NAMED_KERNELS,
    cosine,
    manhattan,
    row_differences,
    squared_differences,
    squared_distances,
)
from edge_pipeline.conversion.tracing.array import TracedArray, Tracer
from edge_pipeline.conversion.tracing.constructors import is_traced, stacked

__all__ = ["TracedFloat", "pairwise_replacements"]


class _FloatType(type):
    """Makes ``float(value)`` return a traced value as it is."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, float)

    def __call__(cls, *args: Any) -> Any:
        is_one_number = bool(args) and is_traced(args[0]) and args[0].ndim == 0
        return args[0].astype(np.float64) if is_one_number else float(*args)


class TracedFloat(float, metaclass=_FloatType):
    """The counterpart of ``float`` in a function of two rows, whose result is one number."""

    dtype = np.dtype(np.float64)  # what numpy makes of the type


Pairwise = Callable[[Tensor, Any, Mapping[str, Any]], Tensor]


def pairwise_replacements(tracer: Tracer) -> list[tuple[Any, Any]]:
    """Return pairs (function, counterpart that accepts traced arrays)."""
    of_two_matrices = [
        *((function, _BY_FUNCTION[function]) for function in _BY_FUNCTION),
        (sk.pairwise_kernels, _by_metric(sk.pairwise_kernels, NAMED_KERNELS)),
        (sk.pairwise_distances, _by_metric(sk.pairwise_distances, _DISTANCES)),
        (sp.cdist, _by_metric(sp.cdist, _OF_SCIPY)),
    ]
    return [
        *((f, partial(_of_two_matrices, tracer, f, compute)) for f, compute in of_two_matrices),
        *((f, partial(_of_two_rows, f, compute)) for f, compute in _OF_TWO_ROWS.items()),
    ]


def _of_two_matrices(
    tracer: Tracer, original: Any, compute: Pairwise, *args: Any, **kwargs: Any
) -> Any:
    """Compare each row of the first argument with each row of the second."""
    if not any(map(is_traced, [*args, *kwargs.values()])):
        return original(*args, **kwargs)
    options = inspect.signature(original).bind(*args, **kwargs).arguments
    for keywords in ("kwds", "kwargs"):
        options.update(options.pop(keywords, {}))
    names = ("X", "Y") if "X" in options else ("XA", "XB")
    X, Y = (_matrix(tracer, original, options.pop(name, None)) for name in names)
    Y = X if Y is None else Y
    if not isinstance(X, Tensor):
        return TracedArray(tracer, compute(Y, X, options)).T
    if isinstance(Y, Tensor) and Y.shape[0] is None:
        raise TypeError(
            f"{original.__name__} compares the rows of the batch with each other; compare them "
            "with constant rows"
        )
    return TracedArray(tracer, compute(X, Y, options))


def _matrix(tracer: Tracer, original: Any, value: Any) -> Any:
    if value is None:
        return None
    matrix = stacked(tracer, value) if is_traced(value) else np.asarray(value, dtype=np.float64)
    if matrix.ndim != 2:
        raise TypeError(f"{original.__name__} takes arrays of two axes, found {matrix.ndim}")
    return matrix


def _by_metric(original: Any, functions: Mapping[str, Pairwise]) -> Pairwise:
    """Choose the function by the argument ``metric``."""
    default = inspect.signature(original).parameters["metric"].default

    def compute(X: Tensor, Y: Any, arguments: Mapping[str, Any]) -> Tensor:
        options = dict(arguments)
        metric = options.pop("metric", default)
        if not isinstance(metric, str) or metric not in functions:
            raise TypeError(
                f"{original.__name__} with metric={metric!r} has no form in a graph; use one of "
                f"{', '.join(sorted(functions))}"
            )
        return functions[metric](X, Y, options)

    return compute


_HARMLESS = {"n_jobs", "filter_params", "dense_output", "ensure_all_finite", "force_all_finite"}
_NORMS = {"X_norm_squared", "Y_norm_squared"}
"""Squared lengths of the rows, with which a caller spares scikit-learn their computation."""


def _without_options(function: Callable[[Tensor, Any], Tensor]) -> Pairwise:
    """Refuse the options of a distance by their names."""

    def compute(X: Tensor, Y: Any, options: Mapping[str, Any]) -> Tensor:
        unknown = sorted({k for k, v in options.items() if v is not None} - _HARMLESS - _NORMS)
        if unknown:
            raise TypeError(f"a distance with {', '.join(unknown)}= has no form in a graph")
        return function(X, Y)

    return compute


def _euclidean(X: Tensor, Y: Any, options: Mapping[str, Any]) -> Tensor:
    options = dict(options)
    is_squared = options.pop("squared", False)
    squares = _without_options(squared_distances)(X, Y, options)
    return squares if is_squared else ops.sqrt(squares)


_cosine_distances = _without_options(lambda X, Y: ops.clip(1.0 - cosine(X, Y), 0.0, 2.0))
_manhattan = _without_options(manhattan)

_DISTANCES: Mapping[str, Pairwise] = {
    **dict.fromkeys(("euclidean", "l2"), _euclidean),
    **dict.fromkeys(("manhattan", "cityblock", "l1"), _manhattan),
    "cosine": _cosine_distances,
}

_OF_SCIPY: Mapping[str, Pairwise] = {
    "euclidean": _without_options(lambda X, Y: ops.sqrt(squared_differences(X, Y))),
    "sqeuclidean": _without_options(squared_differences),
    "cityblock": _manhattan,
    "chebyshev": _without_options(lambda X, Y: ops.max_(abs(row_differences(X, Y)), -1)),
    "cosine": _without_options(lambda X, Y: 1.0 - cosine(X, Y)),
}

_BY_FUNCTION: Mapping[Any, Pairwise] = {
    **{sk.PAIRWISE_KERNEL_FUNCTIONS[name]: NAMED_KERNELS[name] for name in NAMED_KERNELS},
    sk.euclidean_distances: _euclidean,
    sk.manhattan_distances: _manhattan,
    sk.cosine_distances: _cosine_distances,
}


def _of_two_rows(original: Any, compute: Any, u: Any, v: Any, *args: Any, **kwargs: Any) -> Any:
    """Compute the distance of two vectors with numpy's functions, which are traced."""
    if not any(map(is_traced, (u, v))):
        return original(u, v, *args, **kwargs)
    options = inspect.signature(original).bind(u, v, *args, **kwargs).arguments
    if options.get("w") is not None:
        raise TypeError(f"{original.__name__} with w= has no form in a graph")
    options.pop("w", None)
    return compute(**options)


def _cosine_of_rows(u: Any, v: Any) -> Any:
    return 1.0 - np.dot(u, v) / np.sqrt(np.dot(u, u) * np.dot(v, v))


def _correlation(u: Any, v: Any, centered: bool = True) -> Any:
    return _cosine_of_rows(u - np.mean(u), v - np.mean(v)) if centered else _cosine_of_rows(u, v)


def _minkowski(u: Any, v: Any, p: float = 2) -> Any:
    return np.sum(np.abs(u - v) ** p) ** (1.0 / p)


def _braycurtis(u: Any, v: Any) -> Any:
    return np.sum(np.abs(u - v)) / np.sum(np.abs(u + v))


_OF_TWO_ROWS: Mapping[Any, Callable[..., Any]] = {
    sp.euclidean: lambda u, v: np.sqrt(np.sum((u - v) ** 2)),
    sp.sqeuclidean: lambda u, v: np.sum((u - v) ** 2),
    sp.cityblock: lambda u, v: np.sum(np.abs(u - v)),
    sp.chebyshev: lambda u, v: np.max(np.abs(u - v)),
    sp.cosine: _cosine_of_rows,
    sp.correlation: _correlation,
    sp.minkowski: _minkowski,
    sp.braycurtis: _braycurtis,
}
