"""Searches, frozen estimators, thresholds and selectors run the estimator inside them."""

import numpy as np
import pytest
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import CLASSES, fitted, labels, rows, signal, unseen
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectorMixin,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
    f_classif,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC

X, UNSEEN = rows(90), unseen()
STRINGS = labels(X, CLASSES["strings"])
BINARY = labels(X, ["no", "yes"])


@pytest.mark.parametrize(
    "search",
    [
        GridSearchCV(SVC(gamma=0.1), {"C": [1, 2]}, cv=2),
        RandomizedSearchCV(LogisticRegression(), {"C": [1, 2]}, n_iter=2, cv=2),
        HalvingGridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2),
        HalvingRandomSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2),
        GridSearchCV(make_pipeline(StandardScaler(), LinearSVC()), {"linearsvc__C": [1, 2]}, cv=2),
    ],
    ids=lambda s: type(s).__name__,
)
def test_a_search_predicts_as_its_best_estimator(search):
    assert_same(fitted(search, X, STRINGS), X, UNSEEN)


@pytest.mark.parametrize("part", [KMeans(3, n_init=1, random_state=0), PCA(2), GaussianMixture(2)])
def test_a_search_has_the_methods_of_its_best(part):
    grid = {"n_components": [2]} if hasattr(part, "n_components") else {"n_clusters": [3]}
    assert_same(fitted(GridSearchCV(part, grid, cv=2), X), X, UNSEEN)


def test_a_frozen_estimator_predicts_as_before():
    assert_same(FrozenEstimator(fitted(LogisticRegression(), X, STRINGS)), X, UNSEEN)
    assert_same(make_pipeline(FrozenEstimator(fitted(PCA(2), X))).fit(X), X, UNSEEN)


@pytest.mark.parametrize("criterion", ["threshold", "k_best"])
@pytest.mark.parametrize("kind", ["ints", "strings"])
def test_a_self_trained_classifier(criterion, kind):
    y = labels(X, CLASSES[kind]).astype(object if kind == "strings" else int)
    y[::3] = -1
    assert_same(fitted(SelfTrainingClassifier(GaussianNB(), criterion=criterion), X, y), X, UNSEEN)


@pytest.mark.parametrize("threshold", ["auto", 0.2, 0.9])
@pytest.mark.parametrize("pos_label", [None, "no", "yes"])
@pytest.mark.parametrize("method", ["auto", "predict_proba", "decision_function"])
def test_a_fixed_threshold_is_kept(threshold, pos_label, method):
    meta = FixedThresholdClassifier(
        LogisticRegression(), threshold=threshold, pos_label=pos_label, response_method=method
    )
    assert_same(fitted(meta, X, BINARY), X, UNSEEN)


def test_at_the_threshold_itself_it_is_the_positive_class():
    stump = RandomForestClassifier(1, max_depth=1, random_state=0, bootstrap=False)
    y = (signal(X) > 0).astype(int)
    level = fitted(stump, X, y).predict_proba(X)[0, 1]
    assert_same(fitted(FixedThresholdClassifier(stump, threshold=level), X, y), X, UNSEEN)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CLASSES)
def test_a_tuned_threshold_is_kept(kind):
    y = labels(X, CLASSES[kind][:2])
    meta = TunedThresholdClassifierCV(LogisticRegression(), scoring="balanced_accuracy", cv=3)
    assert_same(fitted(meta, X, y), X, UNSEEN)


@pytest.mark.parametrize(
    "selector",
    [
        SelectKBest(f_classif, k=2),
        SelectPercentile(percentile=50),
        SelectFpr(),
        SelectFdr(),
        SelectFwe(),
        GenericUnivariateSelect(mode="k_best", param=1),
        VarianceThreshold(1.0),
        SelectFromModel(LogisticRegression(), threshold="median"),
        SelectFromModel(RandomForestClassifier(5, random_state=0), max_features=1),
        SequentialFeatureSelector(GaussianNB(), n_features_to_select=2, cv=2),
        RFE(LogisticRegression(), n_features_to_select=2),
        RFECV(SVC(kernel="linear"), cv=2),
    ],
    ids=lambda s: type(s).__name__,
)
def test_a_selector_keeps_the_columns_it_chose(selector):
    assert_same(fitted(selector, X, STRINGS), X, UNSEEN)


def test_a_selector_may_keep_nothing():
    assert_same(fitted(SelectFromModel(Ridge(), threshold=1e9), X, signal(X)), X, UNSEEN)


class TheFirst(SelectorMixin, BaseEstimator):
    """A selector of another library."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def _get_support_mask(self):
        return np.arange(self.n_features_in_) == 0


def test_a_selector_of_another_library_is_converted():
    assert_same(make_pipeline(TheFirst(), GaussianNB()).fit(X, STRINGS), X, UNSEEN)


@pytest.mark.parametrize("meta", [LabelPropagation, LabelSpreading])
@pytest.mark.parametrize(
    "parameters",
    [
        {"gamma": 0.05},
        {"kernel": "knn", "n_neighbors": 3},
        {"kernel": lambda a, b: np.exp(-0.1 * ((a[:, None, :] - b) ** 2).sum(axis=2))},
    ],
    ids=["rbf", "knn", "function"],
)
def test_labels_spread_to_new_rows(meta, parameters):
    y = labels(X, [0, 1, 4])
    y[::4] = -1
    assert_same(fitted(meta(**parameters), X, y), X, rows(30, seed=9))
