"""Fit every estimator that scikit-learn itself tests, on data that suits its tags."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

# scikit-learn lists IterativeImputer among its estimators only after this.
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.utils._test_common.instance_generator import _tested_estimators

from conformance.rows import input_for, target_for, varied

METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")

VARIANTS = (
    "plain",
    "one feature",
    "constant column",
    "huge",
    "tiny",
    "named columns",
    "negative labels",
    "missing values new to training",
)
"""``plain`` is ordinary data, with missing values where allowed; the others change one thing."""

# Parameters without which the instance predicts none of our rows.
_SETTINGS: dict[str, dict[str, Any]] = {
    "LocalOutlierFactor": {"novelty": True},
    "RadiusNeighborsClassifier": {"radius": 25.0},
    "RadiusNeighborsRegressor": {"radius": 25.0},
    "RadiusNeighborsTransformer": {"radius": 8.0},
    "PatchExtractor": {"patch_size": (3, 3)},
}

# Methods whose output scikit-learn draws at random in every call.
_RANDOM_METHODS = {"BernoulliRBM": ("score_samples",)}


@dataclass(frozen=True)
class Case:
    """A fitted estimator, the sample it was fitted on, and rows that it did not see."""

    name: str
    estimator: Any
    X: Any
    unseen: Any


class NotFittableError(Exception):
    """scikit-learn itself refuses this estimator on this variant of the data."""


def names() -> list[str]:
    """List every instance that predicts or transforms unseen rows, numbered within its class."""
    return [name for name, _ in _instances()]


def estimator_named(name: str) -> Any:
    """Return the instance called *name*, not fitted."""
    return dict(_instances())[name]


def fitted(name: str, variant: str = "plain", seed: int = 0) -> Case:
    """Fit the instance called *name* on *variant* of its data.

    Raises
    ------
    NotFittableError
        scikit-learn refuses to fit it, or to predict the unseen rows.
    """
    estimator = estimator_named(name)
    rng = np.random.default_rng(seed)
    X, unseen = input_for(estimator, rng)
    y = target_for(estimator, X, rng)
    X, unseen, y = varied(variant, estimator, X, unseen, y)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            estimator.fit(X) if y is None else estimator.fit(X, y)
            for method in methods_of(estimator):
                getattr(estimator, method)(unseen)
        except Exception as error:
            raise NotFittableError(f"{type(error).__name__}: {error}") from error
    return Case(name, estimator, X, unseen)


def methods_of(estimator: Any) -> list[str]:
    """List the methods to compare: not random ones, where there are others."""
    random_methods = _RANDOM_METHODS.get(type(estimator).__name__, ())
    return [m for m in METHODS if hasattr(estimator, m) and m not in random_methods]


def _instances() -> Iterator[tuple[str, Any]]:
    count: dict[str, int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator in _tested_estimators():
            kind = type(estimator).__name__
            if any(hasattr(type(estimator), method) for method in METHODS):
                estimator.set_params(**_SETTINGS.get(kind, {}))
                count[kind] = count.get(kind, 0) + 1
                yield f"{kind}-{count[kind]}", estimator
