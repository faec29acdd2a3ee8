"""Read a table that does not fit into memory, chunk by chunk.

A first pass collects types, labels and a sample.  The test rows depend only on the seed and on the
number of the chunk.  So every pass divides the table in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.csv import MAX_EXACT_INTEGER, read_csv_chunks
from edge_pipeline.data.json_records import is_json, read_json_chunks
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.recipe_columns import (
    check_column_names,
    csv_layout,
    drop_rows_without_target,
    feature_names,
    json_layout,
    table_source,
)
from edge_pipeline.data.tables import ARROW, PARQUET, infer_type, plain_columns, read_arrow_chunks
from edge_pipeline.data.targets import check_target
from edge_pipeline.data.workbooks import is_workbook
from edge_pipeline.errors import DatasetError

__all__ = ["MAX_EVALUATION_ROWS", "SAMPLE_ROWS", "VALIDATION_SHARE", "ChunkedTable", "scan_table"]

SAMPLE_ROWS = 50_000
"""Training rows in the sample: the preprocessing is fitted to it, and it gives the schema."""

MAX_EVALUATION_ROWS = 20_000
"""Largest number of test rows, and of validation rows for early stopping."""

VALIDATION_SHARE = 0.05
"""Share of the rows in the validation set for early stopping."""


@dataclass(frozen=True)
class ChunkedTable:
    """A table that is read in chunks, with the types, labels and samples of a first pass.

    Attributes
    ----------
    types
        Column name to its type, over all rows.
    features
        Names of the columns to learn from, in order.
    labels
        Every label of the target, sorted; None for other tasks than classification.
    train_rows, dropped_rows
        Number of training rows, and of rows dropped because their target is missing.
    sample, test, validation
        Some of the training, test and validation rows, as frames of features and targets.
    columns
        Every column of the table.
    """

    recipe: Recipe
    types: dict[str, str]
    features: tuple[str, ...]
    labels: NDArray[Any] | None
    train_rows: int
    dropped_rows: int
    sample: pd.DataFrame
    test: pd.DataFrame
    validation: pd.DataFrame
    columns: tuple[str, ...] = ()

    def training_chunks(self) -> Iterator[tuple[pd.DataFrame, NDArray[Any] | None]]:
        """Yield features and target of the training rows, chunk by chunk, in table order."""
        for number, frame in enumerate(_read(self.recipe, self._strings)):
            rows, _ = drop_rows_without_target(self.recipe, frame)
            train = rows[_row_uses(self.recipe, number, len(rows)) == _TRAIN]
            if len(train):
                yield self.features_and_target(train)

    def features_and_target(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[Any] | None]:
        """Divide *rows* into features and target, every column of its type."""
        source, targets = table_source(self.recipe), list(self.recipe.data.targets)
        typed = plain_columns(rows[[*self.features, *targets]], self.types, source)
        X = typed[list(self.features)]
        if not targets:
            return X, None
        y = typed[targets].iloc[:, 0] if len(targets) == 1 else typed[targets]
        return X, check_target(self.recipe, y.to_numpy())

    @property
    def _strings(self) -> list[str]:
        return [name for name, kind in self.types.items() if kind == "string"]


_TRAIN, _TEST, _VALIDATION = 0, 1, 2


def scan_table(recipe: Recipe) -> ChunkedTable:
    """Read the table of *recipe* once, a chunk at a time.

    Raises
    ------
    DatasetError
        The table cannot be read, or holds a value that a model cannot take.
    RecipeError
        The recipe names a column that the table does not have.
    """
    strings = [name for name, kind in recipe.data.types.items() if kind == "string"]
    while True:
        scan = _TableScan(recipe)
        for number, frame in enumerate(_read(recipe, strings)):
            scan.add(number, frame)
        mixed = scan.mixed_columns() - set(strings)
        if not mixed:
            return scan.table()
        # A later chunk has words in a column of numbers: read again, with that column as text.
        strings += sorted(mixed)


def _read(recipe: Recipe, strings: Sequence[str]) -> Iterator[pd.DataFrame]:
    file, rows = recipe.file.parent / str(recipe.data.file), int(recipe.data.chunk_rows or 0)
    if file.suffix in (*PARQUET, *ARROW):
        yield from read_arrow_chunks(file, rows)
        return
    if file.suffix == ".npz":
        raise recipe.error("data.chunk_rows", "a .npz file is read whole; store it as Parquet")
    if is_workbook(file):
        raise recipe.error("data.chunk_rows", "a workbook is read whole; save it as CSV")
    if is_json(file):
        yield from read_json_chunks(file, json_layout(recipe), rows, strings)
        return
    yield from read_csv_chunks(file, csv_layout(recipe), rows, strings)


def _row_uses(recipe: Recipe, number: int, rows: int) -> NDArray[np.int8]:
    """Draw which rows of chunk *number* are for training, test and validation."""
    draws = np.random.default_rng([recipe.split.seed, number]).random(rows)
    test_share = recipe.split.test_share
    validation_share = VALIDATION_SHARE if recipe.training.patience is not None else 0.0
    uses = np.full(rows, _TRAIN, dtype=np.int8)
    uses[draws < test_share + validation_share] = _VALIDATION
    uses[draws < test_share] = _TEST
    return uses


class _RandomRows:
    """Sample rows uniformly from a stream: keep those with the smallest random keys."""

    def __init__(self, max_rows: int, seed: int) -> None:
        self._max_rows = max_rows
        self._random = np.random.default_rng(seed)
        self._frames: list[pd.DataFrame] = []
        self._keys: list[NDArray[Any]] = []
        self._count = 0

    def add(self, rows: pd.DataFrame) -> None:
        self._frames.append(rows)
        self._keys.append(self._random.random(len(rows)))
        self._count += len(rows)
        if self._count > 2 * self._max_rows:
            self._shrink()

    def frame(self) -> pd.DataFrame:
        self._shrink()
        return self._frames[0] if self._frames else pd.DataFrame()

    def _shrink(self) -> None:
        if not self._frames:
            return
        rows, keys = pd.concat(self._frames, ignore_index=True), np.concatenate(self._keys)
        if len(rows) > self._max_rows:
            # Sorted: the rows stay in table order, which is the same every time.
            positions = np.sort(np.argpartition(keys, self._max_rows)[: self._max_rows])
            rows, keys = rows.iloc[positions], keys[positions]
        self._frames, self._keys, self._count = [rows], [keys], len(rows)


class _TableScan:
    """Collect types, labels and samples from the chunks of a table."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._types: dict[str, set[str]] = {}
        self._with_missing: set[str] = set()
        self._labels: set[Any] = set()
        self._features: tuple[str, ...] = ()
        self._columns: tuple[str, ...] = ()
        self._train_rows = 0
        self._dropped = 0
        seed = recipe.split.seed
        max_rows = (SAMPLE_ROWS, MAX_EVALUATION_ROWS, MAX_EVALUATION_ROWS)
        self._samples = [_RandomRows(rows, seed + use) for use, rows in enumerate(max_rows)]

    def add(self, number: int, frame: pd.DataFrame) -> None:
        """Add chunk *number*."""
        recipe, table = self._recipe, self._recipe.data
        if number == 0:
            names = [str(name) for name in frame.columns]
            check_column_names(recipe, names)
            self._columns = tuple(names)
            self._features = feature_names(recipe, names)
        rows, dropped = drop_rows_without_target(recipe, frame)
        self._dropped += dropped
        for name in (*self._features, *table.targets):
            self._add_column(rows[name], name)
        if recipe.task == "classification":
            for name in table.targets:
                self._labels.update(rows[name].unique().tolist())
        uses = _row_uses(recipe, number, len(rows))
        self._train_rows += int((uses == _TRAIN).sum())
        for use, sample in enumerate(self._samples):
            sample.add(rows.loc[uses == use, [*self._features, *table.targets]])

    def _add_column(self, column: pd.Series[Any], name: str) -> None:
        values = column.dropna()
        if len(values) < len(column):
            self._with_missing.add(name)
        if not len(values):
            return
        if name in self._recipe.data.types:
            self._types[name] = {self._recipe.data.types[name]}
            return
        try:
            type_name = infer_type(values.astype(column.dtype))
        except ValueError as error:
            raise DatasetError(f"{table_source(self._recipe)}: column {name!r} {error}") from error
        if _may_be_rounded(values):
            raise DatasetError(
                f"{table_source(self._recipe)}: column {name!r} holds whole numbers beyond 2**53, "
                "which float64 cannot tell apart; exclude it, or say its type in data.types"
            )
        self._types.setdefault(name, set()).add(type_name)

    def mixed_columns(self) -> set[str]:
        """Return the columns with words in some chunks and numbers in others."""
        return {name for name, types in self._types.items() if "string" in types and len(types) > 1}

    def table(self) -> ChunkedTable:
        recipe, source = self._recipe, table_source(self._recipe)
        types = {}
        for name in (*self._features, *recipe.data.targets):
            if name not in self._types:
                raise DatasetError(f"{source}: column {name!r} is empty; add it to data.exclude")
            in_chunks = self._types[name]
            type_name = next(iter(in_chunks)) if len(in_chunks) == 1 else "float64"
            if type_name in ("int64", "bool") and name in self._with_missing:
                type_name = "float64"
            types[name] = type_name
        if not self._train_rows:
            raise DatasetError(f"{source}: no row is left to learn from")
        labels = None
        if recipe.task == "classification":
            labels = np.array(sorted(self._labels))
        sample, test, validation = (sample.frame() for sample in self._samples)
        return ChunkedTable(
            recipe,
            types,
            self._features,
            labels,
            self._train_rows,
            self._dropped,
            sample,
            test,
            validation,
            self._columns,
        )


def _may_be_rounded(values: pd.Series[Any]) -> bool:
    """Return whether floats look like integers that a missing value made pandas round."""
    if values.dtype != np.float64 or not np.isfinite(floats := values.to_numpy()).all():
        return False
    is_large = np.abs(floats).max() >= MAX_EXACT_INTEGER
    return bool(is_large and np.array_equal(floats, np.trunc(floats)))
