"""Convert text vectorizers: the runtime counts words, and the graph weights the counts.

onnxruntime's Tokenizer and RegexFullMatch use re2, which splits text otherwise than Python's
``re``.  docs/bundle-format.md describes the input that the graph gets instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from edge_runtime.errors import IntegrityError
from edge_runtime.vectorizers.pattern_safety import compile_safely
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
    """Describe how the vectorizer splits a text, or refuse it."""
    _check_no_user_code(context, vectorizer)
    low, high = (int(n) for n in vectorizer.ngram_range)
    lowercase, accents = bool(vectorizer.lowercase), _ACCENTS[vectorizer.strip_accents]
    if vectorizer.analyzer != "word":
        return Characters(vectorizer.analyzer == "char_wb", lowercase, accents, (low, high))
    stop_words = tuple(sorted(map(str, vectorizer.get_stop_words() or ())))
    try:
        compile_safely(vectorizer.token_pattern)
    except IntegrityError as error:
        raise context.refuse(str(error).removeprefix("manifest: ")) from error
    return Words(vectorizer.token_pattern, lowercase, accents, (low, high), stop_words)


def _check_no_user_code(context: Context, vectorizer: Any) -> None:
    """Refuse functions of the user, which the file cannot hold."""
    for name in ("analyzer", "tokenizer", "preprocessor", "strip_accents"):
        value = getattr(vectorizer, name)
        if callable(value) and not (name == "strip_accents" and value in _ACCENTS):
            raise context.refuse(
                f"{name}={getattr(value, '__name__', value)!r} is a Python function, which the "
                "device cannot run; express it with token_pattern, stop_words, lowercase and "
                "strip_accents, or apply it to the texts before, on both machines"
            )
    base = HashingVectorizer if isinstance(vectorizer, HashingVectorizer) else CountVectorizer
    for name in _OVERRIDABLE:
        if getattr(type(vectorizer), name) is not getattr(base, name):
            raise context.refuse(
                f"{type(vectorizer).__name__}.{name} is code of a subclass, which the device "
                "cannot run; apply it to the texts before, on both machines"
            )
    if vectorizer.input != "content":
        raise context.refuse(
            f"input={vectorizer.input!r} opens files; read them before, and train with "
            "input='content'"
        )


@on_frame
def _counts(context: Context, vectorizer: Any, X: Tensor | Frame) -> Tensor:
    """CountVectorizer.transform: the count of each term of the vocabulary."""
    terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    placing = Vocabulary(tuple(str(term) for term in terms))
    reading = _reading(context, vectorizer)
    return context.derive(X, reading, placing, binary=bool(vectorizer.binary))


@on_frame
def _tfidf_counts(context: Context, vectorizer: Any, X: Tensor | Frame) -> Tensor:
    counts = _counts(context, vectorizer, X)
    dtype = np.dtype(np.float32 if vectorizer.dtype == np.float32 else np.float64)
    return _tfidf(context, vectorizer._tfidf, counts.astype(dtype))


@on_frame
def _hashed_counts(context: Context, vectorizer: Any, X: Tensor | Frame) -> Tensor:
    placing = Hashing(int(vectorizer.n_features), bool(vectorizer.alternate_sign))
    reading = _reading(context, vectorizer)
    # The runtime normalizes, because a text fills only a few of a million columns.
    norm: Norm = vectorizer.norm or "none"
    counts = context.derive(X, reading, placing, binary=bool(vectorizer.binary), norm=norm)
    return counts.astype(np.float32) if vectorizer.dtype == np.float32 else counts


def _tfidf(_: Context, model: Any, X: Tensor) -> Tensor:
    """TfidfTransformer.transform: counts or their logarithms times idf, scaled to norm one."""
    if model.sublinear_tf:
        X = ops.where(X == 0.0, 0.0, ops.log(ops.where(X == 0.0, 1.0, X)) + 1.0)
    if hasattr(model, "idf_"):
        idf = np.asarray(model.idf_, dtype=X.dtype)
        weighted = X * idf
        # A term that no training text has may have infinite idf; sparse zeros stay zeros.
        X = weighted if np.isfinite(idf).all() else ops.where(X == 0.0, X, weighted)
    return _normalized(model.norm, X)


_NORMS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda X: ops.sum_(abs(X).astype(np.float64), 1, keepdims=True),
    "l2": lambda X: ops.sqrt(ops.sum_((X * X).astype(np.float64), 1, keepdims=True)),
}


def _normalized(norm: str | None, X: Tensor) -> Tensor:
    """``sklearn.preprocessing.normalize`` of a sparse matrix: sums in float64, zero rows stay."""
    if norm is None:
        return X
    length = _NORMS[norm](X)
    return (X.astype(np.float64) / ops.where(length == 0.0, 1.0, length)).astype(X.dtype)


CONVERTERS: dict[type, Methods] = {
    CountVectorizer: {"transform": _counts},
    TfidfVectorizer: {"transform": _tfidf_counts},
    HashingVectorizer: {"transform": _hashed_counts},
    TfidfTransformer: {"transform": _tfidf},
}
