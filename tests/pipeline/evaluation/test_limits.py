"""Check limits before a file is written; a broken limit says by how much."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from edge_pipeline import LimitError, MeasurementError, RecipeError
from edge_pipeline.cli.main import cli
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

RECIPE = """
name = "bills"
task = "classification"

[data]
file = "penguins.csv"
separator = ","
target = "species"
features = ["bill_length_mm", "bill_depth_mm"]

[estimator]
class = "sklearn.ensemble.RandomForestClassifier"

[estimator.parameters]
n_estimators = 20

"""


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    shutil.copy(root / "models/penguins/penguins.csv", tmp_path)
    return tmp_path


def build(folder: Path, limits: str) -> edge_pipeline.ExportResult:
    (folder / "recipe.toml").write_text(f"{RECIPE}[limits]\n{limits}\n", encoding="utf-8")
    return edge_pipeline.build(folder, folder / "bills.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("max_model_bytes = 1000", "expected at most 1,000, but the file has"),
        ("max_latency_us = 0.5", "expected at most 0.5, but predict_one takes"),
        ("max_peak_memory_mb = 20", "expected at most 20, but predicting takes"),
        ("min_score = 0.9999", "expected accuracy of at least 0.9999 on the test rows, found 0.9"),
    ],
)
def test_a_broken_limit_fails_the_build_and_nothing_is_written(
    folder: Path, limit: str, words: str
) -> None:
    """The message names the limit, the measured value and the remedy."""
    with pytest.raises(LimitError) as caught:
        build(folder, limit)
    name, _, bound = limit.partition(" = ")
    message = str(caught.value)
    assert f"limits.{name}: {words}" in message
    assert "too much" in message or "too little" in message
    assert "would help" in message
    assert "nothing was written" in message
    assert caught.value.allowed == float(bound)
    assert caught.value.limit == name.replace("min_score", "min_accuracy")
    assert (caught.value.measured_value > caught.value.allowed) == name.startswith("max_")
    assert sorted(path.name for path in folder.iterdir()) == ["penguins.csv", "recipe.toml"]


def test_an_older_file_stays_when_the_new_one_is_too_large(folder: Path) -> None:
    before = build(folder, "max_model_bytes = 1_000_000").path.read_bytes()
    with pytest.raises(LimitError):
        build(folder, "max_model_bytes = 1_000")
    assert (folder / "bills.onnx").read_bytes() == before


def test_limits_are_in_the_file_and_checked_on_the_device(
    folder: Path,
) -> None:
    export = build(
        folder,
        "max_model_bytes = 100_000\nmax_latency_us = 1e7\n"
        "max_peak_memory_mb = 500\nmin_score = 0.5",
    )
    assert export.manifest.limits == {
        "max_label_flips": 0.0,
        "max_latency_us": 1e7,
        "max_model_bytes": 100_000.0,
        "max_peak_memory_mb": 500.0,
        "min_accuracy": 0.5,
    }
    assert export.benchmark is not None
    assert export.benchmark.model_bytes == export.bundle_bytes
    edge_runtime = Path(sys.executable).with_name("edge-runtime")
    command = [edge_runtime, "bench", export.path, "--json", "--seconds", "0.01", "--rows", "10"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    limits = json.loads(result.stdout)["limits"]
    assert set(limits) == set(export.manifest.limits)
    assert all(limit["kept"] for limit in limits.values())


@pytest.mark.slow
def test_measurements_do_not_change_the_bytes(folder: Path) -> None:
    first = build(folder, "max_latency_us = 1e7").path.read_bytes()
    assert build(folder, "max_latency_us = 1e7").path.read_bytes() == first


def test_without_limits_nothing_is_measured(folder: Path) -> None:
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    export = edge_pipeline.build(folder, folder / "bills.onnx")
    assert export.manifest.limits == {}
    assert export.benchmark is None


def test_build_reports_a_broken_limit_in_one_line(folder: Path) -> None:
    (folder / "recipe.toml").write_text(f"{RECIPE}[limits]\nmax_model_bytes = 99\n", "utf-8")
    result = CliRunner().invoke(cli, ["build", str(folder), "-q", "-o", str(folder / "x.onnx")])
    assert result.exit_code == 1
    assert "limits.max_model_bytes: expected at most 99, but the file has" in result.stderr
    assert "fewer trees (n_estimators, now 20)" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("max_latency_ms = 1", "did you mean 'max_latency_us'?"),
        ("max_latency_us = 0", "limits.max_latency_us"),
        ("max_latency_us = nan", "limits.max_latency_us"),
        ("max_model_bytes = 1.5", "expected a whole number"),
        ('min_score = "high"', "expected a number"),
    ],
)
def test_an_invalid_limit_is_refused_by_its_key(folder: Path, limit: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        build(folder, limit)
    assert words in str(caught.value)
    assert str(caught.value.key).startswith("limits.")


def test_a_least_score_without_a_metric_is_refused(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"limits\.min_score: no score is measured"):
        build(folder, "min_score = 0.5\n[split]\ntest_share = 0.0")


def test_export_suggests_the_name_of_an_unknown_limit(tmp_path: Path) -> None:
    X = np.arange(6.0).reshape(6, 1)
    estimator = LinearRegression().fit(X, X[:, 0])
    with pytest.raises(MeasurementError, match="did you mean 'max_model_bytes'"):
        edge_pipeline.export(estimator, X, tmp_path / "x.onnx", limits={"max_modell_bytes": 9})
    with pytest.raises(LimitError, match="fewer columns"):
        edge_pipeline.export(estimator, X, tmp_path / "x.onnx", limits={"max_model_bytes": 9})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (RandomForestClassifier(7, random_state=0), "fewer trees (n_estimators, now 7)"),
        (SVC(), "fewer support vectors (a larger C, now 1.0)"),
        (KNeighborsClassifier(), "does not carry its training rows along"),
        (make_pipeline(CountVectorizer(), LogisticRegression()), "fewer words (max_features, now"),
    ],
)
def test_advice_names_the_parameters_of_the_estimator(
    tmp_path: Path, estimator: Any, words: str
) -> None:
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0] * 5, "b": [1.0, 0.5] * 10})
    X = (
        ["red apple", "blue sky", "red sky", "blue apple"] * 5
        if "Count" in str(estimator)
        else frame
    )
    fitted = estimator.fit(X, [0, 1, 1, 0] * 5)
    with pytest.raises(LimitError) as caught:
        edge_pipeline.export(fitted, X, tmp_path / "x.onnx", limits={"max_model_bytes": 9})
    assert words in str(caught.value)
