"""Time one row as a data frame: scikit-learn's predict against edge_runtime's, interleaved.

    python one_row.py models/penguins dist/penguins.onnx

Prints JSON: microseconds a row of each side, and their ratio, block by block.  The two sides take
turns in one process, so that noise hits both alike.  Both get the same prepared frame of one row.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import edge_pipeline

import edge_runtime

BLOCKS = 30
CALLS_SCIKIT_LEARN = 10
CALLS_EDGE_RUNTIME = 50


def main(recipe_path: str, model_path: str) -> None:
    recipe = edge_pipeline.read_recipe(recipe_path)
    fitted = edge_pipeline.train(recipe, edge_pipeline.load_dataset(recipe))
    model = edge_runtime.load(model_path)
    table = fitted.X_test.iloc[[0]]
    theirs: list[float] = []
    ours: list[float] = []
    for _ in range(BLOCKS):
        theirs.append(microseconds(lambda: fitted.estimator.predict(table), CALLS_SCIKIT_LEARN))
        ours.append(microseconds(lambda: model.predict(table), CALLS_EDGE_RUNTIME))
    packages = ("scikit-learn", "onnxruntime", "numpy")
    print(
        json.dumps(
            {
                "blocks": BLOCKS,
                "scikit_learn_us": theirs,
                "edge_runtime_us": ours,
                "ratio": [a / b for a, b in zip(theirs, ours, strict=True)],
                "versions": {name: version(name) for name in packages},
            }
        )
    )


def microseconds(call: Callable[[], Any], calls: int) -> float:
    """Compute the mean time of one call, after one that does not count."""
    call()
    started = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - started) / calls / 1000


if __name__ == "__main__":
    main(*sys.argv[1:])
