"""Find the columns that a recipe names in its table, and the rows that have a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from edge_pipeline.data.csv import Layout, detect_layout
from edge_pipeline.data.imports import missing_column
from edge_pipeline.data.json_records import is_json
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.tables import is_csv
from edge_pipeline.data.workbooks import is_workbook
from edge_pipeline.errors import DatasetError

__all__ = [
    "check_column_names",
    "csv_layout",
    "drop_rows_without_target",
    "feature_names",
    "json_layout",
    "layout_of_file",
    "table_source",
]


def table_source(recipe: Recipe) -> str:
    """Return the table's name for messages."""
    if recipe.data.file is not None:
        return str(Path(recipe.file.parent, recipe.data.file))
    other_sources = (recipe.data.database, recipe.data.function)
    return str(next(filter(None, other_sources), f"scikit-learn's {recipe.data.dataset}"))


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
    """Return the format of the recipe's CSV, JSON or Excel file; None for other files.

    What the recipe leaves open is detected.

    Raises
    ------
    DatasetError, OSError
        As :func:`edge_pipeline.data.csv.detect_layout`.
    """
    file = recipe.file.parent / str(recipe.data.file)
    if is_json(file):
        return json_layout(recipe)
    if is_workbook(file):
        for key in ("separator", "header", "names"):
            if key in recipe.reading.model_fields_set:
                raise recipe.error(
                    f"reading.{key}",
                    "the first row of a workbook names its columns; remove this key, or save the "
                    "sheet as CSV",
                )
        return replace(
            csv_layout(recipe),
            separator=",",
            decimal=recipe.reading.decimal or ".",
            sheet=recipe.data.sheet,
        )
    return detect_layout(file, csv_layout(recipe)) if is_csv(file) else None


def json_layout(recipe: Recipe) -> Layout:
    """Return the format of the JSON file or of the query, as the recipe says it.

    Raises
    ------
    RecipeError
        A key of ``[reading]`` is about CSV.
    """
    table = recipe.reading
    for key in ("separator", "decimal", "thousands", "row_index", "header", "names"):
        if getattr(table, key):
            raise recipe.error(
                f"reading.{key}",
                "JSON and databases have values instead of cells; remove this key; texts that hold "
                'numbers get a rule of their own, as price = { thousands = "," } in '
                "[reading.columns]",
            )
    return Layout(",", ".", encoding=table.encoding, missing=table.missing, columns=table.rules)


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
