"""Rows in; those to train and those to test out, and the folds of the former."""

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
"""Rows below which folds are drawn twice: the score of one draw is chance to a good part."""

FEW_FOLDS_ABOVE = 10_000
"""Rows above which three folds tell as much as five."""


@dataclass(frozen=True)
class Rows:
    """Features, target, and what says which rows belong together.

    Attributes
    ----------
    X, y
        As the estimator takes them; *y* is None when nothing is learnt.
    dropped
        Rows left out because their target is missing.
    groups
        Label of each row's group, or None.
    times
        Something that grows with each row's time, or None.
    """

    X: Any
    y: NDArray[Any] | None
    dropped: int = 0
    groups: NDArray[Any] | None = None
    times: NDArray[Any] | None = None

    def at(self, positions: NDArray[np.intp]) -> Rows:
        """The rows at *positions*, in that order."""
        chosen = [
            None if part is None else part[positions] for part in (self.y, self.groups, self.times)
        ]
        return Rows(take_rows(self.X, positions), chosen[0], self.dropped, chosen[1], chosen[2])


def take_rows(X: Any, positions: NDArray[np.intp]) -> Any:
    """The rows of *X* at *positions*, in the same container."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[positions]
    return [X[i] for i in positions] if isinstance(X, list) else X[positions]


def split(recipe: Recipe, rows: Rows) -> tuple[Rows, Rows | None]:
    """Divide *rows* into those to train on and those to test on.

    Raises
    ------
    RecipeError
        The split that the recipe asks for is not possible with these rows.
    """
    if rows.times is not None:
        # Stable: rows of one moment keep the order of the table.
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
    """scikit-learn's splitter for the training rows: by time, by group, by label, or at random.

    Raises
    ------
    RecipeError
        There are fewer groups or rows than folds.
    """
    from sklearn import model_selection

    table, seed, count = recipe.validation, recipe.split.seed, len(train.X)
    usual = max(2, min(5 if count <= FEW_FOLDS_ABOVE else 3, count // 2))
    number = table.folds or usual
    if table.repeats is not None and recipe.split.groups is not None:
        raise recipe.error("validation.repeats", "groups are divided in one way; remove this key")
    if number > count:
        raise recipe.error("validation.folds", f"{number} folds need as many rows, found {count}")
    if recipe.split.time is not None:
        if table.repeats is not None:
            raise recipe.error("validation.repeats", "time has one order; remove this key")
        if number >= count:
            raise recipe.error("validation.folds", f"{number} folds need more than {count} rows")
        return model_selection.TimeSeriesSplit(number)
    labels = _labels(recipe, train.y)
    if train.groups is not None:
        there = len(np.unique(train.groups))
        number = table.folds or max(2, min(usual, there))
        if there < number:
            raise recipe.error(
                "validation.folds", f"{number} folds need as many groups, {there} are left to train"
            )
        if labels is not None and np.unique(labels, return_counts=True)[1].min() >= number:
            return model_selection.StratifiedGroupKFold(number, shuffle=True, random_state=seed)
        return model_selection.GroupKFold(number)
    repeats = table.repeats or (2 if count < REPEATED_BELOW else 1)
    stratified = labels is not None and np.unique(labels, return_counts=True)[1].min() >= number
    kind = model_selection.RepeatedStratifiedKFold if stratified else model_selection.RepeatedKFold
    return kind(n_splits=number, n_repeats=repeats, random_state=seed)


def _labels(recipe: Recipe, y: NDArray[Any] | None) -> NDArray[Any] | None:
    single = recipe.task == "classification" and y is not None and y.ndim == 1
    return y if single else None


def _split_by_groups(recipe: Recipe, rows: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    from sklearn.model_selection import GroupShuffleSplit

    divide = GroupShuffleSplit(
        n_splits=1, test_size=recipe.split.test_share, random_state=recipe.split.seed
    )
    try:
        train, test = next(divide.split(np.arange(len(rows.X)), groups=rows.groups))
    except ValueError as error:
        there = len(np.unique(rows.groups))  # type: ignore[arg-type]
        raise recipe.error(
            "split.groups",
            f"{there} group(s) cannot be divided into training and test; "
            "name another column, or say test_share = 0",
        ) from error
    return train, test


def _stratify_labels(recipe: Recipe, y: NDArray[Any] | None, test_rows: int) -> NDArray[Any] | None:
    """Give the labels to keep in proportion, where that is wanted and possible."""
    wanted = recipe.split.stratify
    if wanted is False or (wanted is None and recipe.task != "classification"):
        return None
    if y is None or y.ndim > 1:
        fault = "there is no single target to keep in proportion"
    else:
        labels, counts = np.unique(y, return_counts=True)
        rare = labels[np.argmin(counts)]
        if counts.min() < 2:
            fault = f"{rare!s:.40} occurs once, and cannot be in both parts"
        elif min(test_rows, len(y) - test_rows) < len(labels):
            fault = f"{len(labels)} labels do not fit into {test_rows} test rows"
        else:
            return y
    if wanted:
        raise recipe.error("split.stratify", fault)
    return None


def time_keys(column: pd.Series[Any], source: str) -> NDArray[Any]:
    """Numbers that grow with the dates, times or numbers of *column*.

    Raises
    ------
    DatasetError
        A value is missing, or is none of these.
    """
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise DatasetError(f"{source}: column {column.name!r} has no time in row {row}")
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.asarray(column)
    try:
        found = pd.to_datetime(column, utc=True, format=None if _typed(column) else "ISO8601")
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{source}: column {column.name!r} holds {column.iloc[0]!r}; an order in time needs "
            "numbers, dates, or dates written as 2024-12-31 or 2024-12-31T23:59"
        ) from error
    return np.asarray(found.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64))


def _typed(column: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(column.dtype))
