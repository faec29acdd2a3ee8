"""Voting, stacking and calibration combine their estimators as scikit-learn does."""

import numpy as np
import pytest
from edge_pipeline import convert
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import CLASSES, fitted, labels, rows, signal, unseen
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    RandomForestClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

X, UNSEEN = rows(90), unseen()
Y = signal(X)
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
THREE = [("l", LogisticRegression()), ("t", TREE), ("b", GaussianNB())]
NUMBERS = [("l", LinearRegression()), ("t", DecisionTreeRegressor(max_depth=3)), ("r", Ridge())]


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("voting", ["hard", "soft"])
@pytest.mark.parametrize("weights", [None, [0.2, 0.1, 0.3]])
def test_votes(kind, voting, weights):
    meta = VotingClassifier(THREE, voting=voting, weights=weights)
    assert_same(fitted(meta, X, labels(X, CLASSES[kind])), X, UNSEEN)


def test_equal_votes_go_to_the_first_class():
    # 0.1 + 0.2 is more than 0.3 in float64 when added in this order, and less in another.
    meta = VotingClassifier(THREE, weights=[0.1, 0.2, 0.3])
    assert_same(fitted(meta, X, labels(X, CLASSES["strings"])), X, UNSEEN)
    even = VotingClassifier(THREE[:2])
    assert_same(fitted(even, X, labels(X, CLASSES["strings"])), X, UNSEEN)


def test_a_dropped_estimator_has_no_vote():
    meta = VotingClassifier([*THREE, ("d", "drop")], voting="soft", weights=[1, 2, 3, 4])
    assert_same(fitted(meta, X, labels(X, CLASSES["ints"])), X, UNSEEN)


def test_a_transform_with_a_block_an_estimator_is_left_out():
    meta = VotingClassifier(THREE, voting="soft", flatten_transform=False)
    fitted(meta, X, labels(X, CLASSES["ints"]))
    assert [o.method for o in convert(meta, X).outputs] == ["predict", "predict_proba"]
    assert_same(meta.set_params(flatten_transform=True), X, UNSEEN)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5]])
def test_predictions_are_averaged(weights):
    assert_same(fitted(VotingRegressor(NUMBERS, weights=weights), X, Y), X, UNSEEN)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("passthrough", [False, True])
def test_stacks(kind, passthrough):
    meta = StackingClassifier([*THREE, ("d", "drop")], passthrough=passthrough, cv=3)
    assert_same(fitted(meta, X, labels(X, CLASSES[kind])), X, UNSEEN)


@pytest.mark.parametrize("method", ["predict_proba", "decision_function", "predict"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_stack_runs_its_stack_method(method, n_classes):
    parts = [("l", LogisticRegression()), ("s", SVC(probability=False, gamma=0.1))]
    parts = parts if method != "predict_proba" else THREE[:2]
    meta = StackingClassifier(parts, stack_method=method, cv=3, final_estimator=SVC(gamma=0.1))
    assert_same(fitted(meta, X, labels(X, CLASSES["strings"][:n_classes])), X, UNSEEN)


def test_a_stack_of_several_labels():
    y = np.column_stack([signal(X) > 0, signal(X, seed=4) > 1]).astype(int)
    forest = RandomForestClassifier(5, max_depth=3, random_state=0)
    parts = [("f", forest), ("m", MultiOutputClassifier(LogisticRegression()))]
    assert_same(fitted(StackingClassifier(parts, final_estimator=forest, cv=3), X, y), X, UNSEEN)


def test_a_stack_of_prefit_estimators():
    y = labels(X, CLASSES["strings"])
    parts = [(name, fitted(part, X, y)) for name, part in THREE]
    meta = StackingClassifier(parts, cv="prefit")
    # What is fitted already answers with classes, not with their positions.
    assert_same(fitted(meta, X, y), X, UNSEEN)


@pytest.mark.parametrize("passthrough", [False, True])
def test_a_stack_of_numbers(passthrough):
    assert_same(fitted(StackingRegressor(NUMBERS, passthrough=passthrough, cv=3), X, Y), X, UNSEEN)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("part", [LinearSVC(random_state=0), GaussianNB()], ids=["scores", "probs"])
def test_calibrated(method, ensemble, n_classes, part):
    meta = CalibratedClassifierCV(part, method=method, ensemble=ensemble, cv=3)
    assert_same(fitted(meta, X, labels(X, CLASSES["strings"][:n_classes])), X, UNSEEN)


@pytest.mark.parametrize("kind", CLASSES)
def test_calibrated_classes_keep_their_dtype(kind):
    meta = CalibratedClassifierCV(LogisticRegression(), cv=2)
    assert_same(fitted(meta, X, labels(X, CLASSES[kind])), X, UNSEEN)


@pytest.mark.parametrize("part", [LogisticRegression(), TREE, SVC(gamma=0.1)])
def test_calibration_of_a_frozen_part(part):
    y = labels(X, CLASSES["strings"])
    meta = CalibratedClassifierCV(FrozenEstimator(fitted(part, X, y)))
    assert_same(fitted(meta, X, y), X, UNSEEN)


def test_a_class_that_a_fold_lacks_gets_nothing_from_it():
    y = np.array(["a"] * 40 + ["b"] * 45 + ["c"] * 5)
    parts = [
        (np.arange(0, 85), np.arange(5, 90)),  # trained without c
        (np.arange(5, 90), np.arange(0, 90)),
    ]
    meta = CalibratedClassifierCV(LogisticRegression(), cv=parts)
    assert_same(fitted(meta, X, y), X, UNSEEN)
