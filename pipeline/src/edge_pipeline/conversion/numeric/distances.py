"""Every distance that ``sklearn.neighbors`` knows: rows of a tensor to the rows of a constant.

A :class:`Distance` is computed in its reduced form, which sorts alike and costs less (the square of
a Euclidean distance); only the distances that are asked for are finished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.loops import map_rows
from edge_pipeline.conversion.graph.row_norms import blas_lengths, euclidean_squares, numpy_lengths
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.sparse_rows import dense_rows, row_products, stays_sparse
from edge_pipeline.conversion.numeric.user_kernels import traced_kernel

__all__ = ["MAX_ROW_ELEMENTS", "Distance", "distance_of", "nan_euclidean_distance", "tree_distance"]

MAX_ROW_ELEMENTS = 1 << 12
"""Differences to all training rows at once take this many numbers a row at most (32 KiB); of more,
one row after the other is asked."""

Params = Mapping[str, Any]
Pairwise = Callable[[Tensor, Tensor, Params], Tensor]


@dataclass(frozen=True)
class Distance:
    """A metric with its parameters and the training rows.

    Attributes
    ----------
    reduced
        Of (n_samples, n_features) the reduced distances (n_samples, n_training).
    finish
        Reduced distance to distance.
    reduce
        The same way back, for a radius.
    by_differences
        Whether ``reduced`` is the plain sum of squared differences.
    """

    reduced: Callable[[Tensor], Tensor]
    finish: Callable[[Tensor], Tensor] = lambda reduced: reduced
    reduce: Callable[[float], float] = lambda distance: distance
    by_differences: bool = False

    def distances(self, X: Tensor) -> Tensor:
        """Finished distances to every training row."""
        return self.finish(self.reduced(X))


def distance_of(context: Context, model: Any, *, exact: bool = True) -> Distance:
    """The distance of a fitted estimator of ``sklearn.neighbors``.

    Parameters
    ----------
    exact
        Whether the distances themselves matter: by brute force, those of twins are rounding noise,
        and only then is the noise worth its nodes.
    """
    name, params = model.effective_metric_, model.effective_metric_params_
    if model._fit_method == "brute" and name in _SPARSE and stays_sparse(model._fit_X):
        return _SPARSE[name](model._fit_X)
    Y = dense_rows(context, model._fit_X)
    if model._fit_method == "brute" and name in _BRUTE:
        return _BRUTE[name](Y, exact)
    if name == "precomputed":
        return Distance(lambda X: _precomputed(context, X))
    has_several_leaves = model._tree is not None and len(model._tree.get_arrays()[2]) > 1
    if has_several_leaves and _breaks_triangle_inequality(name, params, Y):
        raise context.refuse(
            f"metric={getattr(name, '__name__', name)!r} with a ball tree of several leaves: the "
            "triangle inequality does not hold for it, so scikit-learn's tree misses neighbours; "
            "fit with algorithm='brute'"
        )
    return tree_distance(context, name, params, Y)


N_TRIANGLES = 16
"""Training rows whose triangles are looked at."""


def _breaks_triangle_inequality(metric: Any, params: Any, Y: NDArray[Any]) -> bool:
    """Whether a detour between training rows is shorter than the direct way, as with a cosine."""
    if not callable(metric):
        return metric in _NOT_METRICS
    some = Y[:: max(1, len(Y) // N_TRIANGLES)][:N_TRIANGLES]
    options = {name: value for name, value in (params or {}).items() if name != "p"}
    direct = np.array([[float(metric(a, b, **options)) for b in some] for a in some])
    detours = (direct[:, :, np.newaxis] + direct[np.newaxis]).min(axis=1)
    return bool((direct > detours * (1.0 + 1e-9) + 1e-300).any())


def _precomputed(context: Context, X: Tensor) -> Tensor:
    """Return the distances that *X* holds; what a sparse graph does not hold is no neighbour."""
    if X.zeros == "stored":
        return X
    if X.zeros == "mixed":
        raise context.refuse(
            "metric='precomputed' of a sparse matrix that stores some zeros: a distance of zero "
            "cannot be told from no neighbour; put the KNeighborsTransformer or "
            "RadiusNeighborsTransformer into the same Pipeline"
        )
    return ops.where(X == 0.0, np.inf, X)


def tree_distance(context: Context, name: Any, params: Params, Y: NDArray[Any]) -> Distance:
    """A metric of ``sklearn.metrics.DistanceMetric``: by differences, as the trees compute it."""
    kind = type(name).__name__
    if not isinstance(name, str) and kind.endswith(("Distance", "Distance64")):
        name, params = _metric_name(context, name)
    if callable(name):
        arguments = {k: v for k, v in (params or {}).items() if k not in ("p", "w")}
        return Distance(lambda X: traced_kernel(context, name, X, Y, arguments))
    name = _ALIASES.get(name, name)
    if name == "minkowski":
        return _minkowski(Y, params)
    if name not in _ELEMENTWISE:
        raise context.refuse(
            f"metric={name!r}: not one of {', '.join(sorted({*_ELEMENTWISE, *_BRUTE, *_ALIASES}))}"
        )
    _check_params(context, name, params)
    function = _ELEMENTWISE[name]
    reduced = _chunked(lambda x, y: function(x, y, params), Y)
    if name in _SQUARED:
        return Distance(reduced, ops.sqrt, lambda r: r**2, by_differences=name == "euclidean")
    if name == "haversine":
        return Distance(
            reduced, lambda r: 2.0 * _asin(ops.sqrt(r)), lambda r: float(np.sin(0.5 * r) ** 2)
        )
    return Distance(reduced)


def _chunked(
    function: Callable[[Tensor, Any], Tensor], Y: NDArray[Any]
) -> Callable[[Tensor], Tensor]:
    """*function* of (n, 1, d) and the training rows: of all rows at once, or of one by one."""
    if Y.size <= MAX_ROW_ELEMENTS:
        return lambda X: function(ops.expand_dims(X, 1), Y)
    return lambda X: map_rows(X, lambda _, row: function(ops.expand_dims(row, 0), Y))


def _minkowski(Y: NDArray[Any], params: Params) -> Distance:
    p, w = float(params["p"]), params.get("w")

    def reduced(x: Tensor, y: Any) -> Tensor:
        powers = abs(x - y) ** p
        return ops.sum_(powers if w is None else np.asarray(w, dtype=np.float64) * powers)

    if w is None and p in (1.0, 2.0, np.inf):
        name = {1.0: "manhattan", 2.0: "euclidean", np.inf: "chebyshev"}[p]
        finish = (ops.sqrt, lambda r: r**2) if name == "euclidean" else ()
        function = _ELEMENTWISE[name]
        return Distance(_chunked(lambda x, y: function(x, y, {}), Y), *finish)
    return Distance(_chunked(reduced, Y), lambda r: r ** (1.0 / p), lambda r: r**p)


def _metric_name(context: Context, metric: Any) -> tuple[str, Params]:
    """A DistanceMetric object as a name with parameters."""
    name = type(metric).__name__.removesuffix("64").removesuffix("Distance").lower()
    state = metric.__getstate__()
    p, vector, matrix = float(state[0]), np.asarray(state[1]), np.asarray(state[2])
    if name == "pyfunc":
        raise context.refuse("metric is a DistanceMetric of a function: hand the function itself")
    return name, {"p": p, "V": vector, "VI": matrix, "w": vector if vector.size > 1 else None}


def _check_params(context: Context, name: str, params: Params) -> None:
    accepted = {"seuclidean": {"V"}, "mahalanobis": {"V", "VI"}}.get(name, set()) | {"p"}
    unknown = sorted(k for k, v in (params or {}).items() if k not in accepted and v is not None)
    if unknown and not {"V", "VI"} >= set(unknown):
        raise context.refuse(f"metric_params {unknown} of metric={name!r} are not converted")


def _euclidean(x: Tensor, y: Any, _: Params) -> Tensor:
    gap = x - y
    return ops.sum_(gap * gap)


def _standardized(x: Tensor, y: Any, params: Params) -> Tensor:
    gap = x - y
    return ops.sum_(gap * gap / np.asarray(params["V"], dtype=np.float64))


def _mahalanobis(x: Tensor, y: Any, params: Params) -> Tensor:
    inverse = params.get("VI")
    if inverse is None or not np.size(inverse):
        inverse = np.linalg.inv(params["V"])
    gap = x - y
    return ops.sum_(gap @ np.asarray(inverse, dtype=np.float64).T * gap)


def _chebyshev(x: Tensor, y: Any, _: Params) -> Tensor:
    return ops.max_(abs(x - y))


def _manhattan(x: Tensor, y: Any, _: Params) -> Tensor:
    return ops.sum_(abs(x - y))


def _hamming(x: Tensor, y: Any, _: Params) -> Tensor:
    return ops.sum_((x != y).astype(np.float64)) / float(x.width)


def _canberra(x: Tensor, y: Any, _: Params) -> Tensor:
    total = abs(x) + np.abs(y)
    return ops.sum_(ops.where(total == 0.0, 0.0, abs(x - y) / ops.where(total == 0.0, 1.0, total)))


def _bray_curtis(x: Tensor, y: Any, _: Params) -> Tensor:
    total = ops.sum_(abs(x) + np.abs(y))
    return ops.where(total > 0.0, ops.sum_(abs(x - y)) / ops.where(total > 0.0, total, 1.0), 0.0)


def _haversine(x: Tensor, y: Any, _: Params) -> Tensor:
    """sin²(Δlat / 2) + cos(lat) cos(lat') sin²(Δlon / 2)."""
    half = ops.sin(0.5 * (x - y))
    parts = half * half
    longitude: Tensor = ops.cos(x[..., 0]) * np.cos(y[:, 0]) * parts[..., 1]
    return parts[..., 0] + longitude


def _asin(s: Tensor) -> Tensor:
    """Arcsine of [0, 1]: the float32 one, and one step that leaves an error of 1e-18.

    sin(y - y0) = s cos(y0) - sqrt(1 - s²) sin(y0), which for a small difference is nearly itself.
    """
    s = ops.minimum(s, 1.0)
    start = ops.unary("Asin", s.astype(np.float32)).astype(np.float64)
    gap = s * ops.cos(start) - ops.sqrt((1.0 - s) * (1.0 + s)) * ops.sin(start)
    return start + (gap + gap * gap * gap / 6.0)


def _counts(formula: Callable[[Tensor, Tensor, float], Tensor]) -> Pairwise:
    """A metric of presence: *formula* of the columns that both have, that differ, and of all."""

    def convert(x: Tensor, y: Any, _: Params) -> Tensor:
        has_x, has_y = x != 0.0, np.asarray(y) != 0.0
        n_both = ops.sum_((has_x & has_y).astype(np.float64))
        n_differing = ops.sum_((has_x ^ has_y).astype(np.float64))
        return formula(n_both, n_differing, float(x.width))

    return convert


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """Part / whole, 0 where there is nothing."""
    return ops.where(whole == 0.0, 0.0, part / ops.where(whole == 0.0, 1.0, whole))


_NOT_METRICS = ("braycurtis", "dice", "russellrao")

_SQUARED = ("euclidean", "seuclidean", "mahalanobis")

_ELEMENTWISE: Mapping[str, Pairwise] = {
    "euclidean": _euclidean,
    "sqeuclidean": _euclidean,
    "seuclidean": _standardized,
    "mahalanobis": _mahalanobis,
    "manhattan": _manhattan,
    "chebyshev": _chebyshev,
    "hamming": _hamming,
    "canberra": _canberra,
    "braycurtis": _bray_curtis,
    "haversine": _haversine,
    "jaccard": _counts(
        lambda n_both, n_differing, width: _share(n_differing, n_both + n_differing)
    ),
    "dice": _counts(lambda n_both, n_differing, width: n_differing / (2.0 * n_both + n_differing)),
    "rogerstanimoto": _counts(
        lambda n_both, n_differing, width: 2.0 * n_differing / (width + n_differing)
    ),
    "sokalmichener": _counts(
        lambda n_both, n_differing, width: 2.0 * n_differing / (width + n_differing)
    ),
    "russellrao": _counts(lambda n_both, n_differing, width: (width - n_both) / width),
    "sokalsneath": _counts(
        lambda n_both, n_differing, width: n_differing / (0.5 * n_both + n_differing)
    ),
}

_ALIASES = {"l2": "euclidean", "l1": "manhattan", "cityblock": "manhattan", "infinity": "chebyshev"}


def _brute_euclidean(Y: NDArray[Any], exact: bool) -> Distance:
    lengths = blas_lengths if exact else lambda X: ops.sum_(X * X, 1, True)
    return Distance(lambda X: euclidean_squares(X, Y, lengths), ops.sqrt, lambda r: r * r)


def _brute_squared(Y: NDArray[Any], exact: bool) -> Distance:
    return Distance(_brute_euclidean(Y, exact).reduced)


def nan_euclidean_distance(Y: NDArray[Any], _: bool = True) -> Distance:
    """``nan_euclidean_distances``: over the columns that both rows have, scaled up to all."""
    gaps = np.isnan(Y)
    filled = np.where(gaps, 0.0, Y)

    def reduced(X: Tensor) -> Tensor:
        missing = ops.isnan(X)
        x = ops.where(missing, 0.0, X)
        squares = euclidean_squares(x, filled, numpy_lengths)
        squares = squares - (x * x) @ gaps.T.astype(np.float64)
        squares = squares - missing.astype(np.float64) @ (filled * filled).T
        n_shared = (~missing).astype(np.float64) @ (~gaps).T.astype(np.float64)
        scaled = ops.maximum(squares, 0.0) / ops.maximum(n_shared, 1.0) * float(Y.shape[1])
        return ops.where(n_shared == 0.0, np.nan, ops.sqrt(scaled))

    return Distance(reduced)


def _cosine(Y: NDArray[Any], _: bool) -> Distance:
    from sklearn.preprocessing import normalize

    unit = normalize(Y)
    return Distance(lambda X: _cosine_distances(_unit_rows(X) @ unit.T))


def _sparse_cosine(Y: Any) -> Distance:
    from sklearn.preprocessing import normalize

    unit = normalize(Y)
    return Distance(lambda X: _cosine_distances(row_products(_unit_rows(X), unit)))


def _unit_rows(X: Tensor) -> Tensor:
    length = ops.sqrt(numpy_lengths(X))
    return X / ops.where(length < 10 * np.finfo(np.float64).eps, 1.0, length)


def _cosine_distances(similarities: Tensor) -> Tensor:
    return ops.clip(similarities * -1.0 + 1.0, 0.0, 2.0)


def _sparse_euclidean(Y: Any) -> Distance:
    """Compute x² - 2 xy + y², not below zero, as ``euclidean_distances`` of sparse rows."""
    lengths = np.asarray(Y.multiply(Y).sum(axis=1)).ravel()

    def reduced(X: Tensor) -> Tensor:
        squares = row_products(X, Y) * -2.0 + ops.sum_(X * X, 1, True) + lengths
        return ops.unary("Relu", squares)

    return Distance(reduced, ops.sqrt, lambda r: r * r)


def _sparse_squared(Y: Any) -> Distance:
    return Distance(_sparse_euclidean(Y).reduced)


def _correlation(Y: NDArray[Any], _: bool) -> Distance:
    centred = Y - Y.mean(axis=1, keepdims=True)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)

    def reduced(X: Tensor) -> Tensor:
        x = X - ops.mean(X, 1, keepdims=True)
        answer: Tensor = 1.0 - x @ unit.T / ops.norm(x, 1, keepdims=True)
        return answer

    return Distance(reduced)


def _yule(Y: NDArray[Any], _: bool) -> Distance:
    """``scipy.spatial.distance.yule``: 2 ab / (cd + ab) of the counts of unlike and like."""
    has_y = (Y != 0.0).astype(np.float64)

    def reduced(X: Tensor) -> Tensor:
        has_x = (X != 0.0).astype(np.float64)
        lacks_x = 1.0 - has_x
        unlike = (has_x @ (1.0 - has_y).T) * (lacks_x @ has_y.T)
        like = (has_x @ has_y.T) * (lacks_x @ (1.0 - has_y).T)
        return _share(2.0 * unlike, like + unlike)

    return Distance(reduced)


_BRUTE: Mapping[str, Callable[[NDArray[Any], bool], Distance]] = {
    "euclidean": _brute_euclidean,
    "sqeuclidean": _brute_squared,
    "nan_euclidean": nan_euclidean_distance,
    "cosine": _cosine,
    "correlation": _correlation,
    "yule": _yule,
}

_SPARSE: Mapping[str, Callable[[Any], Distance]] = {
    "euclidean": _sparse_euclidean,
    "sqeuclidean": _sparse_squared,
    "cosine": _sparse_cosine,
}
"""Metrics by brute force that need no dense training rows."""
