"""Naive Bayes: a joint log-likelihood of each class, then the largest, or its share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import naive_bayes as nb

from edge_pipeline.conversion.context import Context, Converter, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.summation import sum_as_numpy
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]

_OUT_OF_RANGE = np.iinfo(np.int64).max


def _gaussian(_: Context, model: Any, X: Tensor) -> Tensor:
    logs = -0.5 * np.sum(np.log(2.0 * np.pi * model.var_), axis=1)
    gap = ops.expand_dims(X, 1) - np.asarray(model.theta_)
    # A column of nearly no variance makes terms so large that the others drown in their rounding:
    # the order of additions then decides between the classes.
    spread = sum_as_numpy(gap * gap / np.asarray(model.var_))
    answer: Tensor = np.log(model.class_prior_) + (logs - 0.5 * spread)
    return answer


def _multinomial(_: Context, model: Any, X: Tensor) -> Tensor:
    return X @ _table(model.feature_log_prob_.T) + _table(model.class_log_prior_)


def _complement(_: Context, model: Any, X: Tensor) -> Tensor:
    answer = X @ _table(model.feature_log_prob_.T)
    return answer + _table(model.class_log_prior_) if len(model.classes_) == 1 else answer


def _bernoulli(_: Context, model: Any, X: Tensor) -> Tensor:
    if model.binarize is not None:
        X = (float(model.binarize) < X).astype(np.float64)
    absent = np.log(1 - np.exp(model.feature_log_prob_))
    weights = _table((model.feature_log_prob_ - absent).T)
    return X @ weights + _table(model.class_log_prior_ + absent.sum(axis=1))


def _categorical(_: Context, model: Any, X: Tensor) -> Tensor:
    """Each feature picks a row of its table; numbers are cut to whole ones as scikit-learn does.

    A category beyond the table, or a negative one, stops scikit-learn with an error; here it
    becomes a position that Gather refuses, which stops the graph with one too.
    """
    tables = [np.asarray(table).T for table in model.feature_log_prob_]
    sizes = np.array([len(table) for table in tables])
    category = X.astype(np.int64)
    known = (category >= 0) & (category < sizes)
    place = ops.where(known, category + (np.cumsum(sizes) - sizes), _OUT_OF_RANGE)
    picked = ops.take(np.concatenate(tables), place)
    return ops.sum_(picked, 1) + _table(model.class_log_prior_)


def _table(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _methods(joint: Converter) -> Methods:
    def label(context: Context, model: Any, X: Tensor) -> Tensor:
        return context.labels(model.classes_, ops.argmax(joint(context, model, X), 1))

    def probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
        # Not softmax: where the logarithms are large, scikit-learn's own rounding is what counts.
        return ops.exp(ops.log_softmax(joint(context, model, X)))

    return {"predict": label, "predict_proba": probabilities}


CONVERTERS: dict[type, Methods] = {
    nb.BernoulliNB: _methods(_bernoulli),
    nb.CategoricalNB: _methods(_categorical),
    nb.ComplementNB: _methods(_complement),
    nb.GaussianNB: _methods(_gaussian),
    nb.MultinomialNB: _methods(_multinomial),
}
