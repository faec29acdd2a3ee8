"""Several targets: one estimator each, side by side or in a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, MethodOutput, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import response

__all__ = ["CONVERTERS"]


@on_frame
def _predictions(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    return ops.stack(_each(context, meta, X, "predict"))


@on_frame
def _probabilities(context: Context, meta: Any, X: Tensor | Frame) -> list[Tensor]:
    return _each(context, meta, X, "predict_proba")


def _each(context: Context, meta: Any, X: Tensor | Frame, method: str) -> list[Tensor]:
    return [
        context.call(estimator, method, X, at=f"estimators_[{i}]")
        for i, estimator in enumerate(meta.estimators_)
    ]


def _chain(method: str) -> Callable[[Context, Any, Tensor], MethodOutput]:
    """``_BaseChain._get_predictions``: each sees *X* and the answers of those before it."""

    def convert(context: Context, chain: Any, X: Tensor) -> MethodOutput:
        passed_on = getattr(chain, "chain_method_", "predict")
        features: list[Tensor] = [X.astype(np.float64)]
        answers = []
        for i, estimator in enumerate(chain.estimators_):
            seen, at = ops.concatenate(features, 1), f"estimators_[{i}]"
            answers.append(_vector(context, response(context, estimator, seen, method, at=at)))
            feature = response(context, estimator, seen, passed_on, at=at)
            features.append(ops.expand_dims(_vector(context, feature), 1))
        places = np.argsort(np.asarray(chain.order_))
        return ops.stack([answers[i] for i in places])

    return convert


def _vector(context: Context, answer: Tensor) -> Tensor:
    """What a chain stores: one float64 a row, whatever the labels were."""
    if answer.is_string:
        raise context.refuse("a chain passes labels on as numbers; code them before training")
    if answer.ndim == 2:
        answer = ops.squeeze(answer, 1)
    return answer.astype(np.float64)


CONVERTERS: dict[type, Methods] = {
    MultiOutputRegressor: {"predict": _predictions},
    MultiOutputClassifier: {"predict": _predictions, "predict_proba": _probabilities},
    RegressorChain: {"predict": _chain("predict")},
    ClassifierChain: {
        method: _chain(method) for method in ("predict", "predict_proba", "decision_function")
    },
}
