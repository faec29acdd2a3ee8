"""Define the models to measure, and their sessions with our graph and with skl2onnx's.

Each contender gets its input in the form that it needs, so that only the prediction is timed.
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
    """A fitted estimator, rows for it, and our sealed model of it."""

    name: str
    estimator: Any
    X: Any
    model: Any
    graph: bytes

    def rows(self, n_rows: int) -> Any:
        """Return *n_rows* rows, repeated if necessary."""
        positions = np.arange(n_rows) % len(self.X)
        if isinstance(self.X, pd.DataFrame):
            return self.X.iloc[positions].reset_index(drop=True)
        return np.ascontiguousarray(self.X[positions])


def recipes() -> Iterator[Subject]:
    """Train the models of models/ by their recipes."""
    for name in RECIPES:
        recipe = edge_pipeline.read_recipe(ROOT / "models" / name / "recipe.toml")
        fitted = edge_pipeline.train(recipe, edge_pipeline.load_dataset(recipe))
        X = fitted.X_train if fitted.X_test is None else fitted.X_test
        yield _subject(f"models/{name}", fitted.estimator, X)


def numeric() -> Iterator[Subject]:
    """Fit estimators on 20 float64 columns."""
    X, y = make_classification(3000, 20, n_informative=8, n_classes=3, random_state=0)
    labels = np.array(["low", "middle", "high"])[y]
    r, target = make_regression(3000, 20, random_state=0)
    for name, estimator, rows, target_values in (
        ("linear regression", LinearRegression(), r, target),
        ("logistic regression", LogisticRegression(max_iter=500), X, y),
        ("logistic regression, str", LogisticRegression(max_iter=500), X, labels),
        ("gradient boosting, 100 trees", GradientBoostingRegressor(random_state=0), r, target),
        ("forest, 100 trees, depth 8", _forest(max_depth=8), X, y),
        ("forest, 100 full trees", _forest(), X, y),
        ("neural network, 64 units", MLPClassifier((64,), max_iter=60, random_state=0), X, y),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the network need not converge to be timed
            yield _subject(name, estimator.fit(rows, target_values), rows)


def _forest(max_depth: int | None = None) -> RandomForestClassifier:
    return RandomForestClassifier(100, max_depth=max_depth, random_state=0)


def mixed() -> Subject:
    """Fit a pipeline on 10 numeric columns with missing values and 5 string columns without."""
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
    """Create a usual session, with one thread as edge_runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def own_graph(subject: Subject, n_rows: int) -> Callable[[], Any]:
    """Return a call of session.run on our graph, with its inputs prepared."""
    ours = session(subject.graph)
    feeds, _ = InputReader(subject.model.schema).feeds(subject.rows(n_rows))
    names = ["predict"]
    return lambda: ours.run(names, feeds)


def skl2onnx_float32(subject: Subject, n_rows: int) -> Callable[[], Any] | None:
    """Return a call of session.run on skl2onnx's graph; None if it cannot convert."""
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
    except Exception as error:  # skl2onnx raises errors of many types
        reason = str(error).splitlines()[0][:100]
        print(f"{subject.name}: skl2onnx refuses: {reason}", file=sys.stderr)
        return None
    theirs = session(converted.SerializeToString())
    if is_frame:
        feeds: dict[str, Any] = {}
        for graph_input, name in zip(theirs.get_inputs(), rows.columns, strict=True):
            kind = object if graph_input.type == "tensor(string)" else np.float32
            feeds[graph_input.name] = rows[[name]].to_numpy().astype(kind)
    else:
        feeds = {theirs.get_inputs()[0].name: rows.astype(np.float32)}
    names = [theirs.get_outputs()[0].name]
    return lambda: theirs.run(names, feeds)
