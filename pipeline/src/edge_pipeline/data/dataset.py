"""A recipe in, the rows it names out, divided into training and test rows.

Alone reads tables; everything later sees arrays and frames only.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.csv import Layout
from edge_pipeline.data.imports import did_you_mean, find_function, join_names, modules_from
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.splits import Rows, split, take_rows, time_keys
from edge_pipeline.data.tables import as_frame, plain_columns, read_arrays, read_table
from edge_pipeline.data.targets import check_target
from edge_pipeline.errors import DatasetError

__all__ = [
    "Dataset",
    "is_dates",
    "layout_of",
    "load_dataset",
    "table_source",
]


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
    groups_train
        Label of the group of each training row, when the recipe names a column of groups.
    parts
        The whole table, when it is read in parts; ``X_train`` is then a sample of it.
    """

    X_train: Any
    X_test: Any
    y_train: NDArray[Any] | None
    y_test: NDArray[Any] | None
    numbers: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()
    dropped_rows: int = 0
    groups_train: NDArray[Any] | None = None
    parts: Any = None

    @property
    def train_rows(self) -> int:
        """Rows that training learns from."""
        return len(self.X_train) if self.parts is None else int(self.parts.train_rows)

    @property
    def rows(self) -> int:
        """Rows used, those for testing included."""
        return self.train_rows + (0 if self.X_test is None else len(self.X_test))

    @property
    def columns(self) -> int:
        """Columns that the estimator sees."""
        shape: tuple[int, ...] = getattr(self.X_train, "shape", ())
        return shape[1] if len(shape) > 1 else 1


def load_dataset(recipe: Recipe, table: Any = None) -> Dataset:
    """Read the rows of *recipe* and divide them.

    Numbers, booleans and strings are told apart by the whole column; missing values stay
    missing.  A boolean column with gaps becomes numbers: 0, 1 and NaN.

    Parameters
    ----------
    table
        A frame of pandas or polars, or an Arrow table, instead of the rows that the recipe names.

    Raises
    ------
    DatasetError
        The table cannot be read, lacks a column, or holds something a model cannot take.
    RecipeError
        The recipe names a column that the table does not have.
    OSError
        The file cannot be read.
    """
    if recipe.data.chunk_rows is not None and table is None:
        return _load_chunked(recipe)
    if table is not None:
        rows = _columns(recipe, as_frame(table))
    elif recipe.data.file is not None:
        rows = _from_file(recipe)
    elif recipe.data.dataset is not None:
        rows = _from_scikit_learn(recipe)
    else:
        rows = _from_function(recipe)
    if rows.y is not None:
        rows = Rows(rows.X, check_target(recipe, rows.y), rows.dropped, rows.groups, rows.times)
    if len(rows.X) == 0:
        raise DatasetError(f"{table_source(recipe)}: no row is left to learn from")
    train, test = split(recipe, rows)
    strings = _string_column_names(rows.X)
    return Dataset(
        train.X,
        None if test is None else test.X,
        train.y,
        None if test is None else test.y,
        numbers=tuple(c for c in rows.X.columns if c not in strings)
        if isinstance(rows.X, pd.DataFrame)
        else (),
        strings=strings,
        dropped_rows=rows.dropped,
        groups_train=train.groups,
    )


def _load_chunked(recipe: Recipe) -> Dataset:
    """A sample of a table that is read in parts, and the way to the rest."""
    from edge_pipeline.data.out_of_core import scan_table

    parts = scan_table(recipe)
    strings = tuple(name for name in parts.features if parts.types[name] == "string")

    def ready(rows: pd.DataFrame) -> tuple[Any, NDArray[Any] | None]:
        if not len(rows):
            return None, None
        X, y = parts.divided(rows)
        return X, None if y is None else check_target(recipe, y)

    (X_train, y_train), (X_test, y_test) = ready(parts.sample), ready(parts.test)
    for name in strings:
        if recipe.data.types.get(name) != "string":
            _refuse_dates(X_train[name], table_source(recipe))
    return Dataset(
        X_train,
        X_test,
        y_train,
        y_test,
        numbers=tuple(name for name in parts.features if name not in strings),
        strings=strings,
        dropped_rows=parts.dropped_rows,
        parts=parts,
    )


def layout_of(recipe: Recipe) -> Layout:
    """How the recipe says its CSV file is written."""
    table = recipe.data
    return Layout(table.separator, table.decimal, table.thousands, table.encoding, table.row_index)


def table_source(recipe: Recipe) -> str:
    """Name the table for messages."""
    if recipe.data.file is not None:
        return str(Path(recipe.file.parent, recipe.data.file))
    return str(recipe.data.function or f"scikit-learn's {recipe.data.dataset}")


def _from_file(recipe: Recipe) -> Rows:
    table, file = recipe.data, recipe.file.parent / str(recipe.data.file)
    if file.suffix == ".npz":
        if len(table.targets) > 1:
            raise recipe.error("data.target", "one array of a .npz file; it may have columns")
        X, y = read_arrays(file, next(iter(table.targets), None))
        _refuse_column_keys(recipe, "a .npz file has no named columns")
        return _with_target(X, y)
    strings = [name for name, kind in table.types.items() if kind == "string"]
    return _columns(recipe, read_table(file, layout_of(recipe), strings=strings))


def _from_scikit_learn(recipe: Recipe) -> Rows:
    load = getattr(importlib.import_module("sklearn.datasets"), f"load_{recipe.data.dataset}")
    X, y = load(return_X_y=True, as_frame=True)
    return _named(recipe, X, np.asarray(y))


def _from_function(recipe: Recipe) -> Rows:
    """Take what the function returns: (X, y), a Bunch of scikit-learn, or a table."""
    name = recipe.data.function
    with modules_from(recipe.file.parent):
        try:
            made = find_function(str(name))()
        except Exception as error:
            # The function is the user's own code: whatever it raises is its fault.
            raise DatasetError(f"{name} failed: {type(error).__name__}: {error}") from error
    if isinstance(made, pd.DataFrame) or hasattr(made, "get_columns"):
        return _columns(recipe, as_frame(made))
    if hasattr(made, "data") and hasattr(made, "target"):
        made = (made.data, made.target)
    if not (isinstance(made, tuple) and len(made) == 2):
        raise recipe.error(
            "data.function",
            "expected (X, y), a frame of pandas or polars, or an object with data and target; "
            f"{name} returned a {type(made).__name__}",
        )
    if recipe.data.target is not None:
        raise recipe.error("data.target", f"{name} returns the target itself; remove this key")
    X, y = made
    if hasattr(X, "toarray"):
        X = X.toarray()
    if hasattr(X, "get_columns"):
        X = as_frame(X)
    if not isinstance(X, pd.DataFrame | np.ndarray | list):
        raise recipe.error(
            "data.function",
            f"{name} returned X as {type(X).__module__}.{type(X).__qualname__}; return a frame "
            "of pandas or polars, an ndarray or a list of str",
        )
    return _named(recipe, X, None if y is None else np.asarray(y))


def _named(recipe: Recipe, X: Any, y: NDArray[Any] | None) -> Rows:
    """Rows whose target came beside them: columns are chosen when they have names."""
    rows = _with_target(X, y)
    if not isinstance(rows.X, pd.DataFrame):
        _refuse_column_keys(recipe, "the rows have no named columns")
        return rows
    found = _columns(recipe, rows.X)
    return Rows(found.X, rows.y, rows.dropped, found.groups, found.times)


def _refuse_column_keys(recipe: Recipe, reason: str) -> None:
    for key, given in (
        ("data.features", recipe.data.features),
        ("data.exclude", recipe.data.exclude),
        ("data.types", recipe.data.types),
        ("split.groups", recipe.split.groups),
        ("split.time", recipe.split.time),
    ):
        if given:
            raise recipe.error(key, f"{reason}; remove this key")


def _columns(recipe: Recipe, frame: pd.DataFrame) -> Rows:
    """Divide a table into features and target, each column of a plain type."""
    table, source = recipe.data, table_source(recipe)
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    _check_names(recipe, list(frame.columns))
    dropped, y = 0, None
    if table.targets:
        known = frame[list(table.targets)].notna().all(axis="columns")
        dropped, frame = int((~known).sum()), frame[known]
        columns = plain_columns(frame[list(table.targets)], table.types, source)
        y = columns.iloc[:, 0].to_numpy() if len(table.targets) == 1 else columns.to_numpy()
    aside = {*table.targets, *table.exclude, recipe.split.groups, recipe.split.time}
    features = table.features or [name for name in frame.columns if name not in aside]
    if not features:
        raise DatasetError(f"{source}: no column is left to learn from")
    X = plain_columns(frame[list(features)], table.types, source)
    for name in X.columns if len(X) else ():
        if X[name].isna().all():
            raise DatasetError(f"{source}: column {name!r} is empty; add it to data.exclude")
        if table.types.get(name) != "string":
            _refuse_dates(X[name], source)
    groups, time = recipe.split.groups, recipe.split.time
    return Rows(
        X,
        y,
        dropped,
        None if groups is None else _group_labels(frame[groups], source),
        None if time is None else time_keys(frame[time], source),
    )


def _group_labels(column: pd.Series[Any], source: str) -> NDArray[Any]:
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise DatasetError(f"{source}: column {column.name!r} names no group in row {row}")
    return np.asarray(pd.factorize(column)[0])


def _check_names(recipe: Recipe, there: Sequence[str]) -> None:
    """Refuse a recipe that names a column which the table lacks."""
    table = recipe.data
    named: Mapping[str, Sequence[str]] = {
        "data.target": table.targets,
        "data.features": table.features or (),
        "data.exclude": table.exclude,
        "data.types": tuple(table.types),
        "split.groups": [recipe.split.groups] if recipe.split.groups is not None else (),
        "split.time": [recipe.split.time] if recipe.split.time is not None else (),
    }
    for key, names in named.items():
        for name in names:
            if name not in there:
                raise recipe.error(
                    key,
                    f"{table_source(recipe)} has no column {name!r}{did_you_mean(name, there)}"
                    f"; it has {join_names(there)}",
                )


_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ]\d{1,2}:\d{2}\S*)?\s*"
)


def _refuse_dates(column: pd.Series[Any], source: str) -> None:
    """Refuse dates: as a category, each knows no later day."""
    if is_dates(column):
        example = column.dropna().iloc[0]
        raise DatasetError(
            f"{source}: column {column.name!r} holds dates such as {example!r}; add it to "
            "data.exclude, or put numbers made from it (year, day of the year) into the table"
        )


def is_dates(column: pd.Series[Any]) -> bool:
    """Whether a column of texts holds dates, and nothing else."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    words = column.dropna()
    return len(words) > 0 and all(isinstance(w, str) and _DATE.fullmatch(w) for w in words)


def _with_target(X: Any, y: NDArray[Any] | None) -> Rows:
    """Leave out the rows whose target is missing."""
    if y is None:
        return Rows(X, y)
    if len(X) != len(y):
        raise DatasetError(f"there are {len(X)} rows and {len(y)} targets")
    known = np.logical_not(np.asarray(pd.isna(y), dtype=bool)).reshape(len(y), -1).all(axis=1)
    if known.all():
        return Rows(X, y)
    positions = np.flatnonzero(known)
    return Rows(take_rows(X, positions), y[positions], len(y) - len(positions))


def _string_column_names(X: Any) -> tuple[str, ...]:
    return (
        tuple(name for name in X.columns if X[name].dtype == object)
        if isinstance(X, pd.DataFrame)
        else ()
    )
