"""Rows and targets that suit an estimator's tags: gaps where allowed, classes where wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import get_tags

N_TRAIN, N_UNSEEN, N_FEATURES = 120, 50, 6
SHARE_MISSING = 0.15


def input_for(estimator: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Training input, and rows of the same kind that training does not see."""
    kind = type(estimator).__name__
    if kind in _SPECIAL_INPUT:
        make = _SPECIAL_INPUT[kind]
        return make(rng, N_TRAIN), make(rng, N_UNSEEN)
    if kind == "KernelCenterer":
        base = rng.normal(size=(N_TRAIN, 3))
        return base @ base.T, rng.normal(size=(N_UNSEEN, 3)) @ base.T
    X, unseen = (_matrix(estimator, rng, n) for n in (N_TRAIN, N_UNSEEN))
    tags = get_tags(estimator).input_tags
    if tags.allow_nan:
        for part in (X, unseen):
            part[rng.random(part.shape) < SHARE_MISSING] = np.nan
    if tags.pairwise:
        return euclidean_distances(X), euclidean_distances(unseen, X)
    return X, unseen


def target_for(estimator: Any, X: Any, rng: np.random.Generator) -> Any:
    """Targets with a signal in them, or None for an estimator that takes none."""
    tags, kind = get_tags(estimator), type(estimator).__name__
    signal = _signal(X, rng)
    if kind in ("CCA", "PLSCanonical", "PLSSVD"):
        return np.column_stack([signal, rng.normal(size=len(signal))])
    if tags.target_tags.multi_output and not tags.target_tags.single_output:
        second = rng.normal(size=len(signal))
        if is_classifier(estimator):
            return np.column_stack([signal > 0, second > 0]).astype(int)
        return np.column_stack([signal, second - signal])
    if is_classifier(estimator) or kind in _WANTS_CLASSES:
        return _classes(estimator, signal)
    if tags.target_tags.positive_only:
        return np.abs(signal) + 0.1
    if kind in _SPECIAL_INPUT and kind != "IsotonicRegression":
        return None
    return signal


def varied(variant: str, estimator: Any, X: Any, unseen: Any, y: Any) -> tuple[Any, Any, Any]:
    """The same data with one thing changed; as they were where the change has no meaning."""
    numeric = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "f"
    if numeric and not get_tags(estimator).input_tags.pairwise and X.shape[1] == N_FEATURES:
        if variant == "one feature":
            return X[:, :1], unseen[:, :1], y
        if variant == "constant column":
            X, unseen = X.copy(), unseen.copy()
            X[:, 0] = unseen[:, 0] = 2.5
            return X, unseen, y
        if variant in ("huge", "tiny"):
            factor = 1e8 if variant == "huge" else 1e-8
            return X * factor, unseen * factor, y
        if variant == "missing values new to training" and get_tags(estimator).input_tags.allow_nan:
            return np.where(np.isnan(X), 0.5, X), unseen, y
        if variant == "named columns":
            columns = [f"sepal width ({i})" for i in range(N_FEATURES)]
            return pd.DataFrame(X, columns=columns), pd.DataFrame(unseen, columns=columns), y
    if variant == "negative labels" and isinstance(y, np.ndarray) and y.dtype.kind == "U":
        return X, unseen, np.array([-7, 3, 1_000_000])[np.unique(y, return_inverse=True)[1]]
    return X, unseen, y


def _matrix(estimator: Any, rng: np.random.Generator, n: int) -> Any:
    tags, kind = get_tags(estimator).input_tags, type(estimator).__name__
    if tags.categorical or kind == "CategoricalNB":
        return rng.integers(0, 4, size=(n, 3)).astype(float)
    centres = np.array([[2.0, -1.0, 0.5, 0.0, 1.0, -2.0]]) * rng.integers(-1, 2, size=(n, 1))
    X = rng.normal(size=(n, N_FEATURES)) * np.array([1.0, 3.0, 0.5, 10.0, 1.0, 2.0]) + centres
    if kind == "SparseCoder":
        return X[:, : estimator.dictionary.shape[1]]
    return np.abs(X) if tags.positive_only or kind == "SkewedChi2Sampler" else X


def _signal(X: Any, rng: np.random.Generator) -> Any:
    noise = rng.normal(size=len(X))
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "f":
        return np.nan_to_num(X)[:, :3].sum(axis=1) + noise
    return noise


def _classes(estimator: Any, signal: Any) -> Any:
    labels = np.array(["gentoo", "adelie", "chinstrap"])
    tags = get_tags(estimator).classifier_tags
    if tags is not None and not tags.multi_class:
        return labels[(signal > 0).astype(int)]
    y = labels[np.digitize(signal, np.quantile(signal, [1 / 3, 2 / 3]))]
    if type(estimator).__name__ in _SEMI_SUPERVISED:
        coded = np.searchsorted(np.sort(labels), y)
        coded[::4] = -1  # -1 marks an unlabelled row
        return coded
    return y


_SEMI_SUPERVISED = {"LabelPropagation", "LabelSpreading", "SelfTrainingClassifier"}

_WANTS_CLASSES = {
    "GenericUnivariateSelect",
    "LinearDiscriminantAnalysis",
    "NeighborhoodComponentsAnalysis",
    "RFE",
    "RFECV",
    "SelectFdr",
    "SelectFpr",
    "SelectFwe",
    "SelectKBest",
    "SelectPercentile",
    "SequentialFeatureSelector",
}

_WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "Öl",
    "café",
    "naïve",
    "x1",
    "don't",
    "42",
    "lion",
    "Tiger",
    "straße",
    "penguin",
    "ice",
    "東京",
    "sea_ice",
]


def _documents(rng: np.random.Generator, n: int) -> list[str]:
    return [" ".join(rng.choice(_WORDS, size=rng.integers(1, 12))) + "." for _ in range(n)]


def _dicts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "length": float(rng.normal()),
            "island": str(rng.choice(["Dream", "Biscoe"])),
            "sex": str(rng.choice(["m", "f"])),
        }
        for _ in range(n)
    ]


def _labels(rng: np.random.Generator, n: int) -> Any:
    return rng.choice(["a", "b", "c"], size=n)


def _label_sets(rng: np.random.Generator, n: int) -> list[list[str]]:
    return [sorted({str(item) for item in rng.choice(["x", "y", "z"], size=2)}) for _ in range(n)]


_SPECIAL_INPUT = {
    "CountVectorizer": _documents,
    "DictVectorizer": _dicts,
    "FeatureHasher": _dicts,
    "HashingVectorizer": _documents,
    "IsotonicRegression": lambda rng, n: rng.normal(size=n),
    "LabelBinarizer": _labels,
    "LabelEncoder": _labels,
    "MultiLabelBinarizer": _label_sets,
    "PatchExtractor": lambda rng, n: rng.normal(size=(n, 8, 8)),
    "TfidfVectorizer": _documents,
}
