"""Every estimator of sklearn.linear_model predicts as scikit-learn does."""

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.conversion.estimators.linear import CONVERTERS
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    CLASSES,
    assert_zero_rows_are_accepted,
    fitted,
    labels,
    rows,
    signal,
    unseen,
)
from scipy import sparse
from sklearn import linear_model as lm
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.svm import LinearSVC, LinearSVR

X, UNSEEN = rows(), unseen()
Y = signal(X)


def test_every_estimator_of_linear_model_has_a_converter():
    missing = {
        name
        for name in lm.__all__
        if isinstance(getattr(lm, name), type) and getattr(lm, name) not in CONVERTERS
    }
    assert not missing


@pytest.mark.parametrize(
    "estimator",
    [
        lm.LinearRegression(),
        lm.LinearRegression(fit_intercept=False),
        lm.LinearRegression(positive=True),
        lm.Ridge(solver="lsqr"),
        lm.BayesianRidge(),
        lm.ARDRegression(fit_intercept=False),
        lm.OrthogonalMatchingPursuit(n_nonzero_coefs=2),
        lm.QuantileRegressor(quantile=0.8, alpha=0.01),
        lm.TheilSenRegressor(random_state=0, max_subpopulation=50),
        lm.SGDRegressor(random_state=0, loss="epsilon_insensitive"),
        lm.RANSACRegressor(random_state=0),
        lm.RANSACRegressor(lm.Ridge(), random_state=0, min_samples=10),
        LinearSVR(loss="squared_epsilon_insensitive", random_state=0),
    ],
    ids=repr,
)
def test_a_regressor_predicts_the_same(estimator):
    assert_same(fitted(estimator, X, Y), X, UNSEEN)
    assert_zero_rows_are_accepted(estimator, X)


@pytest.mark.parametrize(
    "estimator", [lm.LinearRegression(), lm.RidgeCV(), lm.MultiTaskLasso()], ids=repr
)
@pytest.mark.parametrize("n_targets", [1, 3])
def test_several_targets_keep_their_columns(estimator, n_targets):
    y = np.column_stack([Y * (i + 1) + X[:, i] for i in range(n_targets)])
    assert_same(fitted(estimator, X, y), X, UNSEEN)


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (lm.PoissonRegressor(), np.abs(Y)),
        (lm.GammaRegressor(fit_intercept=False), np.abs(Y) + 0.1),
        (lm.TweedieRegressor(power=0), Y),
        (lm.TweedieRegressor(power=0, link="log"), np.abs(Y) + 0.1),
        (lm.TweedieRegressor(power=1.5), np.abs(Y)),
        (lm.TweedieRegressor(power=2, link="log"), np.abs(Y) + 0.1),
        (lm.TweedieRegressor(power=1.5, link="identity", alpha=10), np.abs(Y) + 0.1),
    ],
    ids=lambda value: repr(value) if hasattr(value, "fit") else "",
)
def test_a_generalised_model_uses_the_inverse_of_its_link(estimator, target):
    assert_same(fitted(estimator, X, target), X, rows(9, seed=3))


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_every_kind_come_back(kind, n_classes):
    y = labels(X, CLASSES[kind][:n_classes])
    assert_same(fitted(lm.LogisticRegression(), X, y), X, UNSEEN)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "estimator",
    [
        *[
            lm.SGDClassifier(loss=loss, random_state=0, max_iter=20)
            for loss in (
                "hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron",
                "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive",
            )
        ],
        lm.Perceptron(random_state=0),
        lm.RidgeClassifierCV(),
        lm.LogisticRegressionCV(cv=2, max_iter=50, use_legacy_attributes=False, scoring="accuracy"),
        lm.LogisticRegression(fit_intercept=False, class_weight="balanced"),
        LinearSVC(multi_class="crammer_singer", random_state=0),
    ],
    ids=repr,
)  # fmt: skip
def test_a_classifier_predicts_the_same(estimator, n_classes):
    assert_same(fitted(estimator, X, labels(X, CLASSES["strings"][:n_classes])), X, UNSEEN)
    assert_zero_rows_are_accepted(estimator, X)


@pytest.mark.skipif(
    not hasattr(lm, "PassiveAggressiveClassifier"), reason="scikit-learn 1.10 is to be without"
)
@pytest.mark.filterwarnings("ignore:.*PassiveAggressive:FutureWarning")
def test_passive_aggressive_models_predict_the_same():
    y = labels(X, CLASSES["strings"])
    assert_same(fitted(lm.PassiveAggressiveClassifier(random_state=0), X, y), X, UNSEEN)
    assert_same(fitted(lm.PassiveAggressiveRegressor(random_state=0), X, Y), X, UNSEEN)


def test_liblinear_predicts_the_same():
    model = lm.LogisticRegression(solver="liblinear", l1_ratio=1.0)
    assert_same(fitted(model, X, labels(X, CLASSES["ints"][:2])), X, UNSEEN)


@pytest.mark.parametrize("make", [lm.RidgeClassifier, lm.RidgeClassifierCV])
def test_ridge_chooses_several_labels_at_once(make):
    y = np.column_stack([Y > 0, X[:, 1] > 1, X[:, 0] < 0]).astype(int)
    assert_same(fitted(make(), X, y), X, UNSEEN)


def test_modified_huber_far_from_every_class_is_uniform():
    model = fitted(lm.SGDClassifier(loss="modified_huber", random_state=0), X, labels(X, [0, 1, 2]))
    model.coef_, model.intercept_ = np.zeros_like(model.coef_), np.full(3, -2.0)
    assert_same(model, X, UNSEEN)


@pytest.mark.parametrize("nu", [0.1, 0.9])
def test_sgd_one_class_tells_inliers_from_outliers(nu):
    assert_same(fitted(lm.SGDOneClassSVM(nu=nu, random_state=0), X), X, UNSEEN)


def test_coefficients_made_sparse_mean_the_same():
    model = fitted(lm.LogisticRegression(C=0.01), X, labels(X, [0, 1, 2])).sparsify()
    assert sparse.issparse(model.coef_)
    assert_same(model, X, UNSEEN)


@pytest.mark.parametrize("d", [1, 2])
def test_few_or_constant_features_are_enough(d):
    table = rows(40, d)
    table[:, -1] = 3.0 if d > 1 else table[:, -1]
    y = labels(table, CLASSES["strings"])
    assert_same(fitted(lm.LogisticRegression(), table, y), table, unseen(d))


@pytest.mark.parametrize("model", [lm.Ridge(alpha=1e-6), lm.LassoLars(alpha=0.01)])
def test_columns_far_from_zero_cancel_and_still_convert(model) -> None:
    far = rows(60) + 1e6
    assert_same(model.fit(far, (far - 1e6).sum(axis=1)), far, far[:20])


@pytest.mark.parametrize("degree", [14, 25, 30])
def test_a_polynomial_whose_terms_cancel_converts(degree, tmp_path) -> None:
    """scikit-learn's own ninth digit depends there on BLAS's order of adding."""
    x = np.linspace(-3.0, 3.0, 100)[:, np.newaxis]
    least_squares = lm.LinearRegression(tol=np.finfo(float).eps)
    pipeline = make_pipeline(PolynomialFeatures(degree), least_squares)
    pipeline.fit(x, np.sin(x[:, 0]) + np.cos(40 * x[:, 0]))
    report = edge_pipeline.export(pipeline, x, tmp_path / "m.onnx")
    assert any("NOT compared" in note for note in report.notes) == (degree > 14)
