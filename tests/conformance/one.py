"""One case in a process of its own: ``python -m conformance.one NAME`` prints a line of JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from conformance.cases import METHODS, fitted


def gap_of(expected: Any, found: Any) -> float:
    """Largest difference relative to the largest magnitude; inf for other labels, shapes or kinds."""
    expected = expected.toarray() if hasattr(expected, "toarray") else np.asarray(expected)
    found = np.asarray(found)
    if expected.shape != found.shape or expected.dtype.kind != found.dtype.kind:
        return np.inf
    if expected.dtype.kind != "f":
        return 0.0 if (expected == found).all() else np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], found[~finite], equal_nan=True) or not np.isfinite(found[finite]).all():
        return np.inf
    if not finite.any():
        return 0.0
    return float(np.abs(expected - found)[finite].max() / (np.abs(expected[finite]).max() or 1.0))


def measure(name: str, seed: int = 0) -> dict[str, Any]:
    """Fit, export, load with edge_runtime, compare every method on unseen rows."""
    import edge_pipeline
    import edge_runtime

    case = fitted(name, seed)
    methods = [method for method in METHODS if hasattr(case.estimator, method)]
    result: dict[str, Any] = {"name": name, "methods": {}}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.onnx"
        edge_pipeline.export(case.estimator, case.X, path)
        result["seconds"] = round(time.perf_counter() - start, 2)
        with edge_runtime.load(path) as model:
            for method in methods:
                expected = getattr(case.estimator, method)(case.unseen)
                found = getattr(model, method)(case.unseen)
                pairs = zip(expected, found, strict=True) if isinstance(expected, list) else [(expected, found)]
                result["methods"][method] = max(gap_of(e, f) for e, f in pairs)
    return result


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    try:
        print(json.dumps(measure(sys.argv[1], *map(int, sys.argv[2:]))))
    except Exception as error:
        print(json.dumps({"name": sys.argv[1], "error": f"{type(error).__name__}: {error}"[:400]}))
