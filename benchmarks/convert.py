"""What exactness costs: our float64 graphs against skl2onnx's float32 graphs of the same models.

    python benchmarks/convert.py [--only NAME ...] [--blocks N]

Prints JSON.  For every model: seconds to convert and bytes of the graph, and microseconds of one
call for one row and for 1,000 rows, both graphs called in turn in one process, through onnxruntime
with the settings of a small device (one thread, no arena).  Asked are labels and probabilities, or
predictions.  A ratio is ours by theirs, block by block; below 1 ours is faster or smaller.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import edge_pipeline
import numpy as np
import onnxruntime
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

BATCH = 1000
SEED = 0
N_NUMBERS, N_WORDS = 10, 5


@dataclass(frozen=True)
class Case:
    """A fitted estimator with its training input, and rows to ask."""

    estimator: Any
    X: Any
    rows: Any


def numbers(n: int, classes: int = 2) -> tuple[Any, Any]:
    X, y = make_classification(
        n + BATCH, 20, n_informative=10, n_classes=classes, flip_y=0.15, random_state=SEED
    )
    return X, y


def on_numbers(estimator: Any, n: int = 1000, classes: int = 2) -> Case:
    X, y = numbers(n, classes)
    return Case(estimator.fit(X[:n], y[:n]), X[:n], X[n:])


def columns_case() -> Case:
    """Ten columns of numbers with gaps, five of words."""
    n = 1000
    rng = np.random.default_rng(SEED)
    X, y = numbers(n)
    table = pd.DataFrame(X[:, :N_NUMBERS], columns=[f"number{i}" for i in range(N_NUMBERS)])
    table[rng.random(table.shape) < 0.05] = np.nan
    for i in range(N_WORDS):
        words = rng.choice([f"word {k}" for k in range(3 + i)], len(table))
        table[f"word{i}"] = pd.Series(words, dtype=object)
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    estimator = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", numeric, list(table.columns[:N_NUMBERS])),
                ("words", OneHotEncoder(handle_unknown="ignore"), list(table.columns[N_NUMBERS:])),
            ]
        ),
        LogisticRegression(),
    )
    return Case(estimator.fit(table[:n], y[:n]), table[:n], table[n:])


CASES: Mapping[str, Callable[[], Case]] = {
    "forest, 100 full trees": lambda: on_numbers(
        RandomForestClassifier(100, random_state=SEED), n=12_000
    ),
    "forest, 3 classes": lambda: on_numbers(
        RandomForestClassifier(100, random_state=SEED), n=8_000, classes=3
    ),
    "forest, 100 trees of depth 8": lambda: on_numbers(
        RandomForestClassifier(100, max_depth=8, random_state=SEED), n=8_000
    ),
    "forest regressor": lambda: on_numbers(RandomForestRegressor(100, random_state=SEED), n=4_000),
    "gradient boosting": lambda: on_numbers(GradientBoostingClassifier(random_state=SEED)),
    "gradient boosting, 3 classes": lambda: on_numbers(
        GradientBoostingClassifier(random_state=SEED), classes=3
    ),
    "logistic regression": lambda: on_numbers(LogisticRegression()),
    "scaler + logistic regression": lambda: on_numbers(
        make_pipeline(StandardScaler(), LogisticRegression())
    ),
    "MLP (100)": lambda: on_numbers(MLPClassifier(max_iter=30, random_state=SEED)),
    "SVC (RBF)": lambda: on_numbers(SVC()),
    "k nearest neighbours": lambda: on_numbers(KNeighborsClassifier()),
    "15 columns": columns_case,
}


@dataclass(frozen=True)
class Graph:
    """A converted model with what it cost, the outputs asked, and its input for some rows."""

    content: bytes
    seconds: list[float]
    outputs: list[str]
    feeds: Callable[[Any], dict[str, Any]]


def ours(case: Case, repetitions: int) -> Graph:
    seconds, model = timed(lambda: edge_pipeline.convert(case.estimator, case.X), repetitions)
    outputs = [o.name for o in model.outputs if o.method in ("predict", "predict_proba")]

    def feeds(rows: Any) -> dict[str, Any]:
        if isinstance(rows, np.ndarray):
            return {"numbers": rows}
        return {
            "numbers": rows.iloc[:, :N_NUMBERS].to_numpy(np.float64),
            "strings": rows.iloc[:, N_NUMBERS:].to_numpy(object),
        }

    return Graph(model.graph, seconds, outputs, feeds)


def theirs(case: Case, repetitions: int) -> Graph:
    """skl2onnx's graph in float32, its default for a float32 input."""
    if isinstance(case.X, np.ndarray):
        types = [("X", FloatTensorType([None, case.X.shape[1]]))]
    else:
        kinds = [FloatTensorType] * N_NUMBERS + [StringTensorType] * N_WORDS
        types = [(c, kind([None, 1])) for c, kind in zip(case.X.columns, kinds, strict=True)]
    options = {"zipmap": False} if hasattr(case.estimator, "classes_") else None
    seconds, proto = timed(
        lambda: to_onnx(case.estimator, initial_types=types, options=options), repetitions
    )

    def feeds(rows: Any) -> dict[str, Any]:
        if isinstance(rows, np.ndarray):
            return {"X": rows.astype(np.float32)}
        return {
            c: rows[[c]].to_numpy(np.float32 if c.startswith("number") else object)
            for c in rows.columns
        }

    outputs = [output.name for output in proto.graph.output]
    return Graph(proto.SerializeToString(), seconds, outputs, feeds)


def timed(make: Callable[[], Any], repetitions: int) -> tuple[list[float], Any]:
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        made = make()
        seconds.append(time.perf_counter() - started)
    return seconds, made


def session(content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def compare(case: Case, blocks: int, repetitions: int) -> dict[str, Any]:
    graphs = {"ours": ours(case, repetitions), "theirs": theirs(case, repetitions)}
    sessions = {side: session(graph.content) for side, graph in graphs.items()}
    result: dict[str, Any] = {
        "convert_s": pair({s: g.seconds for s, g in graphs.items()}),
        "graph_bytes": {s: len(g.content) for s, g in graphs.items()},
    }
    sizes = result["graph_bytes"]
    sizes["ratio"] = round(sizes["ours"] / sizes["theirs"], 3)
    for what, cut, calls in (("one_row_us", 1, 300), ("rows_1000_us", BATCH, 3)):
        found: dict[str, list[float]] = {side: [] for side in graphs}
        feeds = {
            side: [graph.feeds(case.rows[i : i + cut]) for i in range(0, min(calls, BATCH), cut)]
            for side, graph in graphs.items()
        }
        for _ in range(blocks):
            for side, graph in graphs.items():
                found[side].append(microseconds(sessions[side], graph.outputs, feeds[side], calls))
        result[what] = pair(found)
    return result


def microseconds(model: Any, outputs: list[str], feeds: Sequence[Any], calls: int) -> float:
    """Mean time of a call, over different rows, so that no row stays in the cache."""
    started = time.perf_counter_ns()
    for i in range(calls):
        model.run(outputs, feeds[i % len(feeds)])
    return (time.perf_counter_ns() - started) / calls / 1000


def pair(found: Mapping[str, list[float]]) -> dict[str, Any]:
    """Both sides and their ratio: median, smallest and largest.

    On a busy machine the ratio of the best blocks is the steadiest figure.
    """
    ratio = [a / b for a, b in zip(found["ours"], found["theirs"], strict=True)]
    sides = {side: spread(values) for side, values in {**found, "ratio": ratio}.items()}
    best = min(found["ours"]) / min(found["theirs"])
    return {**sides, "ratio_of_best": float(f"{best:.3g}")}


def spread(values: list[float]) -> dict[str, float]:
    figures = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--blocks", type=int, default=15)
    parser.add_argument("--repetitions", type=int, default=3, help="of each conversion")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    results: dict[str, Any] = {}
    for name in asked.only:
        print(name, file=sys.stderr)
        try:
            results[name] = compare(CASES[name](), asked.blocks, asked.repetitions)
        except Exception as error:  # one side refuses the model: there is nothing to compare
            results[name] = {"skipped": f"{type(error).__name__}: {error}"[:300]}
    packages = ("onnxruntime", "skl2onnx", "scikit-learn", "numpy", "onnx")
    print(
        json.dumps(
            {
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
                "python": platform.python_version(),
                "versions": {package: version(package) for package in packages},
                "blocks": asked.blocks,
                "conversions": asked.repetitions,
                "models": results,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
