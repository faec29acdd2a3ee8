"""Compute the calibration, ROC, residuals and learning curves of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    auc,
    average_precision_score,
    precision_recall_curve,
    roc_curve,
)

from edge_pipeline.evaluation.report.measurements import Calibration, Curve, Residuals

__all__ = ["calibration", "learning_curves", "ranking", "residuals"]

RANKED_CLASSES = 10
"""Most classes that get their own ROC curve."""

BINS = 10
ROWS_A_BIN = 10
"""Fewer rows make the share of a bin meaningless."""

POINTS = 100
"""Points of a line: more make the page larger, not the line smoother."""

SCATTER_POINTS = 300
"""Pairs of true and predicted values in the scatter plot."""

LEARNING_FOLDS = 3
LEARNING_SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


def calibration(y: NDArray[Any], proba: NDArray[Any], classes: Sequence[Any]) -> Calibration:
    """Compare predicted probabilities with the share of rows that belong to the class.

    With two classes, the second class's probability counts; with more, the predicted class's.
    Bins hold equally many rows.  The error is the expected calibration error: the mean distance
    between predicted probability and share (Guo et al., 2017, eq. 3).
    """
    labels = np.asarray(classes)
    if proba.shape[1] == 2:
        of, predicted, is_true = f"probability of {classes[1]}", proba[:, 1], y == labels[1]
    else:
        best = proba.argmax(axis=1)
        of = "probability of the predicted class"
        predicted, is_true = proba.max(axis=1), y == labels[best]
    n_bins = min(BINS, len(y) // ROWS_A_BIN)
    if n_bins < 2:
        raise ValueError(f"{len(y)} test rows are too few")
    bins = np.array_split(np.argsort(predicted, kind="stable"), n_bins)
    means = [float(predicted[rows].mean()) for rows in bins]
    shares = [float(is_true[rows].mean()) for rows in bins]
    weights = np.array([len(rows) for rows in bins])
    distances = np.abs(np.array(means) - np.array(shares))
    return Calibration(
        of=of,
        said=tuple(means),
        came_true=tuple(shares),
        rows=tuple(int(n) for n in weights),
        error=float((distances * weights).sum() / weights.sum()),
    )


def ranking(
    y: NDArray[Any],
    score: NDArray[Any],
    classes: Sequence[Any],
    *,
    kind: Literal["roc", "precision_recall"],
) -> list[Curve]:
    """Compute a curve for each class against all others; with two classes, only for the second."""
    if score.ndim == 1:
        columns = {1: score}
    elif score.shape[1] == 2:
        columns = {1: score[:, 1]}
    elif score.shape[1] == len(classes) <= RANKED_CLASSES:
        columns = dict(enumerate(score.T))
    else:
        raise ValueError(f"{len(classes)} classes would hide each other")
    curves = []
    for class_index, values in columns.items():
        is_class = y == np.asarray(classes)[class_index]
        if not 0 < is_class.sum() < len(is_class):
            continue  # no test row has this class, or all have it
        if kind == "roc":
            x, height, _ = roc_curve(is_class, values)
            area = float(auc(x, height))
        else:
            height, x, _ = precision_recall_curve(is_class, values)
            area = float(average_precision_score(is_class, values))
        points = _evenly_spaced(len(x))
        curves.append(
            Curve(
                name=str(classes[class_index]),
                x=tuple(x[points].tolist()),
                y=tuple(height[points].tolist()),
                area=area,
            )
        )
    return curves


def residuals(
    y: NDArray[Any], predicted: NDArray[Any], seed: int, names: Sequence[str] = ()
) -> list[Residuals]:
    """Compute quantiles of the errors of each target, and sample pairs for a scatter plot."""
    true, predicted = (
        np.asarray(values, dtype=np.float64).reshape(len(y), -1) for values in (y, predicted)
    )
    sample = np.sort(np.random.default_rng(seed).permutation(len(y))[:SCATTER_POINTS])
    percentiles = {"2.5": 2.5, "10": 10, "25": 25, "50": 50, "75": 75, "90": 90, "97.5": 97.5}
    targets = []
    for i in range(true.shape[1]):
        errors = predicted[:, i] - true[:, i]
        targets.append(
            Residuals(
                name=_target_name(names, i, true.shape[1]),
                true=tuple(true[sample, i].tolist()),
                predicted=tuple(predicted[sample, i].tolist()),
                quantiles={
                    name: float(np.percentile(errors, q)) for name, q in percentiles.items()
                },
            )
        )
    return targets


def _target_name(names: Sequence[str], i: int, count: int) -> str:
    """Name a target; a single one needs no name."""
    if count == 1:
        return ""
    return names[i] if len(names) == count else f"target {i + 1}"


def learning_curves(
    estimator: Any, X: Any, y: NDArray[Any], metric: str, *, folds: Any, groups: Any, seed: int
) -> list[Curve]:
    """Compute the metric on training rows and on validation rows, for more and more training rows.

    Fits a clone of *estimator* five times for each fold.
    """
    from sklearn.base import clone
    from sklearn.model_selection import learning_curve

    counts, training, validation = learning_curve(
        clone(estimator),
        X,
        y,
        groups=groups,
        train_sizes=np.array(LEARNING_SHARES),
        cv=folds,
        scoring=metric,
        shuffle=groups is None,
        random_state=seed,
        error_score=np.nan,
    )
    finite = np.isfinite(training).all(axis=1) & np.isfinite(validation).all(axis=1)
    return [
        Curve(
            name=name,
            x=tuple(counts[finite].astype(float).tolist()),
            y=tuple(values[finite].mean(axis=1).tolist()),
            low=tuple(values[finite].min(axis=1).tolist()),
            high=tuple(values[finite].max(axis=1).tolist()),
        )
        for name, values in (("training rows", training), ("validation rows", validation))
    ]


def _evenly_spaced(count: int) -> NDArray[np.int64]:
    """Return at most :data:`POINTS` positions, with the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(np.int64))
