"""The vibration model on raw windows: its features are sealed, and equal those of the example."""

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import edge_pipeline
import numpy as np
import pytest

import edge_runtime

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/vibration"

pytestmark = pytest.mark.xdist_group("vibration")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "raw.onnx"
    edge_pipeline.export_function(f"{ROOT / 'models/vibration/raw.py'}:vibration_raw", path)
    return path


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("raw", ROOT / "models/vibration/raw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy"])
def test_the_recording_is_answered_with_its_three_states(model_file: Path, engine: str) -> None:
    with (EXAMPLE / "recorded.csv").open(newline="", encoding="utf-8") as file:
        samples = [[float(row["rpm"]), float(row["g"])] for row in csv.DictReader(file)]
    stream = edge_runtime.Stream(edge_runtime.load(model_file, engine=engine))  # type: ignore[arg-type]
    states = [answer.prediction for sample in samples for answer in stream.push([sample])]
    assert states == ["ok", "unbalance", "bearing"]


def test_unseen_windows_are_predicted_as_in_training(model_file: Path, raw: ModuleType) -> None:
    X, y = raw.windows(99, 30)
    estimator, _, _ = raw.vibration_raw()
    model = edge_runtime.load(model_file)
    predictions = model.predict(X)
    assert predictions.tolist() == estimator.predict(X).tolist()
    assert (predictions == y).mean() > 0.95
    np.testing.assert_array_equal(model.predict_proba(X), estimator.predict_proba(X))


def test_the_sealed_features_are_those_of_the_example(
    raw: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from features import features

    X, _ = raw.windows(7, 5)
    expected = [list(features(window[1], window[0, 0]).values()) for window in X]
    np.testing.assert_allclose(raw.features(X), expected, rtol=1e-12)
