"""Make the device refuse the values that scikit-learn refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["restrict_range", "restrict_values"]


def restrict_values(context: Context, X: Frame, values: Sequence[Sequence[Any]]) -> None:
    """Record that scikit-learn refuses all but *values* in the columns of *X*.

    The device then refuses other values too, where a column is one of the model's input,
    imputed or not.  The schema says whether missing values are allowed.
    """
    for (tensor, i), allowed in zip(X.columns, values, strict=True):
        column, markers = context.input_column(tensor, i)
        if column is None:
            continue
        kind = str if column.is_string else float
        listed = frozenset(kind(v) for v in (*allowed, *markers) if not pd.isna(v))
        earlier = context.allowed_values.get(column.name, listed)
        context.allowed_values[column.name] = earlier & listed


def restrict_range(
    context: Context, X: Tensor | Frame, low: Sequence[float], high: Sequence[float]
) -> Tensor:
    """Return *X*, of which scikit-learn refuses numbers below *low* and above *high*.

    The device refuses such numbers in columns of the model's input, imputed or not.  In columns
    that other steps computed, a node stops the graph.
    """
    has_computed_columns = False
    for (tensor, i), bottom, top in zip(context.columns_of(X).columns, low, high, strict=True):
        column, markers = context.input_column(tensor, i)
        if column is None or not all(map(pd.isna, markers)):
            has_computed_columns = True
            continue
        earlier = context.allowed_ranges.get(column.name, (bottom, top))
        context.allowed_ranges[column.name] = max(earlier[0], bottom), min(earlier[1], top)
    matrix = context.matrix(X)
    if not has_computed_columns:
        return matrix
    # Computed columns may be rounded otherwise than in training, where they were in range.
    slack = 1e-12 * np.abs([low, high])
    outside = (matrix < np.asarray(low) - slack[0]) | (matrix > np.asarray(high) + slack[1])
    # A graph cannot raise an error, but Gather fails for position 1 of an array of length 1.
    return matrix + ops.take(np.zeros(1), outside.astype(np.int64))
