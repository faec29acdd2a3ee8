"""Kernel ridge regression predicts as scikit-learn does, with every pairwise kernel."""

import numpy as np
import pytest
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    assert_zero_rows_are_accepted,
    fitted,
    rows,
    signal,
)
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS

X, UNSEEN = np.abs(rows(50)) / 3.0, np.abs(rows(15, seed=1)) / 3.0
Y = signal(X)


@pytest.mark.parametrize("kernel", PAIRWISE_KERNEL_FUNCTIONS)
@pytest.mark.parametrize("gamma", [None, 0.3])
def test_every_kernel_predicts_the_same(kernel, gamma):
    if kernel == "chi2" and gamma is None:
        pytest.skip("scikit-learn refuses chi2 without gamma")
    alpha = 200.0 if kernel == "additive_chi2" else 1.0  # which is not positive definite
    estimator = KernelRidge(kernel=kernel, gamma=gamma, alpha=alpha, degree=2, coef0=0.5)
    assert_same(fitted(estimator, X, Y), X, UNSEEN)


@pytest.mark.parametrize("degree", [1, 3, 2.5])
def test_the_degree_may_be_a_fraction(degree):
    assert_same(fitted(KernelRidge(kernel="poly", degree=degree), X, Y), X, UNSEEN)


@pytest.mark.parametrize("n_targets", [1, 3])
def test_several_targets_keep_their_columns(n_targets):
    y = np.column_stack([Y + i * X[:, 0] for i in range(n_targets)])
    estimator = fitted(
        KernelRidge(kernel="rbf", alpha=[0.5 * (i + 1) for i in range(n_targets)]), X, y
    )
    assert_same(estimator, X, UNSEEN)
    assert_zero_rows_are_accepted(estimator, X)


def test_a_kernel_computed_beforehand_is_the_input():
    gram = X @ X.T + 1.0
    assert_same(fitted(KernelRidge(kernel="precomputed"), gram, Y), gram, UNSEEN @ X.T + 1.0)


def bump(x, y, sharpness=1.0):
    return np.exp(-sharpness * np.sum(np.abs(x - y)))


def test_a_function_of_two_rows_is_traced_with_its_parameters():
    estimator = KernelRidge(kernel=bump, kernel_params={"sharpness": 0.3})
    assert_same(fitted(estimator, X[:20], Y[:20]), X[:20], UNSEEN)
    assert_zero_rows_are_accepted(estimator, X[:20])


def test_a_kernel_of_gaussian_processes_is_known():
    assert_same(fitted(KernelRidge(kernel=0.5 * RBF(0.7)), X, Y), X, UNSEEN)
