"""Choose the columns that a model should not learn from: constants, ids, names, leaks."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from edge_pipeline.data.tables import plain_columns

if TYPE_CHECKING:
    from edge_pipeline.data.profile import ColumnDescription

__all__ = ["MAX_DISTINCT_SHARE", "exclude_leaks", "reason_to_exclude"]

MAX_DISTINCT_SHARE = 0.5
"""A text column with a larger share of different values names rows, not categories."""

LEAK_SCORE = 0.999
"""A column leaks the target when a small tree on it alone reaches this score."""

LEAK_ROWS = 2000
"""Rows on which that tree is scored."""

_ID_NAME = re.compile(r"(^|[_\W])(id|uuid|guid|index|rowid|rownum|row|key)$|(?<=[a-z])I[Dd]$", re.I)


def reason_to_exclude(column: pd.Series[Any], type_name: str, distinct: int) -> str:
    """Return why a model should not learn from a column, or an empty string."""
    rows, values = len(column), column.dropna()
    if distinct == 1 and len(values) == rows:
        return "has one value only"
    has_id_name = bool(_ID_NAME.search(str(column.name)))
    all_distinct = distinct == len(values)
    if type_name in ("int64", "float64") and all_distinct and rows >= 10:
        numbers = np.sort(values.to_numpy(dtype=np.float64))
        is_whole = np.array_equal(numbers, np.trunc(numbers))
        if is_whole and len(numbers) == rows and numbers[-1] - numbers[0] == rows - 1:
            return "numbers the rows"
        if is_whole and has_id_name:
            return "identifies the rows"
    if type_name == "string" and rows >= 10:
        if all_distinct and len(values) > 1:
            return "is different in every row"
        if distinct > max(20, MAX_DISTINCT_SHARE * len(values)):
            mean_words = values.map(lambda text: len(str(text).split())).mean()
            content = "free texts" if mean_words > 4 else "names"
            return f"holds {distinct} {content} for {len(values)} rows"
    if has_id_name and type_name != "float64" and distinct > 20:
        return "identifies something by its name; split.groups keeps its rows together"
    return ""


def exclude_leaks(
    columns: list[ColumnDescription], rows: pd.DataFrame, targets: tuple[str, ...], task: str
) -> list[ColumnDescription]:
    """Exclude each column that predicts the target by itself, unless none would be left."""
    sample = rows.sample(min(len(rows), LEAK_ROWS), random_state=0)
    checked = []
    for column in columns:
        if not column.left_out and column.name not in targets:
            scores = [_single_column_score(sample[column.name], sample[t], task) for t in targets]
            if scores and min(scores) >= LEAK_SCORE:
                column = replace(
                    column,
                    left_out=f"leaks the target: alone it scores {min(scores):.3f}; "
                    "put it back if it is known before the target is",
                )
        checked.append(column)
    if not any(not c.left_out and c.name not in targets for c in checked):
        return columns
    return checked


def _single_column_score(column: pd.Series[Any], target: pd.Series[Any], task: str) -> float:
    """Cross-validate a small tree on one column; 0 when the target is too rare to judge."""
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if len(column) < 30 or target.nunique() < 2:
        return 0.0
    values = plain_columns(column.to_frame(), {}, "").iloc[:, 0]
    X = pd.factorize(values)[0] if values.dtype == object else values.to_numpy(dtype=np.float64)
    if task == "classification":
        y: Any = pd.factorize(target)[0]
        if max(np.bincount(y)) > 0.95 * len(y):
            return 0.0
        tree: Any = DecisionTreeClassifier(max_leaf_nodes=max(8, 2 * len(set(y))), random_state=0)
    else:
        y = target.to_numpy(dtype=np.float64)
        tree = DecisionTreeRegressor(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folds = KFold(3, shuffle=True, random_state=0)
        score = cross_val_score(tree, X.reshape(-1, 1), y, cv=folds).mean()
    return float(score) if math.isfinite(score) else 0.0
