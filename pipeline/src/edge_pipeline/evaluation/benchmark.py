"""``bench_pair``: two sealed files in; how much faster, smaller and leaner the one is out.

Both are timed in one bare process, in turns, so that whatever else the machine does hits both.
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
"""Times that each file is timed, the other in between."""

SECONDS_A_TURN = 0.02
"""For each size of batch."""


class Ratio(NamedTuple):
    """How many times as long the second file takes: the median of the turns, and their spread.

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
    """Two sealed files beside each other on this machine.

    Attributes
    ----------
    first, second
        Each by itself, in a process of its own.
    ratios
        Rows of a batch, 0 for ``predict_one``, to the time of the second file over that of the
        first.
    """

    first: BenchResult
    second: BenchResult
    ratios: Mapping[int, Ratio]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
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
        Rows to ask, as both models take them; each file's golden rows when None.
    largest_batch, seconds
        As :func:`~edge_pipeline.evaluation.isolated_benchmark.bench`; *seconds* a turn.

    Raises
    ------
    MeasurementError, EdgeRuntimeError, OSError
        As :func:`~edge_pipeline.evaluation.isolated_benchmark.bench`.
    """
    paths = [Path(first), Path(second)]
    alone = [bench(path, rows, largest_batch=largest_batch, seconds=seconds) for path in paths]
    asked = {
        "rows": largest_batch,
        "seconds": seconds,
        "turns": TURNS,
        "questions": [None if rows is None else json_rows(path, rows) for path in paths],
    }
    told = run_isolated(_BOOT, paths, asked)
    ratios = {}
    for size in sorted(set(map(int, told[0])) & set(map(int, told[1]))):
        one, other = (times[str(size)] for times in told)
        each = [b / a for a, b in zip(one, other, strict=True)]
        tenths = quantiles(each, n=10)
        ratios[size] = Ratio(median(each), tenths[0], tenths[-1])
    return BenchComparison(alone[0], alone[1], ratios)


_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from edge_runtime.benchmark import measure
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.loading import load
asked = json.load(sys.stdin)
try:
    models = [load(path) for path in sys.argv[2:]]
    told = [{}, {}]
    for turn in range(asked["turns"]):
        for model, times, questions in zip(models, told, asked["questions"]):
            for timing in measure(model, rows=asked["rows"], seconds=asked["seconds"],
                                  cells=questions):
                times.setdefault(str(timing.rows), []).append(timing.latency_us["p50"])
except EdgeRuntimeError as error:
    told = {"error": str(error)}
print(json.dumps(told))
"""
