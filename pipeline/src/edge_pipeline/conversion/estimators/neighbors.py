"""The k nearest training rows: vote, mean, graph, local density."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import neighbors as nb

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.distances import Distance, distance_of

__all__ = ["CONVERTERS", "k_nearest", "one_hot_targets", "weighed"]

SPARE_CANDIDATES = 8
"""Neighbours looked at beyond k when the first choice is by dot products: rounding may swap rows
whose distances agree to 15 digits, and only a swap across all spare places would change the
answer."""

MIN_CANDIDATE_ELEMENTS = 4096
"""From as many numbers on in the training rows, choosing by dot products first is faster (measured:
one row of 20 columns, 1.6 times at 1,000 training rows)."""


def k_nearest(
    context: Context, model: Any, X: Tensor, k: int, *, exact: bool = True
) -> tuple[Tensor, Tensor]:
    """``kneighbors``: distances and positions, shape (n_samples, k), the nearest first.

    Of equally near rows the first of training is taken.  (scikit-learn takes whichever its heap or
    its tree leaves, which depends on the number of threads.)

    Parameters
    ----------
    exact
        Whether the caller uses the distances.
    """
    distance = distance_of(context, model, exact=exact)
    _doubt(context, model, X, k, exact=exact)
    rows = np.asarray(model._fit_X.toarray() if hasattr(model._fit_X, "toarray") else model._fit_X)
    wide_enough = rows.size >= MIN_CANDIDATE_ELEMENTS and len(rows) >= 4 * (k + SPARE_CANDIDATES)
    if distance.by_differences and wide_enough:
        return _refined(distance, X, np.asarray(rows, dtype=np.float64), k)
    reduced = distance.reduced(X)
    if model.effective_metric_ in ("nan_euclidean", "dice", "sokalsneath"):  # may be NaN: far away
        order = ops.top_k(ops.where(ops.isnan(reduced), np.inf, reduced), k, largest=False)[1]
        return distance.finish(ops.gather_elements(reduced, order)), order
    near, order = ops.top_k(reduced, k, largest=False)
    return distance.finish(near), order


TIE = 1e-12
"""Neighbours whose reduced distances agree to this share are equally near but for rounding."""

TWIN = 1e-6
"""A squared distance from dot products has an error of 4e-16 of the row's own square: below this
share of it, fewer than nine digits of the distance are left."""


def _doubt(context: Context, model: Any, X: Tensor, k: int, *, exact: bool) -> None:
    """Rows whose k-th neighbour is no nearer than the next, or whose nearest is mere rounding."""
    metric = model.effective_metric_
    reduced = distance_of(context, model, exact=False).reduced(X)
    reduced = ops.where(ops.isnan(reduced), np.inf, reduced)
    near = ops.top_k(reduced, min(k + 1, model.n_samples_fit_), largest=False)[0]
    if k < model.n_samples_fit_:
        last, after = near[:, k - 1], near[:, k]
        context.mark_ambiguous((after - last <= TIE * after) | (last == after))
    if exact and model._fit_method == "brute" and metric in ("euclidean", "nan_euclidean"):
        square = near[:, 0] if metric == "euclidean" else near[:, 0] * near[:, 0]
        context.mark_ambiguous(square < TWIN * ops.sum_(ops.where(ops.isnan(X), 0.0, X * X), 1))


def _refined(distance: Distance, X: Tensor, rows: Any, k: int) -> tuple[Tensor, Tensor]:
    """Candidates by dot products of centred rows, then the exact order by differences."""
    centre = rows.mean(axis=0)
    if (rows == np.rint(rows)).all():
        centre = np.rint(centre)  # whole numbers stay whole: ties stay ties
    centred = rows - centre
    squares = np.einsum("ij,ij->i", centred, centred)
    score = (X - centre) @ (-2.0 * centred.T) + squares
    candidates = ops.top_k(score, k + SPARE_CANDIDATES, largest=False)[1]
    gap = ops.take(rows, candidates) - ops.expand_dims(X, 1)
    near, order = ops.top_k(ops.sum_(gap * gap), k, largest=False)
    return distance.finish(near), ops.gather_elements(candidates, order)


def weighed(
    context: Context, weights: Any, distances: Tensor, neighbours: Tensor | None = None
) -> Tensor | None:
    """``_get_weights``: None when every neighbour counts alike.

    Parameters
    ----------
    neighbours
        Which of the distances belong to neighbours, when not all do; the others weigh 0.
    """
    if weights in (None, "uniform"):
        return None
    if weights == "distance":
        weight = 1.0 / distances
        same = ops.isinf(weight)
        if neighbours is not None:
            same = same & neighbours
        any_same = ops.max_(same.astype(np.float64), 1, True) > 0.0
        weight = ops.where(any_same, same.astype(np.float64), weight)
    else:
        try:
            weight = weights(distances)
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            name = getattr(weights, "__name__", weights)
            raise context.refuse(
                f"weights={name}: {error}; write it with numpy's elementary functions"
            ) from error
    return weight if neighbours is None else ops.where(neighbours, weight, 0.0)


def one_hot_targets(model: Any) -> list[tuple[Any, Any]]:
    """Of each output the classes, and the training targets as ones and zeros."""
    codes = model._y.reshape(len(model._y), -1)
    classes = model.classes_ if model.outputs_2d_ else [model.classes_]
    return [
        (labels, (codes[:, [i]] == np.arange(len(labels))).astype(np.float64))
        for i, labels in enumerate(classes)
    ]


def _votes(context: Context, model: Any, X: Tensor) -> list[Tensor]:
    """Of each output the weight that each class has among the neighbours."""
    alike = model.weights in (None, "uniform")
    distances, order = k_nearest(context, model, X, model.n_neighbors, exact=not alike)
    weight = weighed(context, model.weights, distances)
    votes = []
    for _, targets in one_hot_targets(model):
        chosen = ops.take(targets, order)
        if weight is not None:
            chosen = chosen * ops.expand_dims(weight, 2)
        votes.append(ops.sum_(chosen, 1))
    return votes


def _probabilities(context: Context, model: Any, X: Tensor) -> Tensor | list[Tensor]:
    shares = [votes / ops.sum_(votes, 1, True) for votes in _votes(context, model, X)]
    return shares if model.outputs_2d_ else shares[0]


def _labels(context: Context, model: Any, X: Tensor) -> Tensor:
    """The class with most votes, the first of equals."""
    classes = model.classes_ if model.outputs_2d_ else [model.classes_]
    chosen = [
        context.labels(labels, ops.argmax(votes, 1))
        for labels, votes in zip(classes, _votes(context, model, X), strict=True)
    ]
    return ops.stack(chosen) if model.outputs_2d_ else chosen[0]


def _regression(context: Context, model: Any, X: Tensor) -> Tensor:
    """The (weighted) mean of the neighbours' targets."""
    alike = model.weights in (None, "uniform")
    distances, order = k_nearest(context, model, X, model.n_neighbors, exact=not alike)
    weight = weighed(context, model.weights, distances)
    targets = ops.take(np.asarray(model._y, dtype=np.float64), order)
    if weight is None:
        return ops.sum_(targets, 1) / float(model.n_neighbors)
    total = ops.sum_(weight, 1)
    if targets.ndim == 2:
        return ops.sum_(targets * weight, 1) / total
    return ops.sum_(targets * ops.expand_dims(weight, 2), 1) / ops.expand_dims(total, 1)


def _graph(context: Context, model: Any, X: Tensor) -> Tensor:
    """KNeighborsTransformer.transform, dense: a 1 or the distance in the neighbours' columns."""
    wants_distance = model.mode == "distance"
    k = model.n_neighbors + wants_distance
    distances, order = k_nearest(context, model, X, k, exact=wants_distance)
    empty = ops.full_rows(X, np.zeros(model.n_samples_fit_))
    values = distances if wants_distance else ops.full_rows(X, np.ones(k))
    return X.graph.node(
        "ScatterElements", empty, order, values, axis=1, dtype=np.float64, shape=empty.shape
    )


def _local_outlier(context: Context, model: Any, X: Tensor) -> Tensor:
    """LocalOutlierFactor.score_samples: the neighbours' densities against the row's own."""
    if not model.novelty:
        raise context.refuse("novelty=False: it cannot score new rows; fit with novelty=True")
    k = model.n_neighbors_
    distances, order = k_nearest(context, model, X, k)
    reach = ops.maximum(distances, ops.take(model._distances_fit_X_[:, k - 1], order))
    density = 1.0 / (ops.mean(reach, 1, True) + 1e-10)
    return -ops.mean(ops.take(model._lrd, order) / density, 1)


def _outlier_margin(context: Context, model: Any, X: Tensor) -> Tensor:
    return _local_outlier(context, model, X) - float(model.offset_)


def _outlier_sign(context: Context, model: Any, X: Tensor) -> Tensor:
    return ops.where(_outlier_margin(context, model, X) < 0.0, np.int64(-1), np.int64(1))


CONVERTERS: dict[type, Methods] = {
    nb.KNeighborsClassifier: {"predict": _labels, "predict_proba": _probabilities},
    nb.KNeighborsRegressor: {"predict": _regression},
    nb.KNeighborsTransformer: {"transform": _graph},
    nb.LocalOutlierFactor: {
        "predict": _outlier_sign,
        "decision_function": _outlier_margin,
        "score_samples": _local_outlier,
    },
}
