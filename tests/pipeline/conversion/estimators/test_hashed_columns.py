"""The device counts only those of a million hashed columns that the model reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from edge_pipeline.conversion.passes import prune_columns
from edge_runtime.bundle.layout import unpack
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

WIDTH = 1 << 14
WORDS = ["ice", "penguin", "krill", "sea", "snow", "beak", "egg", "colony"]


def texts(n: int, seed: int, *more: str) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice([*WORDS, *more], rng.integers(1, 9))) for _ in range(n)]


TEXTS = texts(50, 0)
TARGET = np.array([text.count("krill") > text.count("egg") for text in TEXTS]).astype(int)
UNSEEN = [*texts(20, 1, "walrus", "whale", "harpoon"), "", "walrus"]


def table(documents: list[str], seed: int) -> pd.DataFrame:
    X = pd.DataFrame({"a": np.random.default_rng(seed).normal(size=len(documents))})
    X["text"] = pd.Series(documents, dtype=object)
    X["b"] = np.arange(len(documents)) % 5.0
    return X


def columns(hashing: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [("a", StandardScaler(), ["a"]), ("text", hashing, "text"), ("b", "passthrough", ["b"])]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hashing", "model", "n_read"),
    [
        (HashingVectorizer(n_features=1 << 18), SGDClassifier(random_state=0), len(WORDS)),
        (HashingVectorizer(n_features=WIDTH, norm="l1"), Ridge(), len(WORDS)),
        (HashingVectorizer(n_features=WIDTH), make_pipeline(MaxAbsScaler(), Ridge()), len(WORDS)),
    ],
    ids=["very many", "by their sum", "behind a scaler"],
)
def test_a_text_counts_only_where_a_weight_is(hashing: Any, model: Any, n_read: int) -> None:
    pipeline = fitted(make_pipeline(hashing, model), TEXTS, TARGET)
    converted = edge_pipeline.convert(pipeline, TEXTS)
    assert converted.schema.numbers_width == n_read
    assert len(converted.graph) < 10_000
    onnx.checker.check_model(onnx.load_from_string(converted.graph), full_check=True)
    assert_same(pipeline, TEXTS, UNSEEN)


@pytest.mark.slow
def test_text_does_not_move_columns_of_numbers() -> None:
    X = table(TEXTS, 2)
    pipeline = fitted(make_pipeline(columns(HashingVectorizer(n_features=WIDTH)), Ridge()), X, X.b)
    converted = edge_pipeline.convert(pipeline, X)
    assert converted.schema.numbers_width == 2 + len(WORDS)
    assert_same(pipeline, X, table(UNSEEN, 3))


@pytest.mark.slow
def test_trees_keep_the_columns_that_they_compare() -> None:
    X = table(TEXTS, 2)
    forest = RandomForestClassifier(5, max_depth=4, random_state=0)
    for model in (forest, RandomForestClassifier(5, random_state=0)):
        alone = fitted(make_pipeline(HashingVectorizer(n_features=WIDTH), model), TEXTS, TARGET)
        assert edge_pipeline.convert(alone, TEXTS).schema.numbers_width <= len(WORDS) + 1
        assert_same(alone, TEXTS, UNSEEN, tolerance=1e-14)
    beside = fitted(make_pipeline(columns(HashingVectorizer(n_features=WIDTH)), forest), X, TARGET)
    assert edge_pipeline.convert(beside, X).schema.numbers_width <= 2 + len(WORDS) + 1
    assert_same(beside, X, table(UNSEEN, 3), tolerance=1e-14)


def test_dicts_are_hashed_into_few_columns_too() -> None:
    rows = [{"kind": text.split()[0], "size": float(len(text))} for text in TEXTS]
    pipeline = fitted(make_pipeline(FeatureHasher(n_features=WIDTH), Ridge()), rows, TARGET)
    assert edge_pipeline.convert(pipeline, rows).schema.numbers_width <= len(WORDS) + 1
    assert_same(pipeline, rows, [{"kind": "walrus", "size": 3.0}, {}, {"other": 1, "size": 2}])


@pytest.mark.parametrize(
    "pipeline",
    [
        HashingVectorizer(n_features=2048),
        make_pipeline(HashingVectorizer(n_features=2048, alternate_sign=False), MultinomialNB()),
        make_pipeline(HashingVectorizer(n_features=512), Ridge()),
    ],
    ids=["an answer of its own", "every weight counts", "narrow"],
)
def test_columns_that_are_read_or_few_all_stay(pipeline: Any) -> None:
    fitted(pipeline, TEXTS, TARGET)
    width = getattr(pipeline, "n_features", None) or pipeline[0].n_features
    assert edge_pipeline.convert(pipeline, TEXTS).schema.numbers_width == width
    assert_same(pipeline, TEXTS, UNSEEN[:3])


def test_more_columns_than_the_manifest_lists_all_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_columns, "LARGEST_VOCABULARY_BYTES", 20)
    pipeline = fitted(make_pipeline(HashingVectorizer(n_features=WIDTH), Ridge()), TEXTS, TARGET)
    assert edge_pipeline.convert(pipeline, TEXTS).schema.numbers_width == WIDTH


def test_the_bare_graph_takes_only_the_columns_that_are_read(tmp_path: Path) -> None:
    vectorizer, model = HashingVectorizer(n_features=WIDTH), Ridge()
    pipeline = fitted(make_pipeline(vectorizer, model), TEXTS, TARGET)
    edge_pipeline.export(pipeline, TEXTS, tmp_path / "model.onnx")
    raw = (tmp_path / "model.onnx").read_bytes()
    columns_read = unpack(raw).manifest.schema.derived[0].placing.kept
    assert columns_read == tuple(np.flatnonzero(model.coef_).tolist())
    counts = vectorizer.transform(UNSEEN).toarray()[:, list(columns_read)]
    predictions = onnxruntime.InferenceSession(raw).run(["predict"], {"numbers": counts})[0]
    np.testing.assert_allclose(predictions, pipeline.predict(UNSEEN), rtol=1e-12)
