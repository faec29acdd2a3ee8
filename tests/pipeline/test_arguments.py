"""Wrong arguments of export are refused before the work, with our own errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import polars as pl
import pytest
from edge_pipeline.errors import ConversionError
from pipeline.conversion.estimators.parity import assert_same
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
MODEL = LogisticRegression().fit(X, Y)


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ({"y": Y[:5]}, "pass the targets of exactly these rows"),
        ({"y": np.full(60, np.nan)}, "pass the targets of exactly these rows"),
        ({"y": ["a"] * 60}, "pass the targets of exactly these rows"),
        ({"tolerance": "x"}, "a number between 0 and 1, found 'x'"),
        ({"tolerance": None}, "a number between 0 and 1, found None"),
        ({"tolerance": float("nan")}, "a number between 0 and 1, found nan"),
        ({"name": 5}, "one line of 1 to 200 characters, found 5"),
        ({"name": "../x"}, "must not be a path"),
        ({"name": ""}, "one line of 1 to 200 characters"),
        ({"name": "a\nb"}, "one line of 1 to 200 characters"),
        ({"task": 5}, "task must be one line"),
        ({"version": "1"}, "a whole number of at least 1, found '1'"),
        ({"metrics": {"accuracy": "good"}}, "must be a finite number, found 'good'"),
        ({"X_test": 5}, "expected a 2-d array"),
        ({"X_test": pl.LazyFrame(X)}, r"pass X.collect\(\)"),
        ({"X": pl.LazyFrame(X)}, r"pass X.collect\(\)"),
    ],
)
def test_a_wrong_argument_is_refused(slip: dict[str, Any], message: str, tmp_path: Path) -> None:
    arguments = {"X": X, "path": tmp_path / "m.onnx", **slip}
    with pytest.raises(ConversionError, match=message):
        edge_pipeline.export(MODEL, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_targets_of_one_class_have_no_undefined_score(tmp_path: Path) -> None:
    report = edge_pipeline.export(MODEL, X, tmp_path / "m.onnx", y=np.zeros(60, dtype=int))
    assert 0.0 < report.manifest.metrics["score_on_sample"] < 1.0


@pytest.mark.parametrize(
    ("name", "error"), [("no/such/m.onnx", FileNotFoundError), ("", IsADirectoryError)]
)
def test_an_unwritable_path_is_refused_before_the_work(
    name: str, error: type[OSError], tmp_path: Path
) -> None:
    stages: list[str] = []
    with pytest.raises(error) as caught:
        edge_pipeline.export(MODEL, X, tmp_path / name, on_stage=stages.append)
    assert caught.value.filename == str(tmp_path / name)
    assert stages == []


def test_a_build_that_cannot_be_written_trains_nothing(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("def fitted():\n    raise SystemExit('it trained')\n")
    with pytest.raises(IsADirectoryError):
        edge_pipeline.export_function(f"{tmp_path}/train.py:fitted", tmp_path)


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, pl.DataFrame])
def test_rows_with_infinity_are_left_out_with_a_note(container: Any, tmp_path: Path) -> None:
    far = X.copy()
    far[3, 0], far[5, 1] = np.inf, -np.inf
    table = container(far)
    model = HistGradientBoostingClassifier(max_iter=3).fit(table, Y)
    report = edge_pipeline.export(model, table, tmp_path / "m.onnx", X_test=table)
    assert "2 of 60 rows of X hold an infinite number" in report.notes[0]


def test_a_sample_of_infinity_alone_is_refused(tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=3).fit(X, Y)
    with pytest.raises(ConversionError, match="replace infinity by a large number"):
        edge_pipeline.export(model, np.full((5, 3), np.inf), tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([b"a", b"b"]), "train with labels of str"),
        (np.array([1, 2**63 + 5], dtype=np.uint64), "train with labels of str"),
    ],
)
def test_labels_that_no_graph_can_output_are_refused(
    labels: Any, message: str, tmp_path: Path
) -> None:
    model = DecisionTreeClassifier(max_depth=2).fit(X, labels[Y])
    with pytest.raises(ConversionError, match=message):
        edge_pipeline.export(model, X, tmp_path / "m.onnx")


def test_a_list_of_lists_holds_numbers_and_texts() -> None:
    rows = [["a", 3], ["b", 0], ["a", 1], ["b", 3]] * 5
    assert_same(OneHotEncoder(drop=["a", 3]).fit(rows), rows, rows[:4])
