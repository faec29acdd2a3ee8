"""Find the columns that a recipe names in its table, and the rows that have a target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from edge_pipeline.data.csv import Layout, detect_layout
from edge_pipeline.data.imports import missing_column
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.tables import is_csv
from edge_pipeline.errors import DatasetError

__all__ = [
    "check_column_names",
    "csv_layout",
    "drop_rows_without_target",
    "feature_names",
    "layout_of_file",
    "table_source",
]


def table_source(recipe: Recipe) -> str:
    """Return the table's name for messages."""
    if recipe.data.file is not None:
        return str(Path(recipe.file.parent, recipe.data.file))
    return str(recipe.data.function or f"scikit-learn's {recipe.data.dataset}")


def csv_layout(recipe: Recipe) -> Layout:
    """Return the format of the CSV file, as the recipe says it."""
    table = recipe.reading
    return Layout(
        table.separator,
        table.decimal,
        table.thousands,
        table.encoding,
        table.row_index,
        table.header,
        table.names,
        table.missing,
        table.rules,
    )


def layout_of_file(recipe: Recipe) -> Layout | None:
    """Return the format of the recipe's CSV file, with what is detected; None for other files.

    Raises
    ------
    DatasetError, OSError
        As :func:`edge_pipeline.data.csv.detect_layout`.
    """
    file = recipe.file.parent / str(recipe.data.file)
    return detect_layout(file, csv_layout(recipe)) if is_csv(file) else None


def check_column_names(recipe: Recipe, columns: Sequence[str]) -> None:
    """Refuse a recipe that names a column which the table lacks.

    Raises
    ------
    RecipeError
        With the key that names the column.
    """
    table, split = recipe.data, recipe.split
    for key, names in (
        ("data.target", table.targets),
        ("data.features", table.features or ()),
        ("data.exclude", table.exclude),
        ("data.types", tuple(table.types)),
        ("split.groups", () if split.groups is None else (split.groups,)),
        ("split.time", () if split.time is None else (split.time,)),
    ):
        for name in names:
            if name not in columns:
                raise recipe.error(key, missing_column(table_source(recipe), name, columns))


def feature_names(recipe: Recipe, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns to learn from, in order.

    Raises
    ------
    DatasetError
        None is left.
    """
    table = recipe.data
    not_learnt = {*table.targets, *table.exclude, recipe.split.groups, recipe.split.time}
    names = tuple(table.features or (name for name in columns if name not in not_learnt))
    if not names:
        raise DatasetError(f"{table_source(recipe)}: no column is left to learn from")
    for key, own_names in recipe.input.names_by_key:
        for name in own_names:
            if name not in names:
                raise recipe.error(f"{key}.{name}", "the model learns from no such column")
    return names


def drop_rows_without_target(recipe: Recipe, frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Drop the rows with a missing target, and return how many they were."""
    targets = list(recipe.data.targets)
    if not targets:
        return frame, 0
    has_target = frame[targets].notna().all(axis="columns")
    return frame[has_target], int((~has_target).sum())
