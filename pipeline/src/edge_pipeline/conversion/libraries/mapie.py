"""Convert MAPIE's point predictions; its intervals and sets are no methods of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from mapie.classification import CrossConformalClassifier, SplitConformalClassifier
from mapie.regression import (
    CrossConformalRegressor,
    JackknifeAfterBootstrapRegressor,
    SplitConformalRegressor,
)

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, MethodOutput, Methods, on_any_dtype
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import average

__all__ = ["CONVERTERS"]


@on_any_dtype
def _predict(context: Context, model: Any, X: Tensor | Frame) -> MethodOutput:
    """Predict as the estimator that was fitted on all rows."""
    inner = getattr(model, "_mapie_regressor", None) or model._mapie_classifier
    if getattr(model, "_predict_params", None):
        raise context.refuse("predict_params are passed to the estimator's predict; leave them out")
    fitted = inner.estimator_
    if (
        getattr(model, "_mapie_regressor", None) is None
        or np.ndim(fitted.k_) != 2
        or (len(fitted.estimators_) < 2)
    ):
        return context.call(fitted.single_estimator_, "predict", X, at="estimator_")
    parts = [
        context.call(estimator, "predict", X, at=f"estimators_[{i}]")
        for i, estimator in enumerate(fitted.estimators_)
    ]
    return average(parts, _weights(fitted.k_))


def _weights(left_out: Any) -> Any:
    """Return the share of each estimator in the mean over the training rows.

    Each training row has the mean of the estimators that it was left out of
    (``aggregate_with_mask``); MAPIE averages over those rows.
    """
    shares = np.nan_to_num(np.asarray(left_out, dtype=np.float64), nan=0.0)
    return (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)


CONVERTERS: dict[type, Methods] = {
    kind: {"predict": _predict}
    for kind in (
        SplitConformalRegressor,
        CrossConformalRegressor,
        JackknifeAfterBootstrapRegressor,
        SplitConformalClassifier,
        CrossConformalClassifier,
    )
}
