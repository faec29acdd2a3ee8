"""Time the two engines on sealed files, in turn: one row, 1,000 rows, and a whole process.

    python engines.py FILE... [--blocks N] [--out FILE.json]

Prints JSON: for each file the microseconds of each engine (median, 10th and 90th percentile), and
the ratio of numpy to onnxruntime block by block.  ``cold_start`` is a whole process that imports
edge_runtime, loads the file and predicts a row.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_runtime.engine.selection import Engine
from edge_runtime.engine.self_test import golden_row
from measuring import compared, interleaved, machine

import edge_runtime

ENGINES: tuple[Engine, ...] = ("onnxruntime", "numpy")
Contenders = dict[str, Callable[[], Any]]

COLD_START = """
import sys, edge_runtime
from edge_runtime.engine.self_test import golden_row
model = edge_runtime.load(sys.argv[1], engine=sys.argv[2])
model.predict_one(golden_row(model.manifest))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    figures = {
        "machine": machine(),
        "blocks": options.blocks,
        "models": {path.stem: measure(path, options.blocks) for path in options.files},
    }
    text = json.dumps(figures, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def measure(path: Path, blocks: int) -> dict[str, Any]:
    """Time one file with both engines."""
    models = {engine: edge_runtime.load(path, engine=engine) for engine in ENGINES}
    schema = models["numpy"].schema
    row = golden_row(models["numpy"].manifest)
    table = (
        [row] * 1000
        if schema.kind in ("dicts", "lists")
        else dict(zip(schema.names, ([cell] * 1000 for cell in row), strict=True))
    )
    one: Contenders = {engine: _call(model.predict_one, row) for engine, model in models.items()}
    many: Contenders = {engine: _call(model.predict, table) for engine, model in models.items()}
    return {
        "one_row_us": compared(interleaved(one, blocks=blocks), "onnxruntime"),
        "thousand_rows_us": compared(interleaved(many, blocks=blocks), "onnxruntime"),
        "cold_start_us": compared(_cold_starts(path, max(3, blocks // 6)), "onnxruntime"),
    }


def _call(function: Any, argument: Any) -> Any:
    for _ in range(3):
        function(argument)  # the second call makes the faster graph
    return lambda: function(argument)


def _cold_starts(path: Path, blocks: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for _ in range(blocks):
        for engine in ENGINES:
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", COLD_START, str(path), engine], check=True)
            samples[engine].append((time.perf_counter() - started) * 1e6)
    return samples


if __name__ == "__main__":
    main()
