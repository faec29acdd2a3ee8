"""One estimator asked on every variant of its data.

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


def gap_of(expected: Any, found: Any) -> float:
    """Largest difference relative to the largest magnitude; inf for other labels or shapes."""
    expected = expected.toarray() if hasattr(expected, "toarray") else np.asarray(expected)
    found = np.asarray(found)
    if expected.shape != found.shape or expected.dtype.kind != found.dtype.kind:
        return np.inf
    if expected.dtype.kind != "f":
        return 0.0 if (expected == found).all() else np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], found[~finite], equal_nan=True):
        return np.inf
    if not np.isfinite(found[finite]).all():
        return np.inf
    if not finite.any():
        return 0.0
    return float(np.abs(expected - found)[finite].max() / (np.abs(expected[finite]).max() or 1.0))


def measure(name: str, variant: str = "plain", seed: int = 0) -> dict[str, Any]:
    """Fit, export, load with edge_runtime, compare every method on unseen rows, one and none."""
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

    methods: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.onnx"
        start = time.perf_counter()
        edge_pipeline.export(case.estimator, case.X, path)
        seconds = round(time.perf_counter() - start, 2)
        with edge_runtime.load(path) as model:
            level = weakest(e.level for e in model.manifest.parity.outputs.values())
            for method in methods_of(case.estimator):
                answer, oracle = getattr(model, method), getattr(case.estimator, method)
                pairs = [(oracle(case.unseen), answer(case.unseen)), _one_row(case, oracle, answer)]
                methods[method] = max(gap_of(*pair) for both in pairs for pair in _arrays(*both))
                for some, none in _arrays(pairs[0][1], answer(case.unseen[:0])):
                    assert none.shape == (0, *np.shape(some)[1:]), (
                        f"{method}: no rows: {none.shape}"
                    )
    return {"methods": methods, "level": level, "seconds": seconds}


def weakest(levels: Iterable[str]) -> str:
    """The level of evidence that holds for all of several answers."""
    return max(levels, key=("proven", "bounded", "probed").index)


def _one_row(case: Case, oracle: Any, answer: Any) -> tuple[Any, Any]:
    """Both answers for one row.

    SparsePCA alone loses the axis of rows there (``ridge_regression`` ravels one target, and a row
    is a target to it); ours keeps it.
    """
    expected, found = oracle(case.unseen[:1]), answer(case.unseen[:1])
    if type(case.estimator).__name__ in ("SparsePCA", "MiniBatchSparsePCA"):
        expected = expected.reshape(found.shape)
    return expected, found


def _arrays(left: Any, right: Any) -> list[tuple[Any, Any]]:
    """Pair the arrays of two answers, whether each is one array or a list of several."""
    return list(zip(left, right, strict=True)) if isinstance(left, list) else [(left, right)]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _, name, *rest = sys.argv
    for variant in [rest[0]] if rest else VARIANTS:
        print(json.dumps(measure(name, variant, *map(int, rest[1:]))), flush=True)
