"""Models to measure, and everybody who answers with them by a graph: onnxruntime, skl2onnx.

Each model comes with one row and batches, as each contender wants them: what is measured is the
answer, not the making of its input.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import onnxruntime
import pandas as pd
from edge_runtime.inputs.tables import InputReader
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import edge_runtime

RECIPES = ("linear", "fuel", "penguins", "digits")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Subject:
    """A fitted estimator, rows for it, and our model of it."""

    name: str
    estimator: Any
    X: Any
    model: Any
    graph: bytes

    def rows(self, n_rows: int) -> Any:
        """That many rows, repeated if need be."""
        places = np.arange(n_rows) % len(self.X)
        if isinstance(self.X, pd.DataFrame):
            return self.X.iloc[places].reset_index(drop=True)
        return np.ascontiguousarray(self.X[places])


def recipes() -> Iterator[Subject]:
    """The models of models/, trained as their recipes say."""
    for name in RECIPES:
        recipe = edge_pipeline.read_recipe(ROOT / "models" / name / "recipe.toml")
        fitted = edge_pipeline.train(recipe, edge_pipeline.load_dataset(recipe))
        X = fitted.X_train if fitted.X_test is None else fitted.X_test
        yield _subject(f"models/{name}", fitted.estimator, X)


def numeric() -> Iterator[Subject]:
    """20 float64 columns."""
    X, y = make_classification(3000, 20, n_informative=8, n_classes=3, random_state=0)
    named = np.array(["low", "middle", "high"])[y]
    r, target = make_regression(3000, 20, random_state=0)
    for name, estimator, rows, answers in (
        ("linear regression", LinearRegression(), r, target),
        ("logistic regression", LogisticRegression(max_iter=500), X, y),
        ("logistic regression, str", LogisticRegression(max_iter=500), X, named),
        ("gradient boosting, 100 trees", GradientBoostingRegressor(random_state=0), r, target),
        ("forest, 100 trees, depth 8", _forest(max_depth=8), X, y),
        ("forest, 100 full trees", _forest(), X, y),
        ("neural network, 64 units", MLPClassifier((64,), max_iter=60, random_state=0), X, y),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the network need not converge to be timed
            yield _subject(name, estimator.fit(rows, answers), rows)


def _forest(max_depth: int | None = None) -> RandomForestClassifier:
    return RandomForestClassifier(100, max_depth=max_depth, random_state=0)


def mixed() -> Subject:
    """10 numbers with gaps and 5 strings without: what skl2onnx converts too."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({f"n{i}": rng.normal(size=2000) for i in range(10)})
    table = table.mask(rng.random(table.shape) < 0.05)
    for i in range(5):
        table[f"s{i}"] = rng.choice([f"value {k}" for k in range(6)], 2000).astype(object)
    y = (table["s0"] == "value 1") | (table["n0"].fillna(0) > 0.5)
    numbers, strings = list(table.columns[:10]), list(table.columns[10:])
    estimator = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), strings),
        ),
        LogisticRegression(max_iter=500),
    )
    return _subject("mixed pipeline, 15 columns", estimator.fit(table, y.astype(int)), table)


def _subject(name: str, estimator: Any, X: Any) -> Subject:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        edge_pipeline.export(estimator, X, path, name=name.split(",")[0].replace("/", " "))
        raw = path.read_bytes()
    model = edge_runtime.load(raw)
    model.warm_up()
    return Subject(name, estimator, X, model, raw)


def session(graph: bytes) -> Any:
    """A session as people make one, with one thread as ours has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def own_graph(subject: Subject, n_rows: int) -> Callable[[], Any]:
    """session.run on our own graph with its input blocks ready made."""
    ours = session(subject.graph)
    feeds, _ = InputReader(subject.model.schema).feeds(subject.rows(n_rows))
    names = ["predict"]
    return lambda: ours.run(names, feeds)


def skl2onnx_float32(subject: Subject, n_rows: int) -> Callable[[], Any] | None:
    """session.run on skl2onnx's graph, labels alone; None when it does not convert."""
    from skl2onnx import to_onnx

    rows = subject.rows(n_rows)
    sample, options = subject.rows(2), {"zipmap": False}
    is_frame = isinstance(rows, pd.DataFrame)
    if not is_frame:
        sample = sample.astype(np.float32)
    else:
        numbers = sample.select_dtypes("number").columns
        sample = sample.astype(dict.fromkeys(numbers, np.float32))
    has_classes = hasattr(subject.estimator, "classes_")
    final = getattr(subject.estimator, "steps", [(None, subject.estimator)])[-1][1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = to_onnx(
                subject.estimator, sample, options={id(final): options} if has_classes else None
            )
    except Exception as error:  # whatever skl2onnx raises: it is then no contender
        told = str(error).splitlines()[0][:100]
        print(f"{subject.name}: skl2onnx refuses: {told}", file=sys.stderr)
        return None
    theirs = session(converted.SerializeToString())
    if is_frame:
        feeds: dict[str, Any] = {}
        for asked, name in zip(theirs.get_inputs(), rows.columns, strict=True):
            kind = object if asked.type == "tensor(string)" else np.float32
            feeds[asked.name] = rows[[name]].to_numpy().astype(kind)
    else:
        feeds = {theirs.get_inputs()[0].name: rows.astype(np.float32)}
    names = [theirs.get_outputs()[0].name]
    return lambda: theirs.run(names, feeds)
