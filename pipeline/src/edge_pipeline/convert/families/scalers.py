"""Scalers: a shift and a division, in float64 and in scikit-learn's order (trap 9)."""

from __future__ import annotations

from typing import Any

from sklearn import preprocessing as pp

from edge_pipeline.convert import ops
from edge_pipeline.convert.context import Context, Methods
from edge_pipeline.convert.tensor import Tensor

__all__ = ["CONVERTERS"]


def _standard(_: Context, scaler: Any, X: Tensor) -> Tensor:
    if scaler.with_mean:
        X = X - scaler.mean_
    return X / scaler.scale_ if scaler.with_std else X


def _robust(_: Context, scaler: Any, X: Tensor) -> Tensor:
    if scaler.with_centering:
        X = X - scaler.center_
    return X / scaler.scale_ if scaler.with_scaling else X


def _min_max(_: Context, scaler: Any, X: Tensor) -> Tensor:
    X = X * scaler.scale_ + scaler.min_
    return ops.clip(X, *scaler.feature_range) if scaler.clip else X


def _max_abs(_: Context, scaler: Any, X: Tensor) -> Tensor:
    X = X / scaler.scale_
    return ops.clip(X, -1.0, 1.0) if getattr(scaler, "clip", False) else X


CONVERTERS: dict[type, Methods] = {
    pp.StandardScaler: {"transform": _standard},
    pp.RobustScaler: {"transform": _robust},
    pp.MinMaxScaler: {"transform": _min_max},
    pp.MaxAbsScaler: {"transform": _max_abs},
}
