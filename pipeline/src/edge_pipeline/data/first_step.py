"""Find the estimator that receives the rows first, inside pipelines and searches."""

from __future__ import annotations

from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

__all__ = ["first_step"]


def first_step(estimator: Any) -> Any:
    """Return the estimator that receives the rows first."""
    while True:
        if isinstance(estimator, Pipeline) and estimator.steps:
            estimator = estimator.steps[0][1]
        elif isinstance(estimator, TransformedTargetRegressor) and hasattr(estimator, "regressor_"):
            estimator = estimator.regressor_
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator
