"""Convert linear and quadratic discriminant analysis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)

from edge_pipeline.conversion.class_labels import predict_largest
from edge_pipeline.conversion.context import Context, Converter, Methods
from edge_pipeline.conversion.estimators.linear import linear_label, linear_scores
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.special_functions import expit
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS", "discriminant_methods"]


def _linear_probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    scores = linear_scores(context, model, X)
    if scores.ndim == 2:
        return ops.softmax(scores)
    # predict_log_proba is its logarithm, which shows every digit of a small probability.
    positive = expit(ops.expand_dims(scores, 1))
    return ops.concatenate([1.0 - positive, positive], 1)


def _projection(context: Context, model: Any, X: Tensor) -> Tensor:
    """LinearDiscriminantAnalysis.transform, which solver="lsqr" lacks in scikit-learn too."""
    if model.solver == "svd":
        X = X - np.asarray(model.xbar_)
    return X @ np.asarray(model.scalings_)[:, : model._max_components]


def _log_posteriors(_: Context, model: Any, X: Tensor) -> Tensor:
    """QuadraticDiscriminantAnalysis._decision_function: one score for each class.

    Hastie, Tibshirani, Friedman (2009), eq. 4.12, all classes together.
    """
    differences = ops.expand_dims(X, 0) - np.stack(model.means_)[:, np.newaxis]
    lengths = ops.sum_of_squares(differences @ _whitening(model), 2).T
    logs = np.array([np.sum(np.log(scaling)) for scaling in model.scalings_])
    scores: Tensor = -0.5 * (lengths + logs) + np.log(model.priors_)
    return scores


def _whitening(model: Any) -> NDArray[np.float64]:
    """Return a whitening matrix for each class, padded with zeros to the largest rank."""
    parts = [
        np.asarray(rotation) * np.asarray(scaling) ** -0.5
        for rotation, scaling in zip(model.rotations_, model.scalings_, strict=True)
    ]
    width = max(part.shape[1] for part in parts)
    return np.stack([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])


def discriminant_methods(log_posteriors: Converter) -> Methods:
    """Convert the methods of ``DiscriminantAnalysisPredictionMixin`` from one score a class."""

    def scores(context: Context, model: Any, X: Tensor) -> Tensor:
        posteriors: Tensor = log_posteriors(context, model, X)
        return posteriors[:, 1] - posteriors[:, 0] if len(model.classes_) == 2 else posteriors

    def log_probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
        posteriors = log_posteriors(context, model, X)
        shifted: Tensor = posteriors - ops.max_(posteriors, 1, keepdims=True)
        return shifted - ops.log(ops.sum_(ops.exp(shifted), 1, keepdims=True))

    def probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
        return ops.exp(log_probabilities(context, model, X))

    return {
        "predict": predict_largest(log_posteriors),
        "predict_proba": probabilities,
        "predict_log_proba": log_probabilities,
        "decision_function": scores,
    }


CONVERTERS: dict[type, Methods] = {
    LinearDiscriminantAnalysis: {
        "predict": linear_label,
        "predict_proba": _linear_probabilities,
        "decision_function": linear_scores,
        "transform": _projection,
    },
    QuadraticDiscriminantAnalysis: discriminant_methods(_log_posteriors),
}
