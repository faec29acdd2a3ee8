"""Measure how fast a loaded model predicts here, and compare with the limits in its manifest.

Every call is timed by itself, so that slow calls show.  The rows are the golden rows, unless the
caller passes rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge_runtime.bundle.manifest import Cell, GoldenRows, Manifest
from edge_runtime.engine.self_test import golden_rows
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.model import Model

__all__ = ["Limit", "Timing", "compare_with_limits", "measure", "peak_memory_mb"]

MAX_CALLS = 100_000
"""Most calls timed per batch size; enough for the slowest quantile, one call in a thousand."""

MIN_CALLS = 5

SECONDS = 1.0
"""Default time spent on each batch size."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}


class Timing(NamedTuple):
    """How long calls with one number of rows took.

    Attributes
    ----------
    rows
        Rows of each call; 0 stands for ``predict_one``.
    calls
        Number of timed calls.
    latency_us
        Quantile to microseconds: that share of the calls took at most so long.
    """

    rows: int
    calls: int
    latency_us: Mapping[str, float]


class Limit(NamedTuple):
    """A limit of the manifest and the value measured here; None when it was not measured."""

    name: str
    limit: float
    value: float | None

    @property
    def is_met(self) -> bool | None:
        """Whether the value is within the limit; None when it was not measured."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.is_least else self.value <= self.limit

    @property
    def is_least(self) -> bool:
        """Whether the limit is a minimum, not a maximum."""
        return self.name.startswith("min_")


def measure(
    model: Model,
    *,
    rows: int = 1000,
    seconds: float = SECONDS,
    cells: Sequence[Sequence[Cell]] | None = None,
) -> list[Timing]:
    """Time ``predict_one``, then batches of 1, 10, 100 and so on up to *rows* rows.

    Parameters
    ----------
    seconds
        Time spent on each size.
    cells
        Rows to predict in turn, written as golden rows are; None: the golden rows.

    Raises
    ------
    EdgeRuntimeError
        No rows were passed, and the bundle has no golden rows.
    """
    golden = golden_rows(_with_golden_rows(model.manifest, cells))
    if not golden:
        raise EdgeRuntimeError("the bundle has no golden rows, so there are no rows to predict")
    model.warm_up()
    timings = []
    if sum(output.method == "predict" for output in model.manifest.outputs) == 1:
        single = cycle(_single_rows(model.manifest, golden))
        timings.append(_timed(0, lambda: model.predict_one(next(single)), seconds))
    method = getattr(model, "predict" if "predict" in model.methods else model.methods[0])
    size = 1
    while size <= rows:
        table = _table(model.manifest, golden, size)
        timings.append(_timed(size, lambda table=table: method(table), seconds))  # type: ignore[misc]
        size *= 10
    return timings


def compare_with_limits(
    manifest: Manifest, timings: list[Timing], *, file_bytes: int, peak_mb: float
) -> list[Limit]:
    """Pair each limit of the manifest with the measured value.

    - ``max_latency_us``: 99th percentile of ``predict_one``, or of batches of one row where the
      model has none;
    - ``max_peak_memory_mb``: the process, the largest batch included;
    - ``max_model_bytes``: the file;
    - ``max_label_flips`` and ``min_NAME`` of the metric NAME: measured by the build only, so they
      are read from the manifest.
    """
    values = {
        **{f"min_{name}": value for name, value in manifest.metrics.items()},
        "max_label_flips": float(sum(o.differing for o in manifest.parity.outputs.values())),
        "max_latency_us": timings[0].latency_us["p99"] if timings else None,
        "max_peak_memory_mb": peak_mb,
        "max_model_bytes": float(file_bytes),
    }
    return [Limit(name, limit, values.get(name)) for name, limit in manifest.limits.items()]


def peak_memory_mb() -> float:
    """Read the peak memory of this process, in MiB.

    ``getrusage`` would not do: on Linux its peak also covers the parent process before exec().
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise EdgeRuntimeError(
        "/proc/self/status has no VmHWM, so the peak memory of this process is unknown"
    )


def _with_golden_rows(manifest: Manifest, cells: Sequence[Sequence[Cell]] | None) -> Manifest:
    if cells is None:
        return manifest
    return replace(manifest, golden=GoldenRows(tuple(map(tuple, cells)), {}))


def _timed(rows: int, call: Callable[[], Any], seconds: float) -> Timing:
    for _ in range(3):
        call()
    durations = np.zeros(MAX_CALLS, dtype=np.int64)  # no list: its growth would be timed too
    clock = time.perf_counter_ns
    end = clock() + int(seconds * 1e9)
    calls, now = 0, 0
    while calls < MAX_CALLS and (now < end or calls < MIN_CALLS):
        start = clock()
        call()
        now = clock()
        durations[calls] = now - start
        calls += 1
    microseconds = durations[:calls] / 1000
    latency_us = np.quantile(microseconds, list(QUANTILES.values()), method="higher")
    return Timing(rows, calls, dict(zip(QUANTILES, latency_us.tolist(), strict=True)))


def _single_rows(manifest: Manifest, golden: list[list[Any]]) -> list[Any]:
    """Write golden rows as a program would pass them: as dicts where columns have names."""
    if manifest.schema.kind == "table":
        return [dict(zip(manifest.schema.names, row, strict=True)) for row in golden]
    return [row[0] for row in golden] if manifest.schema.loose else golden


def _table(manifest: Manifest, golden: list[list[Any]], n_rows: int) -> Any:
    rows = list(islice(cycle(golden), n_rows))
    schema = manifest.schema
    if schema.kind == "tensor":
        return np.stack([row[0] for row in rows])
    has_dates = any(column.type == "datetime" for column in schema.columns)
    if len(schema.numeric) == len(schema.columns) and not has_dates:
        return np.array(rows, dtype=np.float64)
    if schema.loose:
        return [row[0] for row in rows]
    return {name: [row[i] for row in rows] for i, name in enumerate(schema.names)}
