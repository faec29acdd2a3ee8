"""NearestCentroid: the nearest class centre, or the likeliest when classes have priors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neighbors import NearestCentroid

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.row_norms import euclidean_squares, numpy_lengths
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.kernels import manhattan

__all__ = ["CONVERTERS"]


def _label(context: Context, model: Any, X: Tensor) -> Tensor:
    """Equal priors: the nearest centroid; otherwise the highest discriminant score."""
    if np.isclose(model.class_prior_, 1 / len(model.classes_)).all():
        far = _distances(model, X, model.centroids_)
        return context.labels(model.classes_, ops.argmin(far, 1))
    return context.labels(model.classes_, ops.argmax(_discriminants(context, model, X), 1))


def _discriminants(_: Context, model: Any, X: Tensor) -> Tensor:
    """NearestCentroid._decision_function: distances in units of the spread, less the priors."""
    spread = np.where(model.within_class_std_dev_ != 0, model.within_class_std_dev_, 1.0)
    far = _distances(model, X / spread, model.centroids_ / spread)
    with np.errstate(divide="ignore"):
        answer: Tensor = -(far * far) + 2.0 * np.log(model.class_prior_)
        return answer


def _distances(model: Any, X: Tensor, centres: Any) -> Tensor:
    if model.metric == "manhattan":
        return manhattan(X, centres)
    return ops.sqrt(euclidean_squares(X, centres, numpy_lengths))


def _decision(context: Context, model: Any, X: Tensor) -> Tensor:
    scores = _discriminants(context, model, X)
    return scores[:, 1] - scores[:, 0] if len(model.classes_) == 2 else scores


def _probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    scores = _discriminants(context, model, X)
    likelihood = scores - ops.max_(scores, 1, True)
    return ops.exp(likelihood - ops.log(ops.sum_(ops.exp(likelihood), 1, True)))


CONVERTERS: dict[type, Methods] = {
    NearestCentroid: {
        "predict": _label,
        "predict_proba": _probabilities,
        "decision_function": _decision,
    },
}
