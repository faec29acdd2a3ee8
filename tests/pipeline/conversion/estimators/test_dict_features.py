"""Dicts and lists of labels: each entry counts where scikit-learn counts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline.errors import ConversionError, UnsupportedEstimatorError
from edge_runtime.errors import InputError
from edge_runtime.vectorizers.counter import murmur3_32
from hypothesis import given
from hypothesis import strategies as st
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.image import PatchExtractor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler
from sklearn.utils.murmurhash import murmurhash3_bytes_s32

import edge_runtime


def dicts(n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    keys = ["length", "island", "sex", "ä ö", "flag", "count"]
    values = [
        lambda: float(rng.normal()),
        lambda: str(rng.choice(["Dream", "Biscoe", f"new {seed}"])),
        lambda: str(rng.choice(["m", "f"])),
        lambda: int(rng.integers(-3, 4)),
        lambda: bool(rng.random() < 0.5),
        lambda: int(rng.integers(0, 10)),
    ]
    return [
        {k: v() for k, v in zip(keys, values, strict=True) if rng.random() < 0.8} for _ in range(n)
    ]


DICTS, UNSEEN = dicts(60, 0), [*dicts(30, 1), {}, {"unknown": 3.0}, {"island": 7, "length": "x"}]


@pytest.mark.parametrize(
    "vectorizer",
    [
        DictVectorizer(),
        DictVectorizer(sparse=False, separator=": ", sort=False),
        DictVectorizer(dtype=np.float32),
        DictVectorizer(dtype=np.int64),
        FeatureHasher(n_features=50),
        FeatureHasher(n_features=7, alternate_sign=False),
        FeatureHasher(n_features=50, dtype=np.float32),
    ],
    ids=repr,
)
def test_entries_count_for_their_key_or_for_key_and_value(vectorizer: Any) -> None:
    assert_same(fitted(vectorizer, DICTS), DICTS, UNSEEN)


def test_a_dict_may_hold_lists_and_missing_values() -> None:
    several = [{"tags": ["a", "b"], "n": 1.0}, {"tags": ["b"], "n": None}, {"tags": ()}] * 5
    assert_same(
        fitted(DictVectorizer(), several), several, [*several, {"tags": ["c", "a"], "n": -1}]
    )


def test_lists_and_pairs_are_hashed() -> None:
    words = [["cat", "dog"], ["cat"], ["emu", "cat", "cat", "ä"]] * 10
    hasher = FeatureHasher(n_features=20, input_type="string")
    assert_same(fitted(hasher, words), words, [*words, [], ["unknown", ""]])
    pairs = [[("cat", 1), ("dog", 2.5)], [("cat", "x"), ("cat", -1)], [("emu", 0)]] * 10
    hasher = FeatureHasher(n_features=20, input_type="pair")
    assert_same(fitted(hasher, pairs), pairs, [*pairs, [], [("emu", 1e9), ("", 2)]])


@pytest.mark.parametrize(
    ("labels", "unseen"),
    [
        ([["x", "y"], ["z"], [], ["x"]] * 8, [["z", "z"], [], ["unknown", "x"]]),
        ([["x", "y"], ["z", "x"]] * 8, [["z", "y"], ["x", "x"]]),
        ([{1, 5}, {5}, {-2, 1}] * 8, [[5], [1, -2, 5], []]),
        ([(1, 5), (5, 7)] * 8, [(7, 1), (5, 5)]),
        ([range(3)], [[2, 0], []]),
    ],
)
@pytest.mark.parametrize("sparse_output", [False, True])
def test_a_list_of_labels_becomes_marks(labels: Any, unseen: Any, sparse_output: bool) -> None:
    assert_same(fitted(MultiLabelBinarizer(sparse_output=sparse_output), labels), labels, unseen)


def test_given_classes_keep_their_order() -> None:
    labels = [["x", "y"], ["z"]] * 8
    assert_same(fitted(MultiLabelBinarizer(classes=["z", "w", "x", "y"]), labels), labels, [["w"]])


def test_a_predictor_reads_dicts_alone_or_in_a_column_of_a_table(tmp_path: Path) -> None:
    y = np.array(["no", "yes"])[np.arange(len(DICTS)) % 2]
    pipeline = make_pipeline(DictVectorizer(), LogisticRegression()).fit(DICTS, y)
    assert_same(pipeline, DICTS, UNSEEN)
    edge_pipeline.export(pipeline, DICTS, tmp_path / "m.onnx")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        assert [model.predict_one(row) for row in UNSEEN] == pipeline.predict(UNSEEN).tolist()
        for bad, fault in (
            ({"length": {"cm": 3}}, "expected a number or a str, found dict"),
            ({1: 2}, "expected names that are str"),
            (["length"], "expected a dict, found list"),
        ):
            with pytest.raises(InputError, match=f"row 1, column 'row': .*{fault}"):
                model.predict([{}, bad])
            with pytest.raises(InputError, match=fault):
                model.predict_one(bad)
    table = pd.DataFrame({"n": np.arange(60.0), "entries": DICTS})
    columns = ColumnTransformer(
        [("d", DictVectorizer(), "entries"), ("n", StandardScaler(), ["n"])]
    )
    assert_same(make_pipeline(columns, LogisticRegression()).fit(table, y), table, table[::-1])


@given(st.binary(max_size=40))
def test_the_hash_is_scikit_learns(message: bytes) -> None:
    assert murmur3_32(message) == murmurhash3_bytes_s32(message, 0)


def test_dicts_without_a_vectorizer_are_refused() -> None:
    table = pd.DataFrame({"n": np.arange(60.0), "entries": DICTS})
    columns = ColumnTransformer([("n", StandardScaler(), ["n"])], remainder="passthrough").fit(
        table
    )
    with pytest.raises(UnsupportedEstimatorError, match="dicts or lists"):
        edge_pipeline.convert(columns, table)


def test_keys_that_are_not_strings_are_refused() -> None:
    rows = [{1: 2.0}, {3: 1.0}] * 5
    with pytest.raises(UnsupportedEstimatorError, match="the key 1 is not a str"):
        edge_pipeline.convert(fitted(DictVectorizer(), rows), rows)
    labels = [[("a", 1)], [("b", 2)]] * 5
    with pytest.raises(UnsupportedEstimatorError, match="neither a str nor a number"):
        edge_pipeline.convert(fitted(MultiLabelBinarizer(), labels), labels)


def test_patches_are_refused() -> None:
    """They change the number of rows."""
    images = np.random.default_rng(0).normal(size=(3, 8, 8))
    with pytest.raises(UnsupportedEstimatorError, match="another number of rows"):
        edge_pipeline.convert(fitted(PatchExtractor(patch_size=(2, 2)), images), images)


def test_rows_that_the_device_cannot_read_are_an_error_of_the_export(tmp_path: Path) -> None:
    words = [{1: "a", 2: "b"}, {1: "c"}]  # the features are texts: 1=a
    with pytest.raises(ConversionError, match="expected names that are str, found 1"):
        edge_pipeline.export(fitted(DictVectorizer(), words), words, tmp_path / "m.onnx")
