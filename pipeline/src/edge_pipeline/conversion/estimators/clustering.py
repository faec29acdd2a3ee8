"""Convert clustering: the nearest centre, and the distance to each centre."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn import cluster as cl

from edge_pipeline.conversion.context import Context, Converter, Methods
from edge_pipeline.conversion.fitted_arrays import dense_array
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.row_norms import euclidean_squares, numpy_lengths
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import Tracer
from edge_pipeline.conversion.tracing.trace import call_traced

__all__ = ["CONVERTERS"]


def _shifted_distances(X: Tensor, centers: Any) -> Tensor:
    """Return squared distances without |x|², which is the same for all centres: |c|² - 2 x·c."""
    centers = dense_array(centers)  # AffinityPropagation keeps rows of its training table
    distances: Tensor = X @ (-2.0 * centers.T) + np.einsum("ij,ij->i", centers, centers)
    return distances


def _nearest(_: Context, model: Any, X: Tensor) -> Tensor:
    """KMeans.predict, MeanShift.predict: the first of equally near centres."""
    return ops.argmin(_shifted_distances(X, model.cluster_centers_), 1)


CANCELLED = 2e-7
"""The error of a distance d from dot products is 2e-16 |x|² / d.

Below this share of |x|², the nearest times the largest distance, it exceeds 1e-9 of the largest."""


def _distances_to(attribute: str) -> Converter:
    """Convert ``transform`` as ``euclidean_distances`` to the centres in *attribute*.

    The distance to a centre that equals the row, as in a cluster of one, is only rounding.
    """

    def convert(context: Context, model: Any, X: Tensor) -> Tensor:
        squares = euclidean_squares(X, getattr(model, attribute), numpy_lengths)
        distances = ops.sqrt(squares)
        product = ops.min_(distances, 1) * ops.max_(distances, 1)
        context.mark_ambiguous(product < CANCELLED * ops.sum_(X * X, 1))
        return distances

    return convert


def _exemplar(context: Context, model: Any, X: Tensor) -> Tensor:
    """AffinityPropagation.predict: -1 when training did not converge."""
    if not hasattr(model, "cluster_centers_"):
        raise context.refuse("affinity='precomputed': scikit-learn cannot predict with it either")
    if not model.cluster_centers_.shape[0]:
        return ops.full_rows(X, np.int64(-1))
    return _nearest(context, model, X)


def _birch_label(context: Context, model: Any, X: Tensor) -> Tensor:
    """Birch.predict: the label of the nearest subcluster."""
    index = ops.argmin(_shifted_distances(X, model.subcluster_centers_), 1)
    return context.labels(model.subcluster_labels_, index)


def _bisecting_label(_: Context, model: Any, X: Tensor) -> Tensor:
    """BisectingKMeans._predict_recursive: go down the tree, each time to the nearer of two centres.

    All inner nodes decide together.  A row reaches a leaf when all decisions above it point to it.
    The number of those decisions minus the leaf's depth is zero for that leaf, negative for others.
    """
    shift = getattr(model, "_X_mean", 0.0)
    nodes: list[Any] = []
    leaves = list(_leaves(model._bisecting_tree, {}, nodes))
    labels = np.array([label for label, _ in leaves], dtype=np.int64)
    if not nodes:
        return ops.full_rows(X, labels[0])
    to_left, to_right = (
        _shifted_distances(X, np.array([getattr(node, side).center + shift for node in nodes]))
        for side in ("left", "right")
    )
    agreement = np.zeros((len(nodes), len(leaves)))
    offset = np.zeros(len(leaves))
    for i, (_label, path) in enumerate(leaves):
        for node, goes_right in path.items():
            agreement[node, i] = 1.0 if goes_right else -1.0
            offset[i] -= float(goes_right)
    score = (to_right < to_left).astype(np.float64) @ agreement + offset
    return ops.take(labels, ops.argmax(score, 1))


def _leaves(
    node: Any, path: dict[int, bool], nodes: list[Any]
) -> Iterator[tuple[int, dict[int, bool]]]:
    """Yield each leaf's label and the decisions that lead to it; append inner nodes to *nodes*."""
    if node.left is None:
        yield node.label, path
        return
    position = len(nodes)
    nodes.append(node)
    yield from _leaves(node.left, {**path, position: False}, nodes)
    yield from _leaves(node.right, {**path, position: True}, nodes)


def _pooled(context: Context, model: Any, X: Tensor) -> Tensor:
    """FeatureAgglomeration.transform: one value for each group of columns."""
    groups = np.unique(model.labels_)
    if model.pooling_func == np.mean:
        members = (model.labels_[:, np.newaxis] == groups).astype(np.float64)
        means: Tensor = X @ members / np.bincount(model.labels_).astype(np.float64)
        return means
    tracer = Tracer(X, context.vector)
    name = getattr(model.pooling_func, "__name__", model.pooling_func)
    pooled = []
    for group in groups:
        columns = X[:, np.flatnonzero(model.labels_ == group)]
        pooled.append(
            call_traced(
                context,
                tracer,
                f"pooling_func={name}",
                "pool with numpy's mean, sum, min, max or median",
                model.pooling_func,
                columns,
                axis=1,
            )
        )
    return ops.stack(pooled)


_CENTRES: Methods = {"predict": _nearest, "transform": _distances_to("cluster_centers_")}

CONVERTERS: dict[type, Methods] = {
    **dict.fromkeys((cl.KMeans, cl.MiniBatchKMeans), _CENTRES),
    cl.BisectingKMeans: {**_CENTRES, "predict": _bisecting_label},
    cl.MeanShift: {"predict": _nearest},
    cl.AffinityPropagation: {"predict": _exemplar},
    cl.Birch: {"predict": _birch_label, "transform": _distances_to("subcluster_centers_")},
    cl.FeatureAgglomeration: {"transform": _pooled},
}
