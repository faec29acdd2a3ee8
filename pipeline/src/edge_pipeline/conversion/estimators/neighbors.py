"""Convert estimators of the k nearest training rows: votes, means, graphs, local density."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import neighbors as nb
from sklearn.metrics._pairwise_distances_reduction import ArgKmin

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.distances import Distance, distance_of
from edge_pipeline.conversion.numeric.tree_ties import can_replay, replay_ties
from edge_pipeline.conversion.sparse_outputs import SMALLEST

__all__ = [
    "CONVERTERS",
    "TIE",
    "add_up_weights",
    "class_codes",
    "graph_values",
    "has_one_hot_targets",
    "k_nearest",
    "neighbour_weights",
    "one_hot",
]

SPARE_CANDIDATES = 8
"""Candidates beyond k when dot products preselect the neighbours.

Rounding may swap rows whose distances agree to 15 digits.  Only a swap across all spare candidates
would change the neighbours."""

MIN_CANDIDATE_ELEMENTS = 4096
"""Least size of the training rows for which a preselection by dot products is faster.

Measured with one row of 20 columns: 1.6 times at 1,000 training rows."""

MAX_ONE_HOT_NUMBERS = 1 << 14
"""Training rows times classes up to which the graph holds one-hot targets: 128 KiB, one node."""

MAX_ONE_HOT_CLASSES = 64
"""Classes up to which the neighbours' targets are one-hot rows: 32 KiB of them."""


LARGEST = float(np.finfo(np.float64).max)
"""The reduced distance of a neighbour that scikit-learn's ArgKmin has not seen yet."""

OVERFLOWED = float(np.sqrt(LARGEST)) * (1 - 1e-15)
"""A distance in a neighbour graph from which on its square has overflowed."""


def k_nearest(
    context: Context,
    model: Any,
    X: Tensor,
    k: int,
    *,
    exact: bool = True,
    method: str = "predict",
) -> tuple[Tensor, Tensor]:
    """``kneighbors``: distances and positions, shape (n_samples, k), the nearest first.

    Among equally near rows, a tree's choice is a function of the row, and the graph repeats it.
    Other searches depend on the number of threads: such rows are marked as ambiguous, and the graph
    takes the first training row.

    Parameters
    ----------
    exact
        Whether the caller uses the distances.
    method
        ``kneighbors``: rounding matters to that method alone, and verification compares ties.
    """
    distance = distance_of(context, model, exact=exact)
    _mark_rounding(context, model, X, exact=exact, method=method)
    if k >= model.n_samples_fit_:
        near, order = _nearest(distance, model, X, k)
    elif can_replay(model):
        near, order = _nearest(distance, model, X, k + 1)
        has_tie = _is_tie(near[:, k - 1], near[:, k])
        if method == "predict" and not context.is_input(X):
            # A step before may round otherwise in the last bit, and then there is no tie.
            context.mark_ambiguous(has_tie)
        near, order = near[:, :k], _replayed(context, model, X, order[:, :k], has_tie)
    else:
        if method == "predict":
            _mark_ties(context, model, X, k)
        near, order = _nearest(distance, model, X, k)
    if model.effective_metric_ == "precomputed":
        if X.zeros != "stored":
            near, order = _neighbours_of_graph(model, X, near, order)
    else:
        near, order = _where_distances_overflow(model, near, order)
    return distance.finish(near), order


def _where_distances_overflow(model: Any, near: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat scikit-learn's answer where distances are too large for float64.

    Its searches begin with training row 0 in every place, and replace it by what is nearer.  A tree
    begins at infinity, ArgKmin at the largest float64.
    """
    is_near = near < np.inf  # not a number where dot products overflow
    if model._fit_method == "brute":
        if model.effective_metric_ not in ArgKmin.valid_metrics():
            return near, order
        near = ops.where(is_near, near, LARGEST)
    return near, ops.where(is_near, order, np.int64(0))


def _neighbours_of_graph(
    model: Any, X: Tensor, near: Tensor, order: Tensor
) -> tuple[Tensor, Tensor]:
    """Complete the neighbours of a row whose graph holds fewer than k.

    scikit-learn raises for it, and onnxruntime refuses a position that does not exist.  But where
    distances overflow, the graph holds row 0 several times, and the dense form of it once.
    """
    farthest = ops.max_(X, 1, True)
    replacement = ops.where(farthest >= OVERFLOWED, np.int64(0), np.int64(model.n_samples_fit_))
    is_absent = near == np.inf
    return ops.where(is_absent, farthest, near), ops.where(is_absent, replacement, order)


def _replayed(context: Context, model: Any, X: Tensor, order: Tensor, has_tie: Tensor) -> Tensor:
    """Repeat the tree's choice; once for all methods, because equal Loops are not merged."""
    replayed: Tensor = context.cached(
        model,
        f"ties of {order.name} where {has_tie.name}",
        X,
        lambda: replay_ties(model, X, order, has_tie),
    )
    return replayed


def _nearest(distance: Distance, model: Any, X: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the reduced distances and the positions of the k nearest training rows."""
    if distance.by_differences:
        rows = np.asarray(model._fit_X, dtype=np.float64)
        if rows.size >= MIN_CANDIDATE_ELEMENTS and len(rows) >= 4 * (k + SPARE_CANDIDATES):
            return _nearest_of_candidates(X, rows, k)
    reduced = distance.reduced(X)
    if model.effective_metric_ in ("nan_euclidean", "dice", "sokalsneath"):  # NaN counts as far
        order = ops.top_k(ops.where(ops.isnan(reduced), np.inf, reduced), k, largest=False)[1]
        return ops.gather_elements(reduced, order), order
    return ops.top_k(reduced, k, largest=False)


TIE = 1e-12
"""Neighbours are equally near when their reduced distances differ by less than this share."""

MIN_EXACT_SHARE = 1e-6
"""A squared distance below this share of the row's own square has fewer than nine exact digits.

Dot products give it an error of 4e-16 of that square."""


def _is_tie(last: Tensor, after: Tensor) -> Tensor:
    """Whether both are equally near; an infinite distance is no neighbour's."""
    return ((after - last <= TIE * after) | (last == after)) & (after < np.inf)


def _mark_ties(context: Context, model: Any, X: Tensor, k: int) -> None:
    """Mark the rows whose k-th and next neighbour are equally near."""
    nearest = _nearest_reduced(context, model, X, k + 1)
    context.mark_ambiguous(_is_tie(nearest[:, k - 1], nearest[:, k]))


def _mark_rounding(context: Context, model: Any, X: Tensor, *, exact: bool, method: str) -> None:
    """Mark the rows whose nearest distance by dot products is only rounding."""
    metric = model.effective_metric_
    if exact and model._fit_method == "brute" and metric in ("euclidean", "nan_euclidean"):
        first = _nearest_reduced(context, model, X, 1)[:, 0]
        square = first if metric == "euclidean" else first * first
        context.mark_ambiguous(
            square < MIN_EXACT_SHARE * ops.sum_(ops.where(ops.isnan(X), 0.0, X * X), 1), method
        )


def _nearest_reduced(context: Context, model: Any, X: Tensor, count: int) -> Tensor:
    reduced = distance_of(context, model, exact=False).reduced(X)
    return ops.top_k(ops.where(ops.isnan(reduced), np.inf, reduced), count, largest=False)[0]


def _nearest_of_candidates(X: Tensor, rows: Any, k: int) -> tuple[Tensor, Tensor]:
    """Preselect candidates by dot products of centred rows, then order them by differences."""
    centre = rows.mean(axis=0)
    if (rows == np.rint(rows)).all():
        centre = np.rint(centre)  # whole numbers stay whole: ties stay ties
    centred = rows - centre
    squares = np.einsum("ij,ij->i", centred, centred)
    score = (X - centre) @ (-2.0 * centred.T) + squares
    candidates = ops.top_k(score, k + SPARE_CANDIDATES, largest=False)[1]
    difference = ops.take(rows, candidates) - ops.expand_dims(X, 1)
    near, order = ops.top_k(ops.sum_(difference * difference), k, largest=False)
    return near, ops.gather_elements(candidates, order)


def _neighbors(context: Context, model: Any, X: Tensor) -> list[Tensor]:
    """``kneighbors``: distances and positions.

    scikit-learn's order among equally near rows depends on its sorting algorithm.  The graph puts
    the first training row first.
    """
    return list(k_nearest(context, model, X, model.n_neighbors, method="kneighbors"))


def neighbour_weights(
    context: Context, weights: Any, distances: Tensor, neighbours: Tensor | None = None
) -> Tensor | None:
    """Weight the neighbours (``_get_weights``); None when all have the same weight.

    Parameters
    ----------
    neighbours
        Which of the distances belong to neighbours, when not all do; the others have weight 0.
    """
    if weights in (None, "uniform"):
        return None
    if weights == "distance":
        weight = 1.0 / distances
        is_equal = ops.isinf(weight)
        if neighbours is not None:
            is_equal = is_equal & neighbours
        any_equal = ops.max_(is_equal.astype(np.float64), 1, True) > 0.0
        weight = ops.where(any_equal, is_equal.astype(np.float64), weight)
    else:
        try:
            weight = weights(distances)
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            name = getattr(weights, "__name__", weights)
            raise context.refuse(
                f"weights={name}: {error}; write it with numpy's elementary functions"
            ) from error
    return weight if neighbours is None else ops.where(neighbours, weight, 0.0)


def class_codes(model: Any) -> list[tuple[Any, NDArray[np.int64]]]:
    """Return for each output the classes, and the position of each training row's class."""
    codes = model._y.reshape(len(model._y), -1).astype(np.int64)
    classes = model.classes_ if model.outputs_2d_ else [model.classes_]
    return [(labels, codes[:, i]) for i, labels in enumerate(classes)]


def has_one_hot_targets(codes: NDArray[np.int64], n_classes: int) -> bool:
    """Whether the graph holds the training targets one-hot encoded."""
    return len(codes) * n_classes <= MAX_ONE_HOT_NUMBERS


def one_hot(codes: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """Encode the training targets: a column for each class."""
    return np.asarray(codes[:, np.newaxis] == np.arange(n_classes), dtype=np.float64)


def add_up_weights(codes: Tensor, weight: Tensor, n_classes: int) -> Tensor:
    """Add each weight to the vote of its class, one after the other.

    Parameters
    ----------
    codes, weight
        Shape (n_samples, n_neighbours): the class of each neighbour, and its weight.
    """
    votes = ops.full_rows(weight, np.zeros(n_classes))
    return votes.graph.node(
        "ScatterElements",
        votes,
        codes,
        weight,
        reduction="add",
        axis=1,
        dtype=np.float64,
        shape=votes.shape,
    )


def _neighbours(context: Context, model: Any, X: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the positions of the neighbours, and their weights if they differ."""
    is_uniform = model.weights in (None, "uniform")
    distances, order = k_nearest(context, model, X, model.n_neighbors, exact=not is_uniform)
    return order, neighbour_weights(context, model.weights, distances)


def _votes(context: Context, model: Any, X: Tensor) -> list[Tensor]:
    """Return for each output the weight of each class among the neighbours."""
    order, weight = _neighbours(context, model, X)
    votes = []
    for classes, codes in class_codes(model):
        n_classes = len(classes)
        if n_classes > MAX_ONE_HOT_CLASSES and not has_one_hot_targets(codes, n_classes):
            ones = ops.full_rows(X, np.ones(model.n_neighbors)) if weight is None else weight
            votes.append(add_up_weights(ops.take(codes, order), ones, n_classes))
            continue
        if has_one_hot_targets(codes, n_classes):
            of_neighbours = ops.take(one_hot(codes, n_classes), order)
        else:
            of_neighbours = ops.take(np.eye(n_classes), ops.take(codes, order))
        if weight is not None:
            of_neighbours = of_neighbours * ops.expand_dims(weight, 2)
        votes.append(ops.sum_(of_neighbours, 1))
    return votes


def _probabilities(context: Context, model: Any, X: Tensor) -> Tensor | list[Tensor]:
    shares = [votes / ops.sum_(votes, 1, True) for votes in _votes(context, model, X)]
    return shares if model.outputs_2d_ else shares[0]


def _labels(context: Context, model: Any, X: Tensor) -> Tensor:
    """KNeighborsClassifier.predict: the class with most votes, the first of equal ones."""
    targets = class_codes(model)
    if model.n_neighbors == 1 and model.weights in (None, "uniform", "distance"):
        nearest = ops.squeeze(k_nearest(context, model, X, 1, exact=False)[1], 1)
        indices = [ops.take(codes, nearest) for _, codes in targets]
    else:
        indices = [ops.argmax(votes, 1) for votes in _votes(context, model, X)]
    predictions = [
        context.labels(labels, index) for (labels, _), index in zip(targets, indices, strict=True)
    ]
    return ops.stack(predictions) if model.outputs_2d_ else predictions[0]


def _regression(context: Context, model: Any, X: Tensor) -> Tensor:
    """KNeighborsRegressor.predict: the (weighted) mean of the neighbours' targets."""
    order, weight = _neighbours(context, model, X)
    targets = ops.take(np.asarray(model._y, dtype=np.float64), order)
    if weight is None:
        return ops.sum_(targets, 1) / float(model.n_neighbors)
    total = ops.sum_(weight, 1)
    if targets.ndim == 2:
        return ops.sum_(targets * weight, 1) / total
    return ops.sum_(targets * ops.expand_dims(weight, 2), 1) / ops.expand_dims(total, 1)


def graph_values(context: Context, distances: Tensor) -> Tensor:
    """Return the distances as the next step must see them: a sparse graph stores those of zero.

    The smallest number stands for zero there, as an absent distance is zero in the dense form.
    """
    return ops.where(distances == 0.0, SMALLEST, distances) if context.is_part else distances


def _graph(context: Context, model: Any, X: Tensor) -> Tensor:
    """KNeighborsTransformer.transform, dense: a 1 or the distance in the neighbours' columns."""
    is_distance = model.mode == "distance"
    k = model.n_neighbors + is_distance
    distances, order = k_nearest(context, model, X, k, exact=is_distance)
    zeros = ops.full_rows(X, np.zeros(model.n_samples_fit_))
    values = graph_values(context, distances) if is_distance else ops.full_rows(X, np.ones(k))
    return X.graph.node(
        "ScatterElements", zeros, order, values, axis=1, dtype=np.float64, shape=zeros.shape
    )


def _local_outlier_score(context: Context, model: Any, X: Tensor) -> Tensor:
    """LocalOutlierFactor.score_samples: the neighbours' densities divided by the row's own."""
    if not model.novelty:
        raise context.refuse("novelty=False: it cannot score new rows; fit with novelty=True")
    k = model.n_neighbors_
    distances, order = k_nearest(context, model, X, k)
    reach = ops.maximum(distances, ops.take(model._distances_fit_X_[:, k - 1], order))
    density = 1.0 / (ops.mean(reach, 1, True) + 1e-10)
    return -ops.mean(ops.take(model._lrd, order) / density, 1)


def _outlier_margin(context: Context, model: Any, X: Tensor) -> Tensor:
    return _local_outlier_score(context, model, X) - float(model.offset_)


def _outlier_sign(context: Context, model: Any, X: Tensor) -> Tensor:
    return ops.where(_outlier_margin(context, model, X) < 0.0, np.int64(-1), np.int64(1))


CONVERTERS: dict[type, Methods] = {
    nb.NearestNeighbors: {"kneighbors": _neighbors},
    nb.KNeighborsClassifier: {
        "predict": _labels,
        "predict_proba": _probabilities,
        "kneighbors": _neighbors,
    },
    nb.KNeighborsRegressor: {"predict": _regression, "kneighbors": _neighbors},
    nb.KNeighborsTransformer: {"transform": _graph, "kneighbors": _neighbors},
    nb.LocalOutlierFactor: {
        "kneighbors": _neighbors,
        "predict": _outlier_sign,
        "decision_function": _outlier_margin,
        "score_samples": _local_outlier_score,
    },
}
