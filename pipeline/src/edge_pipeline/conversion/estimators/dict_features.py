"""Convert vectorizers of dicts and lists; the runtime counts, as the manifest's blocks say."""

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
def _dict_vectorizer(context: Context, vectorizer: Any, X: Tensor | Frame) -> Tensor:
    """DictVectorizer.transform: a column for every key, or ``key=value``."""
    terms = vectorizer.feature_names_
    no_text = [term for term in terms if not isinstance(term, str)]
    if no_text:
        raise context.refuse(
            f"the key {no_text[0]!r} is not a str, and a JSON object has no other keys; name the "
            "keys before training"
        )
    reading = Entries(vectorizer.separator, lenient=True)
    counts = context.derive(X, reading, Vocabulary(tuple(map(str, terms))))
    return _cast(context, counts, vectorizer.dtype)


def _cast(context: Context, counts: Tensor, dtype: Any) -> Tensor:
    """Cast *counts* to the vectorizer's dtype, as scikit-learn does."""
    dtype = np.dtype(dtype)
    if dtype == np.float64:
        return counts
    if dtype == np.float32:
        return counts.astype(np.float32)
    if dtype.kind in "iu":
        return counts.astype(np.int64)
    raise context.refuse(f"dtype={dtype}: a dict's numbers are float64, float32 or whole numbers")


_READINGS: dict[str, Reading] = {
    "dict": Entries("=", lenient=False),
    "pair": Pairs("="),
    "string": Items(),
}


@on_frame
def _feature_hasher(context: Context, hasher: Any, X: Tensor | Frame) -> Tensor:
    """FeatureHasher.transform: the column of a feature is its hash."""
    placing = Hashing(int(hasher.n_features), bool(hasher.alternate_sign))
    counts = context.derive(X, _READINGS[hasher.input_type], placing)
    return _cast(context, counts, hasher.dtype)


@on_frame
def _multi_label_binarizer(context: Context, binarizer: Any, X: Tensor | Frame) -> Tensor:
    """MultiLabelBinarizer.transform: whether each label is in the list."""
    labels = [
        label.item() if isinstance(label, np.generic) else label for label in binarizer.classes_
    ]
    no_json = [label for label in labels if not isinstance(label, str | int | float)]
    if no_json:
        raise context.refuse(
            f"the label {no_json[0]!r} is neither a str nor a number, and JSON has no other "
            "values; name the labels before training"
        )
    indicators = context.derive(X, Items(), Vocabulary(tuple(labels)), binary=True)
    return indicators.astype(np.int64)


CONVERTERS: dict[type, Methods] = {
    DictVectorizer: {"transform": _dict_vectorizer},
    FeatureHasher: {"transform": _feature_hasher},
    MultiLabelBinarizer: {"transform": _multi_label_binarizer},
}
