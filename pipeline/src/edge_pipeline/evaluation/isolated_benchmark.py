"""Measure the size, speed and memory of a sealed file in a separate process.

That process loads only edge_runtime, numpy and onnxruntime, as a device does.  The current process
holds scikit-learn and the training data too, so its memory and speed would mislead.
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
from edge_runtime.bundle.schema import Column
from edge_runtime.bundle.tensor_type import golden_tensor_to_json

from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.predictions import read_rows, select_input

__all__ = ["LARGEST_BATCH", "BenchResult", "bench", "json_rows", "run_isolated"]

LARGEST_BATCH = 1000
"""Rows of the largest batch, the default of ``edge-runtime bench`` too.  Peak memory depends on
it."""

SECONDS = 0.2
"""For each batch size: about ten thousand calls of a small model."""

WALL_SECONDS = 300.0
"""Time limit.  A file that takes longer to measure does not suit a small device."""

MAX_ROWS = 1000
"""Most rows sent to the measured process, which predicts them in turn."""


@dataclass(frozen=True)
class BenchResult:
    """Size, speed and memory of a sealed file on this machine.

    Attributes
    ----------
    model_bytes
        Size of the file.
    latency_us_p50, latency_us_p99
        Median and 99th percentile of a call of ``predict_one``, in microseconds.  A model without
        ``predict_one`` is timed on batches of one row.
    peak_memory_mb
        Peak memory of the whole process in MiB, with Python, numpy and onnxruntime.
    empty_memory_mb
        The part that Python, numpy and onnxruntime take without any model.
    load_ms
        Milliseconds to load the file, its golden rows checked.
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

    def __repr__(self) -> str:
        return f"<BenchResult: {', '.join(f'{name} {value}' for name, value in self.lines())}>"

    def _repr_html_(self) -> str:
        """Show the figures in a notebook."""
        from edge_runtime.notebook_html import table

        return table("bench", self.lines())

    def lines(self) -> list[tuple[str, str]]:
        """List the name and the value of each figure, with its unit."""
        return [
            ("one row", f"{self.latency_us_p50:.1f} us"),
            ("99 % of rows within", f"{self.latency_us_p99:.1f} us"),
            ("file", f"{self.model_bytes:,} bytes"),
            ("peak memory", f"{self.peak_memory_mb:.1f} MiB"),
            ("loading", f"{self.load_ms:.1f} ms"),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "batches": {str(size): dict(q) for size, q in self.batches.items()}}


def bench(
    source: str | os.PathLike[str] | bytes,
    rows: Any = None,
    *,
    largest_batch: int = LARGEST_BATCH,
    seconds: float = SECONDS,
) -> BenchResult:
    """Measure a sealed file in a process that loads only the runtime.

    Parameters
    ----------
    source
        The file, or its bytes.  Signatures are not checked.
    rows
        Rows to predict in turn, as the estimator accepts them, or a file of them; the golden rows
        of the sealed file when None.
    largest_batch
        After single rows, batches of 1, 10, 100 and so on up to this many rows are timed.
    seconds
        Time spent on each batch size.

    Raises
    ------
    MeasurementError
        The file does not load in that process, or the process crashed or took too long.
    EdgeRuntimeError
        *source* is no sealed file.
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
    settings = {
        "rows": largest_batch,
        "seconds": seconds,
        "cells": None if rows is None else json_rows(path, rows),
    }
    response = run_isolated(_MEASURE, [path], settings)
    batches = {int(n_rows): latency_us for n_rows, latency_us in response["timings"]}
    single_row = next(iter(batches.values()))
    return BenchResult(
        model_bytes=size,
        latency_us_p50=single_row["p50"],
        latency_us_p99=single_row["p99"],
        peak_memory_mb=response["peak_mb"],
        empty_memory_mb=response["empty_mb"],
        load_ms=response["load_ms"],
        batches=batches,
    )


_MEASURE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import time
import edge_runtime.engine.session
from edge_runtime.benchmark import measure, peak_memory_mb
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.loading import load
settings, empty_mb = json.load(sys.stdin), peak_memory_mb()
started = time.perf_counter()
try:
    with load(sys.argv[2]) as model:
        load_ms = (time.perf_counter() - started) * 1000
        timings = measure(model, **settings)
        response = {"load_ms": load_ms, "peak_mb": peak_memory_mb(), "empty_mb": empty_mb,
                    "timings": [(timing.rows, dict(timing.latency_us)) for timing in timings]}
except EdgeRuntimeError as error:
    response = {"error": str(error)}
print(json.dumps(response))
"""


def run_isolated(script: str, paths: Sequence[Path], settings: Mapping[str, Any]) -> Any:
    """Run *script* on sealed files, in a process that loads only the runtime.

    Parameters
    ----------
    script
        Python source.  ``sys.argv`` holds the import path as JSON, then the files; *settings* come
        as JSON on its standard input.  It prints JSON: an object with ``error`` when it fails.

    Raises
    ------
    MeasurementError
        The process crashed, took too long, or printed an error.
    """
    file_names = " and ".join(path.name for path in paths)
    # Without "": files in the current folder must not be imported.
    import_path = json.dumps([folder for folder in sys.path if folder])
    command = [sys.executable, "-P", "-c", script, import_path, *(str(p.absolute()) for p in paths)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # OpenBLAS reserves memory for each thread, and a device has fewer cores than a server.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        text=True,
    ) as child:
        try:
            out, err = child.communicate(json.dumps(settings), timeout=WALL_SECONDS)
        except BaseException as error:
            child.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise MeasurementError(
                    f"measuring {file_names} took longer than {WALL_SECONDS:g} s; "
                    "make the model smaller"
                ) from error
            raise
    try:
        response = json.loads(out)
    except ValueError as error:
        last_line = (err.strip().splitlines() or ["no message on stderr"])[-1]
        raise MeasurementError(
            f"the process that measures {file_names} ended with code {child.returncode}: "
            f"{last_line}"
        ) from error
    if isinstance(response, dict) and "error" in response:
        raise MeasurementError(f"{file_names} cannot be measured: {response['error']}")
    return response


def json_rows(path: Path, rows: Any) -> list[list[Cell]]:
    """Write the first of *rows* as JSON cells, in the form of the golden rows of the file."""
    manifest = unpack(path.read_bytes()).manifest
    schema = manifest.schema
    rows = select_input(schema, read_rows(rows, manifest))
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    if schema.kind == "tensor":
        column = schema.columns[0]
        cells = [golden_tensor_to_json(row, column, sys.maxsize) for row in rows[:MAX_ROWS]]
        return [[cell] for cell in cells if cell is not None]
    if schema.loose:
        return [[row] for row in list(rows[:MAX_ROWS])]
    if hasattr(rows, "columns"):
        frame = rows.head(MAX_ROWS)
        columns = [list(frame[name]) for name in frame.columns]
        table: Sequence[Sequence[Any]] = list(zip(*columns, strict=True))
    else:
        array = np.asarray(rows[:MAX_ROWS])
        table = array.reshape(len(array), -1).tolist()
    return [
        [_cell(value, column) for value, column in zip(row, schema.columns, strict=True)]
        for row in table
    ]


def _cell(value: Any, column: Column) -> Cell:
    if column.type == "datetime":
        return None if pd.isna(value) else pd.Timestamp(value).isoformat()
    if not column.is_number:
        return value if isinstance(value, str) else None
    if pd.isna(value):
        return "nan"
    return cell_to_json(value.item() if isinstance(value, np.generic) else value)
