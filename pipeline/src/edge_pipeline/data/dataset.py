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

from edge_pipeline.data.importing import did_you_mean, find_function, listed, modules_from
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.tables import plain_columns, read_table
from edge_pipeline.errors import DatasetError

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
    read = _from_file if recipe.data.file is not None else _from_function
    X, y, dropped = read(recipe)
    if y is not None:
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
        numbers=tuple(c for c in X.columns if c not in strings)
        if isinstance(X, pd.DataFrame)
        else (),
        strings=strings,
        dropped_rows=dropped,
    )


_Rows = tuple[Any, NDArray[Any] | None, int]
"""Features, target, and how many rows were left out for want of one."""


def _from_file(recipe: Recipe) -> _Rows:
    table = recipe.data
    frame = read_table(
        recipe.file.parent / str(table.file),
        separator=table.separator,
        strings=[name for name, kind in table.types.items() if kind == "string"],
    )
    return _columns(recipe, frame)


def _from_function(recipe: Recipe) -> _Rows:
    """Take what the function returns: (X, y), a Bunch of scikit-learn, or a table."""
    name = recipe.data.function
    with modules_from(recipe.file.parent):
        try:
            made = find_function(str(name))()
        except Exception as error:
            # The function is the user's own code: whatever it raises is its fault.
            raise DatasetError(f"{name} failed: {type(error).__name__}: {error}") from error
    if isinstance(made, pd.DataFrame):
        return _columns(recipe, made)
    if hasattr(made, "data") and hasattr(made, "target"):
        made = (made.data, made.target)
    if not (isinstance(made, tuple) and len(made) == 2):
        raise recipe.error(
            "data.function",
            "expected (X, y), a pandas DataFrame, or an object with data and target; "
            f"{name} returned a {type(made).__name__}",
        )
    if recipe.data.target is not None:
        raise recipe.error("data.target", f"{name} returns the target itself; remove this key")
    X, y = made
    if hasattr(X, "toarray"):
        X = X.toarray()
    if not isinstance(X, pd.DataFrame | np.ndarray | list):
        raise recipe.error(
            "data.function",
            f"{name} returned X as {type(X).__module__}.{type(X).__qualname__}; return a pandas "
            "DataFrame, an ndarray or a list of str",
        )
    X, y, dropped = _with_target(X, None if y is None else np.asarray(y))
    return (_columns(recipe, X)[0] if isinstance(X, pd.DataFrame) else X), y, dropped


def _columns(recipe: Recipe, frame: pd.DataFrame) -> _Rows:
    """Divide a table into features and target, each column of a plain type."""
    table, source, there = recipe.data, _source(recipe), [str(name) for name in frame.columns]
    _check_names(recipe, there)
    dropped, y = 0, None
    if table.target is not None:
        known = frame[table.target].notna()
        dropped, frame = int((~known).sum()), frame[known]
        y = plain_columns(frame[[table.target]], table.types, source).iloc[:, 0].to_numpy()
    features = table.features or [
        name for name in there if name != table.target and name not in table.exclude
    ]
    if not features:
        raise DatasetError(f"{source}: no column is left to learn from")
    X = plain_columns(frame[list(features)], table.types, source)
    for name in X.columns if len(X) else ():
        if X[name].isna().all():
            raise DatasetError(f"{source}: column {name!r} is empty; add it to data.exclude")
        if table.types.get(name) != "string":
            _refuse_dates(X[name], source)
    return X, y, dropped


def _check_names(recipe: Recipe, there: Sequence[str]) -> None:
    """Refuse a recipe that names a column which the table lacks."""
    table = recipe.data
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


_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ]\d{1,2}:\d{2}\S*)?\s*"
)


def _refuse_dates(column: pd.Series[Any], source: str) -> None:
    """Refuse dates: as a category, each knows no later day."""
    if column.dtype != object:
        return
    words = column.dropna()
    if all(isinstance(word, str) and _DATE.fullmatch(word) for word in words):
        raise DatasetError(
            f"{source}: column {column.name!r} holds dates such as {words.iloc[0]!r}; add it to "
            "data.exclude, or put numbers made from it (year, day of the year) into the table"
        )


def _with_target(X: Any, y: NDArray[Any] | None) -> _Rows:
    """Leave out the rows whose target is missing."""
    if y is None:
        return X, y, 0
    if len(X) != len(y):
        raise DatasetError(f"there are {len(X)} rows and {len(y)} targets")
    known = np.logical_not(np.asarray(pd.isna(y), dtype=bool)).reshape(len(y), -1).all(axis=1)
    if known.all():
        return X, y, 0
    rows = np.flatnonzero(known)
    dropped = len(y) - len(rows)
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows], y[rows], dropped
    return ([X[i] for i in rows] if isinstance(X, list) else X[rows]), y[rows], dropped


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
        # A gap in a column of whole numbers makes them floats; rows with gaps are gone by now.
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


def _string_columns(X: Any) -> tuple[str, ...]:
    return (
        tuple(name for name in X.columns if X[name].dtype == object)
        if isinstance(X, pd.DataFrame)
        else ()
    )


def _source(recipe: Recipe) -> str:
    """Name the table for messages."""
    if recipe.data.file is None:
        return str(recipe.data.function)
    return str(Path(recipe.file.parent, recipe.data.file))
