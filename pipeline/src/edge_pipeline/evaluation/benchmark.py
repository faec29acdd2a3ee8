"""Time two sealed files in turns, in one process that loads only the runtime.

Taking turns makes every disturbance of the machine hit both files alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from edge_pipeline.evaluation.isolated_benchmark import (
    LARGEST_BATCH,
    BenchResult,
    bench,
    json_rows,
    run_isolated,
)

__all__ = ["BenchComparison", "Ratio", "bench_pair"]

TURNS = 15
"""Turns of each file, alternating with the other file."""

SECONDS_A_TURN = 0.02
"""For each batch size."""


class Ratio(NamedTuple):
    """Time of the second file divided by the time of the first, over all turns.

    Attributes
    ----------
    median, low, high
        Median, 10th and 90th percentile.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class BenchComparison:
    """Measurements of two sealed files on this machine.

    Attributes
    ----------
    first, second
        Each file alone, in its own process.
    ratios
        Rows of a batch (0 for ``predict_one``) to the second file's time divided by the first's.
    """

    first: BenchResult
    second: BenchResult
    ratios: Mapping[int, Ratio]

    def __repr__(self) -> str:
        ratio = next(iter(self.ratios.values()))
        return (
            f"<BenchComparison: one row {self.first.latency_us_p50:.1f} us and "
            f"{self.second.latency_us_p50:.1f} us, ratio {ratio.median:.2f}>"
        )

    def _repr_html_(self) -> str:
        """Show both files, and the ratio for each size of a batch, in a notebook."""
        from edge_runtime.notebook_html import grid

        lines = zip(self.first.lines(), self.second.lines(), strict=True)
        rows = [(name, value, other, "") for (name, value), (_, other) in lines]
        for size, ratio in self.ratios.items():
            name = "predict_one" if not size else f"batch of {size:,}"
            rows.append((name, "", "", f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"))
        return grid("bench of two files", ("", "first", "second", "second / first"), rows)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "first": self.first.to_json(),
            "second": self.second.to_json(),
            "ratios": {str(size): ratio._asdict() for size, ratio in self.ratios.items()},
            "turns": TURNS,
        }


def bench_pair(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    rows: Any = None,
    *,
    largest_batch: int = LARGEST_BATCH,
    seconds: float = SECONDS_A_TURN,
) -> BenchComparison:
    """Measure two sealed files, and time them in turns.

    Parameters
    ----------
    rows
        Rows to predict, as both models accept them; each file's golden rows when None.
    largest_batch, seconds
        As :func:`~edge_pipeline.evaluation.isolated_benchmark.bench`; *seconds* for each turn.

    Raises
    ------
    MeasurementError, EdgeRuntimeError, OSError
        As :func:`~edge_pipeline.evaluation.isolated_benchmark.bench`.
    """
    paths = [Path(first), Path(second)]
    results = [bench(path, rows, largest_batch=largest_batch, seconds=seconds) for path in paths]
    settings = {
        "rows": largest_batch,
        "seconds": seconds,
        "turns": TURNS,
        "cells": [None if rows is None else json_rows(path, rows) for path in paths],
    }
    first_times, second_times = run_isolated(_TIME_IN_TURNS, paths, settings)
    ratios = {}
    for size in sorted(map(int, first_times.keys() & second_times.keys())):
        pairs = zip(first_times[str(size)], second_times[str(size)], strict=True)
        turn_ratios = [second_time / first_time for first_time, second_time in pairs]
        deciles = quantiles(turn_ratios, n=10)
        ratios[size] = Ratio(median(turn_ratios), deciles[0], deciles[-1])
    return BenchComparison(results[0], results[1], ratios)


_TIME_IN_TURNS = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from edge_runtime.benchmark import measure
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.loading import load
settings = json.load(sys.stdin)
try:
    models = [load(path) for path in sys.argv[2:]]
    response = [{}, {}]
    for turn in range(settings["turns"]):
        for model, times, cells in zip(models, response, settings["cells"]):
            for timing in measure(model, rows=settings["rows"], seconds=settings["seconds"],
                                  cells=cells):
                times.setdefault(str(timing.rows), []).append(timing.latency_us["p50"])
except EdgeRuntimeError as error:
    response = {"error": str(error)}
print(json.dumps(response))
"""
