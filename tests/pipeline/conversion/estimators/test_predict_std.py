"""``predict(X, return_std=True)`` on the device, with evidence of its own."""

import edge_pipeline
import numpy as np
import pytest
from edge_runtime.errors import MethodNotAvailableError
from pipeline.conversion.estimators.tables import rows, signal
from sklearn.dummy import DummyRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Matern, WhiteKernel
from sklearn.linear_model import ARDRegression, BayesianRidge, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edge_runtime

X = rows(60)
UNSEEN = np.vstack([rows(20, seed=1), rows(3, seed=2) * 100.0])
Y = signal(X)
NOISY = RBF() + WhiteKernel(0.1)

ESTIMATORS = {
    "ridge": BayesianRidge(),
    "ridge without intercept": BayesianRidge(fit_intercept=False),
    "ard": ARDRegression(threshold_lambda=1.0),
    "ard, scaled": make_pipeline(StandardScaler(), ARDRegression()),
    "process": GaussianProcessRegressor(NOISY),
    "process, scaled": make_pipeline(
        StandardScaler(), GaussianProcessRegressor(Matern() * ConstantKernel(2.0) + WhiteKernel())
    ),
    "process, normalized": GaussianProcessRegressor(DotProduct() + WhiteKernel(), normalize_y=True),
    "constant": DummyRegressor(),
}


@pytest.fixture
def device(tmp_path):
    def export(estimator, X, engine="auto"):
        edge_pipeline.export(estimator, X, tmp_path / "model.onnx")
        return edge_runtime.load(tmp_path / "model.onnx", engine=engine)

    return export


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_standard_deviations_are_scikit_learns(device, name, engine):
    estimator = ESTIMATORS[name].fit(X, Y)
    model = device(estimator, X, engine)
    mean, deviation = estimator.predict(UNSEEN, return_std=True)
    for pair in (
        model.predict(UNSEEN, return_std=True),
        (model.predict(UNSEEN), model.predict_std(UNSEEN)),
        np.transpose([model.predict_std_one(row) for row in UNSEEN]),
    ):
        scale = np.abs(mean).max()
        np.testing.assert_allclose(pair[0], mean, rtol=0, atol=1e-9 * scale)
        np.testing.assert_allclose(pair[1], deviation, rtol=1e-9)
    evidence = model.manifest.parity.outputs["predict_std"]
    assert evidence.rows > 100
    assert evidence.differing == 0


def test_several_targets_have_a_deviation_each(device):
    targets = np.column_stack([Y, 3.0 * X[:, 0] - Y])
    estimator = GaussianProcessRegressor(NOISY, normalize_y=True).fit(X, targets)
    model = device(estimator, X)
    _, deviation = estimator.predict(UNSEEN, return_std=True)
    np.testing.assert_allclose(model.predict(UNSEEN, return_std=True)[1], deviation, rtol=1e-9)
    assert np.shape(model.predict_std_one(UNSEEN[0])) == (2, 2)


def test_rounding_beside_training_rows_is_not_compared(device):
    """Without noise the variance is zero at a training row: scikit-learn's own is rounding."""
    estimator = GaussianProcessRegressor(RBF(1.0, "fixed"), optimizer=None).fit(X, Y)
    model = device(estimator, X)
    assert model.manifest.parity.outputs["predict_std"].undetermined >= len(X)
    far = rows(10, seed=4) * 3.0
    expected = estimator.predict(far, return_std=True)[1]
    np.testing.assert_allclose(model.predict_std(far), expected, rtol=1e-8)


def test_models_without_deviations_say_so(device):
    model = device(LinearRegression().fit(X, Y), X)
    assert not hasattr(model, "predict_std")
    with pytest.raises(MethodNotAvailableError, match="no predict_std"):
        model.predict(X, return_std=True)
