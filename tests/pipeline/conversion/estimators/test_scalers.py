"""Scalers shift, divide and clip in scikit-learn's order, and keep missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    assert_zero_rows_are_accepted,
    fitted,
    rows,
    unseen,
)
from sklearn import preprocessing as pp

X, UNSEEN = rows(), unseen()


def with_gaps(values: Any, *, seed: int = 5) -> Any:
    gapped = values.copy()
    gapped[np.random.default_rng(seed).random(values.shape) < 0.15] = np.nan
    return gapped


GAPPED, UNSEEN_GAPPED = with_gaps(X), with_gaps(UNSEEN)
CONSTANT = np.column_stack([X, np.full(len(X), 7.0)])


@pytest.mark.parametrize(
    "scaler",
    [
        pp.StandardScaler(),
        pp.StandardScaler(with_mean=False),
        pp.StandardScaler(with_std=False),
        pp.RobustScaler(quantile_range=(10, 80), unit_variance=True),
        pp.RobustScaler(with_centering=False),
        pp.RobustScaler(with_scaling=False),
        pp.MinMaxScaler((-1, 2)),
        pp.MinMaxScaler((0.25, 0.5), clip=True),
        pp.MaxAbsScaler(),
        *([pp.MaxAbsScaler(clip=True)] if hasattr(pp.MaxAbsScaler(), "clip") else []),
    ],
    ids=repr,
)
def test_a_scaler_is_equal_to_the_last_bit(scaler: Any) -> None:
    assert_same(fitted(scaler, GAPPED), GAPPED, UNSEEN_GAPPED, tolerance=1e-15)
    assert_same(fitted(scaler, CONSTANT), CONSTANT, CONSTANT[::-1], tolerance=1e-15)
    assert_zero_rows_are_accepted(scaler, CONSTANT)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_a_row_of_zeros_or_nearly_is_not_normalized(norm: str) -> None:
    strange = np.vstack([UNSEEN, np.zeros((1, 4)), np.full((1, 4), 1e-16), np.full((1, 4), 1e200)])
    estimator = fitted(pp.Normalizer(norm=norm), X)
    with np.errstate(over="ignore"):
        assert_same(estimator, X, strange, tolerance=1e-15)
    assert_zero_rows_are_accepted(estimator, X)


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.25])
def test_the_threshold_itself_is_not_above_it(threshold: float) -> None:
    at = np.vstack([UNSEEN, np.full((1, 4), threshold)])
    assert_same(fitted(pp.Binarizer(threshold=threshold), X), X, at)


def test_whole_numbers_binarized_stay_whole() -> None:
    whole = np.rint(X).astype(int)
    assert_same(fitted(pp.Binarizer(threshold=1), whole), whole, whole[::-1])
