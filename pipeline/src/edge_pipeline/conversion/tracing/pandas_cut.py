"""Trace ``pandas.cut`` with given edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.searchsorted import searchsorted
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["bin_labels"]


def bin_labels(
    x: Tensor, bins: Any, labels: Any = None, *, right: bool = True, include_lowest: bool = False
) -> Tensor:
    """Return the label of the interval of each number; missing outside of all.

    Raises
    ------
    TypeError
        The edges depend on the batch, or the labels are intervals.
    """
    if np.ndim(bins) == 0:
        raise TypeError(
            "pandas.cut into a number of bins makes edges from the batch; give the edges learnt in "
            "training: pd.cut(..., retbins=True) in fit"
        )
    if labels is None:
        raise TypeError("pandas.cut without labels makes intervals; give labels=False or names")
    edges = np.asarray(bins.to_numpy() if isinstance(bins, pd.Index) else bins, dtype=np.float64)
    values = x.astype(np.float64)
    side: Any = "left" if right else "right"
    position = ops.squeeze(searchsorted([edges], ops.expand_dims(values, 1), side=side), 1)
    if include_lowest:
        position = ops.where(values == float(edges[0]), 1.0, position)
    inside = (position >= 1.0) & (position <= float(len(edges) - 1)) & ~ops.isnan(values)
    code = ops.where(inside, position - 1.0, np.nan)
    if labels is False:
        return code
    names = list(labels)
    is_text = any(isinstance(name, str) for name in names)
    table = np.array([*names, MISSING_STRING if is_text else np.nan],
                     dtype=object if is_text else np.float64)  # fmt: skip
    index = ops.where(inside, position - 1.0, float(len(names))).astype(np.int64)
    return ops.take(table, index)
