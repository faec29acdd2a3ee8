"""Clusters: the nearest centre, and the distance to each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn import cluster as cl

from edge_pipeline.conversion.context import Context, Converter, Methods
from edge_pipeline.conversion.fitted_arrays import learnt_array
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.row_norms import euclidean_squares, numpy_lengths
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


def _shifted_distances(X: Tensor, centers: Any) -> Tensor:
    """Squared distances less the row's own square, which no choice depends on: |c|² - 2 x·c."""
    centers = learnt_array(centers)  # AffinityPropagation keeps rows of its training table
    answer: Tensor = X @ (-2.0 * centers.T) + np.einsum("ij,ij->i", centers, centers)
    return answer


def _nearest(_: Context, model: Any, X: Tensor) -> Tensor:
    """KMeans.predict, MeanShift.predict: of equally near centres the first."""
    return ops.argmin(_shifted_distances(X, model.cluster_centers_), 1)


CANCELLED = 2e-7
"""The error of a distance d by dot products is 2e-16 |x|² / d: below this, 1e-9 of the largest."""


def _distances_to(attribute: str) -> Converter:
    """``euclidean_distances`` to the centres.

    A centre that is the row itself, as in a cluster of one, is at a distance of mere rounding.
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


def _bisected(_: Context, model: Any, X: Tensor) -> Tensor:
    """BisectingKMeans.predict: down the tree, each time to the nearer of two centres.

    Every inner node decides at once.  A leaf is reached when all decisions above it point to it:
    the number of those that do, less its depth, is zero for that leaf and negative for all others.
    """
    shift = getattr(model, "_X_mean", 0.0)
    nodes: list[Any] = []
    leaves: list[tuple[int, dict[int, bool]]] = []
    for label, path in _leaves(model._bisecting_tree, {}, nodes):
        leaves.append((label, path))
    labels = np.array([label for label, _ in leaves], dtype=np.int64)
    if not nodes:
        return ops.full_rows(X, labels[0])
    left, right = (
        _shifted_distances(X, np.array([getattr(node, side).center + shift for node in nodes]))
        for side in ("left", "right")
    )
    agreement = np.zeros((len(nodes), len(leaves)))
    offset = np.zeros(len(leaves))
    for i, (_label, path) in enumerate(leaves):
        for node, goes_right in path.items():
            agreement[node, i] = 1.0 if goes_right else -1.0
            offset[i] -= float(goes_right)
    reached = (right < left).astype(np.float64) @ agreement + offset
    return ops.take(labels, ops.argmax(reached, 1))


def _leaves(
    node: Any, path: dict[int, bool], nodes: list[Any]
) -> Iterator[tuple[int, dict[int, bool]]]:
    """Each leaf's label with the decisions that lead to it; inner nodes are appended to *nodes*."""
    if node.left is None:
        yield node.label, path
        return
    here = len(nodes)
    nodes.append(node)
    yield from _leaves(node.left, {**path, here: False}, nodes)
    yield from _leaves(node.right, {**path, here: True}, nodes)


def _pooled(context: Context, model: Any, X: Tensor) -> Tensor:
    """FeatureAgglomeration.transform: one value a group of columns."""
    groups = np.unique(model.labels_)
    if model.pooling_func == np.mean:
        members = (model.labels_[:, np.newaxis] == groups).astype(np.float64)
        answer: Tensor = X @ members / np.bincount(model.labels_).astype(np.float64)
        return answer
    pooled = []
    for group in groups:
        columns = X[:, np.flatnonzero(model.labels_ == group)]
        try:
            pooled.append(model.pooling_func(columns, axis=1))
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            name = getattr(model.pooling_func, "__name__", model.pooling_func)
            raise context.refuse(
                f"pooling_func={name}: {error}; pool with numpy's mean, sum, min, max or median"
            ) from error
    return ops.stack(pooled)


_CENTRES: Methods = {"predict": _nearest, "transform": _distances_to("cluster_centers_")}

CONVERTERS: dict[type, Methods] = {
    **dict.fromkeys((cl.KMeans, cl.MiniBatchKMeans), _CENTRES),
    cl.BisectingKMeans: {**_CENTRES, "predict": _bisected},
    cl.MeanShift: {"predict": _nearest},
    cl.AffinityPropagation: {"predict": _exemplar},
    cl.Birch: {"predict": _birch_label, "transform": _distances_to("subcluster_centers_")},
    cl.FeatureAgglomeration: {"transform": _pooled},
}
