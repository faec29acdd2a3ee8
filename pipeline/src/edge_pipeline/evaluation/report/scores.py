"""Answers and the truth in; metrics with the interval that chance alone explains out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import get_scorer

from edge_pipeline.evaluation.report.evaluation import Score

__all__ = [
    "BASELINES",
    "StoredPredictions",
    "bootstrap",
    "class_labels",
    "score_metrics",
    "stored_predictions",
    "wilson",
]

Z = 1.959963984540054
"""Of the normal distribution, for 95 %."""

MOST_RESAMPLES, LEAST_RESAMPLES, RESAMPLED_ROWS = 500, 100, 1_000_000
"""Resamples of a metric, fewer where the rows are many."""

BASELINES = {
    "classification": "always the commonest class of the training rows",
    "regression": "always the mean of the training rows",
}
"""What the dummy does."""


def class_labels(classes: Sequence[Any]) -> Any:
    """The ``classes_`` of an estimator: an array, or one for each of several targets."""
    if isinstance(classes[0], list | tuple):
        return [np.asarray(labels) for labels in classes]
    return np.asarray(classes)


class StoredPredictions(BaseEstimator):  # type: ignore[misc]
    """An estimator whose answers are known: its rows are their positions.

    scikit-learn's scorers take estimators; so a metric of resampled rows costs no predictions.
    """

    def __init__(self, answers: dict[str, NDArray[Any]], classes: Sequence[Any] = ()) -> None:
        self.answers = answers
        self.classes = classes
        if len(classes):
            self.classes_ = class_labels(classes)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        answers = self.__dict__.get("answers", {})
        if name not in answers:
            raise AttributeError(name)

        def answer(X: Any) -> NDArray[Any]:
            return np.asarray(answers[name][np.asarray(X).ravel()])

        answer.__name__ = name  # scorers look at it
        return answer


class _StoredClasses(ClassifierMixin, StoredPredictions):  # type: ignore[misc]
    """Tells scorers that the answers are classes."""


class _StoredNumbers(RegressorMixin, StoredPredictions):  # type: ignore[misc]
    """Tells scorers that the answers are numbers."""


def stored_predictions(
    task: str, answers: dict[str, NDArray[Any]], classes: Sequence[Any] = ()
) -> StoredPredictions:
    """The estimator for *task* that gives these answers."""
    kind = _StoredClasses if task == "classification" else _StoredNumbers
    return kind(answers, classes)


def score_metrics(
    names: Sequence[str],
    model: StoredPredictions,
    y: NDArray[Any],
    *,
    task: str,
    y_train: NDArray[Any] | None,
    seed: int,
) -> list[Score]:
    """Each metric with its interval, and what a dummy gets."""
    rows = np.arange(len(y))
    found = []
    for name in names:
        dummy = None if y_train is None else _dummy(name, task, y, y_train)
        found.append(_score(name, model, rows, y, dummy, seed))
    return found


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    Wilson, 1927, J. Am. Stat. Assoc. 22, p. 209.
    """
    if not count:
        return 0.0, 1.0
    share = right / count
    middle = share + Z * Z / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    # Exactly 0 and 1 at the ends, where rounding would leave 1e-18.
    low = (middle - half) / scale if right else 0.0
    return low, (middle + half) / scale if right < count else 1.0


def bootstrap(value: Any, count: int, seed: int) -> tuple[float, float, int]:
    """The 95 % percentile interval of ``value(rows)`` over resampled rows, and their number.

    Efron, 1979, Ann. Stat. 7, p. 1.
    """
    random = np.random.default_rng(seed)
    resamples = int(np.clip(RESAMPLED_ROWS // count, LEAST_RESAMPLES, MOST_RESAMPLES))
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(resamples):
            try:
                found.append(float(value(random.integers(0, count, count))))
            except ValueError:  # a resample without one of the classes
                continue
    known = [number for number in found if math.isfinite(number)]
    if not known:
        raise ValueError("no resample of the test rows has a value")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high), len(known)


def _score(
    name: str,
    model: StoredPredictions,
    rows: NDArray[Any],
    y: NDArray[Any],
    dummy: float | None,
    seed: int,
) -> Score:
    scorer = get_scorer(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = float(scorer(model, rows, y))
    if name == "accuracy":
        low, high = wilson(round(value * len(y)), len(y))
        return Score(name=name, value=value, low=low, high=high, method="Wilson", dummy=dummy)
    low, high, count = bootstrap(lambda some: scorer(model, some, y[some]), len(y), seed)
    method = f"bootstrap, {count} resamples"
    return Score(name=name, value=value, low=low, high=high, method=method, dummy=dummy)


def _dummy(name: str, task: str, y: NDArray[Any], y_train: NDArray[Any]) -> float | None:
    made = DummyClassifier() if task == "classification" else DummyRegressor()
    made.fit(np.zeros((len(y_train), 1)), y_train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = float(get_scorer(name)(made, np.zeros((len(y), 1)), y))
        except ValueError:  # a metric that a constant answer has no value of
            return None
    return value if math.isfinite(value) else None
