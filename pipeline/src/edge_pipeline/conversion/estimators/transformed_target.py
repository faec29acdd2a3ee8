"""Convert TransformedTargetRegressor: predict, then transform back to the target's unit."""

from __future__ import annotations

from typing import Any

from sklearn.compose import TransformedTargetRegressor

from edge_pipeline.conversion.column_frame import Frame, matrix_of
from edge_pipeline.conversion.context import Context, Methods, on_any_dtype
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


@on_any_dtype
def _prediction(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    """TransformedTargetRegressor.predict."""
    transformed = matrix_of(context.call(meta.regressor_, "predict", X, at="regressor_"))
    inverse = context.call(meta.transformer_, "inverse_transform", transformed, at="transformer_")
    predictions = context.matrix(inverse)
    if meta._training_dim == 1 and predictions.shape[1] == 1:
        return ops.squeeze(predictions, 1)
    return predictions


CONVERTERS: dict[type, Methods] = {TransformedTargetRegressor: {"predict": _prediction}}
