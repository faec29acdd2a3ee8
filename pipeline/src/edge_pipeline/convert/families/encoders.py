"""Encoders of categories: a hash look-up a column, then ones and zeros or a code."""

from __future__ import annotations

from typing import Any

import numpy as np
from edge_runtime.schema import MISSING_STRING
from sklearn.preprocessing import OneHotEncoder

from edge_pipeline.convert import ops
from edge_pipeline.convert.context import Context, Methods, on_frame
from edge_pipeline.convert.frame import Frame, frame_of
from edge_pipeline.convert.tensor import Tensor

__all__ = ["CONVERTERS"]


@on_frame
def _one_hot(context: Context, encoder: Any, X: Tensor | Frame) -> Tensor:
    if getattr(encoder, "infrequent_categories_", None) is not None or encoder.drop is not None:
        raise context.refuse("infrequent categories and drop are not converted yet")
    frame = frame_of(X)
    parts = []
    for i, categories in enumerate(encoder.categories_):
        code = _code(frame.column(i), categories)
        parts.append((code == np.arange(len(categories))).astype(np.float64))
    return ops.concatenate(parts, 1)


def _code(column: Tensor, categories: Any) -> Tensor:
    """Position of each value in *categories*, -1 for an unknown one; shape (n_samples, 1)."""
    if column.is_string:
        keys = np.array([c if isinstance(c, str) else MISSING_STRING for c in categories], dtype=object)
    else:
        keys = np.array([np.nan if c is None else c for c in categories], dtype=np.float64)
    return ops.lookup(column, keys, np.arange(len(keys)), -1)


CONVERTERS: dict[type, Methods] = {OneHotEncoder: {"transform": _one_hot}}
