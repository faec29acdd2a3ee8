"""Compute precision, recall and F1 of each class, and the effect of a threshold on two classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from edge_pipeline.evaluation.report.measurements import ClassScore, Thresholds

__all__ = ["class_scores", "threshold_counts"]

MOST_CLASSES = 200
"""Most classes in the table of one target."""

MAX_THRESHOLDS = 200
"""Thresholds in the page: they are evenly spaced among the scores of the test rows."""


def class_scores(
    y: NDArray[Any], predicted: NDArray[Any], y_train: NDArray[Any] | None, names: Sequence[str]
) -> list[ClassScore]:
    """Score each class of each target against all other classes.

    Parameters
    ----------
    y, predicted
        Labels, shape (n_samples,) or (n_samples, n_targets).
    y_train
        Labels of the training rows, or None.
    names
        A name for each target.
    """
    true, answers = (values.reshape(len(y), -1) for values in (y, predicted))
    train = None if y_train is None else np.asarray(y_train).reshape(len(y_train), -1)
    scores = []
    for i, name in enumerate(names):
        train_labels = None if train is None else train[:, i].tolist()
        scores += _scores_of_target(true[:, i], answers[:, i], train_labels, name)
    return scores


def _scores_of_target(
    y: NDArray[Any], predicted: NDArray[Any], train_labels: list[Any] | None, name: str
) -> list[ClassScore]:
    seen_labels = {*y.tolist(), *predicted.tolist(), *(train_labels or ())}
    labels = sorted(seen_labels, key=lambda label: (str(type(label)), label))
    if len(labels) > MOST_CLASSES:
        raise ValueError(f"{len(labels)} classes are too many for one table")
    precision, recall, f1, support = precision_recall_fscore_support(
        y, predicted, labels=labels, zero_division=np.nan
    )
    counts = {} if train_labels is None else _counts(train_labels)
    return [
        ClassScore(
            target=name,
            label=str(label),
            rows_train=None if train_labels is None else counts.get(label, 0),
            rows=int(support[i]),
            predicted=int((predicted == label).sum()),
            precision=_finite(precision[i]),
            recall=_finite(recall[i]),
            f1=_finite(f1[i]),
        )
        for i, label in enumerate(labels)
    ]


def threshold_counts(
    y: NDArray[Any], score: NDArray[Any], classes: Sequence[Any], *, score_name: str
) -> Thresholds:
    """Count the rows at and above each threshold that belong to the second of two classes.

    Parameters
    ----------
    score
        Probability or decision value of the second class; the larger, the more likely.
    score_name
        What *score* is called.
    """
    is_positive = y == np.asarray(classes)[1]
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    true_positives = np.cumsum(is_positive[order])
    last_of_equals = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    if len(last_of_equals) > MAX_THRESHOLDS:
        evenly = np.linspace(0, len(last_of_equals) - 1, MAX_THRESHOLDS).round().astype(int)
        last_of_equals = last_of_equals[evenly]
    hits = true_positives[last_of_equals]
    return Thresholds(
        of=str(classes[1]),
        other_class=str(classes[0]),
        score=score_name,
        positives=int(is_positive.sum()),
        negatives=int((~is_positive).sum()),
        lowest=tuple(ordered[last_of_equals].tolist()),
        true_positives=tuple(hits.tolist()),
        false_positives=tuple((last_of_equals + 1 - hits).tolist()),
    )


def _counts(labels: list[Any]) -> dict[Any, int]:
    values, counts = np.unique(np.array(labels), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
