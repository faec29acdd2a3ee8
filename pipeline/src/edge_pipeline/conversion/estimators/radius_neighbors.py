"""Convert estimators of the training rows within a radius, and kernel density."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import neighbors as nb
from sklearn.neighbors._kd_tree import kernel_norm

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.neighbors import (
    add_up_weights,
    class_codes,
    graph_values,
    has_one_hot_targets,
    neighbour_weights,
    one_hot,
)
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.distances import distance_of, tree_distance
from edge_pipeline.conversion.numeric.kernels import EXACT

__all__ = ["CONVERTERS"]


def _within(context: Context, model: Any, X: Tensor, *, exact: bool) -> tuple[Tensor, Tensor]:
    """Return which training rows are neighbours, and the distances: (n_samples, n_training)."""
    distance = distance_of(context, model, exact=exact)
    reduced = distance.reduced(X)
    return reduced <= float(distance.reduce(model.radius)), distance.finish(reduced)


def _weights(context: Context, model: Any, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weight of every training row, and whether a row has no neighbours."""
    is_uniform = model.weights in (None, "uniform")
    neighbours, distances = _within(context, model, X, exact=not is_uniform)
    weight = neighbour_weights(context, model.weights, distances, neighbours)
    isolated = ops.max_(neighbours.astype(np.float64), 1, True) == 0.0
    return neighbours.astype(np.float64) if weight is None else weight, isolated


def _probabilities_by_output(context: Context, model: Any, X: Tensor) -> list[Tensor]:
    """Return each output's class probabilities; an outlier's label has probability one.

    scikit-learn raises when there is no ``outlier_label`` for a row without neighbours.  The
    graph's probability is then NaN.
    """
    weight, isolated = _weights(context, model, X)
    votes = [
        weight @ one_hot(codes, len(classes))
        if has_one_hot_targets(codes, len(classes))
        else add_up_weights(ops.full_rows(X, codes), weight, len(classes))
        for classes, codes in class_codes(model)
    ]
    shares = []
    for i, (classes, vote) in enumerate(zip(_classes(model), votes, strict=True)):
        outlier: Any = np.nan
        if model.outlier_label_ is not None:
            outlier = (np.asarray(classes) == model.outlier_label_[i]).astype(np.float64)
        vote = ops.where(isolated, outlier, vote)
        total = ops.sum_(vote, 1, True)
        shares.append(vote / ops.where(total == 0.0, 1.0, total))
    return shares


def _probabilities(context: Context, model: Any, X: Tensor) -> Tensor | list[Tensor]:
    shares = _probabilities_by_output(context, model, X)
    return shares if model.outputs_2d_ else shares[0]


def _labels(context: Context, model: Any, X: Tensor) -> Tensor:
    """RadiusNeighborsClassifier.predict: the most probable class, else the outlier label.

    scikit-learn raises when there is no outlier label for a row without neighbours.  The graph
    then looks up a class that does not exist, which onnxruntime refuses.
    """
    predictions = []
    for i, (classes, proba) in enumerate(
        zip(_classes(model), _probabilities_by_output(context, model, X), strict=True)
    ):
        labels = np.asarray(classes)
        index = ops.argmax(proba, 1)
        is_outlier = ops.max_(proba, 1) == 0.0
        if model.outlier_label_ is None:
            is_outlier = ops.isnan(ops.max_(proba, 1))
        else:
            labels = np.append(labels, np.array([model.outlier_label_[i]], dtype=labels.dtype))
        index = ops.where(is_outlier, np.int64(len(classes)), index)
        predictions.append(context.labels(labels, index))
    return ops.stack(predictions) if model.outputs_2d_ else predictions[0]


def _classes(model: Any) -> list[Any]:
    return list(model.classes_) if model.outputs_2d_ else [model.classes_]


def _regression(context: Context, model: Any, X: Tensor) -> Tensor:
    """RadiusNeighborsRegressor.predict: the (weighted) mean of the neighbours' targets.

    Without neighbours it is ``np.full_like(y, nan)``.  For whole targets that is a whole number,
    which depends on the CPU.
    """
    weight, isolated = _weights(context, model, X)
    targets = model._y.reshape(len(model._y), -1)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore")
        empty = np.full_like(targets[0], np.nan).astype(np.float64)
    if targets.dtype.kind != "f":
        context.mark_ambiguous(ops.squeeze(isolated, 1))
    total = ops.sum_(weight, 1, True)
    mean = weight @ targets.astype(np.float64) / ops.where(isolated, 1.0, total)
    predictions = ops.where(isolated, empty, mean)
    return ops.squeeze(predictions, 1) if model._y.ndim == 1 else predictions


def _graph(context: Context, model: Any, X: Tensor) -> Tensor:
    """RadiusNeighborsTransformer.transform, dense."""
    is_distance = model.mode == "distance"
    neighbours, distances = _within(context, model, X, exact=is_distance)
    if is_distance:
        return ops.where(neighbours, graph_values(context, distances), 0.0)
    return neighbours.astype(np.float64)


# The logarithms of sklearn.neighbors._binary_tree's kernels, before normalization.
def _gaussian(distance: Tensor, h: float) -> Tensor:
    return -0.5 * (distance * distance) / (h * h)


def _exponential(distance: Tensor, h: float) -> Tensor:
    return -distance / h


def _inside(log_kernel: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
    """Make the logarithm of a kernel that is zero from the bandwidth on."""

    def convert(distance: Tensor, h: float) -> Tensor:
        inside = distance < h
        return ops.where(inside, log_kernel(ops.where(inside, distance, 0.0), h), -np.inf)

    return convert


_LOG_KERNELS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "gaussian": _gaussian,
    "exponential": _exponential,
    "tophat": _inside(lambda distance, h: distance * 0.0),
    "epanechnikov": _inside(lambda distance, h: ops.log(1.0 - distance * distance / (h * h))),
    "linear": _inside(lambda distance, h: ops.log(1.0 - distance / h)),
    "cosine": _inside(lambda distance, h: ops.log(ops.cos(0.5 * np.pi * distance / h))),
}


def _rounding_of_density(n_nodes: int) -> float:
    """Bound the rounding of scikit-learn's mean of the kernels, whose largest value is 1.

    It starts from a bound on the whole sum.  For each node that it opens, it subtracts the node's
    bounds and adds those of its children.  Each leaves rounding of the size of the first bound.
    Measured with kernels of two kinds in 2 to 15 columns: 6 eps with 63 nodes, 47 with 1,023, 237
    with 4,095.
    """
    return float(np.finfo(np.float64).eps) * (8 + n_nodes / 8)


def _log_density(context: Context, model: Any, X: Tensor) -> Tensor:
    """KernelDensity.score_samples: the whole sum.

    With ``atol`` or ``rtol`` scikit-learn stops part of the way down its tree.  The result then
    depends on the nodes that it has opened.
    """
    if model.atol > 0 or model.rtol > 0:
        raise context.refuse(
            f"atol={model.atol}, rtol={model.rtol}: scikit-learn stops summing as soon as it is "
            "that near, and how near it is depends on the nodes of its tree that it has opened; "
            "set both to 0, with which it sums all rows: set_params(atol=0, rtol=0)"
        )
    tree = model.tree_
    rows = np.asarray(tree.data, dtype=np.float64)
    params = {"p": 2, **(model.metric_params or {})}
    distance = tree_distance(context, model.metric, params, rows).distances(X)
    log_kernels = _LOG_KERNELS[model.kernel](distance, float(model.bandwidth_))
    total: float = len(rows)
    if tree.sample_weight is not None:
        with np.errstate(divide="ignore"):
            log_kernels = log_kernels + np.log(np.asarray(tree.sample_weight))
        total = tree.sum_weight
    norm = kernel_norm(float(model.bandwidth_), X.width, model.kernel, return_log=True)
    log_sum = ops.logsumexp(log_kernels, 1)
    density = log_sum + float(norm) - float(np.log(total))
    n_nodes = len(tree.get_arrays()[2])
    rounding = _rounding_of_density(n_nodes) * ops.exp(float(np.log(total)) - log_sum)
    # A density of zero has an infinite logarithm, and its rounding is infinite too.
    context.mark_ambiguous(rounding > EXACT * ops.clip(abs(density), 1.0, 1000.0))
    return density


CONVERTERS: dict[type, Methods] = {
    nb.RadiusNeighborsClassifier: {"predict": _labels, "predict_proba": _probabilities},
    nb.RadiusNeighborsRegressor: {"predict": _regression},
    nb.RadiusNeighborsTransformer: {"transform": _graph},
    nb.KernelDensity: {"score_samples": _log_density},
}
