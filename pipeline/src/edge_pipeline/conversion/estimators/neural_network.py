"""Convert neural networks: matrix products with an activation between them."""

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
    """BaseMultilayerPerceptron._forward_pass_fast, up to the activation of the last layer.

    Parameters
    ----------
    factors
        Multiply each output by these.  A single output becomes as many as there are factors.
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


def _two_outputs(net: Any, X: Tensor) -> Tensor:
    """Return zero and the output of a binary network, before the activation.

    The larger one gives the label, and their softmax is the logistic function.  These are two
    nodes, where a single output needs six.
    """
    return _forward(net, X, np.array([0.0, 1.0]))


def _regression(_: Context, net: Any, X: Tensor) -> Tensor:
    outputs = _outputs(net, X)
    return ops.squeeze(outputs, 1) if outputs.width == 1 else outputs


def _probabilities(_: Context, net: Any, X: Tensor) -> Tensor:
    if net.n_outputs_ == 1:
        # Tiny probabilities are exact, too: OneVsRestClassifier compares them.
        return ops.softmax(_two_outputs(net, X))
    return _outputs(net, X)


def _label(context: Context, net: Any, X: Tensor) -> Tensor:
    """MLPClassifier.predict: LabelBinarizer.inverse_transform of the output layer.

    For two classes scikit-learn compares the logistic function with 1/2.  Here its argument is
    compared with zero.  The two differ only for arguments below 2e-16, which are rounding.
    """
    binarizer = net._label_binarizer
    if binarizer.y_type_ == "multiclass":
        return context.labels(net.classes_, ops.argmax(_outputs(net, X), 1))
    if binarizer.y_type_ == "multilabel-indicator":
        return (_outputs(net, X) > 0.5).astype(np.int64)
    if len(net.classes_) == 1:
        return ops.full_rows(X, net.classes_[0])
    return context.labels(net.classes_, ops.argmax(_two_outputs(net, X), 1))


def _hidden_units(_: Context, machine: Any, X: Tensor) -> Tensor:
    """BernoulliRBM.transform: the probability of each hidden unit."""
    return ops.sigmoid(X @ machine.components_.T + machine.intercept_hidden_)


def _pseudo_likelihood(context: Context, machine: Any, X: Tensor) -> Tensor:
    raise context.refuse(
        "score_samples flips a random feature of each row, so its result is not a function of the "
        "row",
        is_random=True,
    )


CONVERTERS: dict[type, Methods] = {
    BernoulliRBM: {"transform": _hidden_units, "score_samples": _pseudo_likelihood},
    MLPRegressor: {"predict": _regression},
    MLPClassifier: {"predict": _label, "predict_proba": _probabilities},
}
