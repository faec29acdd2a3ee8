"""Convert label propagation and spreading: labels of training rows, weighted by a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from edge_pipeline.conversion.class_labels import predict_largest
from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.neighbors import k_nearest
from edge_pipeline.conversion.fitted_arrays import dense_array
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.kernels import EXACT, ROUNDING, kernel
from edge_pipeline.conversion.numeric.pairwise import squared_distances
from edge_pipeline.conversion.tracing.trace import trace

__all__ = ["CONVERTERS"]

DIGITS_UP_TO, ZERO_FROM = 700.0, 746.0
"""exp(-700) has all its digits in float64; exp(-746) is zero."""


def _probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    """BaseLabelPropagation.predict_proba."""
    labels = np.asarray(model.label_distributions_, dtype=np.float64)
    if model.kernel == "knn":
        nearest = model.nn_fit
        order = k_nearest(context, nearest, X, nearest.n_neighbors, exact=False)[1]
        weights = ops.sum_(ops.take(labels, order), 1)
    else:
        affinity = _affinity(context, model, X)
        if not callable(model.kernel):
            _mark_cancelled(context, model, X)
        weights = affinity @ labels
    return weights / ops.sum_(weights, 1, keepdims=True)


def _affinity(context: Context, model: Any, X: Tensor) -> Tensor:
    """Compute the kernel, shape (n_samples, n_training); a user's function is traced."""
    training_rows = dense_array(model.X_)
    if not callable(model.kernel):
        return kernel(context, model.kernel, X, training_rows, gamma=model.gamma)

    def transposed(rows: Any) -> Any:
        return model.kernel(training_rows, rows).T

    transposed.__name__ = getattr(model.kernel, "__name__", repr(model.kernel))
    return context.matrix(trace(context, "kernel", transposed, X, {}))


def _mark_cancelled(context: Context, model: Any, X: Tensor) -> None:
    """Mark as ambiguous the rows whose weights are only rounding.

    The error of x² - 2 xy + y² is a rounding of x² + y².  Gamma times it is the relative error of a
    weight.  Where every weight is below the smallest normal number, none has all its digits.
    """
    training_rows, gamma = dense_array(model.X_), float(model.gamma)
    squares = np.einsum("ij,ij->i", training_rows, training_rows)
    size = ops.sum_of_squares(X, 1, keepdims=True) + squares
    error = size * (ROUNDING * gamma)
    exponent = squared_distances(X, training_rows) * gamma
    is_rounding = (error > EXACT) & (exponent - error < ZERO_FROM)
    least = ops.min_(exponent, 1)
    context.mark_ambiguous(
        (ops.max_(is_rounding.astype(np.int64), 1) > 0)
        | ((least > DIGITS_UP_TO) & (least < ZERO_FROM))
    )


_PROPAGATION: Methods = {
    "predict": predict_largest(_probabilities),
    "predict_proba": _probabilities,
}

CONVERTERS: dict[type, Methods] = dict.fromkeys((LabelPropagation, LabelSpreading), _PROPAGATION)
