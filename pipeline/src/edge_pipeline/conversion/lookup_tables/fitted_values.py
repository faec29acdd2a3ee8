"""Collect the texts and numbers that a fitted transformer holds: categories, edges, fill values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["fitted_values"]

MAX_DEPTH = 8
"""Attributes of attributes that are searched."""

MAX_VALUES = 20_000
"""Values of one transformer; the search ends there."""

MAX_ARRAY = 5_000
"""Elements of an array of numbers that is searched; a larger one holds training rows."""


def fitted_values(estimator: Any) -> tuple[list[str], list[float]]:
    """Return the distinct texts and numbers in the attributes of *estimator*, in their order."""
    texts: dict[str, None] = {}
    numbers: dict[float, None] = {}
    for value in _scalars(vars(estimator), set(), 0):
        if isinstance(value, str):
            texts[value] = None
        elif isinstance(value, bool | int | float | np.number | np.bool_) and np.isfinite(value):
            numbers[float(value)] = None
        if len(texts) + len(numbers) >= MAX_VALUES:
            break
    return list(texts), list(numbers)


def _scalars(value: Any, visited: set[int], depth: int) -> Iterator[Any]:
    """Yield the scalars in *value*, whatever contains them."""
    if value is None or isinstance(value, str | bool | int | float | np.generic):
        yield value
        return
    if id(value) in visited or depth > MAX_DEPTH or isinstance(value, type):
        return
    visited.add(id(value))
    for part in _parts(value):
        yield from _scalars(part, visited, depth + 1)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif isinstance(value, pd.DataFrame):
        yield value.index
        yield value.columns
        for position in range(value.shape[1]):
            yield value.iloc[:, position]
    elif isinstance(value, pd.Series):
        yield value.index
        yield value.array
    elif isinstance(value, pd.Index | pd.api.extensions.ExtensionArray | np.ndarray):
        if value.size <= MAX_ARRAY:
            yield from np.asarray(value).ravel().tolist()
    elif isinstance(value, pd.CategoricalDtype):
        yield value.categories
    elif isinstance(value, pd.Interval):
        yield value.left
        yield value.right
    elif hasattr(value, "__dict__") and not callable(value):
        yield vars(value)
