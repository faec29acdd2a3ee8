"""Choose the columns that a model should not learn from: constants, ids, names, leaks."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from edge_pipeline.data.leaks import leak_scores

if TYPE_CHECKING:
    from edge_pipeline.data.profile import ColumnDescription

__all__ = ["IDENTIFIES", "MAX_DISTINCT_SHARE", "exclude_leaks", "reason_to_exclude"]

IDENTIFIES = "identifies something"
"""Begins the reason of a column that names the same things again and again."""

MAX_DISTINCT_SHARE = 0.5
"""A text column with a larger share of different values names rows, not categories."""

MAX_RARE_ROWS, MIN_NEARLY_CONSTANT = 4, 100
"""A column is nearly constant with one value in all but so many of at least so many rows."""

MAX_INDEX_RANGE = 2
"""An index of selected rows numbers at most so many rows for each row of the table."""

_ID_NAME = re.compile(
    r"(^|[_\W])(id|uuid|guid|index|rowid|rownum|rownames|row|key)$|(?<=[a-z])I[Dd]$|^id[_\W]", re.I
)


def reason_to_exclude(column: pd.Series[Any], type_name: str, distinct: int) -> str:
    """Return why a model should not learn from a column, or an empty string."""
    rows, values = len(column), column.dropna()
    if distinct == 1 and len(values) == rows:
        return "has one value only"
    if reason := _nearly_constant(values, rows):
        return reason
    has_id_name = bool(_ID_NAME.search(str(column.name)))
    all_distinct = distinct == len(values)
    if type_name in ("int64", "float64") and all_distinct and rows >= 10:
        numbers = np.sort(values.to_numpy(dtype=np.float64))
        is_whole = np.array_equal(numbers, np.trunc(numbers))
        if is_whole and len(numbers) == rows and numbers[-1] - numbers[0] == rows - 1:
            return "numbers the rows"
        if is_whole and has_id_name:
            return "identifies the rows"
        if is_whole and _counts_rows(column):
            return "numbers the rows, some of which are absent"
    if type_name == "string" and rows >= 10:
        if all_distinct and len(values) > 1:
            return "is different in every row"
        if distinct > max(20, MAX_DISTINCT_SHARE * len(values)):
            mean_words = values.map(lambda text: len(str(text).split())).mean()
            content = "free texts" if mean_words > 4 else "names"
            return f"holds {distinct} {content} for {len(values)} rows"
    if has_id_name and type_name != "float64" and distinct > 20:
        return f"{IDENTIFIES} by its name; split.groups keeps its rows together"
    return ""


def exclude_leaks(
    columns: list[ColumnDescription], rows: pd.DataFrame, targets: tuple[str, ...], task: str
) -> list[ColumnDescription]:
    """Exclude each column that predicts the target by itself, unless none would be left."""
    candidates = [c.name for c in columns if not c.left_out and c.name not in targets]
    scores = leak_scores(rows, candidates, targets, task)
    if len(scores) == len(candidates):
        return columns
    return [
        replace(
            column,
            left_out=f"leaks the target: alone it scores {scores[column.name]:.3f}; "
            "put it back if it is known before the target is",
        )
        if column.name in scores
        else column
        for column in columns
    ]


def _nearly_constant(values: pd.Series[Any], rows: int) -> str:
    """Say that too few rows differ to learn from; empty for a column that varies."""
    if rows < MIN_NEARLY_CONSTANT:
        return ""
    if len(values) <= MAX_RARE_ROWS:
        return f"has a value in {len(values)} of {rows} rows only"
    n_others = rows - int(values.value_counts().iloc[0])
    return f"has one value in all but {n_others} rows" if n_others <= MAX_RARE_ROWS else ""


def _counts_rows(column: pd.Series[Any]) -> bool:
    """Return whether whole numbers count up from row to row, as an index of selected rows does."""
    if column.isna().any() or len(column) < MIN_NEARLY_CONSTANT:
        return False
    steps = np.diff(column.to_numpy(dtype=np.float64))
    return bool((steps > 0).all() and steps.sum() < MAX_INDEX_RANGE * len(column))
