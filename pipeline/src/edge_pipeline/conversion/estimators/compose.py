"""Convert Pipeline, ColumnTransformer and FeatureUnion."""

from __future__ import annotations

from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import METHODS
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from edge_pipeline.conversion.column_frame import Frame, frame_of, join
from edge_pipeline.conversion.context import Context, Converter, MethodOutput, Methods, on_any_dtype
from edge_pipeline.conversion.estimators.dummy import constant_rows
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS", "PIPELINE_METHODS"]


def _pipeline(method: str) -> Converter:
    """Convert *method*: transform with every step but the last, which runs the method."""

    def convert(context: Context, pipeline: Any, X: Tensor | Frame) -> MethodOutput:
        for position, (_, step) in enumerate(pipeline.steps[:-1]):
            if _is_estimator(step):
                X = context.transform(step, X, at=f"steps[{position}]")
        last = pipeline.steps[-1][1]
        if not _is_estimator(last):
            return X
        return context.call(last, method, X, at=f"steps[{len(pipeline.steps) - 1}]")

    return on_any_dtype(convert)


@on_any_dtype
def _inverse_pipeline(context: Context, pipeline: Any, X: Tensor | Frame) -> MethodOutput:
    for position, (_, step) in reversed(list(enumerate(pipeline.steps))):
        if _is_estimator(step):
            X = context.call(step, "inverse_transform", X, at=f"steps[{position}]")
    return X


@on_any_dtype
def _column_transformer(context: Context, union: Any, X: Tensor | Frame) -> Tensor | Frame:
    """Apply each transformer to its columns, and join the results in the order of the list.

    Fitting resolved names, slices, masks, selectors and callables to positions.  So no names are
    needed, even where a step before made the columns.
    """
    frame = frame_of(X)
    parts: list[Tensor | Frame] = []
    for name, transformer, columns in union.transformers_:
        selected = frame.select(_positions(union, name, frame.width))
        if not selected.width or (isinstance(transformer, str) and transformer == "drop"):
            continue
        # A single name or position, not in a list, passes a vector: text vectorizers need one.
        part = context.vector(selected) if np.isscalar(columns) else selected
        if _is_estimator(transformer):
            part = context.transform(transformer, part, at=f"[{name!r}]")
        parts.append(_weighted(context, union, name, part))
    return _side_by_side(parts, X)


@on_any_dtype
def _feature_union(context: Context, union: Any, X: Tensor | Frame) -> Tensor | Frame:
    parts = []
    for name, transformer in union.transformer_list:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        part = X
        if _is_estimator(transformer):
            part = context.transform(transformer, X, at=f"[{name!r}]")
        parts.append(_weighted(context, union, name, part))
    return _side_by_side(parts, X)


def _side_by_side(parts: list[Tensor | Frame], X: Tensor | Frame) -> Tensor | Frame:
    """Join the parts; rows without columns when there are none."""
    nonempty = [part for part in parts if isinstance(part, Frame) or part.width]
    return join(nonempty) if nonempty else constant_rows(X, np.zeros(0))


def _is_estimator(step: Any) -> bool:
    return step is not None and not (isinstance(step, str) and step in ("passthrough", "drop"))


def _positions(union: Any, name: str, width: int) -> list[int]:
    """Return the column positions of transformer *name*."""
    positions = union._transformer_to_input_indices[name]
    return [int(i) for i in np.arange(width)[positions]]


def _weighted(context: Context, union: Any, name: str, part: Tensor | Frame) -> Tensor | Frame:
    weight = (union.transformer_weights or {}).get(name)
    if weight is None:
        return part
    return context.matrix(part) * float(weight)


PIPELINE_METHODS: Methods = {
    **{method: _pipeline(method) for method in METHODS},
    "inverse_transform": _inverse_pipeline,
}

CONVERTERS: dict[type, Methods] = {
    Pipeline: PIPELINE_METHODS,
    ColumnTransformer: {"transform": _column_transformer},
    FeatureUnion: {"transform": _feature_union},
}
