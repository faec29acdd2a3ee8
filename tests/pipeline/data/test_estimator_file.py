"""Estimators in files: skops by trusted types, pickles refused unless they are the user's own."""

from __future__ import annotations

from pathlib import Path

import edge_pipeline
import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from conformance.own_classes import BlendRegressor
from sklearn.linear_model import Ridge

import edge_runtime

X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    X.to_csv(path, index=False)
    return path


def test_a_skops_file_is_exported(tmp_path: Path, table: Path) -> None:
    model = Ridge().fit(X, X["a"])
    skops.io.dump(model, tmp_path / "ridge.skops")
    output = tmp_path / "ridge.onnx"
    result = edge_pipeline.export_function(str(tmp_path / "ridge.skops"), output, table=table)
    assert result.name == "ridge"
    device = edge_runtime.load(output).predict(X)
    np.testing.assert_allclose(device, model.predict(X), rtol=1e-12, atol=1e-12)


def test_types_that_are_not_trusted_are_listed(tmp_path: Path, table: Path) -> None:
    """The message has the switch, and nothing is constructed without it."""
    model = BlendRegressor().fit(X.to_numpy(), X["a"].to_numpy() * 50)
    path = tmp_path / "own.skops"
    skops.io.dump(model, path)
    unknown = skops.io.get_untrusted_types(file=path)
    assert "conformance.own_classes.BlendRegressor" in unknown
    with pytest.raises(edge_pipeline.TrainingError, match=r"--trust .*BlendRegressor"):
        edge_pipeline.export_function(str(path), tmp_path / "m.onnx", table=table)
    edge_pipeline.export_function(
        str(path), tmp_path / "m.onnx", table=table, trusted_types=unknown
    )


def test_a_pickle_is_refused_and_never_loaded(tmp_path: Path, table: Path) -> None:
    """The refusal names both ways out; loading would have written the mark."""
    mark = tmp_path / "ran"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (mark,)

    path = tmp_path / "model.joblib"
    joblib.dump(Attack(), path)
    with pytest.raises(edge_pipeline.TrainingError, match=r"train\.py:fitted.*i-trust-this-pickle"):
        edge_pipeline.export_function(str(path), tmp_path / "m.onnx", table=table)
    assert not mark.exists()


def test_a_pickle_of_ones_own_is_loaded(tmp_path: Path, table: Path) -> None:
    joblib.dump(Ridge().fit(X, X["b"]), tmp_path / "own.pkl")
    edge_pipeline.export_function(
        str(tmp_path / "own.pkl"), tmp_path / "m.onnx", table=table, trust_pickle=True
    )
    assert (tmp_path / "m.onnx").is_file()


def test_the_writing_version_is_named(tmp_path: Path, table: Path) -> None:
    model = Ridge().fit(X, X["a"])
    state = Ridge.__getstate__

    class Old(Ridge):
        def __getstate__(self) -> dict[str, object]:
            return {**state(self), "_sklearn_version": "1.2.3"}

    Old.__module__, Old.__qualname__, Old.__name__ = "sklearn.linear_model", "Ridge", "Ridge"
    old = Old()
    old.__dict__.update(model.__dict__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.linear_model.Ridge", Old)
        joblib.dump(old, tmp_path / "old.pkl")
    result = edge_pipeline.export_function(
        str(tmp_path / "old.pkl"), tmp_path / "m.onnx", table=table, trust_pickle=True
    )
    assert any("written with scikit-learn 1.2.3" in note for note in result.notes)


def test_a_file_that_is_none_of_skops_is_named(tmp_path: Path, table: Path) -> None:
    path = tmp_path / "text.skops"
    path.write_text("text")
    with pytest.raises(edge_pipeline.TrainingError, match="no file of skops"):
        edge_pipeline.export_function(str(path), tmp_path / "m.onnx", table=table)
