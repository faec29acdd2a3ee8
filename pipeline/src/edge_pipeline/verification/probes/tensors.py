"""Make the tensors to compare: unseen, recombined, constant, noisy, at thresholds, far away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column
from edge_runtime.bundle.tensor_type import PATTERNS, TensorType, pattern
from numpy.typing import NDArray

from edge_pipeline.data.sample import Sample
from edge_pipeline.data.tensors import tensor_rows, to_table
from edge_pipeline.verification.probes.extremes import Reach
from edge_pipeline.verification.probes.thresholds import threshold_edges

if TYPE_CHECKING:
    from edge_pipeline.verification.probes.groups import ProbeSizes

__all__ = ["rows_within", "tensor_probes"]

MAX_CELLS = 1 << 22
"""Most numbers in a group of tensors that are made: 32 MB as float64."""

MAX_SAMPLE_CELLS = 1 << 24
"""Most numbers in the group of unseen tensors."""

_MISSING_SHARE = 0.02


def rows_within(cells: int, size: int, most: int) -> int:
    """Return how many tensors of *size* numbers have *cells* numbers: from 2 to *most*."""
    return max(2, min(most, cells // size))


def tensor_probes(
    sample: Sample,
    unseen: pd.DataFrame | None,
    graph: bytes | None,
    sizes: ProbeSizes,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Reach, pd.DataFrame]]:
    """Yield groups of tensors: how they were made, how far from training they are, the rows."""
    column = sample.schema.columns[0]
    tensor = column.tensor
    if tensor is None:
        raise ValueError(f"the schema describes no tensor: {sample.schema!r}")
    table, count = sample.table, rows_within(MAX_CELLS, tensor.size, sizes.group)
    first = rows_within(MAX_SAMPLE_CELLS, tensor.size, sizes.sample)
    if unseen is not None and len(unseen):
        yield "unseen rows", "", unseen.reset_index(drop=True).head(first)
    else:
        yield "rows of the sample", "", table.head(first)
    yield "one row", "", table.head(1)
    patterns = np.stack([pattern(column, seed) for seed in range(PATTERNS)])
    yield "patterns within the range", "", to_table(patterns)
    for name, reach, rows in _drawn_tensors(sample, column, tensor, count, rng):
        yield name, reach, to_table(rows)
    edges = None if graph is None else _at_thresholds(graph, sample, tensor, rng, sizes)
    if edges is not None:
        yield "thresholds, and a float64 to either side", "", to_table(edges)
    yield "one row many times", "", table.iloc[[0] * 7].reset_index(drop=True)


def _drawn_tensors(
    sample: Sample, column: Column, tensor: TensorType, count: int, rng: np.random.Generator
) -> Iterator[tuple[str, Reach, NDArray[Any]]]:
    picks = rng.integers(0, len(sample.table), size=(2, count))
    a, b = (tensor_rows(sample.table.iloc[p], sample.schema) for p in picks)
    yield "cells of the sample, recombined", "", np.where(rng.random(a.shape) < 0.5, a, b)
    low, high = column.minimum or 0.0, column.maximum or 0.0
    is_whole = np.dtype(tensor.dtype).kind in "iu"
    for name, bottom, top in _ranges(tensor, low, high, is_whole):
        cells = rng.uniform(bottom, top, size=a.shape)
        yield name, "", np.rint(cells) if is_whole else cells
    if column.missing:
        yield "values missing", "", np.where(rng.random(a.shape) < _MISSING_SHARE, np.nan, a)
    for value in dict.fromkeys((0.0, low, high)):
        # Silence, a black picture.  Of another constant, a spectrum or a variance is rounding.
        reach: Reach = "extreme" if value else "far"
        yield f"every cell {value:g}", reach, np.full((1, *tensor.shape), value)
    if is_whole:
        return
    size = max(abs(low), abs(high)) or 1.0
    spikes_of: tuple[tuple[str, Reach, float], ...] = (
        ("far", "far", 1e3),
        ("extremely far", "extreme", 1e30),
    )
    for name, spike_reach, factor in spikes_of:
        spikes = a[:8].copy()
        flat = spikes.reshape(len(spikes), -1)
        flat[np.arange(len(flat)), rng.integers(0, flat.shape[1], len(flat))] = size * factor
        yield f"one number {name} outside", spike_reach, spikes


def _ranges(
    tensor: TensorType, low: float, high: float, is_whole: bool
) -> Iterator[tuple[str, float, float]]:
    """Yield names and limits of evenly drawn numbers; integers stay within their dtype."""
    yield "new values within the range", low, high
    if is_whole:
        limits = np.iinfo(tensor.dtype)
        yield "new values outside the range", float(limits.min), float(limits.max)
    else:
        span = (high - low) or 1.0
        yield "new values outside the range", low - 10 * span, high + 10 * span


def _at_thresholds(
    graph: bytes, sample: Sample, tensor: TensorType, rng: np.random.Generator, sizes: ProbeSizes
) -> NDArray[Any] | None:
    """Return tensors on both sides of thresholds of the graph that read single cells."""
    if np.dtype(tensor.dtype).kind in "iu":
        return None  # whole numbers lie on one side or the other
    limit = min(sizes.thresholds, rows_within(MAX_CELLS, tensor.size, sizes.thresholds) // 3)
    edges = threshold_edges(graph, sample, tensor.size, rng, limit)
    if edges is None or not limit:
        return None
    row, cell, value = edges
    with np.errstate(over="ignore"):
        sides = np.stack([np.nextafter(value, -np.inf), value, np.nextafter(value, np.inf)])
    positions = np.tile(row % len(sample.table), 3)
    rows = tensor_rows(sample.table.iloc[positions], sample.schema).reshape(len(positions), -1)
    finite = np.isfinite(sides.ravel())
    rows[np.flatnonzero(finite), np.tile(cell, 3)[finite]] = sides.ravel()[finite]
    return rows.reshape(-1, *tensor.shape)
