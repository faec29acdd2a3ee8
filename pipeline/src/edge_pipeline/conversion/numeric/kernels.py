"""Kernels of estimators: named, of a Gaussian process, or a user's function of two rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.gaussian_process import kernels as gp

from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.gp_kernels import covariance
from edge_pipeline.conversion.numeric.pairwise import TAKE_SPARSE_ROWS
from edge_pipeline.conversion.numeric.sparse_rows import stays_sparse
from edge_pipeline.conversion.numeric.user_kernels import pairwise_kernel

__all__ = ["EXACT", "ROUNDING", "kernel", "weighted_sum"]

EXACT = 1e-9
"""Relative difference up to which a sum counts as exact, as in ``verification.verify``."""

ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Change of a sum whose terms are added in another order, relative to the sum of their sizes."""


def kernel(context: Context, metric: Any, X: Tensor, Y: Any, **params: Any) -> Tensor:
    """Compute ``sklearn.metrics.pairwise.pairwise_kernels``, shape (n_samples, len(Y)).

    Parameters
    ----------
    metric
        The name of a kernel; ``precomputed``; a ``sklearn.gaussian_process`` kernel; or a function
        of two rows, which is traced.
    X
        Shape (n_samples, n_features); of ``precomputed``, the kernel itself.
    Y
        The training rows of the estimator: an array, a sparse matrix, or a tensor.
    **params
        ``gamma``, ``degree``, ``coef0`` as the estimator has them.  A named kernel ignores those
        that it does not have, and None stands for its default.  A function receives all of them.

    Raises
    ------
    UnsupportedEstimatorError
        The kernel is unknown, or the function does something that has no node.
    """
    if hasattr(Y, "toarray") and not (metric in TAKE_SPARSE_ROWS and stays_sparse(Y)):
        Y = Y.toarray()
    if isinstance(metric, gp.Kernel):
        return covariance(context, metric, X, Y)
    return pairwise_kernel(context, metric, X, Y, **params)


def weighted_sum(context: Context, similarities: Tensor, weights: Any) -> Tensor:
    """Compute ``similarities @ weights`` and mark the rows whose sum is nothing but rounding.

    Where training rows are nearly alike, their weights are huge, of either sign.  Their sum then
    depends on the order in which BLAS adds.
    """
    weights = np.asarray(weights, dtype=np.float64)
    total: Tensor = similarities @ weights
    cancels = abs(total) * EXACT < abs(similarities) @ np.abs(weights) * ROUNDING
    if cancels.ndim == 2:
        cancels = ops.max_(cancels.astype(np.int64), 1) > 0
    context.mark_ambiguous(cancels)
    return total
