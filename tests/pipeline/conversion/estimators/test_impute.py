"""Imputers replace missing values as scikit-learn does, with every marker."""

from __future__ import annotations

from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import polars
import pytest
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted, rows, unseen
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder

RNG = np.random.default_rng(0)


def gapped(values: Any, share: float = 0.2) -> Any:
    values = np.array(values, dtype=object if values.dtype.kind == "O" else np.float64)
    values[RNG.random(values.shape) < share] = np.nan
    return values


def objects_of_pandas(values: Any) -> pd.DataFrame:
    """Columns of dtype object, in which None stays None."""
    return pd.DataFrame({f"c{i}": pd.Series(c, dtype=object) for i, c in enumerate(values.T)})


X = gapped(rows(60))
UNSEEN = np.vstack([gapped(unseen()), X[:5], np.full((1, 4), np.nan)])
EMPTY = X.copy()
EMPTY[:, 2] = np.nan
WHOLE, UNSEEN_WHOLE = RNG.integers(-1, 6, (60, 4)), RNG.integers(-1, 6, (20, 4))
WORDS = RNG.choice(["a", "b", "yes"], (60, 3)).astype(object)


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize("add_indicator", [False, True])
@pytest.mark.parametrize("keep_empty_features", [False, True])
def test_a_missing_value_becomes_the_columns_statistic(
    strategy: str, add_indicator: bool, keep_empty_features: bool
) -> None:
    parameters = {
        "strategy": strategy,
        "add_indicator": add_indicator,
        "keep_empty_features": keep_empty_features,
    }
    assert_same(fitted(SimpleImputer(**parameters), X), X, UNSEEN, tolerance=1e-15)
    assert_same(fitted(SimpleImputer(**parameters), EMPTY), EMPTY, UNSEEN, tolerance=1e-15)
    marked = SimpleImputer(missing_values=-1, **parameters)
    assert_same(fitted(marked, WHOLE), WHOLE, UNSEEN_WHOLE, tolerance=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int16"])
@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_a_statistic_has_the_dtype_of_the_training_rows(strategy: str, dtype: str) -> None:
    """scikit-learn keeps a mean in float64, and writes it into rows as float32."""
    marker = np.nan if dtype == "float32" else 0
    numbers = np.round(np.abs(rows(60)) * 3.7, 0 if marker == 0 else 5).astype(dtype)
    numbers[RNG.random(numbers.shape) < 0.3] = marker
    later = numbers.astype(float) if dtype == "float32" else numbers
    for keep in (False, True):
        imputer = SimpleImputer(missing_values=marker, strategy=strategy, keep_empty_features=keep)
        assert_same(imputer.fit(numbers), numbers, later, tolerance=1e-15)


@pytest.mark.parametrize("gap", [np.nan, None])
@pytest.mark.parametrize("strategy", ["most_frequent", "constant"])
def test_a_missing_string_is_imputed_before_encoding(strategy: str, gap: Any) -> None:
    words = WORDS.copy()
    words[RNG.random(words.shape) < 0.2] = gap
    imputer = SimpleImputer(strategy=strategy, missing_values=gap, add_indicator=True)
    pipeline = make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore"))
    assert_same(fitted(pipeline, words), words, words[::-1])
    assert_same(fitted(MissingIndicator(missing_values=gap), words), words, words[::-1])


def test_a_word_may_mark_a_missing_value() -> None:
    imputer = SimpleImputer(strategy="most_frequent", missing_values="yes")
    assert_same(fitted(make_pipeline(imputer, OneHotEncoder()), WORDS), WORDS, WORDS[::-1])


def test_a_word_imputes_strings_beside_whole_numbers() -> None:
    X = pd.DataFrame({"year": [2007, 2008, 2009] * 20, "island": ["a", np.nan, "c", "b"] * 15})
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    model = make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), encode).fit(X)
    assert_same(model, X, X)
    X["year"] = X["year"].astype(float).where(X["year"] > 2007)
    imputer = SimpleImputer(strategy="constant", fill_value="?").fit(X)
    with pytest.raises(UnsupportedEstimatorError, match="an imputer of its own"):
        edge_pipeline.convert(imputer, X)


@pytest.mark.parametrize("features", ["missing-only", "all"])
def test_an_indicator_marks_missing_values(features: Any) -> None:
    indicator = MissingIndicator(features=features, error_on_new=False)
    assert_same(fitted(indicator, X), X, UNSEEN)
    full = rows(20)
    assert_same(fitted(indicator, full), full, unseen())


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["uniform", "distance", lambda d: 1.0 / (1.0 + d)])
@pytest.mark.parametrize("n_neighbors", [1, 4, 100])
def test_missing_values_become_the_mean_of_neighbours(n_neighbors: int, weights: Any) -> None:
    imputer = KNNImputer(n_neighbors=n_neighbors, weights=weights, add_indicator=True)
    assert_same(fitted(imputer, X), X, UNSEEN, tolerance=1e-12)
    imputer = KNNImputer(n_neighbors=n_neighbors, weights=weights, keep_empty_features=True)
    assert_same(fitted(imputer, EMPTY), EMPTY, UNSEEN, tolerance=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [None, Ridge(), RandomForestRegressor(3, random_state=0)])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"add_indicator": True, "imputation_order": "roman", "initial_strategy": "median"},
        {"keep_empty_features": True, "min_value": -1, "max_value": 2.0},
        {"skip_complete": True, "imputation_order": "random", "n_nearest_features": 2},
        {"imputation_order": "descending", "min_value": [-1, -2, -3, -4]},
        {"max_iter": 0},
    ],
    ids=str,
)
def test_regressions_impute_in_the_order_of_fitting(parameters: Any, estimator: Any) -> None:
    imputer = IterativeImputer(estimator, random_state=0, **{"max_iter": 3, **parameters})
    assert_same(fitted(imputer, X), X, UNSEEN)
    if parameters.get("keep_empty_features"):
        assert_same(fitted(imputer, EMPTY), EMPTY, UNSEEN)


def test_imputing_random_draws_is_refused() -> None:
    imputer = fitted(IterativeImputer(sample_posterior=True, max_iter=2), X)
    with pytest.raises(UnsupportedEstimatorError, match="draws random numbers"):
        edge_pipeline.convert(imputer, X)


def test_a_metric_of_the_users_is_refused() -> None:
    imputer = fitted(KNNImputer(metric=lambda x, y, **_: abs(np.nansum(x) - np.nansum(y))), X)
    with pytest.raises(UnsupportedEstimatorError, match="nan_euclidean"):
        edge_pipeline.convert(imputer, X)


NONE_FOR_A_GAP = np.where(RNG.random((60, 2)) < 0.2, None, RNG.choice(["a", "b", "yes"], (60, 2)))


@pytest.mark.parametrize("container", [np.asarray, objects_of_pandas, polars.DataFrame])
@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(strategy="most_frequent"),
        SimpleImputer(strategy="most_frequent", missing_values=None),
        SimpleImputer(strategy="constant", fill_value="?", add_indicator=True),
    ],
)
def test_none_is_missing_or_a_category_as_in_scikit_learn(imputer: Any, container: Any) -> None:
    X = container(NONE_FOR_A_GAP)
    try:
        model = make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore")).fit(X)
    except ValueError:  # pandas takes None for a gap that only NaN marks
        pytest.skip("scikit-learn refuses this imputer for this container")
    assert_same(model, X, X[:30])


def test_none_as_a_category_cannot_be_an_output(tmp_path: Any) -> None:
    imputer = SimpleImputer(strategy="most_frequent").fit(NONE_FOR_A_GAP)
    with pytest.raises(UnsupportedEstimatorError, match="end with an encoder, or impute"):
        edge_pipeline.export(imputer, NONE_FOR_A_GAP, tmp_path / "m.onnx")


def test_indicators_beside_imputed_columns_are_numbers() -> None:
    union = make_union(SimpleImputer(), MissingIndicator(error_on_new=False))
    model = fitted(make_pipeline(union, Ridge()), EMPTY, np.arange(60.0))
    assert_same(model, EMPTY, UNSEEN)
