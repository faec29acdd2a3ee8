"""Support vector machines predict as libsvm does: kernels, votes, ties and probabilities."""

from functools import partial

import numpy as np
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
    unseen,
)
from scipy import sparse
from sklearn import svm
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

X, UNSEEN = rows() / 3.0, unseen() / 3.0
Y = signal(X)

pytestmark = pytest.mark.filterwarnings("ignore:.*probability.*:FutureWarning")

KERNELS = [
    {"kernel": "linear"},
    {"kernel": "poly", "degree": 2, "coef0": 1.0},
    {"kernel": "poly", "degree": 3, "gamma": 0.1},
    {"kernel": "poly", "degree": 0},
    {"kernel": "rbf"},
    {"kernel": "rbf", "gamma": "auto"},
    {"kernel": "rbf", "gamma": 7.5},
    {"kernel": "sigmoid", "gamma": 0.1, "coef0": -0.5},
]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_classifier_predicts_the_same_with_every_kernel(kernel, n_classes):
    y = labels(X, CLASSES["strings"][:n_classes])
    assert_same(fitted(svm.SVC(**kernel), X, y), X, UNSEEN[:15])


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_a_regressor_predicts_the_same_with_every_kernel(kernel):
    estimator = fitted(svm.SVR(**kernel), X, Y)
    assert_same(estimator, X, UNSEEN[:15])
    assert_zero_rows_are_accepted(estimator, X)


@pytest.mark.parametrize(
    "shape", [{"decision_function_shape": "ovo"}, {"break_ties": True}, {}], ids=str
)
@pytest.mark.parametrize("make", [svm.SVC, partial(svm.NuSVC, nu=0.2)])
def test_five_classes_vote_in_pairs(shape, make):
    y = labels(X, np.array([4, 1, -2, 9, 7]))
    estimator = fitted(make(**shape), X, y)
    assert_same(estimator, X, UNSEEN)
    assert_zero_rows_are_accepted(estimator, X)


def test_equal_votes_go_to_the_first_class():
    # Three classes in a circle: each beats the next one, so that every class has one vote.
    corners = np.array([[0.0, 1.0], [-0.9, -0.5], [0.9, -0.5]])
    table = np.repeat(corners, 20, axis=0) + np.random.default_rng(0).normal(size=(60, 2))
    estimator = fitted(svm.SVC(gamma=3.0, C=50), table, np.repeat([2, 0, 1], 20))
    unseen_rows = np.random.default_rng(1).uniform(-3, 3, size=(400, 2))
    raw = fitted(
        svm.SVC(gamma=3.0, C=50, decision_function_shape="ovo"), table, np.repeat([2, 0, 1], 20)
    )
    assert (np.abs((raw.decision_function(unseen_rows) > 0) @ [1, -1, 1] - 0.5) == 0.5).any()
    assert_same(estimator, table, unseen_rows)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("make", [svm.SVC, partial(svm.NuSVC, nu=0.2)])
def test_probabilities_are_coupled_as_libsvm_iterates_them(n_classes, make):
    y = labels(X, np.arange(n_classes))
    estimator = fitted(make(probability=True, random_state=0), X, y)
    assert_same(estimator, X, UNSEEN)
    assert_zero_rows_are_accepted(estimator, X)


def test_the_label_follows_the_votes_and_not_the_probability():
    y = labels(X, np.arange(4), seed=5)
    estimator = fitted(svm.SVC(probability=True, random_state=1), X, y)
    unseen_rows = rows(300, seed=7) / 3.0
    assert (
        estimator.predict(unseen_rows) != estimator.predict_proba(unseen_rows).argmax(axis=1)
    ).any()
    assert_same(estimator, X, unseen_rows)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("make", [svm.OneClassSVM, svm.NuSVR])
def test_one_class_and_nu_machines_predict_the_same(kernel, make):
    assert_same(fitted(make(kernel=kernel, nu=0.3), X, Y), X, UNSEEN[:15])


def test_a_kernel_computed_beforehand_is_the_input():
    gram = X @ X.T + 1.0
    estimator = fitted(svm.SVC(kernel="precomputed"), gram, labels(X, [0, 1, 2]))
    assert_same(estimator, gram, UNSEEN @ X.T + 1.0)
    assert_same(fitted(svm.OneClassSVM(kernel="precomputed"), gram), gram, UNSEEN @ X.T + 1.0)


def quartic(A, B):
    return (A @ B.T + 1.0) ** 4 / 1e4


@pytest.mark.parametrize(
    "kernel",
    [laplacian_kernel, partial(rbf_kernel, gamma=0.3), quartic, lambda A, B: np.tanh(A @ B.T)],
)
def test_a_kernel_function_is_known_or_traced(kernel):
    estimator = fitted(svm.SVC(kernel=kernel), X, labels(X, ["a", "b", "c"]))
    assert_same(estimator, X, UNSEEN[:15])


def test_an_untraceable_kernel_is_refused_by_name():
    def loops(A, B):
        return np.array([[float(a @ b) for b in B] for a in A])

    estimator = fitted(svm.SVR(kernel=loops), X, Y)
    with pytest.raises(UnsupportedEstimatorError, match="loops"):
        convert(estimator, X)


def test_a_machine_trained_on_sparse_rows_answers_dense_ones():
    estimator = fitted(svm.SVC(), sparse.csr_matrix(X), labels(X, [0, 1, 2]))
    assert_same(estimator, X, UNSEEN)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e7])
@pytest.mark.parametrize("gamma", ["scale", 50.0])
def test_rows_far_from_the_origin_keep_their_distances(offset, gamma):
    estimator = fitted(svm.SVR(gamma=gamma), X + offset, Y)
    assert_same(estimator, X + offset, UNSEEN[:12] + offset)


def test_a_constant_target_leaves_no_support_vector():
    estimator = fitted(svm.SVR(), X, np.full(len(X), 3.5))
    assert len(estimator.support_) == 0
    assert_same(estimator, X, UNSEEN)


@pytest.mark.parametrize("d", [1, 3])
def test_one_feature_or_a_constant_one_is_enough(d):
    table = rows(40, d)
    if d > 1:
        table[:, 1] = -2.0
    assert_same(fitted(svm.SVC(), table, labels(table, [True, False])), table, unseen(d)[:12])
