"""Convert isotonic regression: linear interpolation between thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.searchsorted import searchsorted
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


def _interpolated(_: Context, model: Any, X: Tensor) -> Tensor:
    """IsotonicRegression._transform.

    It calls scipy's interp1d, which calls ``numpy.interp`` for float64.  For a model trained in
    float32 it has a formula of its own.
    """
    x, y = np.asarray(model.X_thresholds_), np.asarray(model.y_thresholds_)
    X = X.astype(x.dtype)
    if len(y) == 1:
        return ops.full_rows(X, y[0])
    low, high = float(x[0]), float(x[-1])
    if model.out_of_bounds == "clip":
        X = ops.clip(X, low, high)
    # At a threshold, np.interp starts from it; interp1d's own formula starts from the one before.
    if x.dtype == np.float64:
        position = searchsorted([x], X, side="right")
    else:
        position = searchsorted([x], X.astype(np.float64), side="left")
    # NaN gets some position and stays NaN.
    piece = ops.squeeze(ops.maximum(position - 1.0, 0.0), 1).astype(np.int64)
    value = ops.squeeze(X, 1)
    outside = (value < low) | (value > high)
    if model.out_of_bounds == "raise":
        # A graph cannot raise: Gather refuses this position, as scikit-learn raises an error.
        piece = ops.where(outside, np.int64(len(x)), piece)
    slopes = np.append(np.diff(y) / np.diff(x), x.dtype.type(0))
    predictions = ops.take(slopes, piece) * (value - ops.take(x, piece)) + ops.take(y, piece)
    if model.out_of_bounds == "nan":
        return ops.where(outside, x.dtype.type(np.nan), predictions)
    return predictions


CONVERTERS: dict[type, Methods] = {
    IsotonicRegression: {"predict": _interpolated, "transform": _interpolated},
}
