"""Measure how export, load, memory and file size grow with rows, columns, trees and more.

    python benchmarks/export_scaling.py [--only PART] [--quick] [--out FILE]
    python benchmarks/export_scaling.py --show FILE

Each size runs in processes of its own: its peak memory is that of nothing else.  Times are
processor time of one thread.  A size that takes longer than 6 s runs once, the others three times.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import measuring
import reporting

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# One thread: what grows is the work, not the waiting for other threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

Case = tuple[Any, Any]
"""A fitted estimator, and a sample of its training input."""

SIZES: dict[str, tuple[int, ...]] = {
    "rows": (1_000, 10_000, 100_000),
    "text columns": (25, 50, 100, 1_000),
    "number columns": (300, 3_000, 6_000),
    "trees": (10, 100, 1_000),
    "classes": (10, 100, 1_000),
    "pixels": (768, 3_072, 12_288),
    "neighbours": (500, 5_174),
    "documents": (1_000, 10_000),
}
QUICK = {"rows": 1_000, "text columns": 25, "number columns": 300, "trees": 10, "classes": 10}
"""The smallest sizes: enough to show that the benchmark still runs."""

SLOW_SECONDS = 6.0
"""A size whose first run took longer runs once."""


def rows_case(size: int) -> Case:
    """Scaler and logistic regression on ten columns."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X = np.random.default_rng(0).normal(size=(size, 10))
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, X[:, 0] > 0), X


def text_columns_case(size: int) -> Case:
    """One-hot encoding of 200 rows of categories."""
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"c{i}": rng.choice(list("abcdef"), 200) for i in range(size)})
    estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    return estimator.fit(X, rng.integers(0, 2, 200)), X


def number_columns_case(size: int) -> Case:
    """Scaler and logistic regression on 200 wide rows."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, size))
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=50))
    return estimator.fit(X, X[:, 0] > 0), X


def trees_case(size: int) -> Case:
    """A forest of full trees on 20,000 rows, 33 MB at 1,000 trees.

    Only 50 trees are trained, and repeated: copies cost as much to export as other trees.
    """
    import copy

    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 10))
    y = (X[:, 0] + rng.normal(scale=0.3, size=len(X)) > 0).astype(int)
    forest = RandomForestClassifier(min(size, 50), n_jobs=1, random_state=0).fit(X, y)
    trees = forest.estimators_
    forest.estimators_ = [copy.deepcopy(trees[i % len(trees)]) for i in range(size)]
    forest.n_estimators = size
    return forest, X


def classes_case(size: int) -> Case:
    """Linear discriminant analysis of many classes."""
    import numpy as np
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(0)
    X = rng.normal(size=(size * 5, 20))
    return LinearDiscriminantAnalysis().fit(X, np.arange(len(X)) % size), X


def pixels_case(size: int) -> Case:
    """Principal components of images, and a support vector machine."""
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, size=(300, size)).astype(float)
    return make_pipeline(PCA(20, random_state=0), SVC()).fit(X, rng.integers(0, 3, 300)), X


def neighbours_case(size: int) -> Case:
    """The nearest of many rows, nearly each with a label of its own."""
    import numpy as np
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(0)
    X = rng.normal(size=(size, 50))
    labels = np.array([f"answer {i}" for i in rng.integers(0, size * 2, size)])
    return KNeighborsClassifier(1).fit(X, labels), X


def documents_case(size: int) -> Case:
    """Word frequencies of up to 50,000 words, and a linear support vector machine."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    rng = np.random.default_rng(0)
    words = np.array([f"word{i:05d}" for i in range(100_000)])
    weights = 1.0 / np.arange(10, len(words) + 10)  # Zipf's law, a little flatter at its head
    picks = rng.choice(len(words), size=(size, 120), p=weights / weights.sum())
    texts = [" ".join(words[row]) for row in picks]
    estimator = make_pipeline(TfidfVectorizer(max_features=50_000), LinearSVC())
    return estimator.fit(texts, rng.integers(0, 4, size)), texts


CASES: dict[str, Callable[[int], Case]] = {
    "rows": rows_case,
    "text columns": text_columns_case,
    "number columns": number_columns_case,
    "trees": trees_case,
    "classes": classes_case,
    "pixels": pixels_case,
    "neighbours": neighbours_case,
    "documents": documents_case,
}


def measure_here(part: str, size: int) -> dict[str, float]:
    """Export and load one case in this process."""
    warnings.simplefilter("ignore")
    import edge_pipeline

    import edge_runtime

    export = edge_pipeline.export  # imports the build side, which is not what grows
    estimator, X = CASES[part](size)
    before_mb = peak_mb()
    stages: list[tuple[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        start = time.process_time()
        export(estimator, X, path, on_stage=lambda name: stages.append((name, time.process_time())))
        end = time.process_time()
        export_peak_mb = peak_mb()
        edge_runtime.load(path).close()
        load_seconds = time.process_time() - end
        ends = [*(began for _, began in stages[1:]), end]
        return {
            "export_seconds": end - start,
            **{
                f"{name}_seconds": stop - began
                for (name, began), stop in zip(stages, ends, strict=True)
            },
            "load_seconds": load_seconds,
            "export_peak_mb": export_peak_mb - before_mb,
            "bundle_mb": path.stat().st_size / 1e6,
        }


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(part: str, size: int, repetitions: int, timeout: float) -> dict[str, Any]:
    """Median, least and largest of each figure over several processes."""
    runs: list[dict[str, float]] = []
    while len(runs) < repetitions and (not runs or runs[0]["export_seconds"] < SLOW_SECONDS):
        command = [sys.executable, __file__, "--case", part, str(size)]
        try:
            output = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return {"part": part, "size": size, "timeout_seconds": timeout}
        except subprocess.CalledProcessError as error:
            return {"part": part, "size": size, "error": error.stderr.strip()[-300:]}
        runs.append(json.loads(output.stdout.splitlines()[-1]))
    figures = {
        name: {
            "median": round(statistics.median(run[name] for run in runs), 4),
            "low": round(min(run[name] for run in runs), 4),
            "high": round(max(run[name] for run in runs), 4),
        }
        for name in runs[0]
    }
    return {"part": part, "size": size, "runs": len(runs), "figures": figures}


def show(figures: Sequence[Mapping[str, Any]]) -> str:
    """Write the table: a heading for each part, with the growth of its cost, then its sizes."""
    heading = ["", "export, s", "verify, s", "load, s", "peak of export, MB", "file, MB"]
    return measuring.table([heading, *lines(figures)])


COLUMNS = ("export_seconds", "verify_seconds", "load_seconds", "export_peak_mb", "bundle_mb")


def lines(figures: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for part, group in groupby(figures, key=lambda item: item["part"]):
        items = list(group)
        sizes = [item for item in items if "figures" in item]
        yield [f"**{part}**", *(growth(sizes, name) for name in COLUMNS)]
        for item in items:
            if "figures" in item:
                cells = [measuring.cell(item["figures"][name]) for name in COLUMNS]
            else:
                cells = (
                    [f"not in {item['timeout_seconds']:g}"] if "error" not in item else ["failed"]
                )
                cells += [""] * (len(COLUMNS) - 1)
            yield [f"{item['size']:,}", *cells]


def growth(items: Sequence[Mapping[str, Any]], name: str) -> str:
    """Write the exponent between the two largest sizes: 1 is linear, 2 grows with the square."""
    if len(items) < 2:
        return ""
    small, large = items[-2:]
    values = [item["figures"][name]["median"] for item in (small, large)]
    if min(values) <= 0:
        return ""
    return f"n^{math.log(values[1] / values[0]) / math.log(large['size'] / small['size']):.1f}"


HOW = (
    "Median (least-largest) of {repetitions} processes, or of one where a run takes over 6 s; "
    "processor time of one thread."
)


def main() -> None:
    """Measure every part, or one; or show the table of a finished run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(CASES), action="append")
    parser.add_argument("--quick", action="store_true", help="the smallest size of some parts")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds of one process")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", metavar="JSON", type=Path, help="print a file's table")
    parser.add_argument("--case", nargs=2, metavar=("PART", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure_here(options.case[0], int(options.case[1]))))
        return
    if options.show:
        print(reporting.page(json.loads(options.show.read_text(encoding="utf-8")), show))
        return
    sizes = {part: (size,) for part, size in QUICK.items()} if options.quick else SIZES
    results = []
    for part in options.only or sizes:
        for size in sizes[part]:
            results.append(measure(part, size, options.repetitions, options.timeout))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    run = {
        "machine": measuring.machine(),
        "versions": measuring.versions("edge-pipeline", *reporting.PACKAGES[:4]),
        "blocks": options.repetitions,
        "how": HOW.format(repetitions=options.repetitions),
        "figures": results,
    }
    text = json.dumps(run, indent=1) + "\n"
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
