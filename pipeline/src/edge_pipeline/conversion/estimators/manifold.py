"""New rows placed into an embedding through their neighbours in training."""

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
    """Isomap.transform: shortest ways by a neighbour to every training row, then kernel PCA."""
    known = np.asarray(model.dist_matrix_, dtype=np.float64)
    if model.n_neighbors is not None:
        steps, order = k_nearest(context, model.nbrs_, X, model.nbrs_.n_neighbors)
        reach = _shortest(known, steps, order)
    else:
        distance = distance_of(context, model.nbrs_)
        reduced = distance.reduced(X)
        near = reduced <= float(distance.reduce(model.nbrs_.radius))
        steps = ops.where(near, distance.finish(reduced), np.inf)
        reach = map_rows(steps, lambda _, row: ops.min_(ops.expand_dims(row, 1) + known, 0))
    return context.transform(model.kernel_pca_, reach * reach * -0.5, at="kernel_pca_")  # type: ignore[return-value]


def _shortest(known: Any, steps: Tensor, order: Tensor) -> Tensor:
    if steps.width * len(known) <= MAX_ROW_ELEMENTS:
        return ops.min_(ops.take(known, order) + ops.expand_dims(steps, 2), 1)
    k = steps.width
    both = ops.concatenate([steps, order.astype(np.float64)], 1)

    def one(_: Any, row: Tensor) -> Tensor:
        step, position = row[:k], row[k:].astype(np.int64)
        return ops.min_(ops.take(known, position) + ops.expand_dims(step, 1), 0)

    return map_rows(both, one)


def _barycentric(context: Context, model: Any, X: Tensor) -> Tensor:
    """LocallyLinearEmbedding.transform: weights that rebuild the row from its neighbours."""
    rows = np.asarray(model.nbrs_._fit_X, dtype=np.float64)
    k = model.n_neighbors
    _, order = k_nearest(context, model.nbrs_, X, k, exact=False)
    gap = ops.take(rows, order) - ops.expand_dims(X, 1)
    turned = gap.graph.node(
        "Transpose", gap, perm=[0, 2, 1], dtype=gap.dtype, shape=(None, X.width, k)
    )
    gram = gap @ turned
    trace = ops.sum_(gap * gap, (1, 2), True)
    ridge = ops.where(trace > 0.0, model.reg * trace, float(model.reg))
    weights = solve_positive(gram + ridge * np.eye(k), ops.full_rows(X, np.ones(k)))
    weights = weights / ops.sum_(weights, 1, True)
    return ops.sum_(ops.take(model.embedding_, order) * ops.expand_dims(weights, 2), 1)


CONVERTERS: dict[type, Methods] = {
    Isomap: {"transform": _geodesic},
    LocallyLinearEmbedding: {"transform": _barycentric},
}
