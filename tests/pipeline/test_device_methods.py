"""Every method of the estimator exists on the device, log probabilities too, and for one row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pytest
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import edge_runtime

RNG = np.random.default_rng(0)


@pytest.fixture
def reload(tmp_path: Path) -> Callable[..., edge_runtime.Model]:
    def export_and_load(estimator: Any, X: Any) -> edge_runtime.Model:
        edge_pipeline.export(estimator, X, tmp_path / "m.onnx")
        return edge_runtime.load(tmp_path / "m.onnx")

    return export_and_load


NUMBERS = RNG.normal(size=(60, 4))
COUNTS = RNG.integers(0, 5, size=(60, 4)).astype(float)
TARGETS = (NUMBERS[:, 0] + NUMBERS[:, 1] > 0).astype(int) + (COUNTS[:, 0] > 2)


@pytest.mark.parametrize(
    ("estimator", "X"),
    [
        (LogisticRegression(), NUMBERS),
        (DecisionTreeClassifier(max_depth=3), NUMBERS),
        (RandomForestClassifier(n_estimators=5), NUMBERS),
        (BaggingClassifier(DecisionTreeClassifier(max_depth=3), 4), NUMBERS),
        (LinearDiscriminantAnalysis(), NUMBERS),
        (QuadraticDiscriminantAnalysis(), NUMBERS),
        (NearestCentroid(), NUMBERS),
        (GaussianNB(), NUMBERS),
        (MultinomialNB(), COUNTS),
        (ComplementNB(), COUNTS),
        (BernoulliNB(), NUMBERS),
        (make_pipeline(StandardScaler(), GaussianNB()), NUMBERS),
        (GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2), NUMBERS),
        (FixedThresholdClassifier(GaussianNB()), NUMBERS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_log_probabilities_are_those_of_scikit_learn(
    estimator: Any, X: Any, reload: Callable[..., edge_runtime.Model]
) -> None:
    y = TARGETS > 0 if isinstance(estimator, FixedThresholdClassifier) else TARGETS
    estimator.fit(X, y)
    model = reload(estimator, X)
    # Far rows have probabilities below the smallest float64.
    rows = np.vstack([X, RNG.normal(size=(40, 4)) ** 2, 1e3 * X**2])
    with np.errstate(divide="ignore"):
        expected = estimator.predict_log_proba(rows)
    got = model.predict_log_proba(rows)
    assert got.dtype == expected.dtype
    # Relative to the largest magnitude, as verification: the least probabilities are differences.
    np.testing.assert_allclose(np.exp(got), np.exp(expected), rtol=0, atol=1e-12)
    likely = expected > np.log(1e-9)
    np.testing.assert_allclose(got[likely], expected[likely], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(np.isinf(got), np.isinf(expected))
    label, by_class = model.predict_log_proba_one(rows[0])
    assert (label, list(by_class)) == (estimator.predict(rows[:1])[0], estimator.classes_.tolist())
    np.testing.assert_allclose(list(by_class.values()), got[0], rtol=1e-12)


def test_an_estimator_without_log_probabilities_has_none(
    reload: Callable[..., edge_runtime.Model],
) -> None:
    voting = VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft")
    model = reload(voting.fit(NUMBERS, TARGETS), NUMBERS)
    assert not hasattr(model, "predict_log_proba_one")
    with pytest.raises(edge_runtime.MethodNotAvailableError, match=r"numpy.log of predict_proba"):
        model.predict_log_proba(NUMBERS)


@pytest.mark.parametrize(
    "bagging",
    [
        BaggingClassifier(GaussianNB(), 3, random_state=0),
        BaggingClassifier(make_pipeline(StandardScaler(), GaussianNB()), 3, max_features=0.5),
        BaggingClassifier(BaggingClassifier(GaussianNB(), 2), 2, random_state=0),
        make_pipeline(StandardScaler(), BaggingClassifier(QuadraticDiscriminantAnalysis(), 2)),
    ],
    ids=["naive-bayes", "pipelines", "nested", "in-a-pipeline"],
)
def test_bagging_adds_the_probabilities_of_estimators_that_compute_logarithms(
    bagging: Any, reload: Callable[..., edge_runtime.Model]
) -> None:
    """The sum stays finite where every probability is zero."""
    model = reload(bagging.fit(NUMBERS, TARGETS), NUMBERS)
    rows = np.vstack([NUMBERS, 1e3 * NUMBERS**2])
    expected = bagging.predict_log_proba(rows)
    assert np.isfinite(expected).all()
    assert (np.exp(expected) == 0.0).any()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(model.predict_log_proba(rows), expected, rtol=0, atol=1e-9 * scale)
    near = expected[:60]
    np.testing.assert_allclose(model.predict_log_proba(NUMBERS), near, rtol=1e-9, atol=1e-12)


def test_a_class_that_no_estimator_of_a_bagging_saw_has_the_logarithm_of_zero(
    reload: Callable[..., edge_runtime.Model],
) -> None:
    y = np.where(np.arange(60) == 0, 3, 1 + 3 * (TARGETS > 0))  # one row of the class 3
    bagging = BaggingClassifier(NearestCentroid(), 2, max_samples=0.3, random_state=1)
    bagging.fit(NUMBERS, y)
    assert all(1 not in estimator.classes_ for estimator in bagging.estimators_)
    with np.errstate(divide="ignore"):
        expected = bagging.predict_log_proba(NUMBERS)
    assert np.isneginf(expected[:, 1]).all()
    np.testing.assert_allclose(reload(bagging, NUMBERS).predict_log_proba(NUMBERS), expected)


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (LogisticRegression(), "decision_function"),
        (GaussianMixture(2, random_state=0), "score_samples"),
        (StandardScaler(), "transform"),
    ],
)
def test_every_method_exists_for_one_row(
    estimator: Any, method: str, reload: Callable[..., edge_runtime.Model]
) -> None:
    model = reload(estimator.fit(NUMBERS, TARGETS), NUMBERS)
    expected = getattr(estimator, method)(NUMBERS)
    one = getattr(model, f"{method}_one")
    for row, prediction in zip(NUMBERS, expected, strict=True):
        np.testing.assert_allclose(one(row), prediction, rtol=1e-9, atol=1e-12)
    assert type(one(NUMBERS[0])) is (list if expected.ndim == 2 else float)
    model.close()
    with pytest.raises(edge_runtime.ModelClosedError):
        one(NUMBERS[0])
    with pytest.raises(edge_runtime.ModelClosedError):
        getattr(model, f"{method}_one")(NUMBERS[0])
    with pytest.raises(edge_runtime.ModelClosedError):
        getattr(model, method)(NUMBERS, extra_columns="ignore")
