"""Convert ``predict`` of a classifier from its class scores."""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np

from edge_pipeline.conversion.context import Context, Converter
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["label_of_two", "predict_largest"]


def predict_largest(scores: Converter) -> Converter:
    """Convert ``predict`` as the class of the largest of *scores*, the first of equal ones."""

    @wraps(scores)
    def predict(context: Context, model: Any, X: Any) -> Tensor:
        return context.labels(model.classes_, ops.argmax(scores(context, model, X), 1))

    return predict


def label_of_two(classes: Any, is_second: Tensor) -> Tensor:
    """Return the second of two classes where *is_second*, in as few nodes as their dtype allows."""
    classes = np.asarray(classes)
    if classes.dtype == np.bool_:
        return is_second
    if classes.dtype.kind in "iu" and classes.tolist() == [0, 1]:
        return is_second.astype(np.int64)
    return ops.where(is_second, classes[1], classes[0])
