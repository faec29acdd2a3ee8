"""Convert ``inverse_transform``, mainly for targets that were transformed before training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import preprocessing as pp
from sklearn.decomposition import PCA
from sklearn.preprocessing._data import BOUNDS_THRESHOLD

from edge_pipeline.conversion.context import Context, Converter, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.searchsorted import searchsorted
from edge_pipeline.conversion.graph.special_functions import erfc
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


def _standard(_: Context, scaler: Any, X: Tensor) -> Tensor:
    if scaler.with_std:
        X = X * scaler.scale_
    return X + scaler.mean_ if scaler.with_mean else X


def _robust(_: Context, scaler: Any, X: Tensor) -> Tensor:
    if scaler.with_scaling:
        X = X * scaler.scale_
    return X + scaler.center_ if scaler.with_centering else X


def _min_max(_: Context, scaler: Any, X: Tensor) -> Tensor:
    return (X - np.asarray(scaler.min_)) / np.asarray(scaler.scale_)


def _max_abs(_: Context, scaler: Any, X: Tensor) -> Tensor:
    return X * np.asarray(scaler.scale_)


def _power(context: Context, model: Any, X: Tensor) -> Tensor:
    """PowerTransformer.inverse_transform."""
    if model.standardize:
        X = context.call(model._scaler, "inverse_transform", X, at="_scaler")
    lambdas = np.asarray(model.lambdas_, dtype=np.float64)
    columns = [
        _POWERS[model.method](X[:, i : i + 1], float(power)) for i, power in enumerate(lambdas)
    ]
    return ops.concatenate(columns, 1)


def _yeo_johnson(x: Tensor, power: float) -> Tensor:
    """PowerTransformer._yeo_johnson_inverse_transform."""
    tiny = np.spacing(1.0)
    below = 2.0 - power  # the power below zero
    positive = ops.exp(x) if abs(power) < tiny else (x * power + 1.0) ** (1.0 / power)
    negative = (-below * x + 1.0) ** (1.0 / below) if abs(below) > tiny else ops.exp(-x)
    return ops.where(x >= 0.0, positive - 1.0, 1.0 - negative)


def _box_cox(x: Tensor, power: float) -> Tensor:
    """scipy.special.inv_boxcox."""
    if power == 0.0:
        return ops.exp(x)
    return ops.exp(ops.log1p(power * x) / power)


_POWERS = {"yeo-johnson": _yeo_johnson, "box-cox": _box_cox}


def _quantiles(_: Context, model: Any, X: Tensor) -> Tensor:
    """QuantileTransformer._transform_col(inverse=True), all columns together."""
    quantiles = np.asarray(model.quantiles_, dtype=np.float64)
    is_normal = model.output_distribution == "normal"
    rank = 0.5 * erfc(X * (-1.0 / math.sqrt(2.0))) if is_normal else X
    values = _interpolated(rank, np.asarray(model.references_, dtype=np.float64), quantiles)
    margin = BOUNDS_THRESHOLD if is_normal else 0.0
    above = rank + margin > 1.0 if is_normal else rank >= 1.0
    below = rank - margin < 0.0 if is_normal else rank <= 0.0
    return ops.where(below, quantiles[0], ops.where(above, quantiles[-1], values))


def _interpolated(rank: Tensor, references: NDArray[Any], quantiles: NDArray[Any]) -> Tensor:
    """Compute numpy.interp of every column of *rank* among its quantiles."""
    count, width = quantiles.shape
    if count == 1:
        return ops.full_rows(rank, quantiles[0])
    position = searchsorted([references] * width, rank, side="right") - 1.0
    # NaN gets some position; the arithmetic makes it NaN again.
    at = ops.clip(position, 0.0, count - 1.0).astype(np.int64)
    slopes = np.diff(quantiles, axis=0) / np.diff(references)[:, np.newaxis]
    in_table = at + np.arange(width) * count
    slope, low = (
        ops.take(np.ascontiguousarray(table.T).ravel(), in_table)
        for table in (np.vstack([slopes, np.zeros((1, width))]), quantiles)
    )
    return slope * (rank - ops.take(references, at)) + low


def _principal_components(_: Context, model: Any, X: Tensor) -> Tensor:
    """_BasePCA.inverse_transform."""
    components = np.asarray(model.components_, dtype=np.float64)
    if model.whiten:
        components = np.sqrt(model.explained_variance_[:, np.newaxis]) * components
    return X @ components + np.asarray(model.mean_)


_INVERSES: dict[type, Converter] = {
    pp.StandardScaler: _standard,
    pp.RobustScaler: _robust,
    pp.MinMaxScaler: _min_max,
    pp.MaxAbsScaler: _max_abs,
    pp.PowerTransformer: _power,
    pp.QuantileTransformer: _quantiles,
    PCA: _principal_components,
}

CONVERTERS: dict[type, Methods] = {
    kind: {"inverse_transform": inverse} for kind, inverse in _INVERSES.items()
}
