"""Stacking: the answers of several estimators are the input of a last one."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import StackingClassifier, StackingRegressor

from edge_pipeline.conversion.column_frame import Frame, join
from edge_pipeline.conversion.context import Context, MethodOutput, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import column

__all__ = ["CONVERTERS"]


@on_frame
def _transformed(context: Context, meta: Any, X: Tensor | Frame) -> Tensor | Frame:
    """``_BaseStacking._concatenate_predictions``: of two probabilities only the second is kept."""
    parts: list[Tensor | Frame] = []
    for i, (estimator, method) in enumerate(zip(meta.estimators_, meta.stack_method_, strict=True)):
        answer = context.call(estimator, method, X, at=f"estimators_[{i}]")
        if isinstance(answer, list):
            parts += [each[:, 1:] for each in answer]
        elif answer.ndim == 1:
            parts.append(ops.expand_dims(answer, 1))
        elif method == "predict_proba" and len(meta.classes_) == 2:
            parts.append(answer[:, 1:])
        else:
            parts.append(answer)
    return join([*parts, X] if meta.passthrough else parts)


def _final(context: Context, meta: Any, X: Tensor | Frame, method: str) -> MethodOutput:
    seen = _transformed(context, meta, X)
    return context.call(meta.final_estimator_, method, seen, at="final_estimator_")


@on_frame
def _value(context: Context, meta: Any, X: Tensor | Frame) -> MethodOutput:
    return _final(context, meta, X, "predict")


@on_frame
def _label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    """The parts learnt positions of classes; here they become classes again."""
    answer = _final(context, meta, X, "predict").astype(np.int64)
    if not isinstance(meta._label_encoder, list):
        return context.labels(meta.classes_, answer)
    return ops.stack(
        [context.labels(classes, column(answer, i)) for i, classes in enumerate(meta.classes_)]
    )


@on_frame
def _probabilities(context: Context, meta: Any, X: Tensor | Frame) -> MethodOutput:
    answer = _final(context, meta, X, "predict_proba")
    if isinstance(meta._label_encoder, list) and isinstance(answer, list):
        return ops.stack([column(each, 0) for each in answer])
    return answer


@on_frame
def _scores(context: Context, meta: Any, X: Tensor | Frame) -> MethodOutput:
    return _final(context, meta, X, "decision_function")


CONVERTERS: dict[type, Methods] = {
    StackingClassifier: {
        "predict": _label,
        "predict_proba": _probabilities,
        "decision_function": _scores,
        "transform": _transformed,
    },
    StackingRegressor: {"predict": _value, "transform": _transformed},
}
