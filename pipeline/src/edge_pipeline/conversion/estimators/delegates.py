"""Estimators that hand every question to one fitted part: searches, frozen, self-trained."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes the next importable
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
)
from sklearn.semi_supervised import SelfTrainingClassifier

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, MethodOutput, Methods, on_frame
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS", "delegate"]

_METHODS = (
    "predict",
    "predict_proba",
    "decision_function",
    "score_samples",
    "transform",
    "inverse_transform",
)


def delegate(part: str) -> Methods:
    """Every method as the attribute *part* answers it."""
    find = attrgetter(part)

    def make(method: str) -> Callable[[Context, Any, Tensor | Frame], MethodOutput]:
        return lambda context, meta, X: context.call(find(meta), method, X, at=part)

    return {method: on_frame(make(method)) for method in _METHODS}


_SEARCHES = (GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV)

CONVERTERS: dict[type, Methods] = {
    **dict.fromkeys(_SEARCHES, delegate("best_estimator_")),
    FrozenEstimator: delegate("estimator"),
    SelfTrainingClassifier: delegate("estimator_"),
}
