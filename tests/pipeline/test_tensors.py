"""Seal estimators of pictures, sound and wide arrays: one tensor, not thousands of columns."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.data.tensors import WIDE_COLUMNS
from edge_pipeline.errors import ConversionError, UnsupportedEstimatorError
from edge_runtime.errors import InputError
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

import edge_runtime

RNG = np.random.default_rng(7)
Y = RNG.integers(0, 3, size=90)
MOST_BYTES = 10_000
"""Largest manifest of a tensor model, whatever its size."""


def flatten(X: Any) -> Any:
    return X.reshape(len(X), -1)


def grey_blocks(X: Any) -> Any:
    grey = X @ np.array([0.299, 0.587, 0.114])
    return grey.reshape(len(X), 4, 8, 4, 8).mean(axis=(2, 4)).reshape(len(X), -1) / 255


def channel_statistics(X: Any) -> Any:
    return np.concatenate([X.mean(axis=1), X.std(axis=1), np.abs(X).max(axis=1)], axis=1)


def pictures(side: int = 32) -> Any:
    shades = RNG.integers(0, 60, size=(3, side, side, 3))[Y]
    return (RNG.integers(0, 150, size=shades.shape) + shades).astype(np.uint8)


def wide(dtype: str = "float64") -> Any:
    return (RNG.normal(size=(len(Y), WIDE_COLUMNS)) + Y[:, None]).astype(dtype)


def motion(dtype: str = "float64") -> Any:
    return (RNG.normal(size=(len(Y), 50, 6)) * (1 + Y[:, None, None])).astype(dtype)


CASES = {
    "pictures": (make_pipeline(FunctionTransformer(flatten), PCA(5), SVC()), pictures()),
    "blocks": (make_pipeline(FunctionTransformer(grey_blocks), LogisticRegression()), pictures()),
    "motion": (make_pipeline(FunctionTransformer(channel_statistics), StandardScaler(),
                             RandomForestClassifier(9, random_state=0)), motion()),
    "float32": (make_pipeline(FunctionTransformer(channel_statistics), StandardScaler(),
                              LogisticRegression()), motion("float32")),
    "sound": (make_pipeline(PCA(4), LogisticRegression(max_iter=300)),
              (wide() * 100).astype(np.int16)),
    "wide": (RandomForestClassifier(9, random_state=0), wide()),
    "neighbours": (KNeighborsClassifier(3), wide()),
    "five axes": (make_pipeline(FunctionTransformer(flatten), SVC()),
                  RNG.normal(size=(len(Y), 2, 2, 3, 2)) + Y[:, None, None, None, None]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_tensors_are_sealed_and_predicted_as_in_training(name: str, tmp_path: Path) -> None:
    estimator, X = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X[:60], Y[:60])
    path = tmp_path / "tensor.onnx"
    result = edge_pipeline.export(estimator, X[:60], path, X_test=X[60:])
    assert result.manifest.schema.kind == "tensor"
    assert len(result.manifest.to_bytes()) < MOST_BYTES
    assert result.manifest.golden.rows
    expected = estimator.predict(X)
    for engine in ("onnxruntime", "numpy"):
        model = edge_runtime.load(path, engine=engine)  # type: ignore[arg-type]
        assert model.predict(X).tolist() == expected.tolist()
        assert [model.predict_one(row) for row in X[:5]] == expected[:5].tolist()
        assert model.predict(X[:0]).shape == (0,)
        one, flags = model.predict_one_with_flags(X[0])
        assert (one, flags) == (expected[0], ())
        for method in ("predict_proba", "decision_function"):
            if hasattr(estimator, method) and X.dtype != np.float32:
                np.testing.assert_allclose(
                    getattr(model, method)(X), getattr(estimator, method)(X), rtol=1e-9, atol=1e-9
                )


def test_large_batches_are_predicted_in_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator, X = CASES["blocks"]
    estimator.fit(X, Y)
    edge_pipeline.export(estimator, X, tmp_path / "picture.onnx")
    monkeypatch.setattr("edge_runtime.engine.planner.MAX_TENSOR_CELLS_AT_ONCE", 7 * X[0].size)
    model = edge_runtime.load(tmp_path / "picture.onnx")
    np.testing.assert_allclose(model.predict_proba(X), estimator.predict_proba(X), rtol=1e-12)


def test_wide_arrays_may_lack_values_where_the_estimator_accepts_it(tmp_path: Path) -> None:
    X = wide()
    estimator = HistGradientBoostingClassifier(max_iter=2).fit(X, Y)
    edge_pipeline.export(estimator, X, tmp_path / "wide.onnx")
    holes = np.where(RNG.random(X.shape) < 0.3, np.nan, X)
    model = edge_runtime.load(tmp_path / "wide.onnx")
    assert model.predict(holes).tolist() == estimator.predict(holes).tolist()
    assert model.n_features_in_ == WIDE_COLUMNS
    strict = tmp_path / "strict.onnx"
    edge_pipeline.export(estimator, X, strict, missing="refuse")
    with pytest.raises(InputError, match="expected a finite number, found nan"):
        edge_runtime.load(strict).predict(holes)


def test_limits_of_a_tensor_hold_on_the_device(tmp_path: Path) -> None:
    estimator, X = CASES["blocks"]
    estimator.fit(X, Y)
    path = tmp_path / "picture.onnx"
    limits = {"x": {"min": 0, "max": 250}}
    edge_pipeline.export(estimator, X, path, input_limits=limits)
    with pytest.raises(InputError, match="limits set at the build"):
        edge_runtime.load(path).predict(np.full_like(X[:1], 255))
    with pytest.raises(ConversionError, match="widen the limits"):
        edge_pipeline.export(estimator, X, path, input_limits={"x": {"max": 100}})
    with pytest.raises(ConversionError, match="pass min and max"):
        edge_pipeline.export(estimator, X, path, input_limits={"x": {"values": [1, 2]}})


def test_what_no_tensor_holds_is_refused_with_a_remedy(tmp_path: Path) -> None:
    estimator, X = CASES["blocks"]
    estimator.fit(X, Y)
    path = tmp_path / "refused.onnx"
    with pytest.raises(ConversionError, match=r"dtype int64 .*astype\(float\)"):
        edge_pipeline.export(estimator, X.astype(np.int64), path)
    with pytest.raises(ConversionError, match="expected some rows"):
        edge_pipeline.export(estimator, X[:0], path)
    rounded = np.round(wide())
    encoder = OneHotEncoder(sparse_output=False).fit(rounded)
    with pytest.raises(UnsupportedEstimatorError, match="pass a DataFrame"):
        edge_pipeline.export(encoder, rounded, path)


def test_integers_that_wrap_around_are_refused(tmp_path: Path) -> None:
    X = pictures()
    doubled = make_pipeline(FunctionTransformer(double_and_flatten), PCA(3), SVC()).fit(X, Y)
    with pytest.raises(ConversionError, match="uint8"):
        edge_pipeline.export(doubled, X, tmp_path / "refused.onnx")


def double_and_flatten(X: Any) -> Any:
    return (X * 2).reshape(len(X), -1)


def test_a_mutant_of_the_channel_order_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator, X = CASES["blocks"]
    estimator.fit(X, Y)
    from edge_pipeline.conversion import convert

    swapped = convert.reshape_rows
    monkeypatch.setattr(convert, "reshape_rows", lambda x, *s: swapped(x, *s)[:, :, :, [2, 1, 0]])
    with pytest.raises(edge_pipeline.ParityError):
        edge_pipeline.export(estimator, X, tmp_path / "mutant.onnx")


def test_a_report_of_tensors_is_written(tmp_path: Path) -> None:
    estimator, X = CASES["motion"]
    estimator.fit(X[:60], Y[:60])
    result = edge_pipeline.export(
        estimator, X[:60], tmp_path / "m.onnx", y=Y[:60], X_test=X[60:], y_test=Y[60:], report=True
    )
    assert result.report_files is not None
    assert "numpy.zeros((50, 6), dtype=" in result.report_files.page.read_text()
