"""Convert numpy's reductions along the columns to ONNX nodes: sums, extremes, statistics.

The result for a row must depend on that row alone.  A reduction over the rows raises ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.ufuncs import UFUNCS

__all__ = ["NOT_BY_ROW", "REDUCTIONS", "checked_axes"]

NOT_BY_ROW = (
    "computes over the rows of the batch (axis=0 or no axis), so that the answer for a row would "
    "depend on the others; compute over axis=1, or learn it in training (StandardScaler, "
    "SimpleImputer, …)"
)


def checked_axes(x: Tensor, axis: Any, name: str) -> tuple[int, ...]:
    """Return *axis* as a tuple, or refuse if one is the rows; *name* is the numpy function."""
    if axis is None:
        axes = tuple(range(x.ndim))
    else:
        sequence = axis if isinstance(axis, tuple | list) else (axis,)
        axes = tuple(int(a) % x.ndim for a in sequence)
    if any(x.shape[a] is None for a in axes):
        raise ValueError(f"numpy.{name} {NOT_BY_ROW}")
    return axes


def _reduction(name: str, reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Give ``reduce(x, axes, keepdims)`` numpy's signature."""

    def traced(
        x: Tensor, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False
    ) -> Tensor:
        result = reduce(x, checked_axes(x, axis, name), keepdims is True)
        return result if dtype is None else result.astype(dtype)

    return traced


def _is_true(x: Tensor) -> Tensor:
    is_true: Tensor = x if x.dtype == np.bool_ else UFUNCS[np.not_equal](x, 0)
    return is_true


def _numeric(x: Tensor) -> Tensor:
    return x.astype(np.int64) if x.dtype == np.bool_ else x


def _size(x: Tensor, axes: Sequence[int]) -> int:
    return math.prod(size for a in axes if (size := x.shape[a]) is not None)


def _mean(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return ops.sum_(x.astype(np.float64), axes, keepdims) / float(_size(x, axes))


def _var(
    x: Tensor, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0,
    keepdims: Any = False, correction: int | None = None,
) -> Tensor:  # fmt: skip
    axes = checked_axes(x, axis, "var")
    deviation = x.astype(np.float64) - _mean(x, axes, True)
    ddof = ddof if correction is None else correction
    total = ops.sum_(deviation * deviation, axes, keepdims is True)
    return total / float(_size(x, axes) - ddof)


def _any(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return ops.max_(_is_true(x).astype(np.int64), axes, keepdims) > 0


def _all(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return ops.min_(_is_true(x).astype(np.int64), axes, keepdims) > 0


def _without_nan(fill: float, reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Reduce with NaN replaced by *fill*, which does not change the result."""
    return lambda x, axes, keepdims: reduce(ops.where(ops.isnan(x), fill, x), axes, keepdims)


def _nan_extreme(largest: bool) -> Callable[..., Tensor]:
    fill = -np.inf if largest else np.inf
    reduce = ops.max_ if largest else ops.min_

    def traced(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
        all_nan = _all(ops.isnan(x), axes, keepdims)
        extreme = reduce(ops.where(ops.isnan(x), fill, x), axes, keepdims)
        return ops.where(all_nan, np.nan, extreme)

    return traced


def _count(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return ops.sum_((~ops.isnan(x)).astype(np.float64), axes, keepdims)


def _nan_mean(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    total = ops.sum_(ops.where(ops.isnan(x), 0.0, x), axes, keepdims)
    return total / _count(x, axes, keepdims)


def _nan_var(
    x: Tensor, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0,
    keepdims: Any = False,
) -> Tensor:  # fmt: skip
    axes = checked_axes(x, axis, "nanvar")
    deviation = ops.where(ops.isnan(x), 0.0, x - _nan_mean(x, axes, True))
    keepdims = keepdims is True
    total = ops.sum_(deviation * deviation, axes, keepdims)
    return total / (_count(x, axes, keepdims) - float(ddof))


def _median(x: Tensor, axis: Any = None, out: Any = None, keepdims: Any = False) -> Tensor:
    return _quantile(x, 0.5, axis=axis, keepdims=keepdims)


def _quantile(
    x: Tensor, q: Any, axis: Any = None, method: str = "linear", keepdims: Any = False
) -> Tensor:
    """Interpolate between two neighbours of the sorted values: numpy's method ``linear``."""
    (at,) = checked_axes(x, axis, "quantile")
    if at != x.ndim - 1 or method != "linear" or np.ndim(q) > 1:
        raise TypeError("numpy.quantile is traced along the last axis, for numbers q, linear")
    if np.ndim(q):
        values = [_quantile(x, one, axis, method, keepdims) for one in np.asarray(q).tolist()]
        return ops.concatenate([ops.expand_dims(value, 0) for value in values], 0)
    position = float(q) * (x.width - 1)
    index, fraction = int(np.floor(position)), position - np.floor(position)
    ordered = ops.sort(x.astype(np.float64))
    below, above = (ordered[..., min(index + i, x.width - 1)] for i in (0, 1))
    # numpy's _lerp starts from the nearer neighbour.
    step = above - below
    value = below + step * fraction if fraction < 0.5 else above - step * (1.0 - fraction)
    value = ops.where(_any(ops.isnan(x.astype(np.float64)), (at,), False), np.nan, value)
    return ops.expand_dims(value, at) if keepdims is True else value


def _norm(x: Tensor, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    axes = checked_axes(x, axis, "linalg.norm")
    if len(axes) == 1 and ord == 1:
        return ops.sum_(abs(x), axes, keepdims)
    if len(axes) == 1 and ord == np.inf:
        return ops.max_(abs(x), axes, keepdims)
    if ord not in (None, 2, "fro") or (ord == 2 and len(axes) == 2):
        raise TypeError(f"numpy.linalg.norm with ord={ord!r} has no form here")
    return ops.sqrt(ops.sum_(x * x, axes, keepdims))


def _position_of(name: str, position: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def traced(x: Tensor, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Tensor:
        if axis is None and x.ndim > 1:
            raise ValueError(f"numpy.{name} {NOT_BY_ROW}")
        (at,) = checked_axes(x, -1 if axis is None else axis, name)
        return position(_numeric(x), at, keepdims is True)

    return traced


def _cumsum(x: Tensor, axis: Any = None, dtype: Any = None, out: Any = None) -> Tensor:
    (at,) = checked_axes(x, axis, "cumsum")
    return ops.cumsum(_numeric(x), at)


def _cumprod(x: Tensor, axis: Any = None, dtype: Any = None, out: Any = None) -> Tensor:
    (at,) = checked_axes(x, axis, "cumprod")
    size = x.shape[at] or 0
    parts = [ops.take(x, np.arange(1), at)]
    for i in range(1, size):
        parts.append(parts[-1] * ops.take(x, np.arange(i, i + 1), at))
    return ops.concatenate(parts, at)


def _diff(x: Tensor, n: int = 1, axis: int = -1) -> Tensor:
    (at,) = checked_axes(x, axis, "diff")
    for _ in range(n):
        size = x.shape[at] or 0
        x = ops.take(x, np.arange(1, size), at) - ops.take(x, np.arange(size - 1), at)
    return x


def _average(x: Tensor, axis: Any = None, weights: Any = None, **_: Any) -> Tensor:
    axes = checked_axes(x, axis, "average")
    if weights is None:
        return _mean(x, axes, False)
    weights = np.asarray(weights, dtype=np.float64)
    return ops.sum_(x * weights, axes) / float(weights.sum())


REDUCTIONS: Mapping[Any, Callable[..., Any]] = {
    np.sum: _reduction("sum", lambda x, axes, keepdims: ops.sum_(x, axes, keepdims)),
    np.prod: _reduction("prod", lambda x, axes, keepdims: ops.prod(_numeric(x), axes, keepdims)),
    np.mean: _reduction("mean", _mean),
    np.max: _reduction("max", lambda x, axes, keepdims: ops.max_(x, axes, keepdims)),
    np.min: _reduction("min", lambda x, axes, keepdims: ops.min_(x, axes, keepdims)),
    np.ptp: _reduction(
        "ptp",
        lambda x, axes, keepdims: ops.max_(x, axes, keepdims) - ops.min_(x, axes, keepdims),
    ),
    np.any: _reduction("any", _any),
    np.all: _reduction("all", _all),
    np.count_nonzero: _reduction(
        "count_nonzero", lambda x, axes, keepdims: ops.sum_(_is_true(x), axes, keepdims)
    ),
    np.var: _var,
    np.std: lambda x, *args, **kw: ops.sqrt(_var(x, *args, **kw)),
    np.nansum: _reduction("nansum", _without_nan(0.0, ops.sum_)),
    np.nanmean: _reduction("nanmean", _nan_mean),
    np.nanmax: _reduction("nanmax", _nan_extreme(True)),
    np.nanmin: _reduction("nanmin", _nan_extreme(False)),
    np.nanvar: _nan_var,
    np.nanstd: lambda x, *args, **kw: ops.sqrt(_nan_var(x, *args, **kw)),
    np.median: _median,
    np.quantile: _quantile,
    np.percentile: lambda x, q, **kw: _quantile(x, np.asarray(q) / 100.0, **kw),
    np.average: _average,
    np.linalg.norm: _norm,
    np.argmax: _position_of("argmax", ops.argmax),
    np.argmin: _position_of("argmin", ops.argmin),
    np.cumsum: _cumsum,
    np.cumprod: _cumprod,
    np.diff: _diff,
}
