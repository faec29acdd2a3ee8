"""True targets and answers in; confusion, calibration, ranking and residuals out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    auc,
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    roc_curve,
)

from edge_pipeline.evaluation.report.evaluation import Calibration, Confusion, Curve, Residuals

__all__ = ["calibration", "confusion", "learning_curves", "ranking", "residuals"]

MOST_CLASSES = 30
"""Classes of a confusion matrix that still fits a page."""

RANKED_CLASSES = 10
"""Classes with a line of their own among the ROC curves."""

BINS = 10
ROWS_A_BIN = 10
"""Fewer rows say nothing about a share."""

POINTS = 100
"""Points of a line: more would make the page large, and no line smoother."""

SCATTERED = 300
"""Pairs of true and predicted values that are shown."""

LEARNING_FOLDS = 3
LEARNING_SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


def confusion(y: NDArray[Any], given: NDArray[Any], classes: Sequence[Any]) -> Confusion:
    """Count which class was taken for which."""
    labels = sorted({*classes, *np.unique(y).tolist()}, key=str) if not classes else list(classes)
    if len(labels) > MOST_CLASSES:
        raise ValueError(f"{len(labels)} classes are too many for one table")
    found = confusion_matrix(y, given, labels=labels)
    return Confusion(
        labels=tuple(map(str, labels)), counts=tuple(tuple(row) for row in found.tolist())
    )


def calibration(y: NDArray[Any], proba: NDArray[Any], classes: Sequence[Any]) -> Calibration:
    """How often what was said with a probability came true.

    Of two classes the second's probability; of more, that of the class answered.  Bins have as many
    rows each.  The error is the mean distance between said and true (expected calibration error,
    Guo et al., 2017, eq. 3).
    """
    labels = np.asarray(classes)
    if proba.shape[1] == 2:
        of, said, came = f"probability of {classes[1]}", proba[:, 1], y == labels[1]
    else:
        best = proba.argmax(axis=1)
        of, said, came = "probability of the class answered", proba.max(axis=1), y == labels[best]
    bins = min(BINS, len(y) // ROWS_A_BIN)
    if bins < 2:
        raise ValueError(f"{len(y)} test rows are too few")
    parts = np.array_split(np.argsort(said, kind="stable"), bins)
    means = [float(said[part].mean()) for part in parts]
    shares = [float(came[part].mean()) for part in parts]
    weights = np.array([len(part) for part in parts])
    gaps = np.abs(np.array(means) - np.array(shares))
    return Calibration(
        of=of,
        said=tuple(means),
        came_true=tuple(shares),
        rows=tuple(int(n) for n in weights),
        error=float((gaps * weights).sum() / weights.sum()),
    )


def ranking(
    y: NDArray[Any],
    score: NDArray[Any],
    classes: Sequence[Any],
    *,
    kind: Literal["roc", "precision_recall"],
) -> list[Curve]:
    """A curve for each class against the others; of two classes, for the second alone."""
    if score.ndim == 1:
        columns = {1: score}
    elif score.shape[1] == 2:
        columns = {1: score[:, 1]}
    elif score.shape[1] == len(classes) <= RANKED_CLASSES:
        columns = dict(enumerate(score.T))
    else:
        raise ValueError(f"{len(classes)} classes would hide each other")
    found = []
    for place, values in columns.items():
        true = y == np.asarray(classes)[place]
        if not 0 < true.sum() < len(true):
            continue  # the test rows have it not, or nothing else
        if kind == "roc":
            x, height, _ = roc_curve(true, values)
            area = float(auc(x, height))
        else:
            height, x, _ = precision_recall_curve(true, values)
            area = float(average_precision_score(true, values))
        kept = _thinned(len(x))
        found.append(
            Curve(
                name=str(classes[place]),
                x=tuple(x[kept].tolist()),
                y=tuple(height[kept].tolist()),
                area=area,
            )
        )
    return found


def residuals(y: NDArray[Any], given: NDArray[Any], seed: int) -> list[Residuals]:
    """Of each target, how far the answers are off, and some pairs to look at."""
    true, told = (np.asarray(a, dtype=np.float64).reshape(len(y), -1) for a in (y, given))
    shown = np.sort(np.random.default_rng(seed).permutation(len(y))[:SCATTERED])
    found = []
    for place in range(true.shape[1]):
        off = told[:, place] - true[:, place]
        levels = {"2.5": 2.5, "10": 10, "25": 25, "50": 50, "75": 75, "90": 90, "97.5": 97.5}
        found.append(
            Residuals(
                name="" if true.shape[1] == 1 else f"target {place + 1}",
                true=tuple(true[shown, place].tolist()),
                predicted=tuple(told[shown, place].tolist()),
                quantiles={name: float(np.percentile(off, q)) for name, q in levels.items()},
            )
        )
    return found


def learning_curves(
    estimator: Any, X: Any, y: NDArray[Any], metric: str, *, folds: Any, groups: Any, seed: int
) -> list[Curve]:
    """What the metric becomes with more training rows: of the rows learnt from, and of others.

    *estimator* is fitted anew, five times for each fold.
    """
    from sklearn.base import clone
    from sklearn.model_selection import learning_curve

    counts, learnt, others = learning_curve(
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
    known = np.isfinite(learnt).all(axis=1) & np.isfinite(others).all(axis=1)
    return [
        Curve(
            name=name,
            x=tuple(counts[known].astype(float).tolist()),
            y=tuple(found[known].mean(axis=1).tolist()),
            low=tuple(found[known].min(axis=1).tolist()),
            high=tuple(found[known].max(axis=1).tolist()),
        )
        for name, found in (("rows learnt from", learnt), ("other rows", others))
    ]


def _thinned(count: int) -> NDArray[np.int64]:
    """Positions of at most :data:`POINTS`, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(np.int64))
