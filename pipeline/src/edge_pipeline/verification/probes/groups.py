"""Make the rows to compare: unseen, recombined, missing, unknown, far away.

All draws are seeded: the same sample gives the same rows, and so the same bytes in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column, Schema
from numpy.typing import NDArray

from edge_pipeline.conversion.accepted_columns import accepted_columns, spread_values
from edge_pipeline.data.dates import possible_dates
from edge_pipeline.data.sample import Sample
from edge_pipeline.verification.oracle import Oracle
from edge_pipeline.verification.probes.extremes import Reach, extreme_numbers, strange_categories
from edge_pipeline.verification.probes.tensors import tensor_probes
from edge_pipeline.verification.probes.text_cells import LONG, unusual_cells
from edge_pipeline.verification.probes.thresholds import MAX_EDGES, threshold_rows

__all__ = [
    "ALL_PROBES",
    "FEW_PROBES",
    "UNKNOWN_CATEGORY",
    "ProbeGroup",
    "ProbeSizes",
    "close_columns",
    "probe_groups",
]

UNKNOWN_CATEGORY = "never seen in training ☂"
"""A string that no training column is expected to hold."""

MAX_STRANGE_ROWS = 500
_SEED = 20


class ProbeSizes(NamedTuple):
    """How many rows are made.

    Attributes
    ----------
    sample
        Most unseen rows, or rows of the sample.
    group
        Rows of a group that recombines values, or changes one column at a time.
    thresholds
        Most thresholds of the graph that are tried, three rows each.
    """

    sample: int
    group: int
    thresholds: int


ALL_PROBES = ProbeSizes(sample=2_000, group=200, thresholds=MAX_EDGES)

FEW_PROBES = ProbeSizes(sample=200, group=64, thresholds=64)
"""For a large graph that is proven: the rows test the assumptions of the proof, not its parts."""


@dataclass(frozen=True, eq=False)
class ProbeGroup:
    """Rows made in one way; scikit-learn accepts or refuses a group as a whole.

    Attributes
    ----------
    name
        How the rows were made.
    table
        The rows, in the columns of the sample's table.
    can_be_golden
        Whether they are short enough for the manifest, and their predictions depend on no last bit.
    reach
        ``far``: numbers up to a million times the largest of training.  ``extreme``: numbers so
        large that sums overflow or lose all digits.
    is_users
        Whether they are the user's own rows; then the table's index numbers them.
    """

    name: str
    table: pd.DataFrame
    can_be_golden: bool = True
    reach: Reach = ""
    is_users: bool = False


def probe_groups(
    sample: Sample,
    unseen: pd.DataFrame | None,
    graph: bytes | None = None,
    sizes: ProbeSizes = ALL_PROBES,
) -> Iterator[ProbeGroup]:
    """Yield groups of rows, the ordinary ones first, those most likely to differ last.

    Parameters
    ----------
    unseen
        Rows that training did not see, in the columns of ``sample.table``; by default the sample's
        own rows.
    graph
        The serialized graph, whose thresholds give more rows.
    sizes
        How many rows are made.
    """
    table = sample.table
    rng = np.random.default_rng(_SEED)
    if sample.schema.kind == "tensor":
        for kind, reach, tensors in tensor_probes(sample, unseen, graph, sizes, rng):
            yield ProbeGroup(kind, tensors, can_be_golden=not reach, reach=reach)
        return
    if unseen is not None and len(unseen):
        yield ProbeGroup("unseen rows", unseen.head(sizes.sample), is_users=True)
    else:
        yield ProbeGroup("rows of the sample", table.head(sizes.sample), is_users=True)
    yield ProbeGroup("one row", table.head(1))
    picks = rng.integers(0, len(table), size=(sizes.group, table.shape[1]))
    mixed = {name: table[name].to_numpy()[picks[:, i]] for i, name in enumerate(table.columns)}
    yield ProbeGroup("values of the sample, recombined", pd.DataFrame(mixed))
    yield ProbeGroup("new values within the ranges", _within_ranges(sample, mixed, rng))
    yield ProbeGroup("new values outside the ranges", _outside_ranges(sample, mixed, rng))
    yield from _missing_values(sample, sizes)
    open_columns = [c for c in sample.schema.columns if c.is_string and not c.closed]
    if open_columns:
        unseen_category = [[UNKNOWN_CATEGORY]] * len(open_columns)
        rows = spread_values(table, open_columns, unseen_category, sizes.group)
        yield ProbeGroup("one category unknown", rows)
    yield from _edge_cases(sample, graph, sizes, rng)
    for position in sample.schema.sources:
        name = sample.schema.names[position]
        column_type = sample.schema.columns[position].type
        for kind, cells in unusual_cells(table[name], column_type, rng):
            rows = _repeat_rows(table, len(cells))
            rows[name] = cells
            yield ProbeGroup(f"{name!r}: {kind}", rows, can_be_golden=kind != LONG)


def _missing_values(sample: Sample, sizes: ProbeSizes) -> Iterator[ProbeGroup]:
    """Yield rows in which one column lacks its value, and rows in which all columns do."""
    columns = [column for column in sample.schema.columns if column.missing]
    if columns:
        rows = spread_values(sample.table, columns, [[None]] * len(columns), sizes.group)
        yield ProbeGroup("one value missing", rows)
    if len(columns) > 1:
        rows = sample.table.head(3).copy()
        for column in columns:
            rows[column.name] = None if column.is_string else np.nan
        yield ProbeGroup("every value missing that may be", rows)


def _edge_cases(
    sample: Sample, graph: bytes | None, sizes: ProbeSizes, rng: np.random.Generator
) -> Iterator[ProbeGroup]:
    """Yield thresholds and the floats beside them, extreme numbers, and misspelt categories."""
    schema, table = sample.schema, sample.table
    edges = None if graph is None else threshold_rows(graph, sample, rng, sizes.thresholds)
    if edges is not None:
        yield ProbeGroup("thresholds, and a float64 to either side", edges)
    for kind, reach, rows in extreme_numbers(schema, table, rng):
        yield ProbeGroup(kind, rows, can_be_golden=False, reach=reach)
    open_columns = [
        column
        for position, column in enumerate(schema.columns)
        if column.is_string and not column.closed and position not in schema.sources
    ]
    if open_columns:
        texts = [strange_categories(column) for column in open_columns]
        rows = spread_values(table, open_columns, texts, MAX_STRANGE_ROWS)
        yield ProbeGroup("one category misspelt", rows, can_be_golden=False)


def close_columns(oracle: Oracle, method: str) -> Schema:
    """Return the schema, with the string columns closed in which *method* refuses a new value."""
    schema = oracle.sample.schema
    candidates = [
        position
        for position, column in enumerate(schema.columns)
        if column.is_string and not column.closed and column.categories is not None
    ]
    accepted = accepted_columns(
        oracle.estimator,
        oracle.sample,
        candidates,
        UNKNOWN_CATEGORY,
        lambda table: not oracle.refuses(table, method),
    )
    refused = set(candidates) - accepted
    columns = tuple(
        replace(column, closed=True) if position in refused else column
        for position, column in enumerate(schema.columns)
    )
    return replace(schema, columns=columns)


def _repeat_rows(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return *count* rows: those of *table*, from the first again after the last."""
    return table.iloc[np.arange(count) % len(table)].reset_index(drop=True)


def _within_ranges(
    sample: Sample, mixed: dict[str, NDArray[Any]], rng: np.random.Generator
) -> pd.DataFrame:
    """Draw numbers evenly between the smallest and the largest of training."""

    def draw(column: Column, low: float, high: float, count: int) -> NDArray[np.float64]:
        numbers = rng.uniform(low, high, count)
        return np.rint(numbers) if column.type != "float64" else numbers

    return _with_new_numbers(sample, mixed, ("float64", "int64", "bool", "datetime"), draw)


def _outside_ranges(
    sample: Sample, mixed: dict[str, NDArray[Any]], rng: np.random.Generator
) -> pd.DataFrame:
    """Draw numbers up to ten ranges below and above those of training; integers stay integers."""

    def draw(column: Column, low: float, high: float, count: int) -> NDArray[np.float64]:
        span = (high - low) or 1.0
        numbers = rng.uniform(low - 10 * span, high + 10 * span, count)
        return np.rint(numbers) if column.type == "int64" else numbers

    return _with_new_numbers(sample, mixed, ("float64", "int64", "datetime"), draw)


def _with_new_numbers(
    sample: Sample,
    mixed: dict[str, NDArray[Any]],
    types: tuple[str, ...],
    draw: Callable[[Column, float, float, int], NDArray[np.float64]],
) -> pd.DataFrame:
    """Replace the numbers in open columns of *types* by drawn ones; missing values stay."""
    columns = {}
    for column, dtype in zip(sample.schema.columns, sample.dtypes, strict=True):
        values = mixed[column.name]
        low, high = column.minimum, column.maximum
        if column.type in types and not column.closed and low is not None and high is not None:
            numbers = draw(column, low, high, len(values))
            if column.type == "datetime":
                numbers = possible_dates(numbers, dtype)
            values = np.where(np.isnan(values), values, numbers)
        columns[column.name] = values
    return pd.DataFrame(columns)
