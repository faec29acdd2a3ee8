"""Convert transforms of single features: quantiles, powers and bins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.preprocessing import KBinsDiscretizer, PowerTransformer, QuantileTransformer
from sklearn.preprocessing._data import BOUNDS_THRESHOLD

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.searchsorted import searchsorted
from edge_pipeline.conversion.graph.tensor import Tensor, comparison
from edge_pipeline.conversion.input_restrictions import restrict_range

__all__ = ["CONVERTERS", "normal_quantile", "yeo_johnson"]


def _quantiles(_: Context, model: Any, X: Tensor) -> Tensor:
    """QuantileTransformer._transform_col, all columns together."""
    quantiles = np.asarray(model.quantiles_, dtype=np.float64)
    low, high = quantiles[0], quantiles[-1]
    references = np.asarray(model.references_, dtype=np.float64)
    rank = _rank(X, quantiles, references)
    if model.output_distribution == "uniform":
        below = comparison("GreaterOrEqual", low, X)
        rank = ops.where(comparison("LessOrEqual", high, X), float(references[-1]), rank)
        return ops.where(below, 0.0, rank)
    rank = ops.where(comparison("Less", high, X + BOUNDS_THRESHOLD), 1.0, rank)
    rank = ops.where(comparison("Greater", low, X - BOUNDS_THRESHOLD), 0.0, rank)
    lowest = BOUNDS_THRESHOLD - np.spacing(1)
    # The quantile function is monotonic, so clipping its argument equals clipping its value.
    values = normal_quantile(ops.clip(rank, lowest, 1 - lowest))
    return ops.clip(values, *(float(stats.norm.ppf(p)) for p in (lowest, 1 - lowest)))


def _rank(X: Tensor, quantiles: NDArray[Any], references: NDArray[Any]) -> Tensor:
    """Return the mean of numpy.interp from below and, for repeated quantiles, from above.

    The result is only valid from the first quantile to the last; the caller replaces the others.
    """
    count, width = quantiles.shape
    steps = np.diff(quantiles, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.where(steps > 0, np.diff(references)[:, None] / steps, 0.0)
    flat = np.zeros((1, width))
    from_below, from_above = np.vstack([slopes, flat]), np.vstack([flat, slopes])
    edges = [np.ascontiguousarray(column) for column in quantiles.T]
    starts = np.arange(width) * count
    # The last quantile not above x, and the first one not below it.
    before = _index(searchsorted(edges, X, side="right") - 1.0, count) + starts
    after = _index(searchsorted(edges, X, side="left"), count) + starts
    value = np.tile(references, width)
    rising = _pick(from_below, before) * (X - _pick(quantiles, before)) + _pick(value, before)
    falling = _pick(from_above, after) * (_pick(quantiles, after) - X) - _pick(value, after)
    return 0.5 * (rising - falling)


def _index(position: Tensor, count: int) -> Tensor:
    # NaN gets some position, which may lie outside the table.
    return ops.clip(position, 0.0, float(count - 1)).astype(np.int64)


def _pick(table: NDArray[Any], position: Tensor) -> Tensor:
    """Look up *table*, column after column, at *position*."""
    return ops.take(np.ascontiguousarray(table.T).ravel(), position)


# Wichura, Algorithm AS 241 (Applied Statistics 37, 1988), PPND16: about 1e-16 relative.  Columns:
# numerator and denominator near the centre, then those of the tails as far as exp(-25).
_AS241 = np.array(
    [
        [3.3871328727963666080e0, 1.0, 1.42343711074968357734e0, 1.0],
        [1.3314166789178437745e2, 4.2313330701600911252e1, 4.63033784615654529590e0,
         2.05319162663775882187e0],
        [1.9715909503065514427e3, 6.8718700749205790830e2, 5.76949722146069140550e0,
         1.67638483018380384940e0],
        [1.3731693765509461125e4, 5.3941960214247511077e3, 3.64784832476320460504e0,
         6.89767334985100004550e-1],
        [4.5921953931549871457e4, 2.1213794301586595867e4, 1.27045825245236838258e0,
         1.48103976427480074590e-1],
        [6.7265770927008700853e4, 3.9307895800092710610e4, 2.41780725177450611770e-1,
         1.51986665636164571966e-2],
        [3.3430575583588128105e4, 2.8729085735721942674e4, 2.27238449892691845833e-2,
         5.47593808499534494600e-4],
        [2.5090809287301226727e3, 5.2264952788528545610e3, 7.74545014278341407640e-4,
         1.05075007164441684324e-9],
    ]
)  # fmt: skip


def normal_quantile(p: Tensor) -> Tensor:
    """Compute ``scipy.stats.norm.ppf`` for exp(-25) < p < 1 - exp(-25), within 1.2e-15 (tests).

    All coefficients and arguments are positive, so any order of summation is accurate.
    """
    q = p - 0.5
    central = abs(q) <= 0.425
    tail = ops.sqrt(-ops.log(ops.minimum(p, 1.0 - p)))
    argument = ops.where(central, 0.180625 - q * q, tail - 1.6)
    powers = ops.expand_dims(argument, p.ndim) ** np.arange(8.0)
    sums = powers @ _AS241
    ratio = [sums[..., 2 * i] / sums[..., 2 * i + 1] for i in range(2)]
    return ops.where(central, q * ratio[0], ops.sign(q) * ratio[1])


def yeo_johnson(X: Tensor, lambdas: NDArray[Any]) -> Tensor:
    """scipy.stats.yeojohnson: ((x + 1)**l - 1) / l, mirrored with 2 - l below zero."""
    eps = np.finfo(np.float64).eps
    positive = X >= 0.0
    size = ops.where(positive, X, -X)
    power = ops.where(positive, lambdas, 2.0 - lambdas)
    log_above, log_below = np.abs(lambdas) < eps, np.abs(lambdas - 2.0) <= eps
    if log_above.any() or log_below.any():
        is_log = (positive & log_above) | (~positive & log_below)
        transformed = _power_less_one(size, ops.where(is_log, 1.0, power))
        transformed = ops.where(is_log, ops.log1p(size), transformed)
    else:
        transformed = _power_less_one(size, power)
    return ops.where(positive, transformed, -transformed)


def _power_less_one(x: Tensor, power: Tensor) -> Tensor:
    """((x + 1)**l - 1) / l: as written in scikit-learn 1.8, without cancellation in later ones."""
    if hasattr(PowerTransformer, "_yeo_johnson_transform"):
        return ((x + 1.0) ** power - 1.0) / power
    return ops.expm1(power * ops.log1p(x)) / power


def _box_cox(X: Tensor, lambdas: NDArray[Any]) -> Tensor:
    """scipy.special.boxcox: (x**l - 1) / l, or the logarithm where l is nearly zero."""
    log = ops.log(X)
    is_log = np.abs(lambdas) < 1e-19
    power = np.where(is_log, 1.0, lambdas)
    transformed = ops.expm1(power * log) / power
    if not is_log.any():
        return transformed
    return ops.where(X.graph.constant(is_log), log, transformed)


_POWERS: Mapping[str, Callable[[Tensor, NDArray[Any]], Tensor]] = {
    "yeo-johnson": yeo_johnson,
    "box-cox": _box_cox,
}


@on_frame
def _power(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """PowerTransformer.transform."""
    if model.method == "box-cox":
        limits, width = np.finfo(np.float64), len(model.lambdas_)
        smallest, largest = float(limits.smallest_subnormal), float(limits.max)
        X = restrict_range(context, X, [smallest] * width, [largest] * width)
    else:
        X = context.matrix(X)
    transformed = _POWERS[model.method](X, np.asarray(model.lambdas_, dtype=np.float64))
    if model.standardize:
        return context.call(model._scaler, "transform", transformed, at="_scaler")  # type: ignore[no-any-return]
    return transformed


def _bins(_: Context, model: Any, X: Tensor) -> Tensor:
    """KBinsDiscretizer.transform: numpy.searchsorted among the inner edges, side="right"."""
    if model.dtype is not None and np.dtype(model.dtype) == np.float32:
        X = X.astype(np.float32).astype(np.float64)
    inner = [np.asarray(edges[1:-1], dtype=np.float64) for edges in model.bin_edges_]
    if model.encode == "ordinal":
        return searchsorted(inner, X, side="right")
    counts = [len(edges) + 1 for edges in inner]
    starts = np.concatenate([np.r_[-np.inf, edges] for edges in inner])
    stops = np.concatenate([np.r_[edges, np.inf] for edges in inner])
    repeated = ops.take(X, np.repeat(np.arange(len(inner)), counts), 1)
    return ((repeated >= starts) & (repeated < stops)).astype(np.float64)


CONVERTERS: dict[type, Methods] = {
    QuantileTransformer: {"transform": _quantiles},
    PowerTransformer: {"transform": _power},
    KBinsDiscretizer: {"transform": _bins},
}
