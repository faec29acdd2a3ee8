"""A recipe in, the rows it names out, divided into training and test rows.

Alone reads tables; everything later sees arrays and frames only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.errors import DatasetError
from edge_pipeline.importing import did_you_mean, find_function, listed, modules_from
from edge_pipeline.recipe import Recipe
from edge_pipeline.tables import plain_columns, read_table

__all__ = ["Dataset", "load_dataset"]


@dataclass(frozen=True)
class Dataset:
    """The rows of one build.

    Attributes
    ----------
    X_train, X_test
        DataFrame, ndarray or list of str, as the estimator will see it; ``X_test`` is None when
        the recipe keeps no row for testing.
    y_train, y_test
        Target values, or None when there is no target.
    numbers, strings
        Names of the columns that hold numbers or booleans, and of those that hold strings; both
        empty when the rows are no table.
    dropped_rows
        Rows left out because their target is missing.
    """

    X_train: Any
    X_test: Any
    y_train: NDArray[Any] | None
    y_test: NDArray[Any] | None
    numbers: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()
    dropped_rows: int = 0

    @property
    def rows(self) -> int:
        """Rows used, those for testing included."""
        return len(self.X_train) + (0 if self.X_test is None else len(self.X_test))

    @property
    def columns(self) -> int:
        """Columns that the estimator sees."""
        shape: tuple[int, ...] = getattr(self.X_train, "shape", ())
        return shape[1] if len(shape) > 1 else 1


def load_dataset(recipe: Recipe) -> Dataset:
    """Read the rows of *recipe* and divide them.

    Numbers, booleans and strings are told apart by the whole column; missing values stay
    missing.  A boolean column with gaps becomes numbers: 0, 1 and NaN.

    Raises
    ------
    DatasetError
        The table cannot be read, lacks a column, or holds something a model cannot take.
    RecipeError
        The recipe names a column that the table does not have.
    OSError
        The file cannot be read.
    """
    X, y = _from_file(recipe) if recipe.data.file is not None else _from_function(recipe)
    before = len(X)
    if y is not None:
        X, y = _with_target(X, y)
        y = _checked_target(recipe, y)
    if len(X) == 0:
        raise DatasetError(f"{_source(recipe)}: no row is left to learn from")
    X_train, X_test, y_train, y_test = _split(recipe, X, y)
    strings = _string_columns(X)
    return Dataset(
        X_train,
        X_test,
        y_train,
        y_test,
        numbers=tuple(c for c in X.columns if c not in strings) if _is_frame(X) else (),
        strings=strings,
        dropped_rows=before - len(X),
    )


def _from_file(recipe: Recipe) -> tuple[pd.DataFrame, NDArray[Any] | None]:
    table = recipe.data
    file = recipe.file.parent / str(table.file)
    frame = read_table(
        file,
        separator=table.separator,
        strings=[name for name, kind in table.types.items() if kind == "string"],
    )
    return _columns(recipe, frame)


def _from_function(recipe: Recipe) -> tuple[Any, NDArray[Any] | None]:
    """What the function returns: (X, y), a Bunch of scikit-learn, or a table."""
    with modules_from(recipe.file.parent):
        made = find_function(str(recipe.data.function))()
    if hasattr(made, "data") and hasattr(made, "target"):
        made = (made.data, made.target)
    if isinstance(made, tuple) and len(made) == 2:
        if recipe.data.target is not None:
            raise recipe.error(
                "data.target", f"{recipe.data.function} returns the target itself; remove this key"
            )
        X, y = made
        y = None if y is None else np.asarray(y)
        if _is_frame(X):
            return _columns(recipe, X, target_comes_apart=True)[0], y
        return (list(X) if isinstance(X, list) else np.asarray(X)), y
    if _is_frame(made):
        return _columns(recipe, made)
    raise recipe.error(
        "data.function",
        f"expected (X, y), a table, or an object with data and target; "
        f"{recipe.data.function} returned a {type(made).__name__}",
    )


def _columns(
    recipe: Recipe, frame: pd.DataFrame, *, target_comes_apart: bool = False
) -> tuple[pd.DataFrame, NDArray[Any] | None]:
    """The features and the target of a table, each of a plain type."""
    table, there = recipe.data, [str(name) for name in frame.columns]
    named: Mapping[str, Sequence[str]] = {
        "data.target": [table.target] if table.target is not None else [],
        "data.features": table.features or (),
        "data.exclude": table.exclude,
        "data.types": tuple(table.types),
    }
    for key, names in named.items():
        for name in names:
            if name not in there:
                raise recipe.error(
                    key,
                    f"{_source(recipe)} has no column {name!r}{did_you_mean(name, there)}"
                    f"; it has {listed(there)}",
                )
    if target_comes_apart or table.target is None:
        target = None
    else:
        target = plain_columns(frame[[table.target]], table.types, _source(recipe))
    features = table.features or [
        name for name in there if name != table.target and name not in table.exclude
    ]
    if not features:
        raise DatasetError(f"{_source(recipe)}: no column is left to learn from")
    X = plain_columns(frame[list(features)], table.types, _source(recipe))
    for name in X.columns:
        if X[name].isna().all():
            raise DatasetError(
                f"{_source(recipe)}: column {name!r} is empty; add it to data.exclude"
            )
        _refuse_dates(X[name], _source(recipe))
    return X, None if target is None else target.iloc[:, 0].to_numpy()


_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ]\d{1,2}:\d{2}\S*)?\s*"
)


def _refuse_dates(column: pd.Series[Any], source: str) -> None:
    """A date as a category knows no later day; people mean a number derived from it."""
    if column.dtype != object:
        return
    words = column.dropna()
    if all(isinstance(word, str) and _DATE.fullmatch(word) for word in words):
        raise DatasetError(
            f"{source}: column {column.name!r} holds dates such as {words.iloc[0]!r}; add it to "
            "data.exclude, or put numbers made from it (year, day of the year) into the table"
        )


def _with_target(X: Any, y: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
    """Leave out the rows whose target is missing."""
    if len(X) != len(y):
        raise DatasetError(f"there are {len(X)} rows and {len(y)} targets")
    keep = np.logical_not(np.asarray(pd.isna(y), dtype=bool))
    if keep.ndim > 1:
        keep = keep.all(axis=1)
    if keep.all():
        return X, y
    rows = np.flatnonzero(keep)
    if _is_frame(X):
        return X.iloc[rows], y[rows]
    return ([X[i] for i in rows] if isinstance(X, list) else X[rows]), y[rows]


def _checked_target(recipe: Recipe, y: NDArray[Any]) -> NDArray[Any]:
    wordy = y.dtype.kind in "OUS"
    if recipe.task == "regression" and wordy:
        raise recipe.error(
            "data.target",
            f"task 'regression' needs numbers, the target holds {y.flat[0]!r}; "
            'did you mean task = "classification"?',
        )
    if recipe.task == "classification" and y.dtype.kind == "f":
        whole = y.astype(np.int64)
        if not np.array_equal(whole, y):
            raise recipe.error(
                "data.target",
                f"task 'classification' needs labels, the target holds {y[whole != y].flat[0]!r}; "
                'did you mean task = "regression"?',
            )
        # A gap in a column of whole numbers made them floats; the gaps are gone by now.
        return whole
    return y


def _split(recipe: Recipe, X: Any, y: NDArray[Any] | None) -> tuple[Any, Any, Any, Any]:
    from sklearn.model_selection import train_test_split

    if not recipe.split.test_share:
        return X, None, y, None
    test_rows = int(np.ceil(len(X) * recipe.split.test_share))
    if test_rows >= len(X):
        raise recipe.error(
            "split.test_share", f"{len(X)} rows are too few to keep {test_rows} for testing"
        )
    options = {
        "test_size": test_rows,
        "random_state": recipe.split.seed,
        "stratify": _strata(recipe, y, test_rows),
    }
    if y is None:
        X_train, X_test = train_test_split(X, **options)
        return X_train, X_test, None, None
    X_train, X_test, y_train, y_test = train_test_split(X, y, **options)
    return X_train, X_test, y_train, y_test


def _strata(recipe: Recipe, y: NDArray[Any] | None, test_rows: int) -> NDArray[Any] | None:
    """The labels to keep in proportion, when the recipe or the task wants it and it can be."""
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


def _string_columns(X: Any) -> tuple[str, ...]:
    return tuple(name for name in X.columns if X[name].dtype == object) if _is_frame(X) else ()


def _is_frame(X: Any) -> bool:
    return isinstance(X, pd.DataFrame)


def _source(recipe: Recipe) -> str:
    """The table's name for messages."""
    if recipe.data.file is None:
        return str(recipe.data.function)
    return str(Path(recipe.file.parent, recipe.data.file))
