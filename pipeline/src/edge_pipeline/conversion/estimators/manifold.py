"""Convert manifold learning: place new rows by their neighbours among the training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.manifold import Isomap, LocallyLinearEmbedding

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.neighbors import k_nearest
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.linear_solve import solve_positive
from edge_pipeline.conversion.graph.loops import map_rows
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.distances import MAX_ROW_ELEMENTS, distance_of

__all__ = ["CONVERTERS"]


def _geodesic(context: Context, model: Any, X: Tensor) -> Tensor:
    """Isomap.transform: the shortest paths to every training row, then kernel PCA."""
    geodesics = np.asarray(model.dist_matrix_, dtype=np.float64)
    if model.n_neighbors is not None:
        steps, order = k_nearest(context, model.nbrs_, X, model.nbrs_.n_neighbors)
        paths = _shortest(geodesics, steps, order)
    else:
        distance = distance_of(context, model.nbrs_)
        reduced = distance.reduced(X)
        is_neighbour = reduced <= float(distance.reduce(model.nbrs_.radius))
        steps = ops.where(is_neighbour, distance.finish(reduced), np.inf)
        paths = map_rows(steps, lambda _, row: ops.min_(ops.expand_dims(row, 1) + geodesics, 0))
    return context.transform(model.kernel_pca_, paths * paths * -0.5, at="kernel_pca_")  # type: ignore[return-value]


def _shortest(geodesics: Any, steps: Tensor, order: Tensor) -> Tensor:
    """Return the shortest path by a neighbour to every training row.

    Parameters
    ----------
    geodesics
        Distances between training rows.
    steps, order
        Distances to the neighbours, and their positions.
    """
    if steps.width * len(geodesics) <= MAX_ROW_ELEMENTS:
        return ops.min_(ops.take(geodesics, order) + ops.expand_dims(steps, 2), 1)
    k = steps.width
    steps_and_order = ops.concatenate([steps, order.astype(np.float64)], 1)

    def shortest_of_row(_: Any, row: Tensor) -> Tensor:
        step, position = row[:k], row[k:].astype(np.int64)
        return ops.min_(ops.take(geodesics, position) + ops.expand_dims(step, 1), 0)

    return map_rows(steps_and_order, shortest_of_row)


def _barycentric(context: Context, model: Any, X: Tensor) -> Tensor:
    """LocallyLinearEmbedding.transform: weights that rebuild the row from its neighbours.

    ``sklearn.manifold._locally_linear.barycenter_weights``.
    """
    rows = np.asarray(model.nbrs_._fit_X, dtype=np.float64)
    k = model.n_neighbors
    _, order = k_nearest(context, model.nbrs_, X, k, exact=False)
    differences = ops.take(rows, order) - ops.expand_dims(X, 1)
    transposed = differences.graph.node(
        "Transpose",
        differences,
        perm=[0, 2, 1],
        dtype=differences.dtype,
        shape=(None, X.width, k),
    )
    gram = differences @ transposed
    trace = ops.sum_(differences * differences, (1, 2), True)
    ridge = ops.where(trace > 0.0, model.reg * trace, float(model.reg))
    weights = solve_positive(gram + ridge * np.eye(k), ops.full_rows(X, np.ones(k)))
    weights = weights / ops.sum_(weights, 1, True)
    return ops.sum_(ops.take(model.embedding_, order) * ops.expand_dims(weights, 2), 1)


CONVERTERS: dict[type, Methods] = {
    Isomap: {"transform": _geodesic},
    LocallyLinearEmbedding: {"transform": _barycentric},
}
