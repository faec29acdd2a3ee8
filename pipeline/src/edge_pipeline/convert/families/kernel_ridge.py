"""Kernel ridge regression: a pairwise kernel, then one product."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.kernel_ridge import KernelRidge

from edge_pipeline.convert.context import Context, Methods
from edge_pipeline.convert.kernels import kernel
from edge_pipeline.convert.tensor import Tensor

__all__ = ["CONVERTERS"]


def _prediction(context: Context, model: Any, X: Tensor) -> Tensor:
    if callable(model.kernel):
        params = model.kernel_params or {}
    else:
        params = {"gamma": model.gamma, "degree": model.degree, "coef0": model.coef0}
    rows = model.X_fit_.toarray() if hasattr(model.X_fit_, "toarray") else model.X_fit_
    return kernel(context, model.kernel, X, rows, **params) @ np.asarray(model.dual_coef_)


CONVERTERS: dict[type, Methods] = {KernelRidge: {"predict": _prediction}}
