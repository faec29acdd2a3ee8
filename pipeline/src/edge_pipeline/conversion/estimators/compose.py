"""Estimators side by side or in a row: Pipeline, ColumnTransformer, FeatureUnion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from edge_pipeline.conversion.column_frame import Frame, frame_of, join
from edge_pipeline.conversion.context import Context, MethodOutput, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS", "every_method"]

_METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")


def every_method(make: Callable[[str], Callable[[Context, Any, Any], MethodOutput]]) -> Methods:
    """A table of all methods from one function that is told the method's name."""
    return {method: on_frame(make(method)) for method in _METHODS}


def _pipeline(method: str) -> Callable[[Context, Any, Tensor | Frame], MethodOutput]:
    def convert(context: Context, pipeline: Any, X: Tensor | Frame) -> MethodOutput:
        for position, (_, step) in enumerate(pipeline.steps[:-1]):
            if _does_something(step):
                X = context.transform(step, X, at=f"steps[{position}]")
        last = pipeline.steps[-1][1]
        if not _does_something(last):
            return X
        return context.call(last, method, X, at=f"steps[{len(pipeline.steps) - 1}]")

    return convert


@on_frame
def _back_through_pipeline(context: Context, pipeline: Any, X: Tensor | Frame) -> MethodOutput:
    for position, (_, step) in reversed(list(enumerate(pipeline.steps))):
        if _does_something(step):
            X = context.call(step, "inverse_transform", X, at=f"steps[{position}]")
    return X


@on_frame
def _column_transformer(context: Context, union: Any, X: Tensor | Frame) -> Tensor | Frame:
    """Each transformer on its columns; their answers side by side in the order they were listed.

    Names, slices, masks, selectors and callables were resolved to positions when it was fitted, so
    a ColumnTransformer that selects by the names of columns that a step before it made needs none.
    """
    frame = frame_of(X)
    parts: list[Tensor | Frame] = []
    for name, transformer, columns in union.transformers_:
        chosen = frame.select(_positions(union, name, frame.width))
        if not chosen.width or (isinstance(transformer, str) and transformer == "drop"):
            continue
        # A single name or position, not in a list, hands over a vector (text vectorizers want one).
        given = context.vector(chosen) if np.isscalar(columns) else chosen
        if not _does_something(transformer):
            parts.append(_weighted(context, union, name, given))
        else:
            answer = context.transform(transformer, given, at=f"[{name!r}]")
            parts.append(_weighted(context, union, name, answer))
    return _side_by_side(parts, X)


@on_frame
def _feature_union(context: Context, union: Any, X: Tensor | Frame) -> Tensor | Frame:
    parts = []
    for name, transformer in union.transformer_list:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        answer = X
        if _does_something(transformer):
            answer = context.transform(transformer, X, at=f"[{name!r}]")
        parts.append(_weighted(context, union, name, answer))
    return _side_by_side(parts, X)


def _side_by_side(parts: list[Tensor | Frame], X: Tensor | Frame) -> Tensor | Frame:
    """The parts joined; an empty row for every row of *X* when nothing is left."""
    kept = [part for part in parts if isinstance(part, Frame) or part.width]
    if kept:
        return join(kept)
    rows = X if isinstance(X, Tensor) else X.columns[0][0]
    return ops.full_rows(rows, np.zeros(0))


def _does_something(step: Any) -> bool:
    return step is not None and not (isinstance(step, str) and step in ("passthrough", "drop"))


def _positions(union: Any, name: str, width: int) -> list[int]:
    """Positions of the columns of transformer *name* (ColumnTransformer keeps them resolved)."""
    positions = union._transformer_to_input_indices[name]
    return [int(i) for i in np.arange(width)[positions]]


def _weighted(context: Context, union: Any, name: str, answer: Tensor | Frame) -> Tensor | Frame:
    weight = (union.transformer_weights or {}).get(name)
    if weight is None:
        return answer
    return context.matrix(answer) * float(weight)


CONVERTERS: dict[type, Methods] = {
    Pipeline: {**every_method(_pipeline), "inverse_transform": _back_through_pipeline},
    ColumnTransformer: {"transform": _column_transformer},
    FeatureUnion: {"transform": _feature_union},
}
