"""Compare our float64 graphs with skl2onnx's float32 graphs of the same models.

    python benchmarks/against_skl2onnx.py [--only NAME ...] [--blocks N] [--show JSON]

Prints JSON: seconds to convert, bytes of the graph, and microseconds of a call for one row and
for 1,000 rows.  Both graphs run in turn in one process, with the settings of a small device (one
thread, no arena).  They compute labels and probabilities, or predictions.  A ratio is ours divided
by theirs, block by block; below 1, ours is faster or smaller.

onnxruntime computes every node of a graph, even for unused outputs.  Our graph may have one more
output than theirs (decision_function); ``one_row_same_outputs_us`` is without it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import edge_pipeline
import measuring
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import reporting
from onnx.utils import Extractor
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
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

BATCH = 1000
SEED = 0
N_NUMBERS, N_WORDS = 10, 5


@dataclass(frozen=True)
class Case:
    """A fitted estimator with its training input, and rows to predict."""

    estimator: Any
    X: Any
    rows: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options for skl2onnx."""


def numbers(n: int, classes: int = 2) -> tuple[Any, Any]:
    X, y = make_classification(
        n + BATCH, 20, n_informative=10, n_classes=classes, flip_y=0.15, random_state=SEED
    )
    return X, y


def on_numbers(estimator: Any, n: int = 1000, classes: int = 2) -> Case:
    X, y = numbers(n, classes)
    return Case(estimator.fit(X[:n], y[:n]), X[:n], X[n:])


def with_cdist(estimator: Any) -> Case:
    """Let skl2onnx use onnxruntime's own operator for distances, which is not its default."""
    return replace(on_numbers(estimator), options={"optim": "cdist"})


def columns_case() -> Case:
    """Fit on ten numeric columns with missing values and five string columns."""
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
    "k nearest neighbours, cdist": lambda: with_cdist(KNeighborsClassifier()),
    "k nearest neighbours, regressor, cdist": lambda: with_cdist(KNeighborsRegressor()),
    "15 columns": columns_case,
}


@dataclass(frozen=True)
class Graph:
    """A converted model: its bytes, conversion times, outputs to compute, and inputs for rows."""

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
    """Convert with skl2onnx in float32, its default for a float32 input."""
    if isinstance(case.X, np.ndarray):
        types = [("X", FloatTensorType([None, case.X.shape[1]]))]
    else:
        kinds = [FloatTensorType] * N_NUMBERS + [StringTensorType] * N_WORDS
        types = [(c, kind([None, 1])) for c, kind in zip(case.X.columns, kinds, strict=True)]
    zipped = {"zipmap": False} if hasattr(case.estimator, "classes_") else {}
    options = {id(case.estimator): {**zipped, **case.options}}
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
        result = make()
        seconds.append(time.perf_counter() - started)
    return seconds, result


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
    if len(sessions["ours"].get_outputs()) > len(graphs["ours"].outputs):
        sessions["cut"] = session(prune_outputs(graphs["ours"]))
        graphs["cut"] = graphs["ours"]
    for key, rows, calls in (("one_row_us", 1, CALLS), ("rows_1000_us", BATCH, 1)):
        times: dict[str, list[float]] = {side: [] for side in graphs}
        starts = range(0, BATCH, rows)
        feeds = {
            side: [graph.feeds(case.rows[i : i + rows]) for i in starts] * 2
            for side, graph in graphs.items()
        }
        turn = 0
        for _ in range(blocks):
            for side, graph in graphs.items():
                # Other rows each turn: branch prediction learns the path of repeated rows in trees.
                first = turn * calls % len(starts)
                turn += 1
                batch = feeds[side][first : first + calls]
                times[side].append(microseconds(sessions[side], graph.outputs, batch))
        result[key] = pair({side: times[side] for side in ("ours", "theirs")})
        if rows == 1 and "cut" in times:
            same_outputs = {"ours": times["cut"], "theirs": times["theirs"]}
            result["one_row_same_outputs_us"] = pair(same_outputs)
    return result


CALLS = 30
"""Calls of one row in a block: a third of a millisecond, so that few blocks are interrupted."""


def prune_outputs(graph: Graph) -> bytes:
    """Remove the nodes of *graph* that only unused outputs need."""
    model = onnx.load_from_string(graph.content)
    inputs = [value.name for value in model.graph.input]
    small = Extractor(model).extract_model(inputs, graph.outputs)
    content: bytes = small.SerializeToString()
    return content


def microseconds(model: Any, outputs: list[str], feeds: Sequence[Any]) -> float:
    """Compute the mean time of a call over different rows, so that no row stays in the cache."""
    started = time.perf_counter_ns()
    for feed in feeds:
        model.run(outputs, feed)
    return (time.perf_counter_ns() - started) / len(feeds) / 1000


def pair(samples: Mapping[str, list[float]]) -> dict[str, Any]:
    """Summarize both sides and their ratio: median, 10th and 90th percentile.

    On a busy machine, the ratio of the best blocks varies least.
    """
    ratio = [a / b for a, b in zip(samples["ours"], samples["theirs"], strict=True)]
    sides = {side: spread(values) for side, values in {**samples, "ratio": ratio}.items()}
    best = min(samples["ours"]) / min(samples["theirs"])
    return {**sides, "ratio_of_best": float(f"{best:.3g}")}


def spread(values: list[float]) -> dict[str, float]:
    figures = measuring.spread(values) if len(values) > 1 else dict.fromkeys(_SPREAD, values[0])
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


_SPREAD = ("low", "median", "high")


def show(models: Mapping[str, Any]) -> str:
    """Write the table of docs/exactness.md."""
    heading = ["ours to skl2onnx's float32", "one row, us", "ratio", "same outputs", "1,000 rows"]
    lines = [[*heading, "to convert", "bytes"]]
    for name, figures in models.items():
        if "skipped" in figures:
            lines.append([name, figures["skipped"], "", "", "", "", ""])
            continue
        row = figures["one_row_us"]
        sides = (row["ours"], row["theirs"])
        lines.append(
            [
                name,
                " to ".join(f"{side['median']:,.1f}" for side in sides),
                _ratio(row),
                _ratio(figures["one_row_same_outputs_us"])
                if "one_row_same_outputs_us" in figures
                else "",
                _ratio(figures["rows_1000_us"]),
                f"{figures['convert_s']['ratio_of_best']:.2f}",
                f"{figures['graph_bytes']['ratio']:.2f}",
            ]
        )
    return measuring.table(lines)


def _ratio(figures: Mapping[str, Any]) -> str:
    """Write the median ratio of the blocks, and the ratio of the quickest blocks."""
    return f"{figures['ratio']['median']:.2f}; {figures['ratio_of_best']:.2f}"


PACKAGES = ("onnxruntime", "skl2onnx", "scikit-learn", "numpy", "onnx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--blocks", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=3, help="of each conversion")
    parser.add_argument("--show", metavar="JSON", type=Path, help="print a file's table")
    options = parser.parse_args()
    if options.show:
        print(reporting.page(json.loads(options.show.read_text(encoding="utf-8")), show))
        return
    warnings.simplefilter("ignore")
    figures: dict[str, Any] = {}
    for name in options.only:
        print(name, file=sys.stderr)
        try:
            figures[name] = compare(CASES[name](), options.blocks, options.repetitions)
        except Exception as error:  # one side refuses the model
            figures[name] = {"skipped": f"{type(error).__name__}: {error}"[:300]}
    run = {
        "machine": measuring.machine(),
        "versions": measuring.versions(*PACKAGES),
        "blocks": options.blocks,
        "conversions": options.repetitions,
        "figures": figures,
    }
    print(json.dumps(run, indent=1))


if __name__ == "__main__":
    main()
