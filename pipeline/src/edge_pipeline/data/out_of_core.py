"""A table that does not fit into memory in; its types, some of its rows, and a way through all out.

Two passes know the same rows by the same draw: which are for testing depends on the seed and on the
number of the part alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.csv import MAX_EXACT_INTEGER, Layout, read_csv_chunks
from edge_pipeline.data.imports import did_you_mean, join_names
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.tables import ARROW, PARQUET, infer_type, plain_columns, read_arrow_chunks
from edge_pipeline.errors import DatasetError

__all__ = ["MAX_EVALUATION_ROWS", "SAMPLE_ROWS", "VALIDATION_SHARE", "ChunkedTable", "scan_table"]

SAMPLE_ROWS = 50_000
"""Training rows that are kept: for the preprocessing to be fitted to, and for the schema."""

MAX_EVALUATION_ROWS = 20_000
"""Most test rows, and most rows held out to tell when to stop, that are kept."""

VALIDATION_SHARE = 0.05
"""Share of the rows that are held out to tell when to stop."""


@dataclass(frozen=True)
class ChunkedTable:
    """A table and what a first pass found in it.

    Attributes
    ----------
    types
        Column to its plain type, over all rows.
    features
        The columns to learn from, in order.
    labels
        Every label of the target, sorted; None for other tasks than classification.
    train_rows, dropped_rows
        Rows that training learns from, and rows left out because their target is missing.
    sample, test, held
        Training rows, rows to test on and rows that say when to stop, as a frame of features and
        targets each.
    """

    recipe: Recipe
    types: dict[str, str]
    features: tuple[str, ...]
    labels: NDArray[Any] | None
    train_rows: int
    dropped_rows: int
    sample: pd.DataFrame
    test: pd.DataFrame
    held: pd.DataFrame

    def training(self) -> Iterator[tuple[pd.DataFrame, NDArray[Any] | None]]:
        """The training rows, part after part, in the order of the table."""
        for number, frame in enumerate(_read(self.recipe, self._strings)):
            rows, _ = _with_targets(self.recipe, frame)
            use = _row_uses(self.recipe, number, len(rows))
            train = rows[use == _TRAIN]
            if len(train):
                yield self.divided(train)

    def divided(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[Any] | None]:
        """Features and target of *rows*, every column of its type."""
        source, targets = _source(self.recipe), list(self.recipe.data.targets)
        plain = plain_columns(rows[[*self.features, *targets]], self.types, source)
        X = plain[list(self.features)]
        if not targets:
            return X, None
        y = plain[targets]
        return X, y.iloc[:, 0].to_numpy() if len(targets) == 1 else y.to_numpy()

    @property
    def _strings(self) -> list[str]:
        return [name for name, kind in self.types.items() if kind == "string"]


_TRAIN, _TEST, _HELD = 0, 1, 2


def scan_table(recipe: Recipe) -> ChunkedTable:
    """Read the table of *recipe* once, a part at a time.

    Raises
    ------
    DatasetError
        It cannot be read, or holds something a model cannot take.
    RecipeError
        The recipe names a column that the table does not have.
    """
    strings = [name for name, kind in recipe.data.types.items() if kind == "string"]
    while True:
        found = _TableScan(recipe)
        for number, frame in enumerate(_read(recipe, strings)):
            found.add(number, frame)
        mixed = found.mixed() - set(strings)
        if not mixed:
            return found.parts()
        # Words far down in a column of numbers: once more, every cell of it as it is written.
        strings += sorted(mixed)


def _read(recipe: Recipe, strings: Sequence[str]) -> Iterator[pd.DataFrame]:
    file, rows = recipe.file.parent / str(recipe.data.file), int(recipe.data.chunk_rows or 0)
    table = recipe.data
    if file.suffix in (*PARQUET, *ARROW):
        yield from read_arrow_chunks(file, rows)
        return
    if file.suffix == ".npz":
        raise recipe.error("data.chunk_rows", "a .npz file is read whole; store it as Parquet")
    layout = Layout(
        table.separator, table.decimal, table.thousands, table.encoding, table.row_index
    )
    yield from read_csv_chunks(file, layout, rows, strings)


def _source(recipe: Recipe) -> str:
    return str(Path(recipe.file.parent, str(recipe.data.file)))


def _with_targets(recipe: Recipe, frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows whose targets are all there, and how many are not."""
    targets = list(recipe.data.targets)
    if not targets:
        return frame, 0
    known = frame[targets].notna().all(axis="columns")
    return frame[known], int((~known).sum())


def _row_uses(recipe: Recipe, number: int, rows: int) -> NDArray[np.int8]:
    """What each row of a part is for; the same whenever it is asked."""
    drawn = np.random.default_rng([recipe.split.seed, number]).random(rows)
    share = recipe.split.test_share
    held = VALIDATION_SHARE if recipe.training.patience is not None else 0.0
    use = np.full(rows, _TRAIN, dtype=np.int8)
    use[drawn < share + held] = _HELD
    use[drawn < share] = _TEST
    return use


class _RandomRows:
    """Some of many rows, each as likely as any other."""

    def __init__(self, most: int, seed: int) -> None:
        self._most = most
        self._random = np.random.default_rng(seed)
        self._rows: list[pd.DataFrame] = []
        self._keys: list[NDArray[Any]] = []
        self._held = 0

    def add(self, rows: pd.DataFrame) -> None:
        self._rows.append(rows)
        self._keys.append(self._random.random(len(rows)))
        self._held += len(rows)
        if self._held > 2 * self._most:
            self._drop()

    def frame(self) -> pd.DataFrame:
        self._drop()
        return self._rows[0] if self._rows else pd.DataFrame()

    def _drop(self) -> None:
        if not self._rows:
            return
        rows, keys = pd.concat(self._rows, ignore_index=True), np.concatenate(self._keys)
        if len(rows) > self._most:
            # In the order of the table: that order is the same each time.
            kept = np.sort(np.argpartition(keys, self._most)[: self._most])
            rows, keys = rows.iloc[kept], keys[kept]
        self._rows, self._keys, self._held = [rows], [keys], len(rows)


class _TableScan:
    """What is found on the way through."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._kinds: dict[str, set[str]] = {}
        self._gaps: set[str] = set()
        self._labels: set[Any] = set()
        self._features: tuple[str, ...] = ()
        self._train_rows = 0
        self._dropped = 0
        seed = recipe.split.seed
        most = {_TRAIN: SAMPLE_ROWS, _TEST: MAX_EVALUATION_ROWS, _HELD: MAX_EVALUATION_ROWS}
        self._drawn = {use: _RandomRows(rows, seed + use) for use, rows in most.items()}

    def add(self, number: int, frame: pd.DataFrame) -> None:
        """Look at one part."""
        recipe, table = self._recipe, self._recipe.data
        if number == 0:
            self._features = _features(recipe, [str(name) for name in frame.columns])
        rows, dropped = _with_targets(recipe, frame)
        self._dropped += dropped
        for name in (*self._features, *table.targets):
            self._look(rows[name], name)
        if recipe.task == "classification":
            for name in table.targets:
                self._labels.update(rows[name].unique().tolist())
        use = _row_uses(recipe, number, len(rows))
        self._train_rows += int((use == _TRAIN).sum())
        for kind, drawn in self._drawn.items():
            drawn.add(rows.loc[use == kind, [*self._features, *table.targets]])

    def _look(self, column: pd.Series[Any], name: str) -> None:
        known = column.dropna()
        if len(known) < len(column):
            self._gaps.add(name)
        if not len(known):
            return
        if name in self._recipe.data.types:
            self._kinds[name] = {self._recipe.data.types[name]}
            return
        try:
            kind = infer_type(known.astype(column.dtype))
        except ValueError as error:
            raise DatasetError(f"{_source(self._recipe)}: column {name!r} {error}") from error
        if _may_be_rounded(known):
            raise DatasetError(
                f"{_source(self._recipe)}: column {name!r} holds whole numbers beyond 2**53, "
                "which float64 cannot tell apart; exclude it, or say its type in data.types"
            )
        self._kinds.setdefault(name, set()).add(kind)

    def mixed(self) -> set[str]:
        """Columns that hold words in some parts and numbers in others."""
        return {name for name, kinds in self._kinds.items() if "string" in kinds and len(kinds) > 1}

    def parts(self) -> ChunkedTable:
        recipe = self._recipe
        source = _source(recipe)
        types = {}
        for name in (*self._features, *recipe.data.targets):
            kinds = self._kinds.get(name)
            if kinds is None:
                raise DatasetError(f"{source}: column {name!r} is empty; add it to data.exclude")
            kind = next(iter(kinds)) if len(kinds) == 1 else "float64"
            types[name] = "float64" if kind in ("int64", "bool") and name in self._gaps else kind
        if not self._train_rows:
            raise DatasetError(f"{source}: no row is left to learn from")
        labels = None
        if recipe.task == "classification":
            labels = np.array(sorted(self._labels))
        return ChunkedTable(
            recipe,
            types,
            self._features,
            labels,
            self._train_rows,
            self._dropped,
            *(self._drawn[use].frame() for use in (_TRAIN, _TEST, _HELD)),
        )


def _may_be_rounded(known: pd.Series[Any]) -> bool:
    """Whether these floats look like whole numbers that lost digits for a gap among them."""
    if known.dtype != np.float64 or not np.isfinite(values := known.to_numpy()).all():
        return False
    return bool(
        np.abs(values).max() >= MAX_EXACT_INTEGER and np.array_equal(values, np.trunc(values))
    )


def _features(recipe: Recipe, there: Sequence[str]) -> tuple[str, ...]:
    table = recipe.data
    for key, names in (
        ("data.target", table.targets),
        ("data.features", table.features or ()),
        ("data.exclude", table.exclude),
        ("data.types", tuple(table.types)),
    ):
        for name in names:
            if name not in there:
                raise recipe.error(
                    key,
                    f"{_source(recipe)} has no column {name!r}{did_you_mean(name, there)}"
                    f"; it has {join_names(there)}",
                )
    aside = {*table.targets, *table.exclude}
    found = tuple(table.features or (name for name in there if name not in aside))
    if not found:
        raise DatasetError(f"{_source(recipe)}: no column is left to learn from")
    return found
