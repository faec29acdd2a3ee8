"""On any machine: what the sealed models of a folder answer to the rows beside them.

    python tools/pi/answers.py FOLDER... > answers.json

Needs edge_runtime alone.  Loading a model replays its golden rows; a model without rows beside it
is asked those once more, for their bits.  Floats are written as the bytes that they are, so that
two machines can be compared to the bit.
"""

from __future__ import annotations

import base64
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from edge_runtime.engine.self_test import golden_rows

import edge_runtime

N_SINGLE = 10
"""Rows that are also asked one at a time, which another path and other kernels answer."""


def main() -> int:
    """Print the answers of every model."""
    found: dict[str, Any] = {}
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).glob("*.onnx")):
            try:
                found[path.stem] = _answers(path)
            except edge_runtime.EdgeRuntimeError as error:
                found[path.stem] = {"error": f"{type(error).__name__}: {error}"}
    told = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "onnxruntime": version("onnxruntime"),
        "models": found,
    }
    print(json.dumps(told))
    return 0


def _answers(path: Path) -> dict[str, Any]:
    asked = path.with_suffix(".rows.json")
    with edge_runtime.load(path) as model, edge_runtime.load(path, threads=2) as threaded:
        told: dict[str, Any] = {"golden_rows": len(model.manifest.golden.rows)}
        if asked.exists():
            rows = json.loads(asked.read_text(encoding="utf-8"))["rows"]
        else:
            cells = zip(*golden_rows(model.manifest), strict=True)
            rows = {
                name: list(column) for name, column in zip(model.schema.names, cells, strict=True)
            }
        told["answers"] = {name: _written(getattr(model, name)(rows)) for name in model.methods}
        told["two_threads"] = {
            name: _written(getattr(threaded, name)(rows)) for name in model.methods
        }
        if "predict" in model.methods:
            singles = [model.predict_one(row) for row in _single_rows(rows)]
            told["answers"]["predict_one"] = _written(np.array(singles))
    return told


def _single_rows(rows: Any) -> list[Any]:
    if isinstance(rows, dict):
        return [{name: cells[i] for name, cells in rows.items()} for i in range(N_SINGLE)]
    return list(rows[:N_SINGLE])


def _written(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_written(part) for part in answer]
    if answer.dtype.kind == "f":
        raw = np.ascontiguousarray(answer, dtype="<f8").tobytes()
        return {"floats": base64.b64encode(raw).decode("ascii")}
    return {"labels": answer.tolist()}


if __name__ == "__main__":
    sys.exit(main())
