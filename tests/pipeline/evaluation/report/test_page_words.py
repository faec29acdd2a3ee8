"""The page counts words and characters as the device, or says why it does not.

Tests with node are skipped where there is none; on Debian, `apt-get install nodejs` installs one.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline import MeasurementError
from edge_pipeline.evaluation.report.browser_model import browser_model
from edge_pipeline.evaluation.report.text_blocks import unicode_pattern
from edge_runtime.bundle.layout import unpack
from pipeline.evaluation.report.node import node_command, run_rows, run_script
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import edge_runtime

needs_node = pytest.mark.skipif(
    node_command() is None,
    reason="no node: the evaluator was NOT run; apt-get install nodejs",
)

WORDS = [
    *("rye", "loaf", "the", "the", "Oven's", "CRUST", "x", "x_1", "a1", "<b>", "don't", "re-do"),
    *("½", "²", "naïve", "Straße", "İstanbul", "ΟΔΟΣ", "ὈΔΥΣΣΕΎΣ", "ǅ", "ﬁn", "日本語", "كام", "٣"),
    *("e\u0301te\u0301", "👍", "\x1f", "\x85", "\u2003", "\ufeff", "\n", "\t"),
]
RANDOM = np.random.default_rng(0)


def texts(count: int, *, most_words: int = 9) -> list[str]:
    separators = (" ", "  ", "\u00a0 ", "\x1c", "", ".", "\n\n")
    return [
        "".join(
            f"{RANDOM.choice(WORDS)}{RANDOM.choice(separators)}"
            for _ in range(RANDOM.integers(0, most_words))
        )
        for _ in range(count)
    ]


VECTORIZERS = {
    "words": CountVectorizer(),
    "runs-of-words": TfidfVectorizer(ngram_range=(1, 3), sublinear_tf=True),
    "stop-words": TfidfVectorizer(stop_words=["the", "loaf"], ngram_range=(2, 2), norm="l1"),
    "one-letter-words": CountVectorizer(token_pattern=r"(?u)\b\w+\b", binary=True),
    "letters-and-quotes": CountVectorizer(token_pattern=r"[a-z']{2,}", lowercase=False),
    "ascii": TfidfVectorizer(strip_accents="ascii"),
    "characters": CountVectorizer(analyzer="char", ngram_range=(1, 3)),
    "characters-of-words": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5)),
}


@needs_node
@pytest.mark.parametrize("name", VECTORIZERS)
def test_the_page_counts_as_the_runtime(name: str, tmp_path: Path) -> None:
    sample = texts(120)
    estimator = make_pipeline(VECTORIZERS[name], LogisticRegression())
    estimator.fit(sample, ["rye" in text for text in sample])
    path = edge_pipeline.export(estimator, sample, tmp_path / "m.onnx", probe_seconds=5).path
    rows = [*texts(300), "", " ", "\x00x rye"]
    results = run_rows(path, [[text] for text in rows])
    assert results["proof"]["rows"] > 0
    assert not any(any(row) for row in results["refusals"])
    with edge_runtime.load(path) as model:
        assert results["outputs"]["predict"] == model.predict(rows).tolist()
        expected = model.predict_proba(rows)
    np.testing.assert_allclose(results["outputs"]["predict_proba"], expected, rtol=0, atol=1e-12)


@needs_node
def test_texts_beside_numbers_have_their_own_columns(tmp_path: Path) -> None:
    def table(count: int) -> pd.DataFrame:
        columns: dict[str, Any] = {"title": texts(count), "size": RANDOM.normal(size=count)}
        return pd.DataFrame({**columns, "body": texts(count, most_words=20)})

    X = table(150)
    transformer = make_column_transformer(
        (TfidfVectorizer(), "body"), (CountVectorizer(), "title"), ("passthrough", ["size"])
    )
    estimator = make_pipeline(transformer, LogisticRegression())
    estimator.fit(X, X["size"] + X["body"].str.len() / 30 > 1.0)
    path = edge_pipeline.export(estimator, X, tmp_path / "m.onnx", probe_seconds=5).path
    rows = table(100)
    results = run_rows(path, rows.to_numpy().tolist())
    with edge_runtime.load(path) as model:
        expected = model.predict_proba(rows)
    np.testing.assert_allclose(results["outputs"]["predict_proba"], expected, rtol=0, atol=1e-12)


@needs_node
def test_words_lower_case_and_ascii_are_those_of_python_for_every_character() -> None:
    """Only characters that this Python's Unicode does not know may differ."""
    characters = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) not in ("Cn", "Cs")
    ]
    script = """
    const {characters, pattern} = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const word = new RegExp(`^${pattern}$`, "u");
    process.stdout.write(JSON.stringify(Array.from(characters, c => [
      word.test(c), c.toLowerCase(), c.normalize("NFKD").replace(/[^\\x00-\\x7f]/gu, "")])));
    """
    pattern = unicode_pattern(r"\w+")
    message = json.dumps({"characters": "".join(characters), "pattern": pattern})
    actual = json.loads(run_script(script, message))
    assert len(actual) == len(characters)
    for character, (is_word, lower, plain) in zip(characters, actual, strict=True):
        assert is_word == (character.isalnum() or character == "_"), ascii(character)
        assert lower == character.lower(), ascii(character)
        decomposed = unicodedata.normalize("NFKD", character)
        assert plain == decomposed.encode("ascii", "ignore").decode(), ascii(character)


@pytest.mark.parametrize(
    ("vectorizer", "reason"),
    [
        (HashingVectorizer(n_features=64), "hashes words"),
        (CountVectorizer(strip_accents="unicode"), "strips accents"),
        (CountVectorizer(token_pattern=r"(?i)[a-z]+"), r"by the pattern \(\?i\)\[a-z\]\+"),
        (CountVectorizer(token_pattern=r"\w+?e"), "by the pattern"),
        (CountVectorizer(token_pattern=r"(\w\w+)!?"), "by the pattern"),
    ],
    ids=["hashing", "accents", "flags", "lazy", "group"],
)
def test_a_model_that_reads_texts_otherwise_has_no_form(
    vectorizer: Any, reason: str, tmp_path: Path
) -> None:
    sample = ["rye loaf", "blue sky", "rye! x", "sky"] * 20
    estimator = make_pipeline(vectorizer, LogisticRegression())
    estimator.fit(sample, ["rye" in text for text in sample])
    path = edge_pipeline.export(estimator, sample, tmp_path / "m.onnx", probe_seconds=2).path
    with pytest.raises(MeasurementError, match=reason):
        browser_model(unpack(path.read_bytes()), path, show_rows=True)


def test_a_text_model_can_be_checked_without_rows(tmp_path: Path) -> None:
    sample = ["rye loaf", "blue sky"] * 20
    estimator = make_pipeline(CountVectorizer(), LogisticRegression())
    estimator.fit(sample, [0, 1] * 20)
    path = edge_pipeline.export(estimator, sample, tmp_path / "m.onnx", probe_seconds=2).path
    model = json.loads(browser_model(unpack(path.read_bytes()), path, show_rows=False))
    assert model["derived"][0]["terms"] == ["blue", "loaf", "rye", "sky"]
    assert sample[0] not in json.dumps(model["proof"]["rows"])
