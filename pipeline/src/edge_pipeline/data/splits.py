"""Divide rows into training and test rows, and make the folds of a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.recipe import Recipe
from edge_pipeline.errors import DatasetError

__all__ = ["Rows", "make_folds", "split", "take_rows", "time_keys"]

REPEATED_BELOW = 1000
"""Below so many rows, folds are drawn twice: the score of one draw has a large variance."""

FEW_FOLDS_ABOVE = 10_000
"""Above so many rows, three folds say as much as five."""


@dataclass(frozen=True)
class Rows:
    """Features, target, and the group and time of each row.

    Attributes
    ----------
    X, y
        As the estimator takes them; *y* is None when there is no target.
    dropped
        Number of rows dropped because their target is missing.
    groups
        Group label of each row, or None.
    times
        Numbers in the order of the rows' times, or None.
    columns
        Every column of the table that the rows come from; empty when it had no names.
    """

    X: Any
    y: NDArray[Any] | None
    dropped: int = 0
    groups: NDArray[Any] | None = None
    times: NDArray[Any] | None = None
    columns: tuple[str, ...] = ()

    def at(self, positions: NDArray[np.intp]) -> Rows:
        """Return the rows at *positions*, in that order."""
        y, groups, times = (
            None if values is None else values[positions]
            for values in (self.y, self.groups, self.times)
        )
        return Rows(take_rows(self.X, positions), y, self.dropped, groups, times)


def take_rows(X: Any, positions: NDArray[np.intp]) -> Any:
    """Return the rows of *X* at *positions*, in a container of the same type."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[positions]
    return [X[i] for i in positions] if isinstance(X, list) else X[positions]


def split(recipe: Recipe, rows: Rows) -> tuple[Rows, Rows | None]:
    """Divide *rows* into training and test rows.

    Raises
    ------
    RecipeError
        The recipe's split is not possible with these rows.
    """
    if rows.times is not None:
        # Stable: rows of the same time keep the order of the table.
        rows = rows.at(np.argsort(rows.times, kind="stable"))
    if not recipe.split.test_share:
        return rows, None
    count = len(rows.X)
    test_rows = int(np.ceil(count * recipe.split.test_share))
    if test_rows >= count:
        raise recipe.error(
            "split.test_share", f"{count} rows are too few to keep {test_rows} for testing"
        )
    if rows.times is not None:
        train, test = np.arange(count - test_rows), np.arange(count - test_rows, count)
    elif rows.groups is not None:
        train, test = _split_by_groups(recipe, rows)
    else:
        from sklearn.model_selection import train_test_split

        train, test = train_test_split(
            np.arange(count),
            test_size=test_rows,
            random_state=recipe.split.seed,
            stratify=_stratify_labels(recipe, rows.y, test_rows),
        )
    return rows.at(train), rows.at(test)


def make_folds(recipe: Recipe, train: Rows) -> Any:
    """Make scikit-learn's splitter for the training rows: by time, group or label, or at random.

    Raises
    ------
    RecipeError
        There are fewer groups or rows than folds.
    """
    table, count = recipe.validation, len(train.X)
    default_folds = max(2, min(5 if count <= FEW_FOLDS_ABOVE else 3, count // 2))
    n_folds = table.folds or default_folds
    if table.repeats is not None and recipe.split.groups is not None:
        raise recipe.error("validation.repeats", "groups are divided in one way; remove this key")
    if n_folds > count:
        raise recipe.error("validation.folds", f"{n_folds} folds need as many rows, found {count}")
    if recipe.split.time is not None:
        return _time_folds(recipe, n_folds, count)
    if train.groups is not None:
        return _group_folds(recipe, train, train.groups, default_folds)
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

    repeats = table.repeats or (2 if count < REPEATED_BELOW else 1)
    can_stratify = _can_stratify(recipe, train.y, n_folds)
    kind = RepeatedStratifiedKFold if can_stratify else RepeatedKFold
    return kind(n_splits=n_folds, n_repeats=repeats, random_state=recipe.split.seed)


def _time_folds(recipe: Recipe, n_folds: int, count: int) -> Any:
    from sklearn.model_selection import TimeSeriesSplit

    if recipe.validation.repeats is not None:
        raise recipe.error("validation.repeats", "time has one order; remove this key")
    if n_folds >= count:
        raise recipe.error("validation.folds", f"{n_folds} folds need more than {count} rows")
    return TimeSeriesSplit(n_folds)


def _group_folds(recipe: Recipe, train: Rows, groups: NDArray[Any], default_folds: int) -> Any:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    n_groups = len(np.unique(groups))
    n_folds = recipe.validation.folds or max(2, min(default_folds, n_groups))
    if n_groups < n_folds:
        raise recipe.error(
            "validation.folds",
            f"{n_folds} folds need as many groups, {n_groups} are left to train",
        )
    if _can_stratify(recipe, train.y, n_folds):
        return StratifiedGroupKFold(n_folds, shuffle=True, random_state=recipe.split.seed)
    return GroupKFold(n_folds)


def _can_stratify(recipe: Recipe, y: NDArray[Any] | None, n_folds: int) -> bool:
    """Return whether every label occurs often enough to be in each fold."""
    if recipe.task != "classification" or y is None or y.ndim != 1:
        return False
    return bool(np.unique(y, return_counts=True)[1].min() >= n_folds)


def _split_by_groups(recipe: Recipe, rows: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    from sklearn.model_selection import GroupShuffleSplit

    divide = GroupShuffleSplit(
        n_splits=1, test_size=recipe.split.test_share, random_state=recipe.split.seed
    )
    try:
        train, test = next(divide.split(np.arange(len(rows.X)), groups=rows.groups))
    except ValueError as error:
        n_groups = len(np.unique(rows.groups))  # type: ignore[arg-type]
        raise recipe.error(
            "split.groups",
            f"{n_groups} group(s) cannot be divided into training and test; "
            "name another column, or say test_share = 0",
        ) from error
    return train, test


def _stratify_labels(recipe: Recipe, y: NDArray[Any] | None, test_rows: int) -> NDArray[Any] | None:
    """Return the labels to stratify by, when the recipe wants it and the rows allow it."""
    stratify = recipe.split.stratify
    if stratify is False or (stratify is None and recipe.task != "classification"):
        return None
    if y is None or y.ndim > 1:
        reason = "there is no single target to keep in proportion"
    else:
        labels, counts = np.unique(y, return_counts=True)
        if counts.min() < 2:
            reason = f"{labels[np.argmin(counts)]!s:.40} occurs once, and cannot be in both parts"
        elif min(test_rows, len(y) - test_rows) < len(labels):
            reason = f"{len(labels)} labels do not fit into {test_rows} test rows"
        else:
            return y
    if stratify:
        raise recipe.error("split.stratify", reason)
    return None


def time_keys(column: pd.Series[Any], source: str) -> NDArray[Any]:
    """Convert dates, times or numbers to numbers in the same order.

    Raises
    ------
    DatasetError
        A value is missing, or is no date, time or number.
    """
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise DatasetError(f"{source}: column {column.name!r} has no time in row {row}")
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.asarray(column)
    try:
        is_datetime = pd.api.types.is_datetime64_any_dtype(column.dtype)
        times = pd.to_datetime(column, utc=True, format=None if is_datetime else "ISO8601")
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{source}: column {column.name!r} holds {column.iloc[0]!r}; an order in time needs "
            "numbers, dates, or dates written as 2024-12-31 or 2024-12-31T23:59"
        ) from error
    return np.asarray(times.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64))
