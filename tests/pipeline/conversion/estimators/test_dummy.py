"""Baselines predict their constant; strategies that draw at random are refused."""

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.conversion.convert import convert
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    CLASSES,
    assert_zero_rows_are_accepted,
    fitted,
    labels,
    rows,
    signal,
)
from scipy import sparse
from sklearn.dummy import DummyClassifier, DummyRegressor

X = rows(30)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("strategy", ["most_frequent", "prior", "constant"])
def test_a_classifier_predicts_its_label_and_probabilities(kind, strategy):
    classes = CLASSES[kind][:2]
    # scikit-learn takes a constant of Python's int or str, or an array of one of any kind.
    constant = classes[1:2] if strategy == "constant" else None
    estimator = DummyClassifier(strategy=strategy, constant=constant)
    fitted(estimator, X, labels(X, np.repeat(classes, [1, 1])))
    assert_same(estimator, X, rows(5, seed=3))
    assert_zero_rows_are_accepted(estimator, X)


@pytest.mark.parametrize("strategy", ["most_frequent", "prior", "constant"])
def test_several_targets_have_a_distribution_each(strategy):
    y = np.column_stack([labels(X, [3, 1, 2]), labels(X, [0, 1])])
    constant = [2, 0] if strategy == "constant" else None
    assert_same(fitted(DummyClassifier(strategy=strategy, constant=constant), X, y), X, X[:4])


def test_a_sparse_target_predicts_positions():
    y = sparse.csc_matrix(np.column_stack([labels(X, [0, 4]), labels(X, [0, 0, 7])]))
    estimator = fitted(DummyClassifier(strategy="most_frequent"), X, y)
    assert estimator.sparse_output_
    assert_same(estimator, X, X[:3])


@pytest.mark.parametrize("strategy", ["stratified"])
def test_a_strategy_that_draws_is_refused_with_that_reason(strategy):
    estimator = fitted(DummyClassifier(strategy=strategy, random_state=0), X, labels(X, [0, 1]))
    with pytest.raises(UnsupportedEstimatorError, match="draws a random number") as caught:
        convert(estimator, X)
    assert caught.value.is_random


def test_a_uniform_classifier_keeps_its_probabilities_alone():
    estimator = DummyClassifier(strategy="uniform", random_state=0)
    outputs = convert(fitted(estimator, X, labels(X, [0, 1, 2])), X).outputs
    assert [output.method for output in outputs] == ["predict_proba"]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"strategy": "median"},
        {"strategy": "quantile", "quantile": 0.9},
        {"strategy": "constant", "constant": 4},
    ],
    ids=str,
)
def test_a_regressor_predicts_its_constant(parameters):
    assert_same(fitted(DummyRegressor(**parameters), X, signal(X)), X, X[:3] * 9)


def test_a_regressor_of_two_targets_predicts_two_columns():
    assert_same(fitted(DummyRegressor(), X, np.column_stack([signal(X), X[:, 0]])), X, X[:3])


def test_columns_of_strings_are_no_obstacle():
    table = pd.DataFrame({"a": ["x", "y"] * 15, "b": X[:, 0]})
    assert_same(fitted(DummyClassifier(), table, ["u", "v"] * 15), table, table.head(3))
