"""Label propagation and spreading: the labels of near training rows, weighed by a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from edge_pipeline.convert import ops
from edge_pipeline.convert.context import Context, Methods
from edge_pipeline.convert.families.neighbors import k_nearest
from edge_pipeline.convert.kernels import kernel
from edge_pipeline.convert.tensor import Tensor
from edge_pipeline.convert.tracing_call import trace

__all__ = ["CONVERTERS"]


def _probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
    labels = np.asarray(model.label_distributions_, dtype=np.float64)
    if model.kernel == "knn":
        nearest = model.nn_fit
        order = k_nearest(context, nearest, X, nearest.n_neighbors, exact=False)[1]
        weights = ops.sum_(ops.take(labels, order), 1)
    else:
        weights = _affinity(context, model, X) @ labels
    return weights / ops.sum_(weights, 1, keepdims=True)


def _affinity(context: Context, model: Any, X: Tensor) -> Tensor:
    """Shape (n_samples, n_training).  A function of two matrices is called with ours, and traced."""
    known = model.X_.toarray() if hasattr(model.X_, "toarray") else model.X_
    if not callable(model.kernel):
        return kernel(context, model.kernel, X, known, gamma=model.gamma)
    return context.matrix(trace(context, "kernel", lambda rows: model.kernel(known, rows).T, X, {}))


def _label(context: Context, model: Any, X: Tensor) -> Tensor:
    return context.labels(model.classes_, ops.argmax(_probabilities(context, model, X), 1))


_PROPAGATION: Methods = {"predict": _label, "predict_proba": _probabilities}

CONVERTERS: dict[type, Methods] = {
    LabelPropagation: _PROPAGATION,
    LabelSpreading: _PROPAGATION,
}
