"""Measure how export, load, memory and file size grow with rows, columns, trees and more.

``python benchmarks/export_scaling.py [--only PART] [--quick] [--out FILE]``.  Each size runs in a
process of its own: its peak memory is that of nothing else.  Prints JSON with machine, versions,
repetitions and spread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
    """A forest of full trees on 20,000 rows."""
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 10))
    y = (X[:, 0] + rng.normal(scale=0.3, size=len(X)) > 0).astype(int)
    return RandomForestClassifier(size, n_jobs=1, random_state=0, max_samples=2_000).fit(X, y), X


def classes_case(size: int) -> Case:
    """Logistic regression of many classes."""
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
    words = np.array([f"word{i:05d}" for i in range(60_000)])
    texts = [" ".join(words[rng.zipf(1.2, 80) % len(words)]) for _ in range(size)]
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

    estimator, X = CASES[part](size)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        start = time.perf_counter()
        result = edge_pipeline.export(estimator, X, path)
        export_seconds = time.perf_counter() - start
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start = time.perf_counter()
        edge_runtime.load(path).close()
        load_seconds = time.perf_counter() - start
        return {
            "export_seconds": export_seconds,
            **{f"{stage}_seconds": value for stage, value in result.seconds.items()},
            "load_seconds": load_seconds,
            "export_peak_mb": peak_mb - before_mb,
            "bundle_bytes": path.stat().st_size,
        }


def measure(part: str, size: int, repetitions: int, timeout: float) -> dict[str, Any]:
    """Median, least and largest of each figure over several processes."""
    runs: list[dict[str, float]] = []
    for _ in range(repetitions):
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
    return {
        "part": part,
        "size": size,
        "figures": {
            name: {
                "median": statistics.median(run[name] for run in runs),
                "least": min(run[name] for run in runs),
                "largest": max(run[name] for run in runs),
            }
            for name in runs[0]
        },
    }


def environment() -> dict[str, Any]:
    """The machine and the versions that the figures depend on."""
    distributions = ("numpy", "scikit-learn", "onnx", "onnxruntime", "pandas")
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in distributions},
    }


def main() -> None:
    """Measure every part, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(CASES), action="append")
    parser.add_argument("--quick", action="store_true", help="the smallest size of each part")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds of one export")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--case", nargs=2, metavar=("PART", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure_here(options.case[0], int(options.case[1]))))
        return
    sizes = {part: (size,) for part, size in QUICK.items()} if options.quick else SIZES
    results = []
    for part in options.only or sizes:
        for size in sizes[part]:
            results.append(measure(part, size, options.repetitions, options.timeout))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    report = {
        "environment": environment(),
        "repetitions": options.repetitions,
        "results": results,
    }
    text = json.dumps(report, indent=1)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
