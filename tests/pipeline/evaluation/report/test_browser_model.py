"""The page's own evaluator predicts as edge_runtime does, and is left out where it cannot.

Tests with node are skipped where there is none; on Debian, `apt-get install nodejs` installs one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline import MeasurementError
from edge_pipeline.evaluation.report.browser_model import COVERED, NOT_COVERED, browser_model
from edge_pipeline.evaluation.report.page_script import json_in_script, page_script
from edge_runtime.bundle.layout import unpack
from edge_runtime.graph_safety.operators import WRITTEN
from pipeline.evaluation.report.node import SCRIPTS, node_command, random_rows, run_rows, run_script
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import edge_runtime

MODELS = ("digits", "fuel", "linear", "penguins", "vibration")
needs_node = pytest.mark.skipif(
    node_command() is None,
    reason="no node: the evaluator was NOT run; apt-get install nodejs",
)


def test_each_operator_that_converters_write_is_covered_or_listed() -> None:
    entries = {name: entry for operators in WRITTEN.values() for name, entry in operators.items()}
    assert entries.keys() == COVERED.keys() | NOT_COVERED
    assert not COVERED.keys() & NOT_COVERED
    for name, attributes in COVERED.items():
        assert attributes == entries[name][2], name


def test_the_script_has_an_entry_for_each_covered_operator() -> None:
    script = SCRIPTS.joinpath("operators.js").read_text("utf-8")
    table = script[script.index("const OPERATORS = {") : script.index("  // Numbers are written")]
    assert set(re.findall(r"\b([A-Z]\w+):", table)) == COVERED.keys()


@needs_node
def test_node_reads_the_same_list_of_operators() -> None:
    listing = run_script("process.stdout.write(JSON.stringify(edgeGraph.operators))")
    assert set(json.loads(listing)) == COVERED.keys()


def assert_equal_to_the_runtime(
    path: Path, n_rows: int, run: Callable[[Path, list[list[Any]]], Any] = run_rows
) -> None:
    """Compare predictions and flags of random rows with those of edge_runtime."""
    with edge_runtime.load(path) as model:
        schema = model.schema
        rows = random_rows(schema, n_rows, seed=3)
        results = run(path, rows)
        table = {name: [row[i] for row in rows] for i, name in enumerate(schema.names)}
        for output in model.manifest.outputs:
            values = getattr(model, output.method)(table)
            values = np.asarray(values if output.item is None else values[output.item])
            actual = results["outputs"][output.name]
            if values.dtype.kind != "f":
                assert actual == values.tolist(), output.name
                continue
            numbers = np.array(actual, dtype=np.float64)
            scale = np.abs(values[np.isfinite(values)]).max(initial=0.0) or 1.0
            np.testing.assert_allclose(numbers, values, rtol=0, atol=1e-12 * scale)
        flags = [
            [(schema.names[i], flag["kind"]) for i, flag in enumerate(row) if flag]
            for row in results["flags"]
        ]
        expected = [[(f.column, f.kind) for f in row] for row in model.check_rows(table)]
        assert flags == expected
        assert not any(any(row) for row in results["refusals"])
        assert results["proof"]["rows"] == len(model.manifest.golden.rows)


@needs_node
@pytest.mark.parametrize("name", MODELS)
def test_a_thousand_rows_of_each_model_are_equal_to_the_runtime(
    name: str, root: Path, tmp_path: Path
) -> None:
    edge_pipeline.build(root / "models" / name, tmp_path / "m.onnx")
    assert_equal_to_the_runtime(tmp_path / "m.onnx", 1000)


def numbers() -> tuple[Any, Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 4))
    return X, np.where(X[:, 0] + X[:, 1] > 1, 2, (X[:, 2] > 0).astype(int)), X @ [1, 2, 3, 4]


def mixed() -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(1)
    n = 240
    frame = pd.DataFrame(
        {
            "a": np.where(random.random(n) < 0.1, np.nan, random.normal(size=n)),
            "whole": random.integers(0, 6, n),
            "word": random.choice(["x", "y", "<z>"], n),
            "flag": random.random(n) > 0.5,
        }
    )
    return frame, np.where(frame["whole"] + frame["flag"] > 3, "yes", "no")


def on_columns(encoder: BaseEstimator, estimator: BaseEstimator) -> BaseEstimator:
    number_columns = ["a", "whole", "flag"]
    return make_pipeline(
        make_column_transformer((encoder, ["word"]), ("passthrough", number_columns)), estimator
    )


NUMERIC: dict[str, BaseEstimator] = {
    "kernel": SVC(random_state=0),
    "naive-bayes": GaussianNB(),
    "bins": make_pipeline(
        KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), LogisticRegression()
    ),
    "calibrated": CalibratedClassifierCV(LogisticRegression()),
    "clusters": KMeans(3, random_state=0, n_init=1),
    "anomalies": IsolationForest(n_estimators=10, random_state=0),
    "forest": RandomForestClassifier(10, random_state=0),
    "quantiles": make_pipeline(QuantileTransformer(n_quantiles=30), Ridge()),
    "powers": make_pipeline(PowerTransformer(), PolynomialFeatures(2), Ridge()),
    "splines": make_pipeline(SplineTransformer(), Ridge()),
    "norms": make_pipeline(
        Normalizer(), StandardScaler(), GradientBoostingRegressor(random_state=0)
    ),
}
MIXED: dict[str, BaseEstimator] = {
    "one-hot": on_columns(
        OneHotEncoder(handle_unknown="ignore"), HistGradientBoostingClassifier(max_iter=5)
    ),
    "closed": on_columns(OneHotEncoder(), HistGradientBoostingClassifier(max_iter=5)),
    "ordinal": on_columns(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        RandomForestClassifier(5, random_state=0),
    ),
    "target": on_columns(TargetEncoder(cv=3), DecisionTreeClassifier(max_depth=4)),
}  # fmt: skip


@needs_node
@pytest.mark.parametrize("name", NUMERIC)
def test_numeric_models_are_equal_to_the_runtime(name: str, tmp_path: Path) -> None:
    X, labels, y = numbers()
    estimator = NUMERIC[name]
    is_number = name in ("quantiles", "powers", "splines", "norms")
    edge_pipeline.export(estimator.fit(X, y if is_number else labels), X, tmp_path / "m.onnx")
    assert_equal_to_the_runtime(tmp_path / "m.onnx", 200)


@needs_node
@pytest.mark.parametrize("name", MIXED)
def test_models_of_mixed_columns_are_equal_to_the_runtime(name: str, tmp_path: Path) -> None:
    X, y = mixed()
    edge_pipeline.export(MIXED[name].fit(X, y), X, tmp_path / "m.onnx")
    assert_equal_to_the_runtime(tmp_path / "m.onnx", 200)


@needs_node
def test_several_targets_and_counts_are_equal_to_the_runtime(tmp_path: Path) -> None:
    X, labels, y = numbers()
    trees = DecisionTreeClassifier(max_depth=3, random_state=0)
    edge_pipeline.export(trees.fit(X, np.c_[labels, labels > 0]), X, tmp_path / "two.onnx")
    assert_equal_to_the_runtime(tmp_path / "two.onnx", 200)
    edge_pipeline.export(PoissonRegressor().fit(X, abs(y)), X, tmp_path / "count.onnx")
    assert_equal_to_the_runtime(tmp_path / "count.onnx", 200)


@needs_node
def test_the_form_refuses_what_the_device_refuses(tmp_path: Path) -> None:
    X, y = mixed()
    limits = {"whole": {"min": 0, "max": 10}}
    path = tmp_path / "m.onnx"
    edge_pipeline.export(MIXED["closed"].fit(X, y), X, path, input_limits=limits)
    rows = [
        [0.5, 2, "x", True],
        [None, 2, "x", True],
        ["inf", 2, "x", True],
        [0.5, None, "x", True],
        [0.5, 11, "x", True],
        [0.5, 2, "unseen", True],
        [0.5, 2, None, True],
        [0.5, 2, "x", 2.0],
    ]
    model = json.loads(browser_model(unpack(path.read_bytes()), path, show_rows=True))
    script = """
    const {model, rows} = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const refusals = rows.map(row => model.columns.some(
      (c, i) => edgeRows.refusal(c, edgeRows.fromJson(c, row[i])) !== ""));
    process.stdout.write(JSON.stringify(refusals));
    """
    refused = json.loads(run_script(script, json.dumps({"model": model, "rows": rows})))
    with edge_runtime.load(path) as sealed_model:
        for row, is_refused in zip(rows, refused, strict=True):
            cells = [float("inf") if cell == "inf" else cell for cell in row]
            try:
                sealed_model.predict_one(cells)
            except edge_runtime.InputError:
                assert is_refused, row
            else:
                assert not is_refused, row


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (KNeighborsClassifier(), "needs the operator TopK"),
        (make_pipeline(HashingVectorizer(n_features=16), LogisticRegression()), "hashes words"),
        (RandomForestClassifier(300, random_state=0), "too many for a page"),
    ],
    ids=["neighbours", "text", "large"],
)
def test_the_form_is_left_out_with_the_reason(
    estimator: BaseEstimator, reason: str, tmp_path: Path
) -> None:
    X: Any = np.random.default_rng(0).normal(size=(400, 3))
    if reason == "hashes words":
        X = ["red apple", "blue sky"] * 200
    edge_pipeline.export(estimator.fit(X, np.arange(400) % 5), X, tmp_path / "m.onnx")
    bundle = unpack((tmp_path / "m.onnx").read_bytes())
    with pytest.raises(MeasurementError, match=reason):
        browser_model(bundle, tmp_path / "m.onnx", show_rows=True)


def test_the_models_of_the_page_can_be_checked_without_rows(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    edge_pipeline.build(root / "models/penguins", path)
    model = json.loads(browser_model(unpack(path.read_bytes()), path, show_rows=False))
    assert model["proof"]["origin"] == "rows made from the schema"
    assert len(model["proof"]["rows"]) >= 3
    with edge_runtime.load(path) as sealed_model:
        predicted = sealed_model.predict(model["proof"]["rows"])
    assert model["proof"]["answers"]["predict"] == predicted.tolist()


def test_json_cannot_end_its_script_element() -> None:
    hostile = ["</script><script>alert(1)</script>", "<!--", "&lt;", "\u2028"]
    text = json_in_script(hostile)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == hostile


def test_the_scripts_of_a_page_request_nothing() -> None:
    script, source = page_script(with_model=True)
    assert source.startswith("sha256-")
    assert "</" not in script
    for name in ("fetch", "XMLHttpRequest", "WebSocket", "import(", "eval", "innerHTML", "http"):
        assert name not in script, name
