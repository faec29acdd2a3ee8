"""Training rows within a radius, and densities that sum over all training rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import neighbors as nb
from sklearn.neighbors._kd_tree import kernel_norm

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.neighbors import one_hot_targets, weighed
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.distances import distance_of, tree_distance

__all__ = ["CONVERTERS"]


def _within(context: Context, model: Any, X: Tensor, *, exact: bool) -> tuple[Tensor, Tensor]:
    """Which training rows are neighbours, and the distances to all: (n_samples, n_training)."""
    distance = distance_of(context, model, exact=exact)
    reduced = distance.reduced(X)
    return reduced <= float(distance.reduce(model.radius)), distance.finish(reduced)


def _votes(context: Context, model: Any, X: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Whether a row has no neighbours, shape (n_samples, 1), and each output's weight by class."""
    alike = model.weights in (None, "uniform")
    neighbours, distances = _within(context, model, X, exact=not alike)
    weight = weighed(context, model.weights, distances, neighbours)
    counted = neighbours.astype(np.float64) if weight is None else weight
    alone = ops.max_(neighbours.astype(np.float64), 1, True) == 0.0
    return alone, [counted @ targets for _, targets in one_hot_targets(model)]


def _shares(context: Context, model: Any, X: Tensor) -> list[Tensor]:
    """Of each output the classes' shares; rows without neighbours have the outlier label's, if any.

    scikit-learn raises where such a row has no ``outlier_label``; the graph's share is then NaN.
    """
    alone, votes = _votes(context, model, X)
    shares = []
    for i, (classes, vote) in enumerate(zip(_classes(model), votes, strict=True)):
        outlier: Any = np.nan
        if model.outlier_label_ is not None:
            outlier = (np.asarray(classes) == model.outlier_label_[i]).astype(np.float64)
        vote = ops.where(alone, outlier, vote)
        total = ops.sum_(vote, 1, True)
        shares.append(vote / ops.where(total == 0.0, 1.0, total))
    return shares


def _probabilities(context: Context, model: Any, X: Tensor) -> Tensor | list[Tensor]:
    shares = _shares(context, model, X)
    return shares if model.outputs_2d_ else shares[0]


def _labels(context: Context, model: Any, X: Tensor) -> Tensor:
    """The class with the largest share; without any, the outlier label.

    Without an outlier label scikit-learn raises for a row that has no neighbours; the graph looks
    for a class that does not exist, which onnxruntime refuses.
    """
    chosen = []
    for i, (classes, share) in enumerate(
        zip(_classes(model), _shares(context, model, X), strict=True)
    ):
        known = np.asarray(classes)
        index = ops.argmax(share, 1)
        nothing = ops.max_(share, 1) == 0.0
        if model.outlier_label_ is None:
            nothing = ops.isnan(ops.max_(share, 1))
        else:
            known = np.append(known, np.array([model.outlier_label_[i]], dtype=known.dtype))
        index = ops.where(nothing, np.int64(len(classes)), index)
        chosen.append(context.labels(known, index))
    return ops.stack(chosen) if model.outputs_2d_ else chosen[0]


def _classes(model: Any) -> list[Any]:
    return list(model.classes_) if model.outputs_2d_ else [model.classes_]


def _regression(context: Context, model: Any, X: Tensor) -> Tensor:
    """The (weighted) mean of the neighbours' targets, NaN without any.

    "NaN" as scikit-learn has it: ``np.full_like(y, nan)``, which for whole targets is a whole
    number that depends on the kind of CPU.
    """
    alike = model.weights in (None, "uniform")
    neighbours, distances = _within(context, model, X, exact=not alike)
    weight = weighed(context, model.weights, distances, neighbours)
    counted = neighbours.astype(np.float64) if weight is None else weight
    targets = model._y.reshape(len(model._y), -1)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore")
        empty = np.full_like(targets[0], np.nan).astype(np.float64)
    alone = ops.max_(neighbours.astype(np.float64), 1, True) == 0.0
    if targets.dtype.kind != "f":
        context.mark_ambiguous(ops.squeeze(alone, 1))
    total = ops.sum_(counted, 1, True)
    mean = counted @ targets.astype(np.float64) / ops.where(alone, 1.0, total)
    answer = ops.where(alone, empty, mean)
    return ops.squeeze(answer, 1) if model._y.ndim == 1 else answer


def _graph(context: Context, model: Any, X: Tensor) -> Tensor:
    """RadiusNeighborsTransformer.transform, dense."""
    wants_distance = model.mode == "distance"
    neighbours, distances = _within(context, model, X, exact=wants_distance)
    if wants_distance:
        return ops.where(neighbours, distances, 0.0)
    return neighbours.astype(np.float64)


def _gaussian(distance: Tensor, h: float) -> Tensor:
    return -0.5 * (distance * distance) / (h * h)


def _exponential(distance: Tensor, h: float) -> Tensor:
    return -distance / h


def _inside(log_kernel: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
    """A kernel that is zero from the bandwidth on."""

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


RESIDUE = 1e-8
"""scikit-learn starts from bounds on the whole sum and takes away what it refines: 1e-16 of the
first bound stays.  Below this mean of the kernels, the rest is more than 1e-9 of the answer
(measured: a mean of 7e-10 was answered 5e-8 too high, one of 0 as 1e-16)."""


def _log_density(context: Context, model: Any, X: Tensor) -> Tensor:
    """KernelDensity.score_samples: the whole sum.

    With ``atol`` or ``rtol`` scikit-learn stops part of the way down its tree: what it answers then
    is a matter of which nodes it has opened.
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
    context.mark_ambiguous(ops.logsumexp(log_kernels, 1) < float(np.log(total) + np.log(RESIDUE)))
    norm = kernel_norm(float(model.bandwidth_), X.width, model.kernel, return_log=True)
    return ops.logsumexp(log_kernels, 1) + float(norm) - float(np.log(total))


CONVERTERS: dict[type, Methods] = {
    nb.RadiusNeighborsClassifier: {"predict": _labels, "predict_proba": _probabilities},
    nb.RadiusNeighborsRegressor: {"predict": _regression},
    nb.RadiusNeighborsTransformer: {"transform": _graph},
    nb.KernelDensity: {"score_samples": _log_density},
}
