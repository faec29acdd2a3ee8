"""Dicts and lists of labels: the runtime counts them, as the manifest's derived blocks say."""

from __future__ import annotations

from typing import Any

import numpy as np
from edge_runtime.vectorizers.specification import (
    Entries,
    Hashing,
    Items,
    Pairs,
    Reading,
    Vocabulary,
)
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.preprocessing import MultiLabelBinarizer

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


@on_frame
def _entries(context: Context, vectorizer: Any, X: Tensor | Frame) -> Tensor:
    """DictVectorizer: a column a key, or a ``key=value``."""
    terms = vectorizer.feature_names_
    unnamed = [term for term in terms if not isinstance(term, str)]
    if unnamed:
        raise context.refuse(
            f"the key {unnamed[0]!r} is no str, and JSON knows no other; name the keys before "
            "training"
        )
    reading = Entries(vectorizer.separator, lenient=True)
    counts = context.derive(X, reading, Vocabulary(tuple(map(str, terms))))
    dtype = np.dtype(vectorizer.dtype)
    # Numbers are cut or rounded to the vectorizer's dtype, whatever reads them next.
    return counts if dtype == np.float64 else counts.astype(_like(context, dtype))


def _like(context: Context, dtype: np.dtype[Any]) -> Any:
    if dtype == np.float32:
        return np.float32
    if dtype.kind in "iu":
        return np.int64
    raise context.refuse(f"dtype={dtype}: a dict's numbers are float64, float32 or whole numbers")


_HASHED: dict[str, Reading] = {
    "dict": Entries("=", lenient=False),
    "pair": Pairs("="),
    "string": Items(),
}


@on_frame
def _hashed(context: Context, hasher: Any, X: Tensor | Frame) -> Tensor:
    """FeatureHasher: a feature's column is its hash."""
    placing = Hashing(int(hasher.n_features), bool(hasher.alternate_sign))
    counts = context.derive(X, _HASHED[hasher.input_type], placing)
    dtype = np.dtype(hasher.dtype)
    return counts if dtype == np.float64 else counts.astype(_like(context, dtype))


@on_frame
def _labels(context: Context, binarizer: Any, X: Tensor | Frame) -> Tensor:
    """MultiLabelBinarizer: whether each label is in the list."""
    labels = [
        label.item() if isinstance(label, np.generic) else label for label in binarizer.classes_
    ]
    strange = [label for label in labels if not isinstance(label, str | int | float)]
    if strange:
        raise context.refuse(
            f"the label {strange[0]!r} is neither a str nor a number, and JSON knows no other; "
            "name the labels before training"
        )
    marks = context.derive(X, Items(), Vocabulary(tuple(labels)), binary=True)
    return marks.astype(np.int64)


CONVERTERS: dict[type, Methods] = {
    DictVectorizer: {"transform": _entries},
    FeatureHasher: {"transform": _hashed},
    MultiLabelBinarizer: {"transform": _labels},
}
