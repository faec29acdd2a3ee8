"""Polynomial features and splines are computed in the order of scikit-learn and scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_runtime.errors import InferenceError, InputError
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    assert_zero_rows_are_accepted,
    fitted,
    rows,
    unseen,
)
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer, StandardScaler

import edge_runtime

X, UNSEEN = rows(40, 3), unseen(3)
INSIDE = X[::2] * 0.999 + X.mean(axis=0) * 0.001


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    low=st.integers(0, 3),
    more=st.integers(0, 2),
    interaction_only=st.booleans(),
    include_bias=st.booleans(),
    width=st.integers(1, 4),
)
def test_every_product_is_equal_to_the_last_bit(
    low: int, more: int, interaction_only: bool, include_bias: bool, width: int
) -> None:
    features = PolynomialFeatures(
        (low, low + more), interaction_only=interaction_only, include_bias=include_bias
    )
    data, unseen_rows = rows(20, width), unseen(width)
    try:
        fitted(features, data)
        if not features.transform(data[:1]).size:
            return
    except ValueError:  # no feature is left, which scikit-learn refuses
        return
    assert_same(features, data, unseen_rows, tolerance=1e-15)


@pytest.mark.parametrize("extrapolation", ["constant", "linear", "continue", "periodic", "error"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5])
def test_a_spline_agrees_inside_and_beyond_its_knots(degree: int, extrapolation: str) -> None:
    for knots, include_bias in (("uniform", True), ("quantile", False)):
        splines = SplineTransformer(
            n_knots=7,
            degree=degree,
            knots=knots,
            extrapolation=extrapolation,
            include_bias=include_bias,
        )
        fitted(splines, X)
        beyond = extrapolation != "error" and (degree, extrapolation) != (0, "constant")
        assert_same(splines, X, UNSEEN if beyond else INSIDE, tolerance=1e-12)
    assert_zero_rows_are_accepted(splines, X)


@pytest.mark.parametrize("extrapolation", ["constant", "linear", "continue"])
def test_sparse_splines_come_back_dense(extrapolation: str) -> None:
    splines = SplineTransformer(degree=2, extrapolation=extrapolation, sparse_output=True)
    assert_same(fitted(splines, X), X, UNSEEN, tolerance=1e-12)


def test_knots_of_the_users_and_repeated_ones_are_kept() -> None:
    own = np.array([[-3.0, -9.0, -1.0], [-1.0, 0.0, 0.25], [0.5, 1.0, 0.5], [4.0, 9.0, 2.0]])
    assert_same(fitted(SplineTransformer(knots=own), X), X, UNSEEN, tolerance=1e-12)
    steps = np.repeat(rows(20, 3), 4, axis=0).round()  # quantiles that fall on one another
    splines = SplineTransformer(n_knots=6, knots="quantile", degree=2)
    assert_same(fitted(splines, steps), steps, UNSEEN, tolerance=1e-12)


@pytest.mark.parametrize("extrapolation", ["constant", "linear", "continue", "periodic"])
def test_a_missing_value_has_no_spline(extrapolation: str) -> None:
    def gapped(values: Any) -> Any:
        values = values.copy()
        values[::4, 0] = np.nan
        return values

    splines = SplineTransformer(extrapolation=extrapolation, handle_missing="zeros")
    assert_same(fitted(splines, gapped(X)), gapped(X), gapped(UNSEEN), tolerance=1e-12)


def test_a_feature_of_one_value_is_transformed() -> None:
    constant = np.column_stack([X[:, :1], np.full(len(X), 2.0)])
    for extrapolation in ("constant", "linear", "continue", "periodic"):
        splines = SplineTransformer(extrapolation=extrapolation)
        assert_same(fitted(splines, constant), constant, unseen(2), tolerance=1e-12)


def test_a_number_beyond_the_knots_is_refused(
    tmp_path: Path,
) -> None:
    splines = SplineTransformer(extrapolation="error")
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    for estimator, error in (
        (splines, InputError),
        (ColumnTransformer([("s", SplineTransformer(extrapolation="error"), ["b"])]), InputError),
        (make_pipeline(StandardScaler(), splines), InferenceError),
    ):
        edge_pipeline.export(estimator.fit(table), table, tmp_path / "m.onnx")
        beyond = table.assign(b=[*table["b"][:-1], 1e3])
        with edge_runtime.load(tmp_path / "m.onnx") as model:
            np.testing.assert_allclose(model.transform(table), estimator.transform(table))
            with pytest.raises(ValueError, match="beyond the limits"):
                estimator.transform(beyond)
            with pytest.raises(error) as caught:
                model.transform(beyond)
        if error is InputError:
            assert caught.value.column == "b"
            assert caught.value.row == len(table) - 1
