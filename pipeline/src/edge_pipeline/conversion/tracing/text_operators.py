"""Trace ``+``, ``<`` and ``>`` of texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.graph import ops, text_ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["compared_text", "is_missing_text", "joined_text"]


def is_missing_text(x: Tensor) -> Tensor:
    """Return where a text is missing."""
    return x == MISSING_STRING


def joined_text(x: Any, y: Any) -> Tensor:
    """Concatenate two texts; missing where one is."""
    parts = [v for v in (x, y) if isinstance(v, Tensor)]
    if not all(v.is_string if isinstance(v, Tensor) else _is_text(v) for v in (x, y)):
        raise TypeError("+ of a text and a number; convert the number to text before training")
    result = text_ops.concat(*(v if isinstance(v, Tensor) else np.asarray(v, dtype=object)
                               for v in (x, y)))  # fmt: skip
    for part in parts:
        result = ops.where(is_missing_text(part), MISSING_STRING, result)
    return result


def _is_text(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "UO"


def compared_text(op: str, x: Any, y: Any) -> Tensor:
    """Compare texts by their code points, as Python does; a missing text gives false."""
    if not (isinstance(x, Tensor) and isinstance(y, str)):
        if isinstance(y, Tensor) and isinstance(x, str):
            return compared_text(_REFLECTED[op], y, x)
        raise TypeError(
            "the order of two columns of text has no form in a graph; compare with a constant text"
        )
    less, equal = text_ops.less_than(x, y), x == y
    result = {
        "Less": lambda: less,
        "LessOrEqual": lambda: less | equal,
        "Greater": lambda: ~(less | equal),
        "GreaterOrEqual": lambda: ~less,
    }[op]()
    return result & ~is_missing_text(x)


_REFLECTED = {
    "Less": "Greater", "Greater": "Less",
    "LessOrEqual": "GreaterOrEqual", "GreaterOrEqual": "LessOrEqual",
}  # fmt: skip
