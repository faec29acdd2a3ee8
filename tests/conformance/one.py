"""Compare one estimator with its sealed file on every variant of its data.

``python -m conformance.one NAME [VARIANT] [SEED]``, in ``tests/``, prints a line of JSON a variant.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from conformance.cases import VARIANTS, Case, NotFittableError, fitted, methods_of


def difference_of(expected: Any, predictions: Any) -> float:
    """Return the largest relative difference; infinity for other labels or shapes."""
    expected = expected.toarray() if hasattr(expected, "toarray") else np.asarray(expected)
    predictions = np.asarray(predictions)
    if expected.shape != predictions.shape or expected.dtype.kind != predictions.dtype.kind:
        return np.inf
    if expected.dtype.kind != "f":
        return 0.0 if (expected == predictions).all() else np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], predictions[~finite], equal_nan=True):
        return np.inf
    if not np.isfinite(predictions[finite]).all():
        return np.inf
    if not finite.any():
        return 0.0
    scale = np.abs(expected[finite]).max() or 1.0
    return float(np.abs(expected - predictions)[finite].max() / scale)


def measure(name: str, variant: str = "plain", seed: int = 0) -> dict[str, Any]:
    """Fit, export, load with edge_runtime, and compare every method on unseen, one and no rows."""
    result: dict[str, Any] = {"name": name, "variant": variant}
    try:
        case = fitted(name, variant, seed)
    except NotFittableError as refusal:
        return {**result, "refused_by_sklearn": str(refusal)[:300]}
    try:
        return {**result, **_compare(case)}
    except Exception as error:
        return {**result, "error": f"{type(error).__name__}: {error}"[:600]}


def _compare(case: Case) -> dict[str, Any]:
    import edge_pipeline

    import edge_runtime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.onnx"
        start = time.perf_counter()
        edge_pipeline.export(case.estimator, case.X, path)
        seconds = round(time.perf_counter() - start, 2)
        with edge_runtime.load(path) as model:
            level = weakest(e.level for e in model.manifest.parity.outputs.values())
            methods = _differences(case, model)
        with edge_runtime.load(path, engine="numpy") as model:
            with_numpy = _differences(case, model)
    return {"methods": methods, "numpy": with_numpy, "level": level, "seconds": seconds}


def _differences(case: Case, model: Any) -> dict[str, float]:
    """Return the largest difference of each method, on all unseen rows, on one, and on none."""
    methods: dict[str, float] = {}
    for method in methods_of(case.estimator):
        device, oracle = getattr(model, method), getattr(case.estimator, method)
        all_rows = oracle(case.unseen), device(case.unseen)
        pairs = [*_arrays(*all_rows), *_arrays(*_one_row(case, oracle, device))]
        methods[method] = max(difference_of(*pair) for pair in pairs)
        for some, none in _arrays(all_rows[1], device(case.unseen[:0])):
            assert none.shape == (0, *np.shape(some)[1:]), f"{method}: no rows: {none.shape}"
    return methods


def weakest(levels: Iterable[str]) -> str:
    """Return the level of evidence that holds for all outputs."""
    return max(levels, key=("proven", "bounded", "probed").index)


def _one_row(case: Case, oracle: Any, device: Any) -> tuple[Any, Any]:
    """Predict one row on both sides.

    SparsePCA alone drops the axis of rows there: its ``ridge_regression`` ravels a single target,
    which here is the row.  The device keeps the axis.
    """
    expected, predictions = oracle(case.unseen[:1]), device(case.unseen[:1])
    if type(case.estimator).__name__ in ("SparsePCA", "MiniBatchSparsePCA"):
        expected = expected.reshape(predictions.shape)
    return expected, predictions


def _arrays(first: Any, second: Any) -> list[tuple[Any, Any]]:
    """Pair the arrays of two outputs, whether each is one array or a list of several."""
    return list(zip(first, second, strict=True)) if isinstance(first, list) else [(first, second)]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _, name, *options = sys.argv
    for variant in [options[0]] if options else VARIANTS:
        print(json.dumps(measure(name, variant, *map(int, options[1:]))), flush=True)
