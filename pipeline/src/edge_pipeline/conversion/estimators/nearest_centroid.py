"""Convert NearestCentroid: the nearest class centroid, or the most probable with priors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neighbors import NearestCentroid

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.discriminant_analysis import discriminant_methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.row_norms import euclidean_squares, numpy_lengths
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.pairwise import manhattan

__all__ = ["CONVERTERS"]


def _label(context: Context, model: Any, X: Tensor) -> Tensor:
    """NearestCentroid.predict: with equal priors the nearest centroid, else the highest score."""
    if np.isclose(model.class_prior_, 1 / len(model.classes_)).all():
        distances = _distances(model, X, model.centroids_)
        return context.labels(model.classes_, ops.argmin(distances, 1))
    return _DISCRIMINANT["predict"](context, model, X)  # type: ignore[no-any-return]


def _discriminants(_: Context, model: Any, X: Tensor) -> Tensor:
    """NearestCentroid._decision_function: squared distances in units of the spread, and priors."""
    spread = np.where(model.within_class_std_dev_ != 0, model.within_class_std_dev_, 1.0)
    distances = _distances(model, X / spread, model.centroids_ / spread)
    with np.errstate(divide="ignore"):
        scores: Tensor = -(distances * distances) + 2.0 * np.log(model.class_prior_)
    return scores


def _distances(model: Any, X: Tensor, centroids: Any) -> Tensor:
    if model.metric == "manhattan":
        return manhattan(X, centroids)
    return ops.sqrt(euclidean_squares(X, centroids, numpy_lengths))


_DISCRIMINANT = discriminant_methods(_discriminants)

CONVERTERS: dict[type, Methods] = {NearestCentroid: {**_DISCRIMINANT, "predict": _label}}
