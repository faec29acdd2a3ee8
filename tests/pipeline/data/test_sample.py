"""Samples of the training input are described as the device reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from edge_pipeline.data.sample import MAX_CATEGORIES, take_sample
from edge_pipeline.errors import ConversionError
from edge_runtime.bundle.schema import MISSING_STRING
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction import FeatureHasher
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline


def wrap_in_pipeline(hasher: FeatureHasher) -> Pipeline:
    return make_pipeline(make_pipeline(hasher), DummyClassifier())


def wrap_in_search(hasher: FeatureHasher) -> GridSearchCV:
    rows, labels = [["a", "b"], ["c", "a"]] * 4, [0, 1] * 4
    return GridSearchCV(wrap_in_pipeline(hasher), {}, cv=2).fit(rows, labels)


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sepal length (cm)": [5.1, np.nan, 4.7],
            "legs": [2, 4, 2],
            "alive": [True, False, True],
            "island": ["Dream", None, "Biscoe"],
        }
    )


def test_columns_have_names_types_ranges_and_missing() -> None:
    columns = take_sample(table()).schema.columns
    assert [c.name for c in columns] == ["sepal length (cm)", "legs", "alive", "island"]
    assert [c.type for c in columns] == ["float64", "int64", "bool", "string"]
    assert [c.missing for c in columns] == [True, False, False, True]
    assert (columns[0].minimum, columns[0].maximum) == (4.7, 5.1)
    assert columns[3].categories == ("Biscoe", "Dream")


def test_rows_return_to_their_container() -> None:
    sample = take_sample(table())
    back = sample.as_trained(sample.table)
    pd.testing.assert_frame_equal(back, table())


@pytest.mark.parametrize(
    "make",
    [
        lambda: pl.DataFrame({"a": [1.0, None], "b": ["x", "y"]}),
        lambda: pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": ["x", "y"]}),
        lambda: pd.DataFrame({"a": [1.0, None], "b": pd.Categorical(["x", "y"])}),
        lambda: pd.DataFrame({"a": [1.0, None], "b": pd.array(["x", "y"], dtype="string")}),
    ],
)
def test_frames_of_other_kinds_are_described_alike(make: Any) -> None:
    numbers, strings = take_sample(make()).schema.columns
    assert numbers.missing
    assert not numbers.is_string
    assert strings.categories == ("x", "y")


def test_strings_and_numbers_have_a_block_each() -> None:
    sample = take_sample(table())
    blocks = sample.blocks(sample.table)
    np.testing.assert_array_equal(blocks["numbers"], [[5.1, 2, 1], [np.nan, 4, 0], [4.7, 2, 1]])
    assert blocks["strings"].tolist() == [["Dream"], [MISSING_STRING], ["Biscoe"]]


def test_a_sparse_matrix_is_an_array() -> None:
    sample = take_sample(sparse.csr_matrix(np.eye(3)))
    assert sample.schema.kind == "array"
    np.testing.assert_array_equal(sample.as_trained(sample.table), np.eye(3))


def test_free_text_lists_no_categories() -> None:
    texts = pd.DataFrame({"text": [f"text {i}" for i in range(MAX_CATEGORIES + 1)]})
    assert take_sample(texts).schema.columns[0].categories is None


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            pd.DataFrame({"t": np.array([1], dtype="M8[ns]")}),
            "'t' holds a time",
        ),
        (pd.DataFrame({"age": pd.to_timedelta([1], "D")}), "'age' has dtype timedelta64"),
        (pd.DataFrame({"mixed": ["a", 1.5]}), "'mixed' has dtype object with values of type"),
        (pd.DataFrame({"z": [1 + 2j]}), "'z' has dtype complex128"),
        (pd.DataFrame({"id": [2**53 + 1]}), "'id' holds whole numbers beyond"),
        (pd.DataFrame({"s": [MISSING_STRING]}), "'s' holds U\\+FDD0"),
        (pd.DataFrame(), "has no columns"),
        (np.empty((0, 3)), "has no rows"),
        (7, "0 dimension"),
    ],
)
def test_an_unknown_kind_of_data_is_refused_by_name(X: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        take_sample(X)


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"])
    with pytest.raises(ConversionError, match="same name"):
        take_sample(twice)


@pytest.mark.parametrize("wrap", [lambda hasher: hasher, wrap_in_pipeline, wrap_in_search])
def test_lists_of_one_length_are_rows_of_words_for_a_hasher_in_a_search_too(wrap: Any) -> None:
    estimator = wrap(FeatureHasher(n_features=4, input_type="string"))
    assert take_sample([["a", "b"], ["c", "a"]], estimator).schema.kind == "lists"
    assert take_sample([["a", "b"], ["c", "a"]]).schema.kind == "array"
