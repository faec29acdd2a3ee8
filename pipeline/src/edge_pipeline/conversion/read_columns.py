"""List the columns of a table that the estimator reads: its first ColumnTransformer drops others.

Columns that nobody reads may hold anything, dates and ids among them, and may be absent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer

from edge_pipeline.data.first_step import first_step

__all__ = ["without_unread_columns"]


def without_unread_columns(X: Any, estimator: Any) -> tuple[Any, tuple[str, ...]]:
    """Leave out the columns that nobody reads; also return their names, absent ones included."""
    read = _read_columns(estimator)
    if not read or not hasattr(X, "columns") or not hasattr(X, "__getitem__"):
        return X, ()
    columns = [name for name in X.columns if str(name) in read]
    trained = map(str, first_step(estimator).feature_names_in_)
    names = dict.fromkeys([*trained, *map(str, X.columns)])
    return X[columns], tuple(name for name in names if name not in read)


def _read_columns(estimator: Any) -> frozenset[str] | None:
    """Return the names of the columns that *estimator* reads; None where it reads all."""
    union = first_step(estimator)
    names = getattr(union, "feature_names_in_", None)
    if not isinstance(union, ColumnTransformer) or names is None:
        return None
    positions = union._transformer_to_input_indices
    read: set[str] = set()
    for name, transformer, _ in union.transformers_:
        if not (isinstance(transformer, str) and transformer == "drop"):
            read.update(map(str, np.asarray(names)[positions[name]]))
    return frozenset(read)
