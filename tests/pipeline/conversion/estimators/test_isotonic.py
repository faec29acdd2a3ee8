"""Isotonic regression interpolates bit by bit as numpy and scipy do."""

import edge_pipeline
import numpy as np
import pytest
from edge_runtime.errors import InferenceError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted
from sklearn.isotonic import IsotonicRegression

import edge_runtime

RNG = np.random.default_rng(0)
X = RNG.normal(size=80)
Y = np.sin(X) + 0.3 * RNG.normal(size=80)
UNSEEN = np.concatenate([RNG.normal(size=40) * 2, X[:10], [X.min(), X.max(), 1e9, -1e9]])


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("increasing", [True, False, "auto"])
@pytest.mark.parametrize("out_of_bounds", ["nan", "clip"])
def test_values_at_and_around_the_thresholds_are_the_same(shape, increasing, out_of_bounds):
    estimator = IsotonicRegression(
        increasing=increasing, out_of_bounds=out_of_bounds, y_min=-0.8, y_max=0.9
    )
    table = X.reshape(shape)
    assert_same(fitted(estimator, table, Y), table, UNSEEN.reshape(shape), tolerance=1e-16)


def test_a_model_of_float32_is_interpolated_in_float32():
    estimator = fitted(IsotonicRegression(out_of_bounds="clip"), X.astype(np.float32), Y)
    assert estimator.predict(UNSEEN).dtype == np.float32
    assert_same(estimator, X.astype(np.float32), UNSEEN, tolerance=1e-16)


def test_a_single_threshold_is_a_constant():
    ones = np.ones(5)
    estimator = fitted(IsotonicRegression(), ones, np.arange(5.0))
    assert_same(estimator, ones, np.array([-3.0, 1.0, 4.0]))


def test_out_of_bounds_raise_refuses_values_beyond(tmp_path):
    estimator = fitted(IsotonicRegression(out_of_bounds="raise"), X, Y)
    edge_pipeline.export(estimator, X, tmp_path / "model.onnx")
    with edge_runtime.load(tmp_path / "model.onnx") as model:
        np.testing.assert_array_equal(model.predict(X), estimator.predict(X))
        with pytest.raises(InferenceError):
            model.predict(np.array([X.max() + 1.0]))
