"""Find columns that predict the target by themselves: they are often a consequence of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.dates import holds_dates
from edge_pipeline.data.tables import plain_columns

__all__ = ["leak_scores"]

LEAK_SCORE = 0.999
"""A column leaks the target when a small tree on it alone reaches this score."""

LEAK_ROWS = 2000
"""Rows on which that tree is scored."""

MIN_ROWS, MIN_LABEL_ROWS = 30, 10
"""With fewer rows, or fewer rows of the rarest label, a high score may be chance."""


def leak_scores(
    rows: pd.DataFrame, names: Sequence[str], targets: Sequence[str], task: str
) -> dict[str, float]:
    """Return the columns of *names* that leak every target, with the score of each alone."""
    sample = _sample(rows, targets, task)
    if len(sample) < MIN_ROWS:
        return {}
    scores = {}
    for name in names:
        values = plain_columns(sample[[name]], {}, "").iloc[:, 0]
        if holds_dates(values):  # a date beside it tells most of a slow series, and is no leak
            continue
        X = pd.factorize(values)[0] if values.dtype == object else values.to_numpy(np.float64)
        score = min(_score(np.asarray(X), sample[target], task) for target in targets)
        if score >= LEAK_SCORE:
            scores[name] = score
    return scores


def _sample(rows: pd.DataFrame, targets: Sequence[str], task: str) -> pd.DataFrame:
    """Draw rows; a rare label keeps its rows, or a leak of it would be overlooked."""
    rows = rows.reset_index(drop=True)
    sample = rows.sample(min(len(rows), LEAK_ROWS), random_state=0)
    if task != "classification" or len(targets) != 1 or len(sample) == len(rows):
        return sample
    labels = rows[targets[0]]
    is_rare = labels.map(labels.value_counts()) <= LEAK_ROWS // 10
    rare_rows = rows[is_rare]
    if len(rare_rows) > LEAK_ROWS // 2:
        return sample
    return pd.concat([sample.drop(rare_rows.index, errors="ignore"), rare_rows])


def _score(X: NDArray[Any], target: pd.Series[Any], task: str) -> float:
    """Cross-validate a small tree on one column; 0 when the target is too rare to judge."""
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if target.nunique() < 2:
        return 0.0
    if task == "classification":
        y: Any = pd.factorize(target)[0]
        counts = np.bincount(y)
        is_unbalanced = max(counts) > 0.95 * len(y)
        if is_unbalanced and min(counts) < MIN_LABEL_ROWS:
            return 0.0
        tree: Any = DecisionTreeClassifier(max_leaf_nodes=max(8, 2 * len(set(y))), random_state=0)
        scoring = "balanced_accuracy" if is_unbalanced else "accuracy"
    else:
        y = target.to_numpy(dtype=np.float64)
        tree, scoring = DecisionTreeRegressor(random_state=0), "r2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folds = KFold(3, shuffle=True, random_state=0)
        score = cross_val_score(tree, X.reshape(-1, 1), y, cv=folds, scoring=scoring).mean()
    return float(score) if math.isfinite(score) else 0.0
