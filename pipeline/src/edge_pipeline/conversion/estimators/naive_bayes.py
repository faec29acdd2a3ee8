"""Convert naive Bayes: the joint log-likelihood of each class, then its largest or softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import naive_bayes as nb

from edge_pipeline.conversion.class_labels import predict_largest
from edge_pipeline.conversion.context import Context, Converter, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.summation import sum_as_numpy
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]

_OUT_OF_RANGE = np.iinfo(np.int64).max


def _gaussian(_: Context, model: Any, X: Tensor) -> Tensor:
    """GaussianNB._joint_log_likelihood."""
    logs = -0.5 * np.sum(np.log(2.0 * np.pi * model.var_), axis=1)
    difference = ops.expand_dims(X, 1) - np.asarray(model.theta_)
    # A column with nearly no variance makes terms so large that their rounding exceeds the other
    # terms.  The order of additions then decides between the classes.
    spread = sum_as_numpy(difference * difference / np.asarray(model.var_))
    likelihood: Tensor = np.log(model.class_prior_) + (logs - 0.5 * spread)
    return likelihood


def _multinomial(_: Context, model: Any, X: Tensor) -> Tensor:
    return X @ _table(model.feature_log_prob_.T) + _table(model.class_log_prior_)


def _complement(_: Context, model: Any, X: Tensor) -> Tensor:
    scores = X @ _table(model.feature_log_prob_.T)
    return scores + _table(model.class_log_prior_) if len(model.classes_) == 1 else scores


def _bernoulli(_: Context, model: Any, X: Tensor) -> Tensor:
    if model.binarize is not None:
        X = (float(model.binarize) < X).astype(np.float64)
    absent = np.log(1 - np.exp(model.feature_log_prob_))
    weights = _table((model.feature_log_prob_ - absent).T)
    return X @ weights + _table(model.class_log_prior_ + absent.sum(axis=1))


def _categorical(_: Context, model: Any, X: Tensor) -> Tensor:
    """CategoricalNB._joint_log_likelihood: each feature looks up a row of its table.

    Numbers are truncated to whole ones, as in scikit-learn.  scikit-learn raises for a category
    that is negative or beyond the table.  Here Gather refuses its position and stops the graph.
    """
    tables = [np.asarray(table).T for table in model.feature_log_prob_]
    sizes = np.array([len(table) for table in tables])
    category = X.astype(np.int64)
    in_table = (category >= 0) & (category < sizes)
    position = ops.where(in_table, category + (np.cumsum(sizes) - sizes), _OUT_OF_RANGE)
    terms = ops.take(np.concatenate(tables), position)
    return ops.sum_(terms, 1) + _table(model.class_log_prior_)


def _table(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _methods(joint_log_likelihood: Converter) -> Methods:
    """Convert the methods of ``_BaseNB`` from *joint_log_likelihood*."""

    def log_probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
        return ops.log_softmax(joint_log_likelihood(context, model, X))

    def probabilities(context: Context, model: Any, X: Tensor) -> Tensor:
        # Not softmax: for large logarithms it rounds otherwise than scikit-learn.
        return ops.exp(log_probabilities(context, model, X))

    return {
        "predict": predict_largest(joint_log_likelihood),
        "predict_proba": probabilities,
        "predict_log_proba": log_probabilities,
    }


CONVERTERS: dict[type, Methods] = {
    nb.BernoulliNB: _methods(_bernoulli),
    nb.CategoricalNB: _methods(_categorical),
    nb.ComplementNB: _methods(_complement),
    nb.GaussianNB: _methods(_gaussian),
    nb.MultinomialNB: _methods(_multinomial),
}
