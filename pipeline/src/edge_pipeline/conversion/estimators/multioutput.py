"""Convert estimators of several targets: one estimator for each, side by side or in a chain."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)

from edge_pipeline.conversion.column_frame import Frame, join
from edge_pipeline.conversion.context import Context, Converter, MethodOutput, Methods, on_any_dtype
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.meta_estimators import call_each, response

__all__ = ["CONVERTERS"]


@on_any_dtype
def _predictions(context: Context, meta: Any, X: Tensor | Frame) -> Tensor:
    return ops.stack(call_each(context, meta, X, "predict"))


@on_any_dtype
def _probabilities(context: Context, meta: Any, X: Tensor | Frame) -> list[Tensor]:
    return call_each(context, meta, X, "predict_proba")


def _chain(method: str) -> Converter:
    """``_BaseChain._get_predictions``: each estimator gets *X* and the outputs of those before."""

    def convert(context: Context, chain: Any, X: Tensor) -> MethodOutput:
        feature_method = getattr(chain, "chain_method_", "predict")
        features: list[Tensor] = [X.astype(np.float64)]
        outputs = []
        for i, estimator in enumerate(chain.estimators_):
            inputs, at = join(features), f"estimators_[{i}]"
            outputs.append(_vector(context, response(context, estimator, inputs, method, at=at)))
            feature = response(context, estimator, inputs, feature_method, at=at)
            features.append(ops.expand_dims(_vector(context, feature), 1))
        return ops.stack([outputs[i] for i in np.argsort(np.asarray(chain.order_))])

    return convert


def _vector(context: Context, output: Tensor) -> Tensor:
    """Return one float64 for each row, as a chain stores labels and predictions."""
    if output.is_string:
        raise context.refuse(
            "a chain passes labels on as numbers, and these are strings; encode them as numbers "
            "before training"
        )
    if output.ndim == 2:
        output = ops.squeeze(output, 1)
    return output.astype(np.float64)


CONVERTERS: dict[type, Methods] = {
    MultiOutputRegressor: {"predict": _predictions},
    MultiOutputClassifier: {"predict": _predictions, "predict_proba": _probabilities},
    RegressorChain: {"predict": _chain("predict")},
    ClassifierChain: {
        method: _chain(method) for method in ("predict", "predict_proba", "decision_function")
    },
}
