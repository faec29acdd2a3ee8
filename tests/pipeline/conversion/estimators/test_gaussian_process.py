"""Gaussian processes predict as scikit-learn does, with every kernel."""

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
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor, kernels
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    ExpSineSquared,
    Matern,
    PairwiseKernel,
    RationalQuadratic,
    WhiteKernel,
)

X, UNSEEN = rows(40, 3), unseen(3)
Y = signal(X)

KERNELS = [
    RBF(2.0),
    RBF([0.5, 3.0, 2.0]),
    *[Matern(1.5, nu=nu) for nu in (0.5, 1.5, 2.5, np.inf, 0.3, 1.0, 3.5, 8.7)],
    Matern([0.5, 3.0, 2.0], nu=1.2),
    RationalQuadratic(1.5, alpha=0.7),
    ExpSineSquared(2.0, periodicity=3.0),
    DotProduct(0.5) ** 2,
    ConstantKernel(2.5) * RBF(1.5) + WhiteKernel(0.2),
    2.0 * Matern(nu=1.5) * DotProduct() + ConstantKernel(0.1),
    (RBF(1.0) + 0.5 * RationalQuadratic()) ** 1.5,
    PairwiseKernel(gamma=0.2, metric="laplacian"),
    PairwiseKernel(gamma=0.5, metric="polynomial", pairwise_kernels_kwargs={"degree": 2}),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_a_regressor_predicts_the_same_with_every_kernel(kernel):
    estimator = GaussianProcessRegressor(kernel, alpha=10.0, optimizer=None)
    assert_same(fitted(estimator, X, Y), X, UNSEEN)


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_a_classifier_predicts_the_same_with_every_kernel(kernel):
    estimator = GaussianProcessClassifier(kernel, optimizer=None)
    assert_same(fitted(estimator, X, labels(X, CLASSES["strings"][:2])), X, UNSEEN)


@pytest.mark.parametrize("normalize_y", [False, True])
@pytest.mark.parametrize("n_targets", [None, 1, 3])
def test_targets_are_scaled_back_each_by_its_own(normalize_y, n_targets):
    y = Y if n_targets is None else np.column_stack([Y * i + 50 for i in range(1, n_targets + 1)])
    estimator = GaussianProcessRegressor(
        RBF() + WhiteKernel(), normalize_y=normalize_y, alpha=0.01, random_state=0
    )
    fitted(estimator, X, y)
    assert_same(estimator, X, UNSEEN)
    assert_zero_rows_are_accepted(estimator, X)


def test_rows_of_training_have_a_distance_of_zero():
    for nu in (0.5, 1.5, 0.7):
        estimator = GaussianProcessRegressor(Matern(nu=nu), alpha=0.1, optimizer=None)
        assert_same(fitted(estimator, X, Y), X, X[:9])


@pytest.mark.parametrize("kind", CLASSES)
def test_labels_of_every_kind_come_back(kind):
    estimator = GaussianProcessClassifier(1.0 * RBF(2.0), optimizer=None)
    assert_same(fitted(estimator, X, labels(X, CLASSES[kind])), X, UNSEEN)


def test_no_rows_are_classified_as_no_rows():
    estimator = GaussianProcessClassifier(DotProduct() + RBF(), optimizer=None)
    assert_zero_rows_are_accepted(fitted(estimator, X, labels(X, [0, 1])), X)


def test_one_against_one_has_labels_alone():
    estimator = GaussianProcessClassifier(RBF(2.0), optimizer=None, multi_class="one_vs_one")
    fitted(estimator, X, labels(X, [4, 2, 7]))
    outputs = convert(estimator, X).outputs
    assert [output.method for output in outputs] == ["predict"]


def test_a_kernel_of_the_users_own_is_refused_by_name():
    class Half(RBF):
        def __call__(self, X, Y=None, eval_gradient=False):
            return 0.5 * super().__call__(X, Y, eval_gradient)

    estimator = GaussianProcessRegressor(Half(), alpha=1.0, optimizer=None)
    with pytest.raises(UnsupportedEstimatorError, match="Half"):
        convert(fitted(estimator, X, Y), X)


def test_every_kernel_of_scikit_learn_is_tested_here():
    def parts(kernel):
        yield type(kernel).__name__
        for name in ("k1", "k2", "kernel"):
            if hasattr(kernel, name):
                yield from parts(getattr(kernel, name))

    tested = {name for kernel in KERNELS for name in parts(kernel)}
    public = {
        name
        for name, kind in vars(kernels).items()
        if isinstance(kind, type)
        and issubclass(kind, kernels.Kernel)
        and not kind.__abstractmethods__
    }
    # CompoundKernel holds the kernels of a one-vs-rest classifier, and is no kernel to fit with.
    assert public - tested == {"CompoundKernel"}
