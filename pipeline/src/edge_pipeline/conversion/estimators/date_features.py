"""Convert DateFeatures, the step of recipes with columns of dates."""

from __future__ import annotations

import numpy as np

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context, Methods, on_any_dtype
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import Tracer
from edge_pipeline.conversion.tracing.frame import TracedFrame
from edge_pipeline.data.date_features import DateFeatures, features_of

__all__ = ["CONVERTERS"]


@on_any_dtype
def _features(context: Context, step: DateFeatures, X: Tensor | Frame) -> Tensor:
    frame = frame_of(X)
    tracer = Tracer(frame.columns[0][0], context.vector, TracedFrame.of, context.dates)
    columns = TracedFrame(tracer, range(frame.width), frame)
    features = {
        (position, name): values.astype(np.float64)
        for position, with_time in enumerate(step.with_time_)
        for name, values in features_of(columns[position], with_time).items()
    }
    return TracedFrame.of(tracer, features).to_tensor()


CONVERTERS: dict[type, Methods] = {DateFeatures: {"transform": _features}}
