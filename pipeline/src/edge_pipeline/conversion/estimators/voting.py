"""Voting: labels counted, or probabilities and predictions averaged."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import VotingClassifier, VotingRegressor

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import add, average

__all__ = ["CONVERTERS"]


def _each(context: Context, meta: Any, X: Tensor | Frame, method: str) -> list[Tensor]:
    return [
        context.call(estimator, method, X, at=f"estimators_[{i}]")
        for i, estimator in enumerate(meta.estimators_)
    ]


@on_frame
def _label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    if meta.voting == "soft":
        return context.labels(meta.classes_, ops.argmax(_probabilities(context, meta, X), 1))
    weights = meta._weights_not_none
    n_classes = len(meta.classes_)
    votes = [
        ops.one_hot(vote.astype(np.int64), n_classes) for vote in _each(context, meta, X, "predict")
    ]
    if weights is not None:
        votes = [vote * float(weight) for vote, weight in zip(votes, weights, strict=True)]
    return context.labels(meta.classes_, ops.argmax(add(votes), 1))


@on_frame
def _probabilities(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    return average(_each(context, meta, X, "predict_proba"), meta._weights_not_none)


@on_frame
def _transformed(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    if getattr(meta, "voting", "hard") == "hard":
        return ops.stack(_each(context, meta, X, "predict"))
    if not meta.flatten_transform:
        raise context.refuse(
            "parameter flatten_transform=False: transform answers with a block an estimator, not "
            "with something for every row; set_params(flatten_transform=True) needs no new "
            "training",
            drawn=True,
        )
    return ops.concatenate(_each(context, meta, X, "predict_proba"), 1)


@on_frame
def _mean(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    return average(_each(context, meta, X, "predict"), meta._weights_not_none)


CONVERTERS: dict[type, Methods] = {
    VotingClassifier: {
        "predict": _label,
        "predict_proba": _probabilities,
        "transform": _transformed,
    },
    VotingRegressor: {"predict": _mean, "transform": _transformed},
}
