"""Convert estimators that pass every method on to one fitted part, such as searches."""

from __future__ import annotations

from edge_runtime.bundle.manifest import METHODS
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - the halving searches need it
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
)
from sklearn.semi_supervised import SelfTrainingClassifier

from edge_pipeline.conversion.context import Converter, Methods, on_any_dtype

__all__ = ["CONVERTERS"]

_METHODS = (*METHODS, "inverse_transform")


def _delegate(attribute: str) -> Methods:
    """Convert every method as the method of the estimator in *attribute*."""

    def converter_of(method: str) -> Converter:
        return lambda context, meta, X: context.call(
            getattr(meta, attribute), method, X, at=attribute
        )

    return {method: on_any_dtype(converter_of(method)) for method in _METHODS}


_SEARCHES = (GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV)

CONVERTERS: dict[type, Methods] = {
    **dict.fromkeys(_SEARCHES, _delegate("best_estimator_")),
    FrozenEstimator: _delegate("estimator"),
    SelfTrainingClassifier: _delegate("estimator_"),
}
