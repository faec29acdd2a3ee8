"""Discriminant analysis: linear and quadratic."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.linear import linear_label, linear_scores
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


def _linear_probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    scores = linear_scores(context, model, X)
    if scores.ndim == 2:
        return ops.softmax(scores)
    positive = ops.sigmoid(ops.expand_dims(scores, 1))
    return ops.concatenate([1.0 - positive, positive], 1)


def _projection(context: Context, model: Any, X: Tensor) -> Tensor:
    """LinearDiscriminantAnalysis.transform; solver lsqr has none, in scikit-learn either."""
    if model.solver == "svd":
        X = X - np.asarray(model.xbar_)
    return X @ np.asarray(model.scalings_)[:, : model._max_components]


def _log_posteriors(_: Context, model: Any, X: Tensor) -> Tensor:
    """One score a class: eq. 4.12 of Hastie, Tibshirani, Friedman (2009), all classes at once."""
    gaps = ops.expand_dims(X, 0) - np.stack(model.means_)[:, np.newaxis]
    lengths = ops.sum_of_squares(gaps @ _whitening(model), 2).T
    logs = np.array([np.sum(np.log(scaling)) for scaling in model.scalings_])
    answer: Tensor = -0.5 * (lengths + logs) + np.log(model.priors_)
    return answer


def _whitening(model: Any) -> NDArray[np.float64]:
    """A matrix for each class; of unequal ranks, filled up with zeros."""
    parts = [
        np.asarray(rotation) * np.asarray(scaling) ** -0.5
        for rotation, scaling in zip(model.rotations_, model.scalings_, strict=True)
    ]
    width = max(part.shape[1] for part in parts)
    return np.stack([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])


def _quadratic_scores(context: Context, model: Any, X: Tensor) -> Tensor:
    scores = _log_posteriors(context, model, X)
    return scores[:, 1] - scores[:, 0] if len(model.classes_) == 2 else scores


def _quadratic_label(context: Context, model: Any, X: Tensor) -> Tensor:
    return context.labels(model.classes_, ops.argmax(_log_posteriors(context, model, X), 1))


def _quadratic_probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    scores = _log_posteriors(context, model, X)
    below = scores - ops.max_(scores, 1, keepdims=True)
    return ops.exp(below - ops.log(ops.sum_(ops.exp(below), 1, keepdims=True)))


CONVERTERS: dict[type, Methods] = {
    LinearDiscriminantAnalysis: {
        "predict": linear_label,
        "predict_proba": _linear_probabilities,
        "decision_function": linear_scores,
        "transform": _projection,
    },
    QuadraticDiscriminantAnalysis: {
        "predict": _quadratic_label,
        "predict_proba": _quadratic_probabilities,
        "decision_function": _quadratic_scores,
    },
}
