"""TransformedTargetRegressor: a prediction, taken back to the target's own unit."""

from __future__ import annotations

from typing import Any

from sklearn.compose import TransformedTargetRegressor

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


@on_frame
def _taken_back(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    answer = context.call(meta.regressor_, "predict", X, at="regressor_")
    if answer.ndim == 1:
        answer = ops.expand_dims(answer, 1)
    back = context.call(meta.transformer_, "inverse_transform", answer, at="transformer_")
    answer = context.matrix(back)
    if meta._training_dim == 1 and answer.shape[1] == 1:
        return ops.squeeze(answer, 1)
    return answer


CONVERTERS: dict[type, Methods] = {TransformedTargetRegressor: {"predict": _taken_back}}
