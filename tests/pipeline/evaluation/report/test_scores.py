"""Check intervals and figures of a report against scikit-learn and hand-computed values."""

import math
from typing import Any

import numpy as np
import pytest
from edge_pipeline.evaluation.report.confusion import confusion
from edge_pipeline.evaluation.report.curves import calibration, ranking, residuals
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
    ("successes", "count", "low", "high"),
    # Computed by hand from the formula, with z = 1.96.
    [
        (5, 10, 0.2366, 0.7634),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_the_interval_of_a_share_is_wilsons(
    successes: int, count: int, low: float, high: float
) -> None:
    assert wilson(successes, count) == pytest.approx((low, high), abs=2e-4)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0


def test_the_interval_of_a_mean_has_the_expected_width() -> None:
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


@pytest.mark.slow
def test_scores_equal_scikit_learns_and_have_a_baseline() -> None:
    fitted, X, y = classifier()
    predictions = {"predict": fitted.predict(X), "predict_proba": fitted.predict_proba(X)}
    model = stored_predictions("classification", predictions, [0, 1])
    names = ("accuracy", "balanced_accuracy", "roc_auc", "neg_log_loss")
    scores = {
        score.name: score
        for score in score_metrics(names, model, y, task="classification", y_train=y, seed=0)
    }
    assert scores["accuracy"].value == fitted.score(X, y)
    assert scores["balanced_accuracy"].value == balanced_accuracy_score(y, fitted.predict(X))
    assert scores["roc_auc"].value == roc_auc_score(y, fitted.predict_proba(X)[:, 1])
    assert scores["accuracy"].dummy == max(np.mean(y), 1 - np.mean(y))
    assert scores["roc_auc"].dummy == 0.5
    assert scores["accuracy"].method == "Wilson"
    assert scores["roc_auc"].method == "bootstrap, 500 resamples"
    for score in scores.values():
        assert score.low <= score.value <= score.high
        assert score.low > score.dummy


def test_scores_of_numbers_have_intervals_and_a_baseline() -> None:
    X, y = load_diabetes(return_X_y=True)
    fitted = LinearRegression().fit(X[::2], y[::2])
    predicted = fitted.predict(X[1::2])
    model = stored_predictions("regression", {"predict": predicted})
    score, error = score_metrics(
        ("r2", "neg_mean_absolute_error"), model, y[1::2], task="regression", y_train=y, seed=0
    )
    assert score.value == r2_score(y[1::2], predicted)
    assert score.low < score.value < score.high
    assert score.dummy == pytest.approx(0.0, abs=0.02)
    assert error.dummy < error.value < 0


def test_the_confusion_matrix_counts_rows_by_their_true_class() -> None:
    matrix = confusion(
        np.array(["a", "b", "b", "c"]), np.array(["a", "b", "a", "c"]), ["a", "b", "c"]
    )
    assert matrix.counts == ((1, 0, 0), (1, 1, 0), (0, 0, 1))
    with pytest.raises(ValueError, match="31 classes are too many"):
        confusion(np.arange(31), np.arange(31), list(range(31)))


def test_only_a_calibrated_model_lies_on_the_diagonal() -> None:
    random = np.random.default_rng(0)
    probability = random.uniform(size=20_000)
    y = np.where(random.uniform(size=20_000) < probability, "yes", "no")
    calibrated = calibration(y, np.column_stack([1 - probability, probability]), ["no", "yes"])
    assert calibrated.of == "probability of yes"
    assert calibrated.error < 0.02
    assert np.abs(np.array(calibrated.said) - np.array(calibrated.came_true)).max() < 0.05
    extreme = np.where(probability > 0.5, 0.99, 0.01)
    assert calibration(y, np.column_stack([1 - extreme, extreme]), ["no", "yes"]).error > 0.2
    with pytest.raises(ValueError, match="12 test rows are too few"):
        calibration(y[:12], np.full((12, 2), 0.5), ["no", "yes"])


def test_ranking_curves_have_the_areas_of_scikit_learn() -> None:
    X, y = load_wine(return_X_y=True)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=1e-4)).fit(X, y)
    proba = fitted.predict_proba(X)
    curves = ranking(y, proba, [0, 1, 2], kind="roc")
    for class_index, curve in enumerate(curves):
        assert curve.area == pytest.approx(roc_auc_score(y == class_index, proba[:, class_index]))
        assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
        assert len(curve.x) <= 100
    assert [curve.name for curve in ranking(y > 0, proba[:, :2], [False, True], kind="roc")] == [
        "True"
    ]


def test_residuals_have_size_and_sign() -> None:
    y = np.arange(1000.0)
    (result,) = residuals(y, y + 3.0, seed=0)
    assert set(result.quantiles.values()) == {3.0}
    assert len(result.true) == 300
    assert np.allclose(np.array(result.predicted) - np.array(result.true), 3.0)
    assert [item.name for item in residuals(np.ones((9, 2)), np.ones((9, 2)), 0)] == [
        "target 1",
        "target 2",
    ]
