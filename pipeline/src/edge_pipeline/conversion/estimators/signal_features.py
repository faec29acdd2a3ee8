"""Convert the transformers of edge_pipeline.signal: trace the numpy code that they run."""

from __future__ import annotations

import edge_pipeline.signal as features
from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.trace import trace
from edge_pipeline.signal.base import SignalTransformer

__all__ = ["CONVERTERS"]


def _transform(context: Context, transformer: SignalTransformer, X: Tensor) -> Tensor | Frame:
    return trace(context, "transform", transformer.compute, X, {})


CONVERTERS: dict[type, Methods] = {
    getattr(features, name): {"transform": _transform} for name in features.__all__
}
