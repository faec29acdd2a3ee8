"""Convert scalers: a shift and a division, in scikit-learn's order of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import preprocessing as pp

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]

TINY_NORM = 10 * np.finfo(np.float64).eps
"""A row with a smaller norm stays as it is (``_data._handle_zeros_in_scale``)."""


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
    return ops.clip(X, *map(float, scaler.feature_range)) if scaler.clip else X


def _max_abs(_: Context, scaler: Any, X: Tensor) -> Tensor:
    X = X / scaler.scale_
    # scikit-learn 1.8 has no such parameter.
    return ops.clip(X, -1.0, 1.0) if getattr(scaler, "clip", False) else X


_NORMS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda X: ops.sum_(abs(X), 1, keepdims=True),
    "l2": lambda X: ops.norm(X, 1, keepdims=True),
    "max": lambda X: ops.max_(abs(X), 1, keepdims=True),
}


def _normalizer(_: Context, normalizer: Any, X: Tensor) -> Tensor:
    norm = _NORMS[normalizer.norm](X)
    return X / ops.where(norm < TINY_NORM, 1.0, norm)


def _binarizer(_: Context, binarizer: Any, X: Tensor) -> Tensor:
    return (float(binarizer.threshold) < X).astype(np.float64)


CONVERTERS: dict[type, Methods] = {
    pp.StandardScaler: {"transform": _standard},
    pp.RobustScaler: {"transform": _robust},
    pp.MinMaxScaler: {"transform": _min_max},
    pp.MaxAbsScaler: {"transform": _max_abs},
    pp.Normalizer: {"transform": _normalizer},
    pp.Binarizer: {"transform": _binarizer},
}
