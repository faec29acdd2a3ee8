"""Neural networks predict as scikit-learn does, with every activation and kind of label."""

import numpy as np
import pytest
from edge_pipeline.conversion.convert import convert
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    CLASSES,
    assert_zero_rows_are_accepted,
    fitted,
    labels,
    rows,
    signal,
    unseen,
)
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor

X, UNSEEN = rows() / 3.0, unseen() / 3.0
Y = signal(X)
QUICK = {"max_iter": 15, "random_state": 0}


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("layers", [(), (7,), (5, 3)])
def test_layers_and_activations_predict_the_same(activation, layers):
    options = {"activation": activation, "hidden_layer_sizes": layers, **QUICK}
    assert_same(fitted(MLPRegressor(**options), X, Y), X, UNSEEN)
    assert_same(fitted(MLPClassifier(**options), X, labels(X, ["a", "b", "c"])), X, UNSEEN)


def test_poisson_loss_answers_with_an_exponential():
    estimator = fitted(MLPRegressor(hidden_layer_sizes=(5,), loss="poisson", **QUICK), X, np.abs(Y))
    assert_same(estimator, X, UNSEEN[:15])
    assert_zero_rows_are_accepted(estimator, X)


def test_several_targets_keep_their_columns():
    assert_same(
        fitted(MLPRegressor(hidden_layer_sizes=(5,), **QUICK), X, np.column_stack([Y, -X[:, 0]])),
        X,
        UNSEEN,
    )


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_every_kind_come_back(kind, n_classes):
    y = labels(X, CLASSES[kind][:n_classes])
    estimator = fitted(MLPClassifier(hidden_layer_sizes=(4,), **QUICK), X, y)
    assert_same(estimator, X, UNSEEN)
    assert_zero_rows_are_accepted(estimator, X)


def test_several_labels_are_chosen_at_once():
    y = np.column_stack([Y > 0, X[:, 1] > 0, X[:, 0] < 0]).astype(int)
    assert_same(fitted(MLPClassifier(hidden_layer_sizes=(4,), **QUICK), X, y), X, UNSEEN)


def test_a_boltzmann_machine_has_no_random_score_samples():
    table = (X > 0).astype(float)
    estimator = fitted(BernoulliRBM(5, n_iter=3, random_state=0), table)
    assert [output.method for output in convert(estimator, table).outputs] == ["transform"]
    assert_zero_rows_are_accepted(estimator, table)
