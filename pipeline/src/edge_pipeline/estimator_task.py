"""Name the task of an estimator."""

from __future__ import annotations

from typing import Any

from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

__all__ = ["task_of"]


def task_of(estimator: Any) -> str:
    """Return the task of *estimator*, by scikit-learn's own type of it."""
    for task, is_kind in (
        ("classification", is_classifier),
        ("regression", is_regressor),
        ("clustering", is_clusterer),
        ("anomaly", is_outlier_detector),
    ):
        # A class without scikit-learn's tags, such as MAPIE's, is of no kind.
        if hasattr(estimator, "__sklearn_tags__") and is_kind(estimator):
            return task
    return "transform" if hasattr(estimator, "transform") else "prediction"
