"""Convert PolynomialFeatures and SplineTransformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.input_restrictions import restrict_range

__all__ = ["CONVERTERS"]


def _polynomial(_: Context, features: Any, X: Tensor) -> Tensor:
    """PolynomialFeatures.transform: multiply the terms of the degree before by a feature each."""
    bias = [ops.full_rows(X, np.ones(1))] if features.include_bias else []
    low, high = features._min_degree, features._max_degree
    terms = bias + ([X] if low <= 1 <= high else [])
    degree = X
    for d, (terms_before, feature) in enumerate(
        _products(X.width, high, features.interaction_only), 2
    ):
        if not len(terms_before):
            break
        degree = ops.take(degree, terms_before, 1) * ops.take(X, feature, 1)
        if d >= low:
            terms.append(degree)
    return ops.concatenate(terms, 1)


def _products(
    width: int, max_degree: int, interaction_only: bool
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return for each degree from 2 the positions of terms of the degree before, and of features.

    A term is multiplied by its own first feature and by those before that; with *interaction_only*
    only by those before.
    """
    first = np.arange(width)
    degrees = []
    for _ in range(2, max_degree + 1):
        by_feature = [
            np.flatnonzero(first > f if interaction_only else first >= f) for f in range(width)
        ]
        terms = np.concatenate(by_feature).astype(np.int64)
        features = np.repeat(np.arange(width), [len(t) for t in by_feature]).astype(np.int64)
        degrees.append((terms, features))
        first = features
    return degrees


@dataclass(frozen=True)
class _Ends:
    """Continue each feature's splines beyond its knots: ``value + (x - knot) * slope``."""

    knots: NDArray[Any]
    values: NDArray[Any]
    slopes: NDArray[Any]


@on_frame
def _splines(context: Context, splines: Any, X: Tensor | Frame) -> Tensor:
    """SplineTransformer.transform: B-splines by de Boor's recursion, all features together."""
    parts = splines.bsplines_
    knots = np.stack([part.t for part in parts])
    degree = int(parts[0].k)
    n_splines = parts[0].c.shape[1]
    if splines.extrapolation == "error":
        X = restrict_range(context, X, knots[:, degree].tolist(), knots[:, -degree - 1].tolist())
    else:
        X = context.matrix(X)
    x = ops.expand_dims(X, 2)
    missing = ops.isnan(x) if getattr(splines, "handle_missing", "error") == "zeros" else None
    inside = x if missing is None else ops.where(missing, knots[:, degree][:, None], x)
    if splines.extrapolation == "periodic":
        inside = _wrapped(inside, knots[:, degree], knots[:, -degree - 1])
    basis = _basis(inside, knots, degree)
    if splines.extrapolation == "periodic":
        # Add the two ends of a spline that wraps round.
        basis = basis @ np.asarray(parts[0].c)
    elif splines.extrapolation in _BEYOND:
        low, high = _BEYOND[splines.extrapolation](parts, degree, n_splines)
        basis = ops.where(x < low.knots, _line(x, low), basis)
        basis = ops.where(x > high.knots, _line(x, high), basis)
    if missing is not None:
        basis = ops.where(missing, 0.0, basis)
    if not splines.include_bias:
        basis = basis[:, :, : n_splines - 1]
    return ops.reshape_rows(basis, X.width * int(basis.width))


def _wrapped(x: Tensor, low: NDArray[Any], high: NDArray[Any]) -> Tensor:
    """Move *x* by whole periods into [low, high), as Python's modulo does."""
    low, period = low[:, None], (high - low)[:, None]
    if not (period > 0).all():
        # scikit-learn sets a feature of one value to zero.
        safe = np.where(period > 0, period, 1.0)
        return ops.where(x.graph.constant(period > 0), _wrapped_by(x, low, safe), 0.0)
    return _wrapped_by(x, low, period)


def _wrapped_by(x: Tensor, low: NDArray[Any], period: NDArray[Any]) -> Tensor:
    shift = x - low
    remainder = x.graph.node("Mod", shift, period, fmod=1, dtype=x.dtype, shape=x.shape)
    wrapped: Tensor = low + ops.where(remainder < 0.0, remainder + period, remainder)
    return wrapped


def _basis(x: Tensor, knots: NDArray[Any], degree: int) -> Tensor:
    """Evaluate all B-splines at *x*, in the order of operations of scipy's ``_deBoor_D``.

    Beyond the base interval, the polynomials at its ends continue.
    """
    starts, stops = knots[:, :-1].copy(), knots[:, 1:].copy()
    last = knots.shape[1] - degree - 2
    # Only the knots of the base interval, the first and last degree + 1 aside, bound an interval.
    starts[:, :degree], stops[:, :degree] = np.inf, -np.inf
    starts[:, last + 1 :], stops[:, last + 1 :] = np.inf, -np.inf
    starts[:, degree], stops[:, last] = -np.inf, np.inf
    basis = ((x >= starts) & (x < stops)).astype(np.float64)
    differences = x - knots
    for d in range(1, degree + 1):
        width = knots[:, d:] - knots[:, :-d]
        with np.errstate(divide="ignore"):
            weight = basis / np.where(width == 0, np.inf, width)
        n = weight.width
        falling = weight[:, :, 1:] * -differences[:, :, d + 1 :]
        basis = falling + weight[:, :, : n - 1] * differences[:, :, : n - 1]
    return basis


def _constant_ends(parts: Any, degree: int, n_splines: int) -> tuple[_Ends, _Ends]:
    """Read the ends for extrapolation="constant": the value at the nearest end."""
    first = np.arange(n_splines) < degree
    # For degree 0 scikit-learn takes f_max[-0:], which is all of them (it refuses dense output).
    last = first[::-1] if degree else np.ones(n_splines, dtype=bool)
    low, high = [p.t[degree] for p in parts], [p.t[-degree - 1] for p in parts]
    return tuple(
        _Ends(
            np.array(knots)[:, None],
            np.stack([p(knot) * mask for p, knot in zip(parts, knots, strict=True)]),
            np.zeros((len(parts), n_splines)),
        )
        for knots, mask in ((low, first), (high, last))
    )  # type: ignore[return-value]


def _linear_ends(parts: Any, degree: int, n_splines: int) -> tuple[_Ends, _Ends]:
    """Read the ends for extrapolation="linear": the tangent at the nearest end.

    scikit-learn (1.8, 1.9) raises a degree below 2 by one *at every feature*, and uses it for the
    next feature's ends.  This is reproduced.
    """
    ends: tuple[list[Any], list[Any]] = ([], [])
    for p in parts:
        bounds = p.t[degree], p.t[-degree - 1]
        degree += degree <= 1
        first = np.arange(n_splines) < degree
        for end, knot, mask in zip(ends, bounds, (first, first[::-1]), strict=True):
            end.append((knot, p(knot) * mask, p(knot, nu=1) * mask))
    return tuple(
        _Ends(
            np.array([[knot] for knot, _, _ in end]),
            np.stack([values for _, values, _ in end]),
            np.stack([slopes for _, _, slopes in end]),
        )
        for end in ends
    )  # type: ignore[return-value]


_BEYOND = {"constant": _constant_ends, "linear": _linear_ends}


def _line(x: Tensor, end: _Ends) -> Any:
    return end.values + (x - end.knots) * end.slopes if end.slopes.any() else end.values


CONVERTERS: dict[type, Methods] = {
    PolynomialFeatures: {"transform": _polynomial},
    SplineTransformer: {"transform": _splines},
}
