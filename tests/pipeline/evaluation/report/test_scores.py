"""Intervals and figures of a report, held against scikit-learn and against arithmetic by hand."""

import math
from typing import Any

import numpy as np
import pytest
from edge_pipeline.evaluation.report.curves import calibration, confusion, ranking, residuals
from edge_pipeline.evaluation.report.scores import (
    bootstrap,
    score_metrics,
    stored_predictions,
    wilson,
)
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    # Computed by hand from the formula, with z = 1.96.
    [
        (5, 10, 0.2366, 0.7634),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_the_interval_of_a_share_is_wilsons(
    right: int, count: int, low: float, high: float
) -> None:
    assert wilson(right, count) == pytest.approx((low, high), abs=2e-4)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0


def test_the_interval_of_a_mean_is_as_wide_as_statistics_say() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    low, high, count = bootstrap(lambda rows: values[rows].mean(), 400, seed=1)
    half = 1.96 * values.std() / math.sqrt(400)
    assert count == 500
    assert low == pytest.approx(values.mean() - half, abs=0.05)
    assert high == pytest.approx(values.mean() + half, abs=0.05)
    assert bootstrap(lambda rows: values[rows].mean(), 400, seed=1)[:2] == (low, high)


def classifier() -> tuple[Any, Any, Any]:
    X, y = load_breast_cancer(return_X_y=True)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[::2], y[::2])
    return fitted, X[1::2], y[1::2]


def test_scores_are_scikit_learns_and_a_dummy_stands_beside_them() -> None:
    fitted, X, y = classifier()
    answers = {"predict": fitted.predict(X), "predict_proba": fitted.predict_proba(X)}
    model = stored_predictions("classification", answers, [0, 1])
    names = ("accuracy", "balanced_accuracy", "roc_auc", "neg_log_loss")
    found = {
        score.name: score
        for score in score_metrics(names, model, y, task="classification", y_train=y, seed=0)
    }
    assert found["accuracy"].value == fitted.score(X, y)
    assert found["balanced_accuracy"].value == balanced_accuracy_score(y, fitted.predict(X))
    assert found["roc_auc"].value == roc_auc_score(y, fitted.predict_proba(X)[:, 1])
    assert found["accuracy"].dummy == max(np.mean(y), 1 - np.mean(y))
    assert found["roc_auc"].dummy == 0.5
    assert found["accuracy"].method == "Wilson"
    assert found["roc_auc"].method == "bootstrap, 500 resamples"
    for score in found.values():
        assert score.low <= score.value <= score.high
        assert score.low > score.dummy


def test_scores_of_numbers_have_intervals_and_a_dummy_too() -> None:
    X, y = load_diabetes(return_X_y=True)
    fitted = LinearRegression().fit(X[::2], y[::2])
    given = fitted.predict(X[1::2])
    model = stored_predictions("regression", {"predict": given})
    score, off = score_metrics(
        ("r2", "neg_mean_absolute_error"), model, y[1::2], task="regression", y_train=y, seed=0
    )
    assert score.value == r2_score(y[1::2], given)
    assert score.low < score.value < score.high
    assert score.dummy == pytest.approx(0.0, abs=0.02)
    assert off.dummy < off.value < 0


def test_the_confusion_matrix_counts_rows_by_their_true_class() -> None:
    found = confusion(
        np.array(["a", "b", "b", "c"]), np.array(["a", "b", "a", "c"]), ["a", "b", "c"]
    )
    assert found.counts == ((1, 0, 0), (1, 1, 0), (0, 0, 1))
    with pytest.raises(ValueError, match="31 classes are too many"):
        confusion(np.arange(31), np.arange(31), list(range(31)))


def test_a_calibrated_model_lies_on_the_diagonal_and_a_boasting_one_does_not() -> None:
    random = np.random.default_rng(0)
    said = random.uniform(size=20_000)
    y = np.where(random.uniform(size=20_000) < said, "yes", "no")
    honest = calibration(y, np.column_stack([1 - said, said]), ["no", "yes"])
    assert honest.of == "probability of yes"
    assert honest.error < 0.02
    assert np.abs(np.array(honest.said) - np.array(honest.came_true)).max() < 0.05
    extreme = np.where(said > 0.5, 0.99, 0.01)
    assert calibration(y, np.column_stack([1 - extreme, extreme]), ["no", "yes"]).error > 0.2
    with pytest.raises(ValueError, match="12 test rows are too few"):
        calibration(y[:12], np.full((12, 2), 0.5), ["no", "yes"])


def test_ranking_curves_have_the_areas_of_scikit_learn() -> None:
    X, y = load_wine(return_X_y=True)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=1e-4)).fit(X, y)
    proba = fitted.predict_proba(X)
    found = ranking(y, proba, [0, 1, 2], kind="roc")
    for place, curve in enumerate(found):
        assert curve.area == pytest.approx(roc_auc_score(y == place, proba[:, place]))
        assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
        assert len(curve.x) <= 100
    assert [curve.name for curve in ranking(y > 0, proba[:, :2], [False, True], kind="roc")] == [
        "True"
    ]


def test_residuals_tell_how_far_and_to_which_side() -> None:
    y = np.arange(1000.0)
    (found,) = residuals(y, y + 3.0, seed=0)
    assert set(found.quantiles.values()) == {3.0}
    assert len(found.true) == 300
    assert np.allclose(np.array(found.predicted) - np.array(found.true), 3.0)
    assert [item.name for item in residuals(np.ones((9, 2)), np.ones((9, 2)), 0)] == [
        "target 1",
        "target 2",
    ]
