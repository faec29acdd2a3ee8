"""Load the rows that a recipe names, and divide them into training and test rows.

No later stage reads a file: they take arrays and frames.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.csv import Layout
from edge_pipeline.data.databases import read_query
from edge_pipeline.data.date_cells import looks_like_dates
from edge_pipeline.data.dates import holds_dates
from edge_pipeline.data.imports import find_function, modules_from
from edge_pipeline.data.input_limits import check_sample_within_limits, read_input_limits
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.recipe_columns import (
    check_column_names,
    drop_rows_without_target,
    feature_names,
    json_layout,
    layout_of_file,
    table_source,
)
from edge_pipeline.data.sample import take_sample
from edge_pipeline.data.splits import Rows, split, take_rows, time_keys
from edge_pipeline.data.tables import as_frame, plain_columns, read_arrays, read_table
from edge_pipeline.data.targets import check_target
from edge_pipeline.data.training_table import TrainingTable
from edge_pipeline.errors import ConversionError, DatasetError
from edge_pipeline.short_repr import short_repr

__all__ = ["Dataset", "is_dates", "load_dataset"]


@short_repr
@dataclass(frozen=True)
class Dataset:
    """The rows of one build.

    Attributes
    ----------
    X_train, X_test
        DataFrame, ndarray or list of str, as the estimator takes it; ``X_test`` is None when the
        recipe keeps no row for testing.
    y_train, y_test
        Target values, or None when there is no target.
    numbers, strings, dates
        Names of the columns of numbers or booleans, of strings, and of dates; empty when the rows
        are no table.
    dropped_rows
        Number of rows dropped because their target is missing.
    groups_train
        Group label of each training row, when the recipe names a column of groups.
    parts
        The whole table, when it is read in chunks; ``X_train`` is then a sample of it.
    table
        How the table was read, and the columns that it had.
    """

    X_train: Any
    X_test: Any
    y_train: NDArray[Any] | None
    y_test: NDArray[Any] | None
    numbers: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    dropped_rows: int = 0
    groups_train: NDArray[Any] | None = None
    parts: Any = None
    table: TrainingTable = field(default_factory=TrainingTable)

    @property
    def train_rows(self) -> int:
        """Number of rows that training learns from."""
        return len(self.X_train) if self.parts is None else int(self.parts.train_rows)

    @property
    def rows(self) -> int:
        """Number of training and test rows."""
        return self.train_rows + (0 if self.X_test is None else len(self.X_test))

    @property
    def columns(self) -> int:
        """Number of columns that the estimator takes."""
        shape: tuple[int, ...] = getattr(self.X_train, "shape", ())
        return shape[1] if len(shape) > 1 else 1


def load_dataset(recipe: Recipe, table: Any = None) -> Dataset:
    """Read the rows of *recipe* and divide them.

    Each column's type is inferred from all its values.  Missing values stay missing.  A boolean
    column with missing values becomes float64: 0, 1 and NaN.

    Parameters
    ----------
    table
        A frame of pandas or polars, or an Arrow table, instead of the rows that the recipe names.

    Raises
    ------
    DatasetError
        The table cannot be read, lacks a column, or holds a value that a model cannot take.
    RecipeError
        The recipe names a column that the table does not have.
    OSError
        The file cannot be read.
    """
    if recipe.data.chunk_rows is not None and table is None:
        return _load_chunked(recipe)
    layout = None
    if table is not None:
        rows = _rows_of_table(recipe, as_frame(table))
    elif recipe.data.file is not None:
        layout = layout_of_file(recipe)
        rows = _load_file(recipe, layout)
    elif recipe.data.database is not None:
        layout = json_layout(recipe)
        rows = _rows_of_table(recipe, _run_query(recipe, layout))
    elif recipe.data.dataset is not None:
        rows = _load_sklearn_dataset(recipe)
    else:
        rows = _call_function(recipe)
    if rows.y is not None:
        rows = replace(rows, y=check_target(recipe, rows.y))
    if len(rows.X) == 0:
        raise DatasetError(f"{table_source(recipe)}: no row is left to learn from")
    _check_input_limits(recipe, rows.X)
    train, test = split(recipe, rows)
    strings, dates = _string_column_names(rows.X), _date_column_names(rows.X)
    return Dataset(
        train.X,
        None if test is None else test.X,
        train.y,
        None if test is None else test.y,
        numbers=tuple(c for c in rows.X.columns if c not in (*strings, *dates))
        if isinstance(rows.X, pd.DataFrame)
        else (),
        strings=strings,
        dates=dates,
        dropped_rows=rows.dropped,
        groups_train=train.groups,
        table=TrainingTable.of_file(rows.columns, layout),
    )


def _check_input_limits(recipe: Recipe, X: Any) -> None:
    """Refuse a row beyond the recipe's limits before training; the row number is the table's."""
    if not recipe.input.limits:
        return
    try:
        sample = take_sample(X)
        limits = read_input_limits(recipe.input.limits_by_column, sample.schema.columns)
        check_sample_within_limits(sample, limits, X, table_source(recipe))
    except ConversionError as error:
        raise recipe.error("input.limits", str(error)) from error


def _load_chunked(recipe: Recipe) -> Dataset:
    """Load a sample of a table that is read in chunks."""
    from edge_pipeline.data.out_of_core import scan_table

    layout = layout_of_file(recipe)
    table = scan_table(recipe)
    strings = tuple(name for name in table.features if table.types[name] == "string")
    dates = tuple(name for name in table.features if table.types[name] == "datetime")

    X_train, y_train = table.features_and_target(table.sample)
    X_test, y_test = table.features_and_target(table.test) if len(table.test) else (None, None)
    for name in strings:
        if recipe.data.types.get(name) != "string":
            _refuse_dates(X_train[name], table_source(recipe))
    return Dataset(
        X_train,
        X_test,
        y_train,
        y_test,
        numbers=tuple(name for name in table.features if name not in (*strings, *dates)),
        strings=strings,
        dates=dates,
        dropped_rows=table.dropped_rows,
        parts=table,
        table=TrainingTable.of_file(table.columns, layout),
    )


def _load_file(recipe: Recipe, layout: Layout | None) -> Rows:
    table, file = recipe.data, recipe.file.parent / str(recipe.data.file)
    if file.suffix == ".npz":
        if len(table.targets) > 1:
            raise recipe.error("data.target", "one array of a .npz file; it may have columns")
        X, y = read_arrays(file, next(iter(table.targets), None))
        _refuse_column_keys(recipe, "a .npz file has no named columns")
        return _drop_missing_targets(X, y)
    strings = [name for name, kind in table.types.items() if kind == "string"]
    return _rows_of_table(recipe, read_table(file, layout or Layout(), strings=strings))


def _run_query(recipe: Recipe, layout: Layout) -> pd.DataFrame:
    table = recipe.data
    strings = [name for name, kind in table.types.items() if kind == "string"]
    url, query = str(table.database), str(table.query)
    return read_query(url, query, recipe.file.parent, layout, strings)


def _load_sklearn_dataset(recipe: Recipe) -> Rows:
    load = getattr(importlib.import_module("sklearn.datasets"), f"load_{recipe.data.dataset}")
    X, y = load(return_X_y=True, as_frame=True)
    return _select_columns(recipe, X, np.asarray(y))


def _call_function(recipe: Recipe) -> Rows:
    """Call the recipe's function, which returns (X, y), a Bunch of scikit-learn, or a table."""
    name = recipe.data.function
    with modules_from(recipe.file.parent):
        try:
            returned = find_function(str(name))()
        except Exception as error:
            # The function is the user's own code, and may raise anything.
            raise DatasetError(f"{name} failed: {type(error).__name__}: {error}") from error
    if isinstance(returned, pd.DataFrame) or hasattr(returned, "get_columns"):
        return _rows_of_table(recipe, as_frame(returned))
    if hasattr(returned, "data") and hasattr(returned, "target"):
        returned = (returned.data, returned.target)
    if not (isinstance(returned, tuple) and len(returned) == 2):
        raise recipe.error(
            "data.function",
            "expected (X, y), a frame of pandas or polars, or an object with data and target; "
            f"{name} returned a {type(returned).__name__}",
        )
    if recipe.data.target is not None:
        raise recipe.error("data.target", f"{name} returns the target itself; remove this key")
    X, y = returned
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
    return _select_columns(recipe, X, None if y is None else np.asarray(y))


def _select_columns(recipe: Recipe, X: Any, y: NDArray[Any] | None) -> Rows:
    """Select the columns of *X*, when they have names, and add the separate target."""
    rows = _drop_missing_targets(X, y)
    if not isinstance(rows.X, pd.DataFrame):
        _refuse_column_keys(recipe, "the rows have no named columns")
        return rows
    selected = _rows_of_table(recipe, rows.X)
    return replace(selected, y=rows.y, dropped=rows.dropped)


def _refuse_column_keys(recipe: Recipe, reason: str) -> None:
    for key, value in (
        ("data.features", recipe.data.features),
        ("data.exclude", recipe.data.exclude),
        ("data.types", recipe.data.types),
        ("split.groups", recipe.split.groups),
        ("split.time", recipe.split.time),
    ):
        if value:
            raise recipe.error(key, f"{reason}; remove this key")


def _rows_of_table(recipe: Recipe, frame: pd.DataFrame) -> Rows:
    """Divide a table into features and target, and convert each column to a schema type."""
    table, source = recipe.data, table_source(recipe)
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    check_column_names(recipe, list(frame.columns))
    frame, dropped = drop_rows_without_target(recipe, frame)
    y = None
    if table.targets:
        columns = plain_columns(frame[list(table.targets)], table.types, source)
        y = columns.iloc[:, 0].to_numpy() if len(table.targets) == 1 else columns.to_numpy()
    features = feature_names(recipe, list(frame.columns))
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
        tuple(frame.columns),
    )


def _group_labels(column: pd.Series[Any], source: str) -> NDArray[Any]:
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise DatasetError(f"{source}: column {column.name!r} names no group in row {row}")
    return np.asarray(pd.factorize(column)[0])


def _refuse_dates(column: pd.Series[Any], source: str) -> None:
    """Refuse dates: read as categories, every later date would be unseen."""
    if is_dates(column):
        example = column.dropna().iloc[0]
        raise DatasetError(
            f"{source}: column {column.name!r} holds dates such as {example!r}; say how they are "
            f'written, [reading.columns] "{column.name}" = {{ date = "iso" }} (or "day-first", '
            '"month-first"), or add it to data.exclude'
        )


def is_dates(column: pd.Series[Any]) -> bool:
    """Return whether a text column holds only dates."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    return looks_like_dates(column.dropna().tolist())


def _drop_missing_targets(X: Any, y: NDArray[Any] | None) -> Rows:
    """Drop the rows with a missing target in a separate *y*."""
    if y is None:
        return Rows(X, y)
    if len(X) != len(y):
        raise DatasetError(f"there are {len(X)} rows and {len(y)} targets")
    is_missing = np.asarray(pd.isna(y), dtype=bool).reshape(len(y), -1).any(axis=1)
    if not is_missing.any():
        return Rows(X, y)
    positions = np.flatnonzero(~is_missing)
    return Rows(take_rows(X, positions), y[positions], len(y) - len(positions))


def _date_column_names(X: Any) -> tuple[str, ...]:
    if not isinstance(X, pd.DataFrame):
        return ()
    return tuple(name for name in X.columns if holds_dates(X[name]))


def _string_column_names(X: Any) -> tuple[str, ...]:
    return (
        tuple(name for name in X.columns if X[name].dtype == object)
        if isinstance(X, pd.DataFrame)
        else ()
    )
