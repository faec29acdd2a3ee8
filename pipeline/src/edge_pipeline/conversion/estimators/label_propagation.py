"""Label propagation and spreading: the labels of near training rows, weighed by a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.neighbors import k_nearest
from edge_pipeline.conversion.fitted_arrays import learnt_array
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.kernels import EXACT, ROUNDING, kernel, squared_distances
from edge_pipeline.conversion.tracing.trace import trace

__all__ = ["CONVERTERS"]

DIGITS_UP_TO, ZERO_FROM = 700.0, 746.0
"""exp(-700) has all its digits in float64, exp(-746) is zero."""


def _probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    labels = np.asarray(model.label_distributions_, dtype=np.float64)
    if model.kernel == "knn":
        nearest = model.nn_fit
        order = k_nearest(context, nearest, X, nearest.n_neighbors, exact=False)[1]
        weights = ops.sum_(ops.take(labels, order), 1)
    else:
        affinity = _affinity(context, model, X)
        if not callable(model.kernel):
            _doubt_cancelled(context, model, X)
        weights = affinity @ labels
    return weights / ops.sum_(weights, 1, keepdims=True)


def _affinity(context: Context, model: Any, X: Tensor) -> Tensor:
    """Shape (n_samples, n_training); a function of two matrices is traced."""
    known = _known(model)
    if not callable(model.kernel):
        return kernel(context, model.kernel, X, known, gamma=model.gamma)

    def turned(rows: Any) -> Any:
        return model.kernel(known, rows).T

    turned.__name__ = getattr(model.kernel, "__name__", repr(model.kernel))
    return context.matrix(trace(context, "kernel", turned, X, {}))


def _doubt_cancelled(context: Context, model: Any, X: Tensor) -> None:
    """Doubt rows whose weights are nothing but rounding.

    x² - 2 xy + y² is right to the last digits of x² + y²; gamma times that error is the relative
    error of a weight.  And where every weight is below the smallest normal number, none has digits.
    """
    known, gamma = _known(model), float(model.gamma)
    size = ops.sum_of_squares(X, 1, keepdims=True) + np.einsum("ij,ij->i", known, known)
    error = size * (ROUNDING * gamma)
    exponent = squared_distances(X, known) * gamma
    lost = (error > EXACT) & (exponent - error < ZERO_FROM)
    least = ops.min_(exponent, 1)
    context.mark_ambiguous(
        (ops.max_(lost.astype(np.int64), 1) > 0) | ((least > DIGITS_UP_TO) & (least < ZERO_FROM))
    )


def _known(model: Any) -> Any:
    return learnt_array(model.X_)


def _label(context: Context, model: Any, X: Tensor) -> Tensor:
    return context.labels(model.classes_, ops.argmax(_probabilities(context, model, X), 1))


_PROPAGATION: Methods = {"predict": _label, "predict_proba": _probabilities}

CONVERTERS: dict[type, Methods] = {
    LabelPropagation: _PROPAGATION,
    LabelSpreading: _PROPAGATION,
}
