"""Multi-layer perceptrons: matrix products with an activation between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor

from edge_pipeline.convert import ops
from edge_pipeline.convert.context import Context, Methods
from edge_pipeline.convert.tensor import Tensor

__all__ = ["CONVERTERS"]

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": lambda x: ops.unary("Relu", x),
    "tanh": ops.tanh,
    "logistic": ops.sigmoid,
    "softmax": ops.softmax,
    "exp": ops.exp,
}


def _forward(_: Context, net: Any, X: Tensor) -> Tensor:
    """BaseMultilayerPerceptron._forward_pass_fast: shape (n_samples, n_outputs)."""
    hidden = _ACTIVATIONS[net.activation]
    layers = list(zip(net.coefs_, net.intercepts_, strict=True))
    for weights, bias in layers[:-1]:
        X = hidden(X @ weights + bias)
    weights, bias = layers[-1]
    return _ACTIVATIONS[net.out_activation_](X @ weights + bias)


def _regression(context: Context, net: Any, X: Tensor) -> Tensor:
    answer = _forward(context, net, X)
    return ops.squeeze(answer, 1) if answer.width == 1 else answer


def _probabilities(context: Context, net: Any, X: Tensor) -> Tensor:
    answer = _forward(context, net, X)
    if answer.width == 1:
        return ops.concatenate([1.0 - answer, answer], 1)
    return answer


def _label(context: Context, net: Any, X: Tensor) -> Tensor:
    """LabelBinarizer.inverse_transform of the output layer."""
    answer = _forward(context, net, X)
    binarizer = net._label_binarizer
    if binarizer.y_type_ == "multiclass":
        return context.labels(net.classes_, ops.argmax(answer, 1))
    chosen = (answer > 0.5).astype(np.int64)
    if binarizer.y_type_ == "multilabel-indicator":
        return chosen
    if len(net.classes_) == 1:
        return ops.full_rows(X, net.classes_[0])
    return context.labels(net.classes_, ops.squeeze(chosen, 1))


def _hidden_units(_: Context, machine: Any, X: Tensor) -> Tensor:
    """BernoulliRBM.transform: the chance of each hidden unit."""
    return ops.sigmoid(X @ machine.components_.T + machine.intercept_hidden_)


def _free_energy_gap(context: Context, machine: Any, X: Tensor) -> Tensor:
    raise context.refuse(
        "score_samples flips a feature of each row that it draws at random, so its answer is not "
        "a function of the row",
        drawn=True,
    )


CONVERTERS: dict[type, Methods] = {
    BernoulliRBM: {"transform": _hidden_units, "score_samples": _free_energy_gap},
    MLPRegressor: {"predict": _regression},
    MLPClassifier: {"predict": _label, "predict_proba": _probabilities},
}
