"""scikit-learn's own list of tested estimators, each fitted on data that suits its tags.

Data have gaps where the estimator allows gaps, string class labels, and unseen rows to ask.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import get_tags
from sklearn.utils._test_common.instance_generator import _tested_estimators

METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")
N_TRAIN, N_UNSEEN, N_FEATURES = 120, 50, 6


@dataclass(frozen=True)
class Case:
    """A fitted estimator, the sample it was fitted on, and rows that it did not see."""

    name: str
    estimator: Any
    X: Any
    unseen: Any


def names() -> list[str]:
    """Every instance that has predict or transform for unseen rows, numbered within its class."""
    return [name for name, _ in _instances()]


def fitted(name: str, seed: int = 0) -> Case:
    """The case called *name*, fitted."""
    estimator = dict(_instances())[name]
    rng = np.random.default_rng(seed)
    X, unseen = _input(estimator, rng)
    y = _target(estimator, X, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X) if y is None else estimator.fit(X, y)
    return Case(name, estimator, X, unseen)


def _instances() -> Iterator[tuple[str, Any]]:
    count: dict[str, int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator in _tested_estimators():
            kind = type(estimator).__name__
            if not any(hasattr(type(estimator), m) for m in METHODS):
                continue
            if kind == "LocalOutlierFactor":
                estimator.set_params(novelty=True)
            count[kind] = count.get(kind, 0) + 1
            yield f"{kind}-{count[kind]}", estimator


def _input(estimator: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    kind = type(estimator).__name__
    special = _SPECIAL_INPUT.get(kind)
    if special is not None:
        return special(rng, N_TRAIN), special(rng, N_UNSEEN)
    tags = get_tags(estimator).input_tags
    if kind == "KernelCenterer":
        base = rng.normal(size=(N_TRAIN, 3))
        return base @ base.T, rng.normal(size=(N_UNSEEN, 3)) @ base.T
    X, unseen = (_matrix(estimator, rng, n) for n in (N_TRAIN, N_UNSEEN))
    if tags.allow_nan:
        for part in (X, unseen):
            part[rng.random(part.shape) < 0.15] = np.nan
    if tags.pairwise:
        from sklearn.metrics.pairwise import euclidean_distances

        return euclidean_distances(X), euclidean_distances(unseen, X)
    return X, unseen


def _matrix(estimator: Any, rng: np.random.Generator, n: int) -> Any:
    tags = get_tags(estimator).input_tags
    if tags.categorical or type(estimator).__name__ == "CategoricalNB":
        return rng.integers(0, 4, size=(n, 3)).astype(float)
    centres = np.array([[2.0, -1.0, 0.5, 0.0, 1.0, -2.0]]) * rng.integers(-1, 2, size=(n, 1))
    X = rng.normal(size=(n, N_FEATURES)) * np.array([1.0, 3.0, 0.5, 10.0, 1.0, 2.0]) + centres
    return np.abs(X) if tags.positive_only else X


def _target(estimator: Any, X: Any, rng: np.random.Generator) -> Any:
    tags = get_tags(estimator)
    n = len(X)
    base = np.nan_to_num(X) if isinstance(X, np.ndarray) and X.dtype.kind == "f" and X.ndim == 2 else None
    signal = rng.normal(size=n) if base is None else base[:, :3].sum(axis=1) + rng.normal(size=n)
    if tags.target_tags.multi_output and not tags.target_tags.single_output:
        if is_classifier(estimator):
            return np.column_stack([signal > 0, rng.random(n) > 0.5]).astype(int)
        return np.column_stack([signal, -signal + rng.normal(size=n)])
    if type(estimator).__name__ in ("CCA", "PLSCanonical", "PLSSVD"):
        return np.column_stack([signal, rng.normal(size=n)])
    if is_classifier(estimator) or type(estimator).__name__ in _WANTS_CLASSES:
        labels = np.array(["gentoo", "adelie", "chinstrap"])
        if tags.classifier_tags is not None and not tags.classifier_tags.multi_class:
            return labels[(signal > 0).astype(int)]
        y = labels[np.digitize(signal, np.quantile(signal, [1 / 3, 2 / 3]))]
        if type(estimator).__name__ in ("LabelPropagation", "LabelSpreading", "SelfTrainingClassifier"):
            coded = np.searchsorted(np.sort(labels), y)
            coded[::4] = -1
            return coded
        return y
    if tags.target_tags.positive_only:
        return np.abs(signal) + 0.1
    if tags.target_tags.required or hasattr(estimator, "predict"):
        return signal
    return None if type(estimator).__name__ in _SPECIAL_INPUT else signal


_WANTS_CLASSES = {
    "LinearDiscriminantAnalysis", "NeighborhoodComponentsAnalysis", "SelectKBest", "SelectPercentile",
    "SelectFpr", "SelectFdr", "SelectFwe", "GenericUnivariateSelect",
}  # fmt: skip

_WORDS = "the cat sat on a mat Öl café naïve x1 don't 42 lion Tiger straße penguin ice 東京 sea_ice".split()


def _documents(rng: np.random.Generator, n: int) -> list[str]:
    return [" ".join(rng.choice(_WORDS, size=rng.integers(1, 12))) + "." for _ in range(n)]


def _dicts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {"length": float(rng.normal()), "island": str(rng.choice(["Dream", "Biscoe"])), "sex": str(rng.choice(["m", "f"]))}
        for _ in range(n)
    ]


_SPECIAL_INPUT = {
    "CountVectorizer": _documents,
    "TfidfVectorizer": _documents,
    "HashingVectorizer": _documents,
    "DictVectorizer": _dicts,
    "FeatureHasher": _dicts,
    "LabelEncoder": lambda rng, n: rng.choice(["a", "b", "c"], size=n),
    "LabelBinarizer": lambda rng, n: rng.choice(["a", "b", "c"], size=n),
    "MultiLabelBinarizer": lambda rng, n: [
        sorted(set(rng.choice(["x", "y", "z"], size=rng.integers(1, 3)))) for _ in range(n)
    ],
    "IsotonicRegression": lambda rng, n: np.sort(rng.normal(size=n)),
    "PatchExtractor": lambda rng, n: rng.normal(size=(n // 10, 8, 8)),
}
