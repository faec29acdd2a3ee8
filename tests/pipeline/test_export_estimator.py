"""Export: one file, written whole or not at all, the same bytes every time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import onnx
import onnxruntime
import pytest
from edge_pipeline.errors import ConversionError, ParityError, UnsupportedEstimatorError
from edge_runtime.bundle.atomic_file import write_whole
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression

import edge_runtime

X = np.random.default_rng(0).normal(size=(80, 3))
Y = X @ [1.0, -2.0, 0.5]


@pytest.fixture
def line() -> LinearRegression:
    return LinearRegression().fit(X, Y)


def test_the_file_is_plain_onnx_with_the_manifest_inside(line: Any, tmp_path: Path) -> None:
    edge_pipeline.export(line, X, tmp_path / "line.onnx")
    onnx.checker.check_model(str(tmp_path / "line.onnx"), full_check=True)
    model = onnx.load(str(tmp_path / "line.onnx"))
    assert [entry.key for entry in model.metadata_props] == ["edge.manifest", "edge.seal"]
    session = onnxruntime.InferenceSession(str(tmp_path / "line.onnx"))
    (predictions,) = session.run(["predict"], {"numbers": X[:5]})
    np.testing.assert_allclose(predictions, line.predict(X[:5]), rtol=0, atol=1e-14)


def test_the_same_estimator_gives_the_same_bytes(line: Any, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        edge_pipeline.export(line, X, tmp_path / name, name="line")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_result_describes_file_and_evidence(line: Any, tmp_path: Path) -> None:
    stages: list[str] = []
    report = edge_pipeline.export(
        line, X, tmp_path / "line.onnx", y=Y, X_test=X[:9] + 0.1, on_stage=stages.append
    )
    assert stages == ["convert", "verify", "seal"]
    assert report.bundle_bytes == (tmp_path / "line.onnx").stat().st_size
    assert report.task == "regression"
    assert report.name == "line"
    assert report.manifest.metrics["score_on_sample"] == pytest.approx(1.0)
    assert report.manifest.baseline["x0"]["mean"] == pytest.approx(X[:, 0].mean())
    assert report.to_json()["parity"]["outputs"]["predict"]["differing"] == 0


class UserRegressor(RegressorMixin, BaseEstimator):
    """A class of the user's own, for which there is no converter and which cannot be traced."""

    def fit(self, X: Any, y: Any) -> UserRegressor:
        self.coef_, self.intercept_, self.n_features_in_ = np.ones(3), 0.0, 3
        return self

    def predict(self, X: Any) -> Any:
        return np.linalg.qr(np.asarray(X))[0].sum(axis=1)


class Changing(LinearRegression):
    """Predicts differently after its conversion."""

    calls = 0

    def _decision_function(self, X: Any) -> Any:
        type(self).calls += 1
        return super()._decision_function(X) + (type(self).calls > 1)


def test_a_difference_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the old one")
    with pytest.raises(ParityError):
        edge_pipeline.export(Changing().fit(X, Y), X, path)
    assert path.read_bytes() == b"the old one"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_an_unknown_estimator_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedEstimatorError, match=r"numpy\.linalg\.qr has no form in a graph"
    ):
        edge_pipeline.export(UserRegressor().fit(X, Y), X, tmp_path / "model.onnx")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LinearRegression(), "is it fitted"),
        (LinearRegression, "expected a fitted estimator"),
        (7, "cannot predict new rows"),
    ],
)
def test_anything_but_a_fitted_estimator_is_refused(
    estimator: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=message):
        edge_pipeline.export(estimator, X, tmp_path / "model.onnx")


def test_rows_of_another_shape_than_training_are_refused(line: Any, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="refuses the first rows"):
        edge_pipeline.export(line, X[:, :2], tmp_path / "model.onnx")
    with pytest.raises(ConversionError, match="pass the same columns"):
        edge_pipeline.export(line, X, tmp_path / "model.onnx", X_test=X[:, :2])


def test_a_folder_that_does_not_exist_is_an_os_error(line: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        edge_pipeline.export(line, X, tmp_path / "no" / "model.onnx")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    # A write that fails half way: the limit on file size stands in for the disk.
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(b"x" * 5000, tmp_path / "model.onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes"], dtype=object),
        np.array([0, 1]),
        np.array([-5, 3]),
        np.array([False, True]),
        np.array([0.5, 1.5]),
        np.array([1, 2], dtype=np.int32),
        np.array([1, 2], dtype=np.uint8),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_come_back_in_the_dtype_they_had(labels: Any, tmp_path: Path) -> None:
    if labels.dtype.kind == "f":
        # scikit-learn takes classes like 0.5 for a continuous target; whole floats are classes.
        labels = np.array([1.0, 2.0])
    model = LogisticRegression().fit(X, labels[(Y > 0).astype(int)])
    edge_pipeline.export(model, X, tmp_path / "m.onnx")
    with edge_runtime.load(tmp_path / "m.onnx") as loaded:
        predictions, expected = loaded.predict(X + 0.1), model.predict(X + 0.1)
    assert predictions.dtype == expected.dtype
    np.testing.assert_array_equal(predictions, expected)
