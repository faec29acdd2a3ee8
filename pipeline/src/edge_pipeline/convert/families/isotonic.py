"""Isotonic regression: straight lines between the thresholds that training left."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from edge_pipeline.convert import ops
from edge_pipeline.convert.context import Context, Methods
from edge_pipeline.convert.search import searchsorted
from edge_pipeline.convert.tensor import Tensor

__all__ = ["CONVERTERS"]


def _interpolated(context: Context, model: Any, X: Tensor) -> Tensor:
    """numpy.interp, which is what scipy's linear ``interp1d`` calls for float64."""
    x, y = model.X_thresholds_, np.asarray(model.y_thresholds_, dtype=np.float64)
    if x.dtype != np.float64:
        raise context.refuse(
            f"it was trained on {x.dtype} and computes in it; train on float64 (X.astype(float))"
        )
    if len(y) == 1:
        return ops.full_rows(X, y[0])
    if model.out_of_bounds == "clip":
        X = ops.clip(X, float(model.X_min_), float(model.X_max_))
    slopes = np.append(np.diff(y) / np.diff(x), 0.0)
    # NaN finds some position and stays NaN; below the first threshold there is no segment.
    segment = ops.maximum(searchsorted([x], X, side="right") - 1.0, 0.0)
    at = ops.squeeze(segment, 1).astype(np.int64)
    value = ops.squeeze(X, 1)
    answer = ops.take(slopes, at) * (value - ops.take(x, at)) + ops.take(y, at)
    if model.out_of_bounds == "clip":
        return answer
    outside = (value < float(x[0])) | (value > float(x[-1]))
    return ops.where(outside, np.nan, answer)


CONVERTERS: dict[type, Methods] = {
    IsotonicRegression: {"predict": _interpolated, "transform": _interpolated}
}
