"""Formulas of linear models and multi-layer perceptrons: sums in an order of the library's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn import linear_model as lm
from sklearn._loss import link as links
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import LinearSVC, LinearSVR

from edge_pipeline.proof.expressions import apply, dot, take
from edge_pipeline.proof.formulas.boosting import softmax
from edge_pipeline.proof.formulas.registry import (
    Formula,
    Formulas,
    Result,
    label_of_highest,
    labels_of,
)
from edge_pipeline.proof.scalars import Expr, NotUnderstood, constant, make

__all__ = ["FORMULAS"]


def _scores(model: Any, X: Sequence[Expr]) -> list[Expr]:
    """Return ``X @ coef_.T + intercept_``, one expression for each row of ``coef_``."""
    coefficients = model.coef_
    if hasattr(coefficients, "toarray"):
        coefficients = coefficients.toarray()
    rows = np.atleast_2d(np.asarray(coefficients, dtype=np.float64))
    biases = np.broadcast_to(np.ravel(model.intercept_).astype(np.float64), (len(rows),))
    return [
        apply("add", dot(X, row), constant(bias))
        for row, bias in zip(rows, biases.tolist(), strict=True)
    ]


def _prediction(_: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    scores = _scores(model, X)
    return scores if np.ndim(model.coef_) == 2 else scores[0]


def _decision(_: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    scores = _scores(model, X)
    return scores if len(scores) > 1 else scores[0]


def _label(_: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    if getattr(getattr(model, "_label_binarizer", None), "y_type_", "").startswith("multilabel"):
        raise NotUnderstood("a linear model of several labels at once")
    scores = _scores(model, X)
    if len(scores) > 1:
        return label_of_highest(model.classes_, scores)
    second = apply("to int", apply("greater", scores[0], constant(0.0)))
    return take(labels_of(model.classes_), second)


def _probabilities(_: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    """Follow LogisticRegression.predict_proba of scikit-learn 1.8 and later."""
    if getattr(model, "multi_class", "deprecated") != "deprecated":
        raise NotUnderstood("a model that an older scikit-learn fitted")
    scores = _scores(model, X)
    if len(model.classes_) > 2:
        return softmax(scores)
    second = apply("sigmoid", scores[0])
    return [apply("sub", constant(1.0), second), second]


def _generalized(_: Formulas, model: Any, X: Sequence[Expr]) -> Result:
    link = type(model._base_loss.link)
    if link is links.IdentityLink:
        return _scores(model, X)[0]
    if link is links.LogLink:
        return apply("exp", _scores(model, X)[0])
    raise NotUnderstood(f"the link {link.__name__}")


def _layers(net: Any, X: Sequence[Expr]) -> list[Expr]:
    """Follow BaseMultilayerPerceptron._forward_pass_fast."""
    X = list(X)
    last = len(net.coefs_) - 1
    for i, (weights, bias) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        X = [
            apply("add", dot(X, column), constant(float(b)))
            for column, b in zip(np.asarray(weights, dtype=np.float64).T, bias, strict=True)
        ]
        name = net.out_activation_ if i == last else net.activation
        if name == "softmax":
            X = softmax(X)
        elif name in _ACTIVATIONS:
            X = [_ACTIVATIONS[name](x) for x in X]
        else:
            raise NotUnderstood(f"the activation {name}")
    return X


_ACTIVATIONS: Mapping[str, Callable[[Expr], Expr]] = {
    "identity": lambda x: x,
    "relu": lambda x: make("relu", [x]),
    "tanh": lambda x: make("tanh", [x]),
    "logistic": lambda x: make("sigmoid", [x]),
}


def _net_prediction(_: Formulas, net: Any, X: Sequence[Expr]) -> Result:
    outputs = _layers(net, X)
    return outputs if len(outputs) > 1 else outputs[0]


def _net_probabilities(_: Formulas, net: Any, X: Sequence[Expr]) -> Result:
    outputs = _layers(net, X)
    if len(outputs) > 1:
        return outputs
    return [apply("sub", constant(1.0), outputs[0]), outputs[0]]


def _net_label(_: Formulas, net: Any, X: Sequence[Expr]) -> Result:
    kind, outputs = net._label_binarizer.y_type_, _layers(net, X)
    if kind == "multiclass":
        return label_of_highest(net.classes_, outputs)
    if kind == "binary" and len(net.classes_) == 2:
        above = apply("to int", apply("greater", outputs[0], constant(0.5)))
        return take(labels_of(net.classes_), above)
    raise NotUnderstood("a network of several labels at once")


_REGRESSOR: Mapping[str, Formula] = {"predict": _prediction}
_CLASSIFIER: Mapping[str, Formula] = {"predict": _label, "decision_function": _decision}
_GLM: Mapping[str, Formula] = {"predict": _generalized}
_LOGISTIC: Mapping[str, Formula] = {**_CLASSIFIER, "predict_proba": _probabilities}

_REGRESSORS = (
    "ARDRegression BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lars LarsCV Lasso LassoCV "
    "LassoLars LassoLarsCV LassoLarsIC LinearRegression MultiTaskElasticNet MultiTaskElasticNetCV "
    "MultiTaskLasso MultiTaskLassoCV OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV "
    "QuantileRegressor Ridge RidgeCV SGDRegressor TheilSenRegressor PassiveAggressiveRegressor"
)
_CLASSIFIERS = (
    "Perceptron RidgeClassifier RidgeClassifierCV SGDClassifier PassiveAggressiveClassifier"
)

FORMULAS: Mapping[type, Mapping[str, Formula]] = {
    **{getattr(lm, name): _REGRESSOR for name in _REGRESSORS.split() if hasattr(lm, name)},
    **{getattr(lm, name): _CLASSIFIER for name in _CLASSIFIERS.split() if hasattr(lm, name)},
    **dict.fromkeys((lm.LogisticRegression, lm.LogisticRegressionCV), _LOGISTIC),
    **dict.fromkeys((lm.GammaRegressor, lm.PoissonRegressor, lm.TweedieRegressor), _GLM),
    LinearSVC: _CLASSIFIER,
    LinearSVR: _REGRESSOR,
    MLPRegressor: {"predict": _net_prediction},
    MLPClassifier: {"predict": _net_label, "predict_proba": _net_probabilities},
}
