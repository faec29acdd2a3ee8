"""Compute metrics of stored predictions, each with a 95 % interval and the baseline's value."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import Manifest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import get_scorer

from edge_pipeline.evaluation.report.measurements import Score

__all__ = [
    "BASELINES",
    "StoredPredictions",
    "bootstrap",
    "class_labels",
    "classes_of",
    "score_metrics",
    "stored_predictions",
    "target_accuracies",
    "wilson",
]

Z = 1.959963984540054
"""Quantile of the normal distribution for a two-sided 95 % interval."""

MAX_RESAMPLES, MIN_RESAMPLES, RESAMPLED_ROWS = 500, 100, 1_000_000
"""Resamples of a metric; RESAMPLED_ROWS bounds the rows of all resamples together."""

BASELINES = {
    "classification": "always the most frequent class of the training rows",
    "regression": "always the mean of the training rows",
}
"""The constant that the baseline (scikit-learn's dummy estimators) predicts."""


def class_labels(classes: Sequence[Any]) -> Any:
    """Return the ``classes_`` of an estimator: an array, or a list of them for several targets."""
    if isinstance(classes[0], list | tuple):
        return [np.asarray(labels) for labels in classes]
    return np.asarray(classes)


def classes_of(manifest: Manifest) -> list[Any]:
    """Return the labels that the model predicts; empty for numbers."""
    return [-1, 1] if manifest.task == "anomaly" else list(manifest.classes.get("predict", ()))


class StoredPredictions(BaseEstimator):  # type: ignore[misc]
    """An estimator that looks its predictions up: each row of X is a position.

    scikit-learn's scorers take estimators.  With this one, scoring a resample runs no model.
    """

    def __init__(self, predictions: dict[str, NDArray[Any]], classes: Sequence[Any] = ()) -> None:
        self.predictions = predictions
        self.classes = classes
        if len(classes):
            self.classes_ = class_labels(classes)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        predictions = self.__dict__.get("predictions", {})
        if name not in predictions:
            raise AttributeError(f"the model has no {name}")

        def method(X: Any) -> NDArray[Any]:
            return np.asarray(predictions[name][np.asarray(X).ravel()])

        method.__name__ = name  # scorers look at it
        return method


class _StoredClasses(ClassifierMixin, StoredPredictions):  # type: ignore[misc]
    """Tells scorers that the predictions are classes."""


class _StoredNumbers(RegressorMixin, StoredPredictions):  # type: ignore[misc]
    """Tells scorers that the predictions are numbers."""


def stored_predictions(
    task: str, predictions: dict[str, NDArray[Any]], classes: Sequence[Any] = ()
) -> StoredPredictions:
    """Wrap the predictions of each method as an estimator for *task*."""
    kind = _StoredClasses if task == "classification" else _StoredNumbers
    return kind(predictions, classes)


def score_metrics(
    names: Sequence[str],
    model: StoredPredictions,
    y: NDArray[Any],
    *,
    task: str,
    y_train: NDArray[Any] | None,
    seed: int,
) -> list[Score]:
    """Compute each metric with its interval, and the baseline's value if *y_train* is known."""
    rows = np.arange(len(y))
    return [
        _score(
            name,
            model,
            rows,
            y,
            None if y_train is None else _baseline_score(name, task, y, y_train),
            seed,
        )
        for name in names
    ]


def target_accuracies(
    y: NDArray[Any],
    predicted: NDArray[Any],
    y_train: NDArray[Any] | None,
    names: Sequence[str] = (),
) -> list[Score]:
    """Compute the accuracy of each target, and of the most frequent label of its training rows."""
    scores = []
    for i in range(y.shape[1]):
        hits = int((y[:, i] == predicted[:, i]).sum())
        low, high = wilson(hits, len(y))
        baseline = None
        if y_train is not None:
            labels, counts = np.unique(np.asarray(y_train)[:, i], return_counts=True)
            baseline = float((y[:, i] == labels[counts.argmax()]).mean())
        name = names[i] if len(names) == y.shape[1] else f"target {i + 1}"
        scores.append(
            Score(
                name=f"accuracy of {name}",
                value=hits / len(y),
                low=low,
                high=high,
                method="Wilson",
                dummy=baseline,
            )
        )
    return scores


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Compute the 95 % interval of a share.

    Wilson, 1927, J. Am. Stat. Assoc. 22, p. 209.
    """
    if not count:
        return 0.0, 1.0
    share = successes / count
    middle = share + Z * Z / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    # Exactly 0 and 1 at the ends, where rounding would give 1e-18.
    low = (middle - half) / scale if successes else 0.0
    return low, (middle + half) / scale if successes < count else 1.0


def bootstrap(value: Any, count: int, seed: int) -> tuple[float, float, int]:
    """Compute the 95 % percentile interval of ``value(rows)``, and the number of resamples used.

    Efron, 1979, Ann. Stat. 7, p. 1.
    """
    random = np.random.default_rng(seed)
    resamples = int(np.clip(RESAMPLED_ROWS // count, MIN_RESAMPLES, MAX_RESAMPLES))
    values = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(resamples):
            try:
                values.append(float(value(random.integers(0, count, count))))
            except ValueError:  # a resample without one of the classes
                continue
    finite = [number for number in values if math.isfinite(number)]
    if not finite:
        raise ValueError("no resample of the test rows has a value")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high), len(finite)


def _score(
    name: str,
    model: StoredPredictions,
    rows: NDArray[Any],
    y: NDArray[Any],
    baseline: float | None,
    seed: int,
) -> Score:
    scorer = get_scorer(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = float(scorer(model, rows, y))
    if name == "accuracy":
        low, high = wilson(round(value * len(y)), len(y))
        return Score(name=name, value=value, low=low, high=high, method="Wilson", dummy=baseline)
    low, high, count = bootstrap(lambda sample: scorer(model, sample, y[sample]), len(y), seed)
    method = f"bootstrap, {count} resamples"
    return Score(name=name, value=value, low=low, high=high, method=method, dummy=baseline)


def _baseline_score(name: str, task: str, y: NDArray[Any], y_train: NDArray[Any]) -> float | None:
    baseline = DummyClassifier() if task == "classification" else DummyRegressor()
    baseline.fit(np.zeros((len(y_train), 1)), y_train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = float(get_scorer(name)(baseline, np.zeros((len(y), 1)), y))
        except ValueError:  # the metric is undefined for constant predictions
            return None
    return value if math.isfinite(value) else None
