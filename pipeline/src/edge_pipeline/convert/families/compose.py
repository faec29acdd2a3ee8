"""Estimators made of estimators side by side or in a row: Pipeline, ColumnTransformer, FeatureUnion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from edge_pipeline.convert.context import Answer, Context, Methods, on_frame
from edge_pipeline.convert.frame import Frame, frame_of, join
from edge_pipeline.convert.tensor import Tensor

__all__ = ["CONVERTERS", "every_method"]

_METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")


def every_method(make: Callable[[str], Callable[[Context, Any, Any], Answer]]) -> Methods:
    """A table of all methods from one function that is told the method's name."""
    return {method: on_frame(make(method)) for method in _METHODS}


def _pipeline(method: str) -> Callable[[Context, Any, Tensor | Frame], Answer]:
    def convert(context: Context, pipeline: Any, X: Tensor | Frame) -> Answer:
        for position, (_, step) in enumerate(pipeline.steps[:-1]):
            if _does_something(step):
                X = context.transform(step, X, at=f"steps[{position}]")
        last = pipeline.steps[-1][1]
        if not _does_something(last):
            return X
        return context.call(last, method, X, at=f"steps[{len(pipeline.steps) - 1}]")

    return convert


@on_frame
def _column_transformer(context: Context, union: Any, X: Tensor | Frame) -> Tensor | Frame:
    """Each transformer on its columns; their answers side by side in the order they were listed."""
    frame = frame_of(X)
    parts: list[Tensor | Frame] = []
    for name, transformer, _ in union.transformers_:
        columns = frame.select(_positions(union, name, frame.width))
        if not columns.width or (isinstance(transformer, str) and transformer == "drop"):
            continue
        if not _does_something(transformer):
            parts.append(_weighted(union, name, columns))
        else:
            answer = context.transform(transformer, columns, at=f"[{name!r}]")
            parts.append(_weighted(union, name, answer))
    if not parts:
        raise context.refuse("it drops every column, so nothing is left to answer with")
    return join(parts)


@on_frame
def _feature_union(context: Context, union: Any, X: Tensor | Frame) -> Tensor | Frame:
    parts = []
    for name, transformer in union.transformer_list:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        answer = X if not _does_something(transformer) else context.transform(transformer, X, at=f"[{name!r}]")
        parts.append(_weighted(union, name, answer))
    if not parts:
        raise context.refuse("it drops every transformer, so nothing is left to answer with")
    return join(parts)


def _does_something(step: Any) -> bool:
    return step is not None and not (isinstance(step, str) and step in ("passthrough", "drop"))


def _positions(union: Any, name: str, width: int) -> list[int]:
    """Positions of the columns of transformer *name* (ColumnTransformer keeps them resolved)."""
    positions = union._transformer_to_input_indices[name]
    return [int(i) for i in np.arange(width)[positions]]


def _weighted(union: Any, name: str, answer: Tensor | Frame) -> Tensor | Frame:
    weight = (union.transformer_weights or {}).get(name)
    if weight is None:
        return answer
    return (answer if isinstance(answer, Tensor) else answer.matrix()) * float(weight)


CONVERTERS: dict[type, Methods] = {
    Pipeline: every_method(_pipeline),
    ColumnTransformer: {"transform": _column_transformer},
    FeatureUnion: {"transform": _feature_union},
}
