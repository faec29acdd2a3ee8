"""Multi-layer perceptrons: matrix products with an activation between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": lambda x: ops.unary("Relu", x),
    "tanh": ops.tanh,
    "logistic": ops.sigmoid,
    "softmax": ops.softmax,
    "exp": ops.exp,
}


def _forward(net: Any, X: Tensor, factors: Any = 1.0) -> Tensor:
    """The last layer of BaseMultilayerPerceptron._forward_pass_fast before its activation.

    Parameters
    ----------
    factors
        Of each output; shape (n_samples, n_outputs) or, of one output, as many as there are.
    """
    hidden = _ACTIVATIONS[net.activation]
    layers = list(zip(net.coefs_, net.intercepts_, strict=True))
    for weights, bias in layers[:-1]:
        X = hidden(X @ weights + bias)
    weights, bias = layers[-1]
    last: Tensor = X @ (weights * factors) + bias * factors
    return last


def _outputs(net: Any, X: Tensor) -> Tensor:
    """``_forward_pass_fast``: shape (n_samples, n_outputs)."""
    return _ACTIVATIONS[net.out_activation_](_forward(net, X))


def _of_two(net: Any, X: Tensor) -> Tensor:
    """Zero and the output of a network for two classes, before the activation.

    The label is the larger one's, and the logistic function is their softmax: two nodes where one
    output takes six.
    """
    return _forward(net, X, np.array([0.0, 1.0]))


def _regression(_: Context, net: Any, X: Tensor) -> Tensor:
    answer = _outputs(net, X)
    return ops.squeeze(answer, 1) if answer.width == 1 else answer


def _probabilities(_: Context, net: Any, X: Tensor) -> Tensor:
    if net.n_outputs_ == 1:
        # To the last digit of tiny ones, too: OneVsRestClassifier chooses the largest of several.
        return ops.softmax(_of_two(net, X))
    return _outputs(net, X)


def _label(context: Context, net: Any, X: Tensor) -> Tensor:
    """LabelBinarizer.inverse_transform of the output layer.

    Of two classes scikit-learn compares the logistic function with 1/2, which is to compare its
    argument with zero, for all but arguments below 2e-16 that rounding makes in any case.
    """
    binarizer = net._label_binarizer
    if binarizer.y_type_ == "multiclass":
        return context.labels(net.classes_, ops.argmax(_outputs(net, X), 1))
    if binarizer.y_type_ == "multilabel-indicator":
        return (_outputs(net, X) > 0.5).astype(np.int64)
    if len(net.classes_) == 1:
        return ops.full_rows(X, net.classes_[0])
    return context.labels(net.classes_, ops.argmax(_of_two(net, X), 1))


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
