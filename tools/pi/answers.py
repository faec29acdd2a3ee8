"""Predict with the sealed models of a folder, and print the predictions to the bit.

    python tools/pi/answers.py FOLDER... > answers.json

Needs edge_runtime alone.  Loading a model replays its golden rows.  The rows are those of the file
NAME.rows.json beside the model, or its golden rows.  Floats are written as their bytes, so that two
machines can be compared to the bit.
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
"""Rows that are also predicted one at a time, which uses other code and kernels."""


def main() -> int:
    """Print the predictions of every model."""
    models: dict[str, Any] = {}
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).glob("*.onnx")):
            try:
                models[path.stem] = _predict(path)
            except edge_runtime.EdgeRuntimeError as error:
                models[path.stem] = {"error": f"{type(error).__name__}: {error}"}
    report = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "onnxruntime": version("onnxruntime"),
        "models": models,
    }
    print(json.dumps(report))
    return 0


def _predict(path: Path) -> dict[str, Any]:
    rows_file = path.with_suffix(".rows.json")
    with edge_runtime.load(path) as model, edge_runtime.load(path, threads=2) as threaded:
        result: dict[str, Any] = {"golden_rows": len(model.manifest.golden.rows)}
        if rows_file.exists():
            rows = json.loads(rows_file.read_text(encoding="utf-8"))["rows"]
        else:
            cells = zip(*golden_rows(model.manifest), strict=True)
            rows = {
                name: list(column) for name, column in zip(model.schema.names, cells, strict=True)
            }
        result["answers"] = {name: _encode(getattr(model, name)(rows)) for name in model.methods}
        result["two_threads"] = {
            name: _encode(getattr(threaded, name)(rows)) for name in model.methods
        }
        if "predict" in model.methods:
            singles = [model.predict_one(row) for row in _single_rows(rows)]
            result["answers"]["predict_one"] = _encode(np.array(singles))
    return result


def _single_rows(rows: Any) -> list[Any]:
    if isinstance(rows, dict):
        return [{name: cells[i] for name, cells in rows.items()} for i in range(N_SINGLE)]
    return list(rows[:N_SINGLE])


def _encode(output: Any) -> Any:
    if isinstance(output, list):
        return [_encode(part) for part in output]
    if output.dtype.kind == "f":
        raw = np.ascontiguousarray(output, dtype="<f8").tobytes()
        return {"floats": base64.b64encode(raw).decode("ascii")}
    return {"labels": output.tolist()}


if __name__ == "__main__":
    sys.exit(main())
