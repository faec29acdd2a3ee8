"""Columns as a booster sees them: a category is the whole number that its library gave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING
from numpy.typing import NDArray

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["coded_matrix", "matrix_without_zeros", "rounded_codes"]


def coded_matrix(
    context: Context, X: Tensor | Frame, categories: Mapping[int, Sequence[Any]]
) -> Tensor:
    """Return *X* as one matrix, in which each category is replaced by its position.

    NaN stands for a missing value and for an unseen category.
    """
    if not categories:
        return context.matrix(X)
    frame = frame_of(X)
    columns = list(frame.columns)
    for i, values in categories.items():
        column = frame.column(i)
        words = [MISSING_STRING if value is None else value for value in values]
        keys = np.array(words, dtype=object if column.is_string else np.float64)
        codes = ops.lookup(column, keys, np.arange(float(len(keys))), np.nan)
        columns[i] = (codes, 0)
    return context.matrix(Frame(tuple(columns)))


def rounded_codes(
    X: Tensor, columns: NDArray[np.int64], rounding: Callable[[Tensor], Tensor]
) -> Tensor:
    """Round the numbers in *columns* of *X* to the whole numbers that a booster takes for codes."""
    if not len(columns):
        return X
    if len(columns) == X.width:
        return rounding(X)
    is_code = np.zeros(X.width, dtype=np.bool_)
    is_code[columns] = True
    return ops.where(X.graph.constant(is_code), rounding(X), X)


def matrix_without_zeros(X: Tensor, columns: Any, limit: float) -> Tensor:
    """*X* with NaN in place of what lies within *limit* of zero, in the marked *columns*."""
    return ops.where((abs(X) <= limit) & np.asarray(columns), np.nan, X)
