"""Find how an estimator computes predict_log_proba: most take the logarithm of predict_proba.

The device takes that logarithm itself, so that the graph needs no output for it.  Naive Bayes,
QuadraticDiscriminantAnalysis and NearestCentroid compute log probabilities first, and so does
bagging over them: those stay finite where a probability is too small for float64.  They have
converters of their own.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import BaggingClassifier
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

__all__ = ["has_own_formula", "log_floor"]

_OWN_FORMULA = ("_BaseNB", "DiscriminantAnalysisPredictionMixin", "NearestCentroid")
"""Classes of scikit-learn whose predict_log_proba does not start from predict_proba."""

_DELEGATES = (
    RFE,
    SelfTrainingClassifier,
    FixedThresholdClassifier,
    TunedThresholdClassifierCV,
)

TOLERANCE = 1e-9
"""Largest relative difference from the logarithm of predict_proba, as for all predictions."""


def has_own_formula(estimator: Any) -> bool:
    """Whether predict_log_proba of *estimator* does not start from predict_proba.

    Bagging adds the logarithms of its estimators.
    """
    last = _last_step(estimator)
    if isinstance(last, BaggingClassifier):
        return any(map(has_own_formula, last))
    defining = _defining_class(last)
    return defining is not None and defining.__name__ in _OWN_FORMULA and _is_sklearn(defining)


def log_floor(estimator: Any, rows: Any) -> float | None:
    """Return the number whose logarithm stands for that of zero; 0.0 for minus infinity.

    None when the estimator has no predict_log_proba, or when it is not the logarithm of
    predict_proba for *rows*.
    """
    if not hasattr(estimator, "predict_log_proba") or not hasattr(estimator, "predict_proba"):
        return None
    last = _last_step(estimator)
    if has_own_formula(estimator):
        return None
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            probabilities = _as_list(estimator.predict_proba(rows))
            logarithms = _as_list(estimator.predict_log_proba(rows))
            floor = 0.0
            if _defining_class(last) is LinearDiscriminantAnalysis:
                floor = float(np.finfo(probabilities[0].dtype).smallest_normal)
            are_equal = all(
                np.allclose(np.log(np.where(p == 0.0, floor, p)), log, rtol=TOLERANCE, atol=0.0)
                for p, log in zip(probabilities, logarithms, strict=True)
            )
    except Exception:  # an estimator that has the methods by name alone
        return None
    return floor if are_equal else None


def _as_list(output: Any) -> list[Any]:
    return [np.asarray(item) for item in (output if isinstance(output, list) else [output])]


def _last_step(estimator: Any) -> Any:
    """Return the estimator to which a pipeline, a search or a selector passes the method on."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, _DELEGATES):
            estimator = getattr(estimator, "estimator_", estimator.estimator)
        else:
            return estimator


def _defining_class(estimator: Any) -> type | None:
    mro = type(estimator).__mro__
    return next((kind for kind in mro if "predict_log_proba" in vars(kind)), None)


def _is_sklearn(kind: type) -> bool:
    return kind.__module__.startswith("sklearn.")
