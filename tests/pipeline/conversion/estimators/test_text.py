"""Text vectorizers find words as Python's re does, in every script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.registry import converters_of
from edge_pipeline.conversion.skl2onnx_fallback import fallback
from edge_pipeline.errors import UnsupportedEstimatorError
from edge_runtime.bundle.layout import unpack
from edge_runtime.errors import InputError
from edge_runtime.vectorizers.counter import MAX_TEXT_CHARACTERS
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
    strip_accents_unicode,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import edge_runtime

WORDS = (
    *("the", "cat", "sat", "on", "a", "mat", "Öl", "café", "naïve", "x1", "don't", "42", "lion"),
    *("Tiger", "straße", "penguin", "ice", "東京", "sea_ice", "I'm", "été", "ÉTÉ", "ΌΣΟΣ"),
    *("İstanbul", "ﬁn", "हिन्दी"),
)


def documents(n: int, seed: int, more: tuple[str, ...] = ()) -> list[str]:
    rng = np.random.default_rng(seed)
    words = [*WORDS, *more]
    return [
        str(rng.choice([" ", "  ", "\t", ". "])).join(rng.choice(words, rng.integers(1, 14)))
        for _ in range(n)
    ]


TEXTS = documents(60, 0)
UNSEEN = [
    *documents(30, 1, ("zebra", "Ünknown", "新しい")),
    "",
    "   ",
    "a b c",
    "e\u0301te\u0301 ete\u0301 ÅÅ",
    "cat " * 500,
]
READINGS = [
    {},
    {"lowercase": False},
    {"strip_accents": "ascii"},
    {"strip_accents": "unicode", "lowercase": False},
    {"strip_accents": strip_accents_unicode},
    {"ngram_range": (1, 2)},
    {"ngram_range": (2, 3), "stop_words": ["cat", "öl"]},
    {"stop_words": "english"},
    {"analyzer": "char", "ngram_range": (1, 3)},
    {"analyzer": "char", "ngram_range": (2, 4), "lowercase": False},
    {"analyzer": "char_wb", "ngram_range": (1, 5)},
    {"analyzer": "char_wb", "ngram_range": (3, 3), "strip_accents": "unicode"},
    {"token_pattern": r"(?u)\b\w+\b", "binary": True},
    {"token_pattern": r"[a-z](\w*)"},
    {"token_pattern": r"\S+", "lowercase": False},
]


@pytest.mark.slow
@pytest.mark.parametrize("reading", READINGS, ids=range(len(READINGS)))
def test_words_and_characters_are_counted_alike(reading: Any) -> None:
    assert_same(fitted(CountVectorizer(**reading), TEXTS), TEXTS, UNSEEN)
    hashing = HashingVectorizer(n_features=300, norm=None, **reading)
    assert_same(fitted(hashing, TEXTS), TEXTS, UNSEEN)


@pytest.mark.parametrize(
    "vectorizer",
    [
        CountVectorizer(max_df=0.5, min_df=2),
        CountVectorizer(max_features=5),
        CountVectorizer(vocabulary=["cat", "zebra", "öl"]),
        CountVectorizer(vocabulary={"cat": 1, "mat": 0}, dtype=np.float32),
        CountVectorizer(dtype=np.int32),
        TfidfVectorizer(norm=None),
        TfidfVectorizer(norm="l1", smooth_idf=False),
        TfidfVectorizer(use_idf=False, sublinear_tf=True),
        TfidfVectorizer(dtype=np.float32),
        HashingVectorizer(n_features=64),
        HashingVectorizer(n_features=64, norm="l1", alternate_sign=False),
        HashingVectorizer(n_features=64, dtype=np.float32),
        HashingVectorizer(n_features=5, norm=None, binary=True),
    ],
    ids=repr,
)
def test_a_vectorizer_predicts_the_same(vectorizer: Any) -> None:
    assert_same(fitted(vectorizer, TEXTS), TEXTS, UNSEEN, tolerance=1e-14)


@pytest.mark.parametrize(
    "weights",
    [
        TfidfTransformer(),
        TfidfTransformer(norm="l1", sublinear_tf=True),
        TfidfTransformer(norm=None, use_idf=False),
    ],
    ids=repr,
)
def test_counts_are_weighted_after_a_vectorizer_or_alone(weights: Any) -> None:
    assert_same(fitted(make_pipeline(CountVectorizer(), weights), TEXTS), TEXTS, UNSEEN)
    counts = np.random.default_rng(0).poisson(0.7, (40, 6)).astype(float)
    assert_same(fitted(weights, counts), counts, np.vstack([counts[:5] * 3, np.zeros((1, 6))]))


@pytest.mark.slow
def test_text_stands_beside_numbers_and_categories() -> None:
    def table(texts: list[str], seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        return pd.DataFrame(
            {
                "title": texts,
                "length": rng.normal(size=len(texts)),
                "body": documents(len(texts), seed),
                "kind": rng.choice(["x", "y"], len(texts)),
            }
        )

    columns = ColumnTransformer(
        [
            ("t", CountVectorizer(), "title"),
            ("n", StandardScaler(), ["length"]),
            ("b", TfidfVectorizer(ngram_range=(1, 2)), "body"),
            ("k", OneHotEncoder(), ["kind"]),
            ("c", CountVectorizer(analyzer="char"), "title"),
        ]
    )
    X = table(TEXTS, 3)
    y = np.array(["no", "yes"])[np.arange(len(X)) % 2]
    assert_same(make_pipeline(columns, LogisticRegression()).fit(X, y), X, table(UNSEEN, 4))
    assert_same(make_pipeline(CountVectorizer(), MultinomialNB()).fit(TEXTS, y), TEXTS, UNSEEN)
    union = make_union(CountVectorizer(), TfidfVectorizer(analyzer="char"))
    assert_same(fitted(union, TEXTS), TEXTS, UNSEEN)


def test_one_text_predicts_the_same_as_among_others(tmp_path: Path) -> None:
    y = np.arange(len(TEXTS)) % 3
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, y)
    edge_pipeline.export(pipeline, TEXTS, tmp_path / "m.onnx")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        together = model.predict(UNSEEN)
        assert [model.predict_one(text) for text in UNSEEN] == together.tolist()
        with pytest.raises(InputError, match="expected text, found a missing value"):
            model.predict(["a cat", None])
        with pytest.raises(InputError, match=r"row 1, column 'text'.* at most"):
            model.predict(["a cat", "x" * (MAX_TEXT_CHARACTERS + 1)])


def test_the_samples_texts_do_not_enter_the_bundle(tmp_path: Path) -> None:
    secret = [f"{text} unmentionable{i}" for i, text in enumerate(TEXTS)]
    edge_pipeline.export(
        fitted(CountVectorizer(min_df=3), secret), secret, tmp_path / "m.onnx", X_test=UNSEEN
    )
    manifest = unpack((tmp_path / "m.onnx").read_bytes()).manifest
    assert manifest.schema.columns[0].categories is None
    assert b"unmentionable" not in manifest.schema.to_json().__repr__().encode()


def test_the_graph_alone_takes_the_counts_behind_the_numbers(tmp_path: Path) -> None:
    X = pd.DataFrame({"length": np.arange(len(TEXTS), dtype=float), "text": TEXTS})
    columns = ColumnTransformer(
        [("t", CountVectorizer(), "text"), ("n", StandardScaler(), ["length"])], sparse_threshold=0
    ).fit(X)
    model = edge_pipeline.convert(columns, X)
    session = onnxruntime.InferenceSession(model.graph)
    assert [tensor.name for tensor in session.get_inputs()] == ["numbers"]
    counts = columns.named_transformers_["t"].transform(X["text"]).toarray()
    numbers = np.column_stack([X["length"], counts])
    np.testing.assert_allclose(session.run(None, {"numbers": numbers})[0], columns.transform(X))


class Stemmer(CountVectorizer):
    """A subclass with code of its own."""

    def build_analyzer(self) -> Any:
        return lambda text: [word[:3] for word in text.split()]


@pytest.mark.parametrize(
    ("vectorizer", "fault"),
    [
        (CountVectorizer(tokenizer=str.split, token_pattern=None), "tokenizer='split'"),
        (CountVectorizer(preprocessor=str.upper), "preprocessor='upper'"),
        (CountVectorizer(analyzer=str.split), "analyzer='split'"),
        (TfidfVectorizer(strip_accents=str.strip), "strip_accents='strip'"),
        (Stemmer(), "build_analyzer"),
        (CountVectorizer(token_pattern=r"(?:[a-z]+)+"), "could take for ever"),
    ],
    ids=repr,
)
def test_code_of_the_user_is_refused(vectorizer: Any, fault: str) -> None:
    with pytest.raises(UnsupportedEstimatorError, match=fault):
        edge_pipeline.convert(fitted(vectorizer, TEXTS), TEXTS)


def test_text_computed_by_another_step_is_refused() -> None:
    graph = Graph()
    computed = graph.input("computed", object, (None, 1))
    with pytest.raises(UnsupportedEstimatorError, match="a column of the model's input"):
        Context(graph, converters_of, fallback).transform(
            fitted(CountVectorizer(), TEXTS), computed
        )


def test_zeros_of_a_term_with_infinite_idf_stay() -> None:
    counts = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 1.0], [3.0, 0.0, 0.0]] * 4)
    with np.errstate(divide="ignore"):
        model = TfidfTransformer(smooth_idf=False).fit(counts)
    assert_same(model, counts, counts[::-1])
