"""``bench``: a sealed file in; its size, its speed and the memory it takes out.

A process of its own is measured, in which nothing but edge_runtime, numpy and onnxruntime is
loaded, as on the device: this one holds scikit-learn and whatever was trained.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.layout import unpack
from edge_runtime.bundle.manifest import Cell, cell_to_json

from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.predictions import read_rows, select_input

__all__ = ["LARGEST_BATCH", "BenchResult", "bench", "json_rows", "run_isolated"]

LARGEST_BATCH = 1000
"""Rows of the largest batch asked, as ``edge-runtime bench`` asks if nobody says otherwise: the
peak of memory depends on it."""

SECONDS = 0.2
"""Spent on each size of batch: some ten thousand calls of a small model."""

WALL_SECONDS = 300.0
"""A file that takes longer to measure is not for a small device."""

QUESTIONS = 1000
"""Most rows handed to the process that is measured; they are asked in turn."""


@dataclass(frozen=True)
class BenchResult:
    """How large, how fast and how hungry a sealed file is on this machine.

    Attributes
    ----------
    model_bytes
        Size of the file.
    latency_us_p50, latency_us_p99
        Microseconds of ``predict_one``, or of a batch of one row where there is none: half of the
        calls, and 99 of a hundred, took no longer.
    peak_memory_mb
        The most memory that the whole process held, in MiB: Python, numpy and onnxruntime too.
    empty_memory_mb
        What of that Python, numpy and onnxruntime take without any model.
    load_ms
        Milliseconds from the file to a model that is ready, its golden rows asked.
    batches
        Rows of a batch to quantile to microseconds a call; 0 stands for ``predict_one``.
    """

    model_bytes: int
    latency_us_p50: float
    latency_us_p99: float
    peak_memory_mb: float
    empty_memory_mb: float
    load_ms: float
    batches: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "batches": {str(size): dict(q) for size, q in self.batches.items()}}


def bench(
    source: str | os.PathLike[str] | bytes,
    rows: Any = None,
    *,
    largest_batch: int = LARGEST_BATCH,
    seconds: float = SECONDS,
) -> BenchResult:
    """Measure a sealed file in a bare process.

    Parameters
    ----------
    source
        The file, or its bytes.  Signatures are not looked at.
    rows
        Rows to ask in turn, as the estimator takes them, or a file of them; the golden rows of the
        sealed file when None.
    largest_batch
        Batches of 1, 10, 100 and so on up to this many rows are timed after single rows.
    seconds
        Time spent on each size.

    Raises
    ------
    MeasurementError
        The file does not load there, or the process ended or took too long.
    EdgeRuntimeError
        It is no sealed file.
    OSError
        The file cannot be read.
    """
    if isinstance(source, bytes):
        with tempfile.TemporaryDirectory(prefix="edge-pipeline-") as folder:
            path = Path(folder, "measured.onnx")
            path.write_bytes(source)
            return bench(path, rows, largest_batch=largest_batch, seconds=seconds)
    path = Path(source)
    size = path.stat().st_size
    asked = {
        "rows": largest_batch,
        "seconds": seconds,
        "cells": None if rows is None else json_rows(path, rows),
    }
    told = run_isolated(_BOOT, [path], asked)
    batches = {int(rows_): found for rows_, found in told["timings"]}
    first = next(iter(batches.values()))
    return BenchResult(
        model_bytes=size,
        latency_us_p50=first["p50"],
        latency_us_p99=first["p99"],
        peak_memory_mb=told["peak_mb"],
        empty_memory_mb=told["empty_mb"],
        load_ms=told["load_ms"],
        batches=batches,
    )


_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import time
import edge_runtime.engine.session
from edge_runtime.benchmark import measure, peak_memory_mb
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.loading import load
asked, empty_mb = json.load(sys.stdin), peak_memory_mb()
started = time.perf_counter()
try:
    with load(sys.argv[2]) as model:
        load_ms = (time.perf_counter() - started) * 1000
        timings = measure(model, **asked)
        told = {"load_ms": load_ms, "peak_mb": peak_memory_mb(), "empty_mb": empty_mb,
                "timings": [(timing.rows, dict(timing.latency_us)) for timing in timings]}
except EdgeRuntimeError as error:
    told = {"error": str(error)}
print(json.dumps(told))
"""


def run_isolated(boot: str, paths: Sequence[Path], asked: Mapping[str, Any]) -> Any:
    """What *boot* tells of sealed files, in a process where the runtime alone is loaded.

    Parameters
    ----------
    boot
        Python source.  It finds the places to import from, as JSON, and the files in ``sys.argv``,
        *asked* on its standard input, and prints JSON: an object with ``error`` when it cannot.

    Raises
    ------
    MeasurementError
        The process ended, took too long, or told an error.
    """
    what = " and ".join(path.name for path in paths)
    # Without "": whatever lies in the current folder must not be imported.
    places = json.dumps([place for place in sys.path if place])
    command = [sys.executable, "-P", "-c", boot, places, *(str(p.absolute()) for p in paths)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Each thread of numpy's library sets memory aside, a device's four less than a server's.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        text=True,
    ) as child:
        try:
            out, err = child.communicate(json.dumps(asked), timeout=WALL_SECONDS)
        except BaseException as error:
            child.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise MeasurementError(
                    f"measuring {what} took longer than {WALL_SECONDS:g} s; make the model smaller"
                ) from error
            raise
    try:
        told = json.loads(out)
    except ValueError as error:
        last = err.strip().splitlines()[-1:] or ["it said nothing"]
        raise MeasurementError(
            f"the process that measures {what} ended with code {child.returncode}: {last[0]}"
        ) from error
    if isinstance(told, dict) and "error" in told:
        raise MeasurementError(f"{what} cannot be measured: {told['error']}")
    return told


def json_rows(path: Path, rows: Any) -> list[list[Cell]]:
    """Some of *rows*, written as the golden rows of the file at *path* are."""
    schema = unpack(path.read_bytes()).manifest.schema
    rows = select_input(schema, read_rows(rows, schema))
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    if schema.loose:
        return [[row] for row in list(rows[:QUESTIONS])]
    if hasattr(rows, "columns"):
        frame = rows.head(QUESTIONS)
        columns = [list(frame[name]) for name in frame.columns]
        table: Sequence[Sequence[Any]] = list(zip(*columns, strict=True))
    else:
        array = np.asarray(rows[:QUESTIONS])
        table = array.reshape(len(array), -1).tolist()
    return [
        [_cell(value, column.is_number) for value, column in zip(row, schema.columns, strict=True)]
        for row in table
    ]


def _cell(value: Any, is_number: bool) -> Cell:
    if not is_number:
        return value if isinstance(value, str) else None
    if pd.isna(value):
        return "nan"
    return cell_to_json(value.item() if isinstance(value, np.generic) else value)
