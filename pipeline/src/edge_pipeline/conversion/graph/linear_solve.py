"""Systems of linear equations, one a row of the batch, as a loop over the pivots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.loops import iterate
from edge_pipeline.conversion.graph.tensor import Tensor, comparison

__all__ = ["solve_positive"]


def solve_positive(matrices: Tensor, right: Tensor) -> Tensor:
    """Solve ``matrices[i] @ x = right[i]`` for positive definite matrices.

    Gauss-Jordan elimination without exchanges, which positive definite systems do not need (Golub
    and Van Loan 2013, section 4.2).

    Parameters
    ----------
    matrices
        Shape (n_samples, k, k).
    right
        Shape (n_samples, k).
    """
    k = right.width
    table = ops.concatenate([matrices, ops.expand_dims(right, 2)], 2)

    def eliminate(_: Graph, pivot: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], None]:
        (rows,) = state
        at = ops.reshape(pivot, [1])
        row = ops.take(rows, at, 1)
        row = row / ops.take(row, at, 2)
        is_pivot = ops.expand_dims(comparison("Equal", np.arange(k), at), 1)
        eliminated = rows - ops.take(rows, at, 2) * row
        return [ops.where(is_pivot, row, eliminated)], None

    (solved,) = iterate([table], eliminate, limit=k)
    return solved[:, :, k]
