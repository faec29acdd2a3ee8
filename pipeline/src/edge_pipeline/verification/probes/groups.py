"""Rows to ask both scikit-learn and the graph: unseen, recombined, missing, unknown, far away.

Seeded: the same sample gives the same rows, and so the same bytes in the bundle.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column, Schema
from numpy.typing import NDArray

from edge_pipeline.data.sample import Sample
from edge_pipeline.verification.probes.extremes import Reach, extreme_numbers, strange_categories
from edge_pipeline.verification.probes.text_cells import LONG, counted_cells
from edge_pipeline.verification.probes.thresholds import edge_rows

__all__ = ["UNKNOWN_CATEGORY", "ProbeGroup", "close_columns", "probe_groups"]

UNKNOWN_CATEGORY = "never seen in training ☂"
"""A string that no training column is expected to hold."""

ROWS_PER_GROUP = 200
MAX_SAMPLE_ROWS = 2000
_SEED = 20


@dataclass(frozen=True, eq=False)
class ProbeGroup:
    """Rows made in one way, so that a refusal of the estimator tells what it refuses.

    Attributes
    ----------
    name
        How they were made.
    table
        The rows, in the columns of the sample's table.
    can_be_golden
        Whether they are short enough for the manifest, and no last digit decides them.
    reach
        ``far`` where numbers are up to a million times training's largest, ``extreme`` where they
        are so large that sums overflow or have no digits left.
    """

    name: str
    table: pd.DataFrame
    can_be_golden: bool = True
    reach: Reach = ""


def probe_groups(
    sample: Sample, unseen: pd.DataFrame | None, graph: bytes | None = None
) -> Iterator[ProbeGroup]:
    """Groups of rows, from the ordinary to those made to hurt.

    Parameters
    ----------
    unseen
        Rows that training did not see, in the columns of ``sample.table``; without them the
        sample's own rows are asked.
    graph
        Its thresholds are asked too.
    """
    table = sample.table
    rng = np.random.default_rng(_SEED)
    if unseen is not None and len(unseen):
        yield ProbeGroup("unseen rows", unseen.reset_index(drop=True).head(MAX_SAMPLE_ROWS))
    else:
        yield ProbeGroup("rows of the sample", table.head(MAX_SAMPLE_ROWS))
    yield ProbeGroup("one row", table.head(1))
    picks = rng.integers(0, len(table), size=(ROWS_PER_GROUP, table.shape[1]))
    mixed = {name: table[name].to_numpy()[picks[:, i]] for i, name in enumerate(table.columns)}
    yield ProbeGroup("values of the sample, recombined", pd.DataFrame(mixed))
    yield ProbeGroup("new values within the ranges", _within(sample.schema, mixed, rng))
    yield ProbeGroup("new values outside the ranges", _outside(sample.schema, mixed, rng))
    for column in sample.schema.columns:
        if column.missing:
            yield ProbeGroup(f"{column.name!r} missing", _with(table, column, None))
    if sum(column.missing for column in sample.schema.columns) > 1:
        bare = table.head(3).copy()
        for column in sample.schema.columns:
            if column.missing:
                bare[column.name] = None if column.is_string else np.nan
        yield ProbeGroup("every value missing that may be", bare)
    for column in sample.schema.columns:
        if column.is_string and not column.closed:
            yield ProbeGroup(f"{column.name!r} unknown", _with(table, column, UNKNOWN_CATEGORY))
    yield from _hurting(sample, graph, rng)
    for position in sample.schema.sources:
        name = sample.schema.names[position]
        for what, cells in counted_cells(table[name], sample.schema.columns[position].type, rng):
            rows = table.iloc[np.arange(len(cells)) % len(table)].reset_index(drop=True)
            rows[name] = cells
            yield ProbeGroup(f"{name!r}: {what}", rows, can_be_golden=what != LONG)


def _hurting(sample: Sample, graph: bytes | None, rng: np.random.Generator) -> Iterator[ProbeGroup]:
    """Thresholds and the floats beside them, extreme numbers, texts that look like categories."""
    schema, table = sample.schema, sample.table
    edges = None if graph is None else edge_rows(graph, sample, rng)
    if edges is not None:
        yield ProbeGroup("thresholds, and a float64 to either side", edges)
    for what, reach, rows in extreme_numbers(schema, table, rng):
        yield ProbeGroup(what, rows, can_be_golden=False, reach=reach)
    for position, column in enumerate(schema.columns):
        if column.is_string and not column.closed and position not in schema.sources:
            texts = strange_categories(column)
            rows = table.iloc[np.arange(len(texts)) % len(table)].reset_index(drop=True)
            rows[column.name] = np.array(texts, dtype=object)
            yield ProbeGroup(f"{column.name!r} strange", rows, can_be_golden=False)


def close_columns(estimator: Any, sample: Sample, method: str) -> Schema:
    """The schema with those string columns closed in which the estimator refuses a new value."""
    columns = tuple(
        replace(column, closed=True)
        if column.is_string
        and not column.closed
        and column.categories is not None
        and refuses(
            getattr(estimator, method),
            sample.as_trained(_with(sample.table, column, UNKNOWN_CATEGORY)),
        )
        else column
        for column in sample.schema.columns
    )
    return replace(sample.schema, columns=columns)


def refuses(method: Callable[[Any], Any], X: Any) -> bool:
    """Whether scikit-learn raises ValueError or TypeError for *X*, its way to refuse input."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            method(X)
    except (ValueError, TypeError):
        return True
    return False


def _with(table: pd.DataFrame, column: Column, value: Any) -> pd.DataFrame:
    rows = table.head(3).copy()
    rows[column.name] = np.array(
        [value] * len(rows), dtype=object if column.is_string else np.float64
    )
    return rows


def _within(
    schema: Schema, mixed: dict[str, NDArray[Any]], rng: np.random.Generator
) -> pd.DataFrame:
    """Numbers drawn evenly between the smallest and the largest of training."""
    columns = {}
    for column in schema.columns:
        values = mixed[column.name]
        if not column.closed and column.minimum is not None and column.maximum is not None:
            drawn = rng.uniform(column.minimum, column.maximum, len(values))
            drawn = np.rint(drawn) if column.type != "float64" else drawn
            values = np.where(np.isnan(values), values, drawn)
        columns[column.name] = values
    return pd.DataFrame(columns)


def _outside(
    schema: Schema, mixed: dict[str, NDArray[Any]], rng: np.random.Generator
) -> pd.DataFrame:
    """Numbers up to ten ranges below and above training's; whole ones stay whole."""
    columns = {}
    for column in schema.columns:
        values = mixed[column.name]
        if (
            column.type in ("float64", "int64")
            and not column.closed
            and column.minimum is not None
            and column.maximum is not None
        ):
            span = (column.maximum - column.minimum) or 1.0
            drawn = rng.uniform(column.minimum - 10 * span, column.maximum + 10 * span, len(values))
            drawn = np.rint(drawn) if column.type == "int64" else drawn
            values = np.where(np.isnan(values), values, drawn)
        columns[column.name] = values
    return pd.DataFrame(columns)
