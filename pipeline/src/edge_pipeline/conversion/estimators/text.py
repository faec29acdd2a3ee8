"""Text: which words count where is told to the runtime, the arithmetic on the counts is here.

onnxruntime's Tokenizer and RegexFullMatch use re2, and cannot split text as Python's ``re`` does
(trap 18): docs/bundle-format.md says what a bare graph is fed instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from edge_runtime.vectorizers.specification import (
    Accents,
    Characters,
    Hashing,
    Norm,
    Reading,
    Vocabulary,
    Words,
)
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
    strip_accents_ascii,
    strip_accents_unicode,
)

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]

_ACCENTS: Mapping[Any, Accents] = {
    None: "keep",
    "ascii": "ascii",
    "unicode": "unicode",
    strip_accents_ascii: "ascii",
    strip_accents_unicode: "unicode",
}

_OVERRIDABLE = ("build_analyzer", "build_preprocessor", "build_tokenizer", "decode")


def _reading(context: Context, vectorizer: Any) -> Reading:
    """How the vectorizer splits a text, or why that cannot be told."""
    _check_rules(context, vectorizer)
    low, high = (int(n) for n in vectorizer.ngram_range)
    lowercase, accents = bool(vectorizer.lowercase), _ACCENTS[vectorizer.strip_accents]
    if vectorizer.analyzer != "word":
        return Characters(vectorizer.analyzer == "char_wb", lowercase, accents, (low, high))
    stop_words = tuple(sorted(map(str, vectorizer.get_stop_words() or ())))
    return Words(vectorizer.token_pattern, lowercase, accents, (low, high), stop_words)


def _check_rules(context: Context, vectorizer: Any) -> None:
    """Refuse what is code of the user's, which a device cannot have."""
    for name in ("analyzer", "tokenizer", "preprocessor", "strip_accents"):
        value = getattr(vectorizer, name)
        if callable(value) and not (name == "strip_accents" and value in _ACCENTS):
            raise context.refuse(
                f"{name}={getattr(value, '__name__', value)!r} is a Python function, which cannot "
                "travel; say it with token_pattern, stop_words, lowercase and strip_accents, or "
                "apply it to the texts before, on both machines"
            )
    base = HashingVectorizer if isinstance(vectorizer, HashingVectorizer) else CountVectorizer
    for name in _OVERRIDABLE:
        if getattr(type(vectorizer), name) is not getattr(base, name):
            raise context.refuse(
                f"{type(vectorizer).__name__}.{name} is code of a subclass, which cannot travel; "
                "apply it to the texts before, on both machines"
            )
    if vectorizer.input != "content":
        raise context.refuse(
            f"input={vectorizer.input!r} opens files; read them before, and train with "
            "input='content'"
        )


@on_frame
def _counts(context: Context, vectorizer: Any, X: Tensor | Frame) -> Tensor:
    """CountVectorizer: what each term of the vocabulary counts."""
    terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    placing = Vocabulary(tuple(str(term) for term in terms))
    reading = _reading(context, vectorizer)
    return context.derive(X, reading, placing, binary=bool(vectorizer.binary))


@on_frame
def _weighted_counts(context: Context, vectorizer: Any, X: Tensor | Frame) -> Tensor:
    counts = _counts(context, vectorizer, X)
    dtype = np.dtype(np.float32 if vectorizer.dtype == np.float32 else np.float64)
    return _weighted(context, vectorizer._tfidf, counts.astype(dtype))


@on_frame
def _hashed_counts(context: Context, vectorizer: Any, X: Tensor | Frame) -> Tensor:
    placing = Hashing(int(vectorizer.n_features), bool(vectorizer.alternate_sign))
    reading = _reading(context, vectorizer)
    # Scaled where the counts are made: of a million columns a text fills a few.
    norm: Norm = vectorizer.norm or "none"
    counts = context.derive(X, reading, placing, binary=bool(vectorizer.binary), norm=norm)
    return counts.astype(np.float32) if vectorizer.dtype == np.float32 else counts


def _weighted(_: Context, model: Any, X: Tensor) -> Tensor:
    """TfidfTransformer: counts, or their logarithms, by rarity, scaled to a length of one."""
    if model.sublinear_tf:
        X = ops.where(X == 0.0, 0.0, ops.log(ops.where(X == 0.0, 1.0, X)) + 1.0)
    if hasattr(model, "idf_"):
        rarity = np.asarray(model.idf_, dtype=X.dtype)
        weighted = X * rarity
        # A term that no training text has may be infinitely rare; sparse zeros stay zeros.
        X = weighted if np.isfinite(rarity).all() else ops.where(X == 0.0, X, weighted)
    return _scaled(model.norm, X)


_LENGTHS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda X: ops.sum_(abs(X).astype(np.float64), 1, keepdims=True),
    "l2": lambda X: ops.sqrt(ops.sum_((X * X).astype(np.float64), 1, keepdims=True)),
}


def _scaled(norm: str | None, X: Tensor) -> Tensor:
    """``normalize`` of a sparse matrix: sums in float64, and an empty row stays as it is."""
    if norm is None:
        return X
    length = _LENGTHS[norm](X)
    return (X.astype(np.float64) / ops.where(length == 0.0, 1.0, length)).astype(X.dtype)


CONVERTERS: dict[type, Methods] = {
    CountVectorizer: {"transform": _counts},
    TfidfVectorizer: {"transform": _weighted_counts},
    HashingVectorizer: {"transform": _hashed_counts},
    TfidfTransformer: {"transform": _weighted},
}
