"""Predictions of a transformed target are transformed back in the graph."""

import numpy as np
import pytest
from edge_pipeline import convert
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted, rows, signal, unseen
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

X, UNSEEN = rows(80), unseen()[:-4]
Y = np.exp(signal(X) / 40)


@pytest.mark.parametrize(
    "transformer",
    [
        None,
        StandardScaler(),
        StandardScaler(with_mean=False),
        MinMaxScaler((1, 3)),
        MaxAbsScaler(),
        RobustScaler(with_centering=False),
        PowerTransformer(),
        PowerTransformer(standardize=False),
        PowerTransformer(method="box-cox"),
        QuantileTransformer(n_quantiles=20),
        QuantileTransformer(n_quantiles=20, output_distribution="normal"),
        FunctionTransformer(np.log, np.exp),
        make_pipeline(FunctionTransformer(np.log1p, np.expm1), StandardScaler()),
    ],
    ids=repr,
)
def test_the_way_back(transformer):
    meta = TransformedTargetRegressor(LinearRegression(), transformer=transformer)
    assert_same(fitted(meta, X, Y), X, UNSEEN)


@pytest.mark.parametrize(
    ("func", "inverse"),
    [
        (np.log1p, np.expm1),
        (np.sqrt, np.square),
        (lambda y: np.log(y) / 2, lambda z: np.exp(2 * z)),
        (lambda y: y**3, np.cbrt),
    ],
)
def test_the_way_back_through_functions(func, inverse):
    meta = TransformedTargetRegressor(LinearRegression(), func=func, inverse_func=inverse)
    assert_same(fitted(meta, X, Y), X, UNSEEN)


@pytest.mark.parametrize("whiten", [False, True])
def test_several_targets_may_become_fewer(whiten):
    meta = TransformedTargetRegressor(
        LinearRegression(), transformer=PCA(1, whiten=whiten), check_inverse=False
    )
    assert_same(fitted(meta, X, np.column_stack([Y, X[:, 0]])), X, UNSEEN)


@pytest.mark.parametrize("power", [0.0, 2.0, -1.0, 3.5])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_every_power_has_a_way_back(method, power):
    meta = TransformedTargetRegressor(
        LinearRegression(), transformer=PowerTransformer(method, standardize=False)
    )
    fitted(meta, X, Y)
    meta.transformer_.lambdas_[:] = power
    assert_same(meta, X, UNSEEN)


def test_a_transformer_without_a_way_back_is_named():
    class OneWay(SplineTransformer):
        def inverse_transform(self, X):
            return np.linalg.qr(X)[0][:, :1]

    meta = TransformedTargetRegressor(LinearRegression(), transformer=OneWay(), check_inverse=False)
    with pytest.raises(
        UnsupportedEstimatorError,
        match=r"TransformedTargetRegressor\.transformer_ -> OneWay: .*numpy\.linalg\.qr",
    ):
        convert(fitted(meta, X, Y), X)
