"""Convert stacking: the outputs of several estimators are the input of a final one."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import StackingClassifier, StackingRegressor

from edge_pipeline.conversion.column_frame import Frame, join
from edge_pipeline.conversion.context import Context, Converter, MethodOutput, Methods, on_any_dtype
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import column

__all__ = ["CONVERTERS"]


@on_any_dtype
def _transformed(context: Context, meta: Any, X: Tensor | Frame) -> Tensor | Frame:
    """``_BaseStacking._concatenate_predictions``: for two classes only the second probability."""
    parts: list[Tensor | Frame] = []
    for i, (estimator, method) in enumerate(zip(meta.estimators_, meta.stack_method_, strict=True)):
        output = context.call(estimator, method, X, at=f"estimators_[{i}]")
        if isinstance(output, list):
            parts += [proba[:, 1:] for proba in output]
        elif output.ndim == 1:
            parts.append(ops.expand_dims(output, 1))
        elif method == "predict_proba" and len(meta.classes_) == 2:
            parts.append(output[:, 1:])
        else:
            parts.append(output)
    return join([*parts, X] if meta.passthrough else parts)


def _final(method: str) -> Converter:
    """Convert *method* of the final estimator, called with the other estimators' outputs."""

    def convert(context: Context, meta: Any, X: Tensor | Frame) -> MethodOutput:
        outputs = _transformed(context, meta, X)
        return context.call(meta.final_estimator_, method, outputs, at="final_estimator_")

    return on_any_dtype(convert)


@on_any_dtype
def _label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    """StackingClassifier.predict: the final estimator predicts positions of classes."""
    index = _final("predict")(context, meta, X).astype(np.int64)
    if not isinstance(meta._label_encoder, list):
        return context.labels(meta.classes_, index)
    return ops.stack(
        [context.labels(classes, column(index, i)) for i, classes in enumerate(meta.classes_)]
    )


@on_any_dtype
def _probabilities(context: Context, meta: Any, X: Tensor | Frame) -> MethodOutput:
    output = _final("predict_proba")(context, meta, X)
    if isinstance(meta._label_encoder, list) and isinstance(output, list):
        return ops.stack([column(proba, 0) for proba in output])
    return output


CONVERTERS: dict[type, Methods] = {
    StackingClassifier: {
        "predict": _label,
        "predict_proba": _probabilities,
        "decision_function": _final("decision_function"),
        "transform": _transformed,
    },
    StackingRegressor: {"predict": _final("predict"), "transform": _transformed},
}
