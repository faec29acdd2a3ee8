"""Convert voting: count labels, or average probabilities and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import VotingClassifier, VotingRegressor

from edge_pipeline.conversion.class_labels import predict_largest
from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_any_dtype
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import add, average, call_each

__all__ = ["CONVERTERS"]


@on_any_dtype
def _label(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    if meta.voting == "soft":
        return predict_largest(_probabilities)(context, meta, X)  # type: ignore[no-any-return]
    weights = meta._weights_not_none
    n_classes = len(meta.classes_)
    votes = [
        ops.one_hot(vote.astype(np.int64), n_classes)
        for vote in call_each(context, meta, X, "predict")
    ]
    if weights is not None:
        votes = [vote * float(weight) for vote, weight in zip(votes, weights, strict=True)]
    return context.labels(meta.classes_, ops.argmax(add(votes), 1))


@on_any_dtype
def _probabilities(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    return average(call_each(context, meta, X, "predict_proba"), meta._weights_not_none)


@on_any_dtype
def _transformed(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    if getattr(meta, "voting", "hard") == "hard":
        return ops.stack(call_each(context, meta, X, "predict"))
    if not meta.flatten_transform:
        raise context.refuse(
            "parameter flatten_transform=False: transform returns a block for each estimator, not "
            "a row for each row; set_params(flatten_transform=True) needs no new training",
            is_random=True,
        )
    return ops.concatenate(call_each(context, meta, X, "predict_proba"), 1)


@on_any_dtype
def _mean(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    return average(call_each(context, meta, X, "predict"), meta._weights_not_none)


CONVERTERS: dict[type, Methods] = {
    VotingClassifier: {
        "predict": _label,
        "predict_proba": _probabilities,
        "transform": _transformed,
    },
    VotingRegressor: {"predict": _mean, "transform": _transformed},
}
