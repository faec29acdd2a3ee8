"""Single trees, forests, AdaBoost, gradient boosting and bagging against scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from edge_pipeline import convert
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from sklearn import dummy, ensemble, linear_model, naive_bayes, tree
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC, LinearSVR

# Sums, divisions and look-ups are equal to the last bit; exp and its kin may differ by two.
LAST_BITS = 1e-14

RNG = np.random.default_rng(7)
X = RNG.normal(size=(150, 5)) * [1.0, 100.0, 1e-3, 1.0, 1e6]
X[:, 3] = 4.0  # a constant column
X[:, 4] = np.rint(X[:, 4] / 1e6)  # ties
SIGNAL = X[:, 0] + X[:, 1] / 50 + np.sin(3 * X[:, 4]) + RNG.normal(size=150) / 3
UNSEEN = np.concatenate([RNG.normal(size=(80, 5)) * [2.0, 200.0, 1e-2, 5.0, 1.0], X[:20]])
GAPS = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
UNSEEN_GAPS = np.where(RNG.random(UNSEEN.shape) < 0.3, np.nan, UNSEEN)
TWO = (SIGNAL > 0.2).astype(int)
THREE = np.digitize(SIGNAL, [-1.0, 0.7])

LABELS = {
    "strings": np.array(["adelie", "gentoo", "chinstrap"]),
    "negative ints": np.array([5, -3, -1]),
    "floats": np.array([1.0, -2.0, 1e9]),
}


def fit(estimator: Any, rows: Any, y: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(rows, y)


def two_targets(y: Any) -> Any:
    return np.column_stack([y, np.digitize(X[:, 0], [0.0])])


CLASSIFIERS = {
    "tree": tree.DecisionTreeClassifier(random_state=0),
    "shallow tree": tree.DecisionTreeClassifier(max_depth=3, criterion="entropy", random_state=0),
    "pruned tree": tree.DecisionTreeClassifier(ccp_alpha=0.02, class_weight="balanced"),
    "extra tree": tree.ExtraTreeClassifier(max_leaf_nodes=9, random_state=0),
    "forest": ensemble.RandomForestClassifier(11, random_state=0),
    "shallow forest": ensemble.RandomForestClassifier(12, max_depth=3, random_state=0),
    "leafy forest": ensemble.RandomForestClassifier(7, min_samples_leaf=4, random_state=0),
    "extra trees": ensemble.ExtraTreesClassifier(10, max_depth=4, bootstrap=True, random_state=0),
}
REGRESSORS = {
    "tree": tree.DecisionTreeRegressor(random_state=0),
    "absolute error": tree.DecisionTreeRegressor(criterion="absolute_error", max_depth=4),
    "extra tree": tree.ExtraTreeRegressor(max_depth=5, random_state=0),
    "forest": ensemble.RandomForestRegressor(13, random_state=0),
    "poisson": ensemble.RandomForestRegressor(5, criterion="poisson", max_samples=0.5),
    "extra trees": ensemble.ExtraTreesRegressor(10, max_features=2, random_state=0),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("labels", LABELS)
def test_tree_classifiers_predict_alike_where_values_are_missing(name: str, labels: str) -> None:
    y = LABELS[labels][THREE]
    assert_same(fit(CLASSIFIERS[name], GAPS, y), GAPS, UNSEEN_GAPS, tolerance=LAST_BITS)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_tree_classifiers_predict_two_classes_and_targets(name: str) -> None:
    assert_same(fit(CLASSIFIERS[name], X, TWO == 1), X, UNSEEN, tolerance=LAST_BITS)
    y = two_targets(THREE)
    assert_same(fit(CLASSIFIERS[name], X, y), X, UNSEEN, tolerance=LAST_BITS)


@pytest.mark.parametrize("name", REGRESSORS)
def test_tree_regressors_predict_one_target_and_several(name: str) -> None:
    rows, unseen = (X, UNSEEN) if name == "absolute error" else (GAPS, UNSEEN_GAPS)
    y = np.abs(SIGNAL)
    assert_same(fit(REGRESSORS[name], rows, y), rows, unseen, tolerance=LAST_BITS)
    assert_same(fit(REGRESSORS[name], X, two_targets(y)), X, UNSEEN, tolerance=LAST_BITS)


@pytest.mark.parametrize(
    "estimator",
    [
        tree.DecisionTreeClassifier(max_depth=1),
        ensemble.RandomForestClassifier(3),
        ensemble.AdaBoostClassifier(n_estimators=3),
        tree.DecisionTreeRegressor(),
        ensemble.RandomForestRegressor(3),
        ensemble.GradientBoostingRegressor(n_estimators=3),
        ensemble.AdaBoostRegressor(n_estimators=3),
    ],
)
def test_a_tree_of_one_leaf_predicts_alike(estimator: Any) -> None:
    assert_same(fit(estimator, X, np.full(150, 3.0)), X, UNSEEN, tolerance=LAST_BITS)


def test_a_forest_in_which_some_trees_are_one_leaf_predicts_alike() -> None:
    rows, y = X[:40], np.zeros(40)
    y[0] = 1.0
    for estimator in (
        ensemble.RandomForestClassifier(30, random_state=0),
        ensemble.RandomForestRegressor(30, random_state=0),
        ensemble.BaggingClassifier(n_estimators=30, random_state=0),
    ):
        fitted = fit(estimator, rows, y)
        sizes = [part.tree_.node_count for part in fitted.estimators_]
        assert min(sizes) == 1 < max(sizes)
        assert_same(fitted, rows, UNSEEN, tolerance=LAST_BITS)


def test_a_threshold_of_infinity_sends_only_missing_values_right() -> None:
    rows = np.array([[1.0], [2.0], [np.nan], [np.nan]] * 5)
    y = np.isnan(rows[:, 0]).astype(int)
    fitted = fit(tree.DecisionTreeClassifier(), rows, y)
    assert np.isinf(fitted.tree_.threshold[0])
    assert_same(fitted, rows, np.array([[np.nan], [3e38], [-3e38], [0.0]]), tolerance=LAST_BITS)


@pytest.mark.parametrize("contamination", ["auto", 0.1, 0.3])
@pytest.mark.parametrize("max_features", [1.0, 0.5])
def test_isolation_forest_predicts_a_decision_of_zero(
    contamination: Any, max_features: float
) -> None:
    estimator = ensemble.IsolationForest(
        n_estimators=15,
        contamination=contamination,
        max_features=max_features,
        max_samples=50,
        random_state=0,
    )
    rows = np.concatenate([X, X[:1]])  # 151 rows: a tenth and three tenths fall on a row
    fitted = fit(estimator, rows, None)
    assert_same(fitted, rows, np.concatenate([UNSEEN, rows]), tolerance=LAST_BITS)


def test_isolation_forest_of_single_samples_predicts_alike() -> None:
    fitted = fit(ensemble.IsolationForest(n_estimators=3, max_samples=1, random_state=0), X, None)
    assert_same(fitted, X, UNSEEN, tolerance=LAST_BITS)


@pytest.mark.parametrize("sparse_output", [True, False])
def test_random_trees_embedding_marks_the_same_leaves(sparse_output: bool) -> None:
    estimator = ensemble.RandomTreesEmbedding(
        9, max_depth=4, sparse_output=sparse_output, random_state=0
    )
    assert_same(fit(estimator, X, None), X, UNSEEN, tolerance=LAST_BITS)


BOOSTED_CLASSIFIERS = {
    "log_loss": ensemble.GradientBoostingClassifier(n_estimators=12, random_state=0),
    "subsampled": ensemble.GradientBoostingClassifier(
        n_estimators=12, subsample=0.5, max_features=2, learning_rate=0.37, random_state=0
    ),
    "init zero": ensemble.GradientBoostingClassifier(n_estimators=8, init="zero"),
    "init trees": ensemble.GradientBoostingClassifier(
        n_estimators=8, init=ensemble.RandomForestClassifier(5, max_depth=2, random_state=0)
    ),
    "init tree": ensemble.GradientBoostingClassifier(
        n_estimators=8, init=tree.DecisionTreeClassifier(max_depth=2)
    ),
    "init most frequent": ensemble.GradientBoostingClassifier(
        n_estimators=8, init=dummy.DummyClassifier(strategy="most_frequent")
    ),
}


@pytest.mark.parametrize("name", BOOSTED_CLASSIFIERS)
@pytest.mark.parametrize("y", [TWO == 1, LABELS["strings"][THREE]], ids=["two", "three"])
def test_gradient_boosting_classifies_alike(name: str, y: Any) -> None:
    assert_same(fit(BOOSTED_CLASSIFIERS[name], X, y), X, UNSEEN, tolerance=LAST_BITS)


@pytest.mark.parametrize("init", [None, "zero", tree.DecisionTreeClassifier(max_depth=2)])
def test_gradient_boosting_has_exponential_loss(init: Any) -> None:
    estimator = ensemble.GradientBoostingClassifier(
        loss="exponential", n_estimators=10, init=init, random_state=0
    )
    assert_same(fit(estimator, X, TWO), X, UNSEEN, tolerance=LAST_BITS)


def test_an_init_with_float32_probabilities_is_refused() -> None:
    """An init with float64 probabilities is converted."""
    for init in (linear_model.LogisticRegression(), naive_bayes.GaussianNB()):
        estimator = ensemble.GradientBoostingClassifier(n_estimators=3, init=init)
        with pytest.raises(UnsupportedEstimatorError, match="casts to float64"):
            convert(fit(estimator, X, TWO), X)
    in_float64 = make_pipeline(FunctionTransformer(to_float64), linear_model.LogisticRegression())
    estimator = ensemble.GradientBoostingClassifier(n_estimators=3, init=in_float64)
    assert_same(fit(estimator, X, TWO), X, UNSEEN)


def to_float64(X: Any) -> Any:
    return X.astype(np.float64)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
@pytest.mark.parametrize("init", [None, "zero", ensemble.ExtraTreesRegressor(4, random_state=0)])
def test_gradient_boosting_regresses_alike(loss: str, init: Any) -> None:
    estimator = ensemble.GradientBoostingRegressor(
        loss=loss, alpha=0.3, init=init, n_estimators=10, random_state=0
    )
    assert_same(fit(estimator, X, 1e6 + SIGNAL), X, UNSEEN, tolerance=LAST_BITS)


@pytest.mark.parametrize("base", [None, tree.DecisionTreeClassifier(max_depth=3, random_state=0)])
@pytest.mark.parametrize("y", [TWO == 1, LABELS["strings"][THREE]], ids=["two", "three"])
def test_adaboost_classifies_alike(base: Any, y: Any) -> None:
    estimator = ensemble.AdaBoostClassifier(base, n_estimators=9, learning_rate=0.7, random_state=0)
    assert_same(fit(estimator, X, y), X, UNSEEN, tolerance=LAST_BITS)


@pytest.mark.parametrize("y", [TWO, LABELS["strings"][THREE]], ids=["two", "three"])
def test_adaboost_of_other_estimators_classifies_alike(y: Any) -> None:
    estimator = ensemble.AdaBoostClassifier(
        linear_model.LogisticRegression(max_iter=50), n_estimators=5, random_state=0
    )
    assert_same(fit(estimator, X, y), X, UNSEEN)


@pytest.mark.parametrize("loss", ["linear", "square", "exponential"])
@pytest.mark.parametrize("base", [None, tree.DecisionTreeRegressor(max_depth=1)])
def test_adaboost_takes_the_same_weighted_median(loss: str, base: Any) -> None:
    estimator = ensemble.AdaBoostRegressor(base, n_estimators=14, loss=loss, random_state=0)
    assert_same(fit(estimator, X, SIGNAL), X, UNSEEN, tolerance=LAST_BITS)


def test_adaboost_of_linear_models_has_the_same_median() -> None:
    estimator = ensemble.AdaBoostRegressor(
        linear_model.LinearRegression(), n_estimators=6, random_state=0
    )
    assert_same(fit(estimator, X, SIGNAL), X, UNSEEN)


BAGGED = {
    "trees": (None, {}),
    "some columns": (tree.ExtraTreeClassifier(random_state=0), {"max_features": 0.6}),
    "repeated columns": (None, {"max_features": 4, "bootstrap_features": True}),
    "small samples": (None, {"max_samples": 4}),
    "scaled": (
        make_pipeline(StandardScaler(), linear_model.LogisticRegression()),
        {"max_features": 3},
    ),
    "without probabilities": (LinearSVC(), {"max_samples": 0.5}),
    "decisions": (SVC(kernel="linear", C=0.1), {"max_samples": 0.4}),
}


@pytest.mark.parametrize("name", BAGGED)
@pytest.mark.parametrize("y", [TWO, LABELS["strings"][THREE]], ids=["two", "three"])
def test_bagging_classifies_alike(name: str, y: Any) -> None:
    base, settings = BAGGED[name]
    estimator = ensemble.BaggingClassifier(base, n_estimators=7, random_state=0, **settings)
    rows = StandardScaler().fit_transform(X)
    assert_same(fit(estimator, rows, y), rows, UNSEEN[:, ::-1])


@pytest.mark.parametrize(
    ("base", "settings"),
    [
        (None, {}),
        (None, {"max_features": 0.5, "bootstrap": False}),
        (LinearSVR(max_iter=100), {"max_features": 2}),
        (ensemble.GradientBoostingRegressor(n_estimators=3), {}),
    ],
)
def test_bagging_regresses_alike(base: Any, settings: dict[str, Any]) -> None:
    estimator = ensemble.BaggingRegressor(base, n_estimators=5, random_state=0, **settings)
    assert_same(fit(estimator, X, SIGNAL), X, UNSEEN)


def test_bagging_of_trees_regresses_several_targets_alike() -> None:
    estimator = ensemble.BaggingRegressor(n_estimators=5, random_state=0)
    assert_same(fit(estimator, GAPS, two_targets(SIGNAL)), GAPS, UNSEEN_GAPS, tolerance=LAST_BITS)
