"""A loaded model in, how fast it answers on this machine out, against the limits in its manifest.

Every call is timed by itself, so that the slow ones show.  The rows are the golden rows, unless
others are given.
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

__all__ = ["Limit", "Timing", "held_to", "measure", "peak_memory_mb"]

MAX_CALLS = 100_000
"""Calls timed of each size; a thousandth of them is the slowest percentile that is told."""

MIN_CALLS = 5

SECONDS = 1.0
"""Time spent on each size, if nobody says otherwise."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}


class Timing(NamedTuple):
    """How long calls with so many rows took.

    Attributes
    ----------
    rows
        Of each call; 0 stands for ``predict_one``.
    calls
        How many were timed.
    latency_us
        Quantile to microseconds a call: that many of all calls were as fast or faster.
    """

    rows: int
    calls: int
    latency_us: Mapping[str, float]


class Limit(NamedTuple):
    """A bound that the manifest states, and what was found here; None when it was not measured."""

    name: str
    limit: float
    found: float | None

    @property
    def is_kept(self) -> bool | None:
        """Whether what was found is within the bound; None when nothing was found."""
        if self.found is None:
            return None
        return self.found >= self.limit if self.is_least else self.found <= self.limit

    @property
    def is_least(self) -> bool:
        """Whether the bound is the least allowed, not the most."""
        return self.name.startswith("min_")


def measure(
    model: Model,
    *,
    rows: int = 1000,
    seconds: float = SECONDS,
    questions: Sequence[Sequence[Cell]] | None = None,
) -> list[Timing]:
    """Time ``predict_one``, then batches of 1, 10, 100 and so on up to *rows* rows.

    Parameters
    ----------
    seconds
        Time spent on each size.
    questions
        Rows to ask in turn, written as the golden rows are, which they replace.

    Raises
    ------
    EdgeRuntimeError
        There are no questions, and the bundle has no golden rows to ask.
    """
    golden = golden_rows(_asking(model.manifest, questions))
    if not golden:
        raise EdgeRuntimeError("the bundle has no golden rows, so there is nothing to ask")
    model.warm_up()
    timings = []
    one = _asker_of_one(model)
    if one is not None:
        single = cycle(_single_rows(model.manifest, golden))
        timings.append(_timed(0, lambda: one(next(single)), seconds))
    ask = getattr(model, "predict" if "predict" in model.methods else model.methods[0])
    size = 1
    while size <= rows:
        table = _table(model.manifest, golden, size)
        timings.append(_timed(size, lambda table=table: ask(table), seconds))  # type: ignore[misc]
        size *= 10
    return timings


def held_to(
    manifest: Manifest, timings: list[Timing], *, file_bytes: int, peak_mb: float
) -> list[Limit]:
    """What was found against each limit of the manifest.

    ``max_latency_us`` bounds the 99th percentile of ``predict_one``, or of batches of one row
    where there is none; ``max_peak_memory_mb`` the process, the largest batch included;
    ``max_model_bytes`` the file.  What
    only the build could measure is read in the manifest: ``max_label_flips``, and ``min_NAME`` of
    the metric NAME.
    """
    found = {
        **{f"min_{name}": value for name, value in manifest.metrics.items()},
        "max_label_flips": float(sum(o.differing for o in manifest.parity.outputs.values())),
        "max_latency_us": timings[0].latency_us["p99"] if timings else None,
        "max_peak_memory_mb": peak_mb,
        "max_model_bytes": float(file_bytes),
    }
    return [Limit(name, limit, found.get(name)) for name, limit in manifest.limits.items()]


def peak_memory_mb() -> float:
    """The most memory that this process has held, in MiB.

    Linux tells programs apart here and not in ``getrusage``, which hands the mark of the process
    that started this one on to it.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise EdgeRuntimeError("/proc/self/status does not tell this process's peak memory")


def _asking(manifest: Manifest, questions: Sequence[Sequence[Cell]] | None) -> Manifest:
    if questions is None:
        return manifest
    return replace(manifest, golden=GoldenRows(tuple(map(tuple, questions)), {}))


def _timed(rows: int, call: Callable[[], Any], seconds: float) -> Timing:
    for _ in range(3):
        call()
    took = np.zeros(MAX_CALLS, dtype=np.int64)  # no list: its growth would be timed too
    clock = time.perf_counter_ns
    end = clock() + int(seconds * 1e9)
    calls, now = 0, 0
    while calls < MAX_CALLS and (now < end or calls < MIN_CALLS):
        started = clock()
        call()
        now = clock()
        took[calls] = now - started
        calls += 1
    found = np.quantile(took[:calls] / 1000, list(QUANTILES.values()), method="higher")
    return Timing(rows, calls, dict(zip(QUANTILES, found.tolist(), strict=True)))


def _asker_of_one(model: Model) -> Callable[[Any], Any] | None:
    several = [output for output in model.manifest.outputs if output.method == "predict"]
    return model.predict_one if len(several) == 1 else None


def _single_rows(manifest: Manifest, golden: list[list[Any]]) -> list[Any]:
    """As a program would have them: by name where there are names."""
    if manifest.schema.kind == "table":
        return [dict(zip(manifest.schema.names, row, strict=True)) for row in golden]
    return [row[0] for row in golden] if manifest.schema.loose else golden


def _table(manifest: Manifest, golden: list[list[Any]], n_rows: int) -> Any:
    rows = list(islice(cycle(golden), n_rows))
    schema = manifest.schema
    if len(schema.numeric) == len(schema.columns):
        return np.array(rows, dtype=np.float64)
    if schema.loose:
        return [row[0] for row in rows]
    return {name: [row[i] for row in rows] for i, name in enumerate(schema.names)}
