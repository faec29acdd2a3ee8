"""Histogram gradient boosting against scikit-learn: categories, missing values, losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import convert
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

LAST_BITS = 1e-14


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """OpenMP's waiting threads make small fits a hundred times slower on a busy machine."""
    with threadpool_limits(1, user_api="openmp"):
        yield


N = 120


def matrix(seed: int, n: int = N, *, reach: int = 0) -> Any:
    """Columns 1, 2 and 4 hold categories: fractions, many whole numbers, few whole numbers."""
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            rng.normal(size=n),
            rng.integers(-3 - reach, 12 + reach, n) * 0.5,
            rng.integers(0, 120 + 9 * reach, n),
            np.rint(rng.normal(size=n) * 2),
            rng.integers(0, 3 + reach, n),
        ]
    )
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


def frame(seed: int, n: int = N, *, unknown: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    colors = ["red", "green", "blue", "red "] + ["never seen"] * unknown
    return pd.DataFrame(
        {
            "length": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "color": pd.Series(rng.choice([*colors, None], size=n), dtype=object),
            "town": pd.Series(rng.choice([f"town {i}" for i in range(70)], size=n), dtype=object),
            "grade": rng.choice([0.5, 1.5, 7.25, np.nan], size=n),
            "width": rng.normal(size=n),
        }
    )


X, UNSEEN = matrix(0), matrix(1, reach=2)
Y = np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1]) % 2 + np.nan_to_num(X[:, 2]) % 3 + 10
TABLE, UNSEEN_TABLE = frame(0), frame(1)
TABLE_Y = (
    TABLE.length.fillna(0)
    + TABLE.color.map({"red": 1.0, "green": -1.0}).fillna(0.2)
    + TABLE.town.str[5:].astype(int) % 3
    + TABLE.grade.fillna(3) % 2
).to_numpy()


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "poisson", "gamma", "quantile"]
)
@pytest.mark.parametrize("categorical", [None, [1, 2, 4]])
def test_histogram_boosting_regresses_alike(loss: str, categorical: Any) -> None:
    estimator = HistGradientBoostingRegressor(
        loss=loss,
        quantile=0.3 if loss == "quantile" else None,
        categorical_features=categorical,
        max_iter=12,
        learning_rate=0.3,
    )
    assert_same(estimator.fit(X, Y), X, UNSEEN, tolerance=LAST_BITS)


LEVELS = np.array(["low", "middle", "high"])[np.digitize(Y, [11.0, 12.0])]


@pytest.mark.parametrize("y", [Y > 12, LEVELS, -(Y > 11).astype(int)], ids=["b", "str", "int"])
@pytest.mark.parametrize("categorical", [None, [False, True, True, False, True]])
def test_histogram_boosting_classifies_alike(y: Any, categorical: Any) -> None:
    estimator = HistGradientBoostingClassifier(
        categorical_features=categorical, max_iter=10, early_stopping=True, random_state=0
    )
    assert_same(estimator.fit(X, y), X, UNSEEN, tolerance=LAST_BITS)


def test_a_split_at_infinity_separates_missing_values() -> None:
    rows = np.array([[1.0], [2.0], [np.nan], [np.nan]] * 20)
    y = np.isnan(rows[:, 0]) * 5.0
    fitted = HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=5).fit(rows, y)
    assert np.isinf(fitted._predictors[0][0].nodes["num_threshold"][0])
    assert_same(fitted, rows, np.array([[np.nan], [1e308], [-1e308], [0.0]]), tolerance=LAST_BITS)


def test_thresholds_are_compared_in_float64() -> None:
    rows = 1.0 + np.arange(40.0)[:, np.newaxis] * 1e-12
    fitted = HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=2).fit(
        rows, np.arange(40.0)
    )
    assert_same(fitted, rows, rows + 3e-13, tolerance=LAST_BITS)


def test_boosting_with_one_leaf_predicts_the_baseline() -> None:
    fitted = HistGradientBoostingRegressor(max_iter=3).fit(X, np.full(N, 2.5))
    assert_same(fitted, X, UNSEEN, tolerance=LAST_BITS)


@pytest.mark.parametrize("names", [["color", "town"], ["grade"], ["town", "grade", "color"]])
def test_categories_named_in_a_table_predict_alike(names: list[str]) -> None:
    selected = TABLE[["length", *names, "width"]]
    estimator = HistGradientBoostingRegressor(categorical_features=names, max_iter=12)
    fitted = estimator.fit(selected, TABLE_Y)
    assert_same(fitted, selected, UNSEEN_TABLE[selected.columns], tolerance=LAST_BITS)


def test_an_unseen_category_is_a_missing_value() -> None:
    estimator = HistGradientBoostingClassifier(categorical_features=["color", "town"], max_iter=12)
    fitted = estimator.fit(TABLE, np.digitize(TABLE_Y, [0.5, 2.0]))
    assert_same(fitted, TABLE, frame(2, unknown=True), tolerance=LAST_BITS)


def test_none_is_a_category_and_nan_is_not() -> None:
    table = TABLE[["color", "width"]]
    for gap in (None, np.nan):
        filled = table.assign(color=table.color.where(table.color.notna(), gap).astype(object))
        estimator = HistGradientBoostingRegressor(categorical_features=["color"], max_iter=5)
        assert_same(estimator.fit(filled, TABLE_Y), filled, filled, tolerance=LAST_BITS)


def test_a_column_with_both_none_and_nan_is_refused() -> None:
    color = TABLE.color.copy()
    color[:2] = [None, np.nan]
    table = TABLE[["width"]].assign(color=color.astype(object))
    estimator = HistGradientBoostingRegressor(categorical_features=["color"], max_iter=2)
    with pytest.raises(UnsupportedEstimatorError, match="both None and NaN"):
        convert(estimator.fit(table, TABLE_Y), table)


def test_categories_are_taken_from_the_columns_dtypes() -> None:
    names = ["color", "town", "grade"]
    table = TABLE.astype(dict.fromkeys(names, "category"))
    unseen = table.iloc[::-1].assign(color=table.color, length=UNSEEN_TABLE.length)
    fitted = HistGradientBoostingRegressor(max_iter=12).fit(table, TABLE_Y)
    assert fitted.is_categorical_.tolist() == [False, True, True, True, False]
    assert_same(fitted, table, unseen, tolerance=LAST_BITS)


def test_only_categories_and_shared_strings_predict_alike() -> None:
    rng = np.random.default_rng(3)
    draw = [rng.choice(["a", "b", "c", "d"], size=(N, 2)) for _ in range(2)]
    table, unseen = (pd.DataFrame(d, columns=["first", "second"]).astype(object) for d in draw)
    y = (table["first"] == "a") * 2.0 + (table["second"] == "b")
    estimator = HistGradientBoostingRegressor(categorical_features=["first", "second"], max_iter=9)
    assert_same(estimator.fit(table, y), table, unseen, tolerance=LAST_BITS)


def test_categories_behind_an_encoder_in_a_pipeline_predict_alike() -> None:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = ColumnTransformer(
        [("codes", encoder, ["color", "town"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    estimator = make_pipeline(
        columns, HistGradientBoostingRegressor(categorical_features=[0, 1], max_iter=9)
    )
    fitted = estimator.fit(TABLE, TABLE_Y)
    assert_same(fitted, TABLE, frame(4, unknown=True), tolerance=LAST_BITS)


def test_monotonic_and_interaction_constraints_predict_alike() -> None:
    estimator = HistGradientBoostingRegressor(
        monotonic_cst=[1, 0, 0, -1, 0],
        interaction_cst="pairwise",
        l2_regularization=1.0,
        max_iter=9,
    )
    assert_same(estimator.fit(X, Y), X, UNSEEN, tolerance=LAST_BITS)
