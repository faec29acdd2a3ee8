"""Discriminant analysis predicts as scikit-learn does, with every solver."""

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.conversion.convert import convert
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    CLASSES,
    assert_zero_rows_are_accepted,
    fitted,
    labels,
    rows,
    unseen,
)
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as Linear
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis as Quadratic

import edge_runtime

X, UNSEEN = rows(), unseen()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_components": 1},
        {"solver": "eigen", "shrinkage": "auto"},
        {"solver": "eigen", "n_components": 1},
        {"priors": [0.5, 0.3, 0.2]},
        {"store_covariance": True, "tol": 0.3},
    ],
    ids=str,
)
def test_linear_scores_probabilities_and_projection_are_the_same(parameters, n_classes):
    parameters = dict(parameters)
    if n_classes == 2 and "priors" in parameters:
        parameters["priors"] = [0.6, 0.4]
    estimator = fitted(Linear(**parameters), X, labels(X, CLASSES["strings"][:n_classes]))
    assert_same(estimator, X, UNSEEN)
    assert_zero_rows_are_accepted(estimator, X)


def test_least_squares_have_no_projection_and_convert_without():
    estimator = fitted(Linear(solver="lsqr", shrinkage=0.2), X, labels(X, [1, 2, 4]))
    methods = {output.method for output in convert(estimator, X).outputs}
    assert methods == {"predict", "predict_proba", "decision_function"}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"reg_param": 0.3}, {"solver": "eigen", "shrinkage": 0.1}, {"priors": [0.5, 0.3, 0.2]}],
    ids=str,
)
def test_quadratic_scores_and_probabilities_are_the_same(parameters, n_classes):
    parameters = dict(parameters)
    if n_classes == 2 and "priors" in parameters:
        parameters["priors"] = [0.6, 0.4]
    estimator = fitted(Quadratic(**parameters), X, labels(X, CLASSES["negative ints"][:n_classes]))
    assert_same(estimator, X, UNSEEN)
    assert_zero_rows_are_accepted(estimator, X)


def test_quadratic_keeps_its_digits_far_from_the_origin():
    assert_same(fitted(Quadratic(), X + 1e5, labels(X, [0, 1])), X + 1e5, UNSEEN[:12] + 1e5)


def test_one_feature_is_enough():
    y = labels(X[:, :1], [True, False])
    for estimator in (Linear(), Quadratic()):
        assert_same(fitted(estimator, X[:, :1], y), X[:, :1], UNSEEN[:, :1])


def test_a_constant_column_is_left_to_linear_discriminants():
    table = np.column_stack([X[:, :2], np.full(len(X), 2.5)])
    assert_same(fitted(Linear(), table, labels(X, ["a", "b", "c"])), table, table[::-1] * 1.01)


def test_log_probabilities_of_rows_far_from_the_border_are_the_same(tmp_path):
    """onnxruntime's Sigmoid is 0 from -37 on; scikit-learn's log probability there is -40 or so."""
    estimator = fitted(Linear(), X, X[:, 0] > 0.0)
    far = np.linspace(-20.0, 20.0, 81)[:, np.newaxis] * np.ones((1, X.shape[1]))
    edge_pipeline.export(estimator, X, tmp_path / "m.onnx")
    expected = estimator.predict_log_proba(far)
    assert expected.min() < -60.0
    for engine in ("onnxruntime", "numpy"):
        with edge_runtime.load(tmp_path / "m.onnx", engine=engine) as model:
            log_probabilities = model.predict_log_proba(far)[:, 1]
        np.testing.assert_allclose(log_probabilities, expected[:, 1], rtol=1e-9, atol=1e-9)
