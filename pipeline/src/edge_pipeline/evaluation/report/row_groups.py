"""Divide the rows of a table into groups: by the values of a column, or by its quartiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.evaluation.report.number_text import number_text

__all__ = ["group_labels", "has_few_values", "sort_keys"]

MAX_GROUPS = 12
"""Most distinct values of a column that is shown by group."""

QUARTILES = 4


def has_few_values(column: pd.Series[Any]) -> bool:
    """Whether a column of texts or booleans has few enough values to show each."""
    is_number = pd.api.types.is_numeric_dtype(column) and column.dtype != bool
    return not is_number and 2 <= column.nunique(dropna=False) <= MAX_GROUPS


def group_labels(column: pd.Series[Any]) -> list[str]:
    """Name the group of each row: its value, or the quartile of a column of measurements."""
    if _is_measured(column):
        codes, edges = pd.qcut(column, QUARTILES, labels=False, retbins=True, duplicates="drop")
        return [
            "missing"
            if np.isnan(code)
            else f"{number_text(edges[int(code)], 3)} to {number_text(edges[int(code) + 1], 3)}"
            for code in codes.to_numpy(dtype=np.float64)
        ]
    return ["missing" if pd.isna(value) else str(value) for value in column]


def sort_keys(column: pd.Series[Any]) -> NDArray[Any]:
    """Return the values that order the groups of *column*; missing values come last."""
    if pd.api.types.is_numeric_dtype(column):
        return np.asarray(np.nan_to_num(column.to_numpy(dtype=np.float64), nan=np.inf))
    return np.array(["\uffff" if pd.isna(value) else str(value) for value in column])


def _is_measured(column: pd.Series[Any]) -> bool:
    numbers = pd.api.types.is_numeric_dtype(column) and column.dtype != bool
    return bool(numbers) and column.nunique() > MAX_GROUPS
