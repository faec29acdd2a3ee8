"""Convert kernel ridge regression: a pairwise kernel, then one product."""

from __future__ import annotations

from typing import Any

from sklearn.kernel_ridge import KernelRidge

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.kernels import kernel, weighted_sum

__all__ = ["CONVERTERS"]


def _prediction(context: Context, model: Any, X: Tensor) -> Tensor:
    """KernelRidge.predict."""
    if callable(model.kernel):
        params = model.kernel_params or {}
    else:
        params = {"gamma": model.gamma, "degree": model.degree, "coef0": model.coef0}
    rows = model.X_fit_
    similarities = kernel(context, model.kernel, X, rows, **params)
    return weighted_sum(context, similarities, model.dual_coef_)


CONVERTERS: dict[type, Methods] = {KernelRidge: {"predict": _prediction}}
