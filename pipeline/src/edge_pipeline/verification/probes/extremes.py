"""Make rows with huge, tiny and repeated numbers, and texts that look like a category."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column, Schema

__all__ = ["Reach", "extreme_numbers", "strange_categories"]

MAX_COLUMNS = 64
"""Columns that get extreme values, one at a time; a wider table has so many drawn."""

LONG_CATEGORY = 5_000
"""Characters of the longest category tried."""

LARGEST = float(np.finfo(np.float64).max)
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)

Reach = Literal["", "far", "extreme"]

_SMALL = (0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e-45)
_EXTREME = {
    "numbers of more than 53 bits": (2.0**53 + 2, -(2.0**53) - 2),
    "the largest numbers of float32": (LARGEST_FLOAT32, -LARGEST_FLOAT32, 3.4e38),
    "numbers beyond float32": (1e39, -1e39, 1e150, -1e150),
    "the largest numbers": (LARGEST, -LARGEST),
}
_FAR_FACTORS = (1e3, -1e3, 1e6, -1e6)
"""Times the largest magnitude of training: an error code of a sensor, a wrong unit."""

MAX_FAR = 1e30
"""Larger numbers are ``extreme``, not ``far``."""


def extreme_numbers(
    schema: Schema, table: pd.DataFrame, rng: np.random.Generator
) -> Iterator[tuple[str, Reach, pd.DataFrame]]:
    """Yield groups of rows: their name, how far from training they are, and the rows.

    Each row has one column at an extreme value; the last row of a group has all at the first.
    """
    floats = [c for c in schema.columns if c.type == "float64" and c.minimum is not None]
    if len(floats) > MAX_COLUMNS:
        floats = [floats[i] for i in sorted(rng.permutation(len(floats))[:MAX_COLUMNS])]
    yield "one row many times", "", table.iloc[[0] * 7].reset_index(drop=True)
    if not floats:
        return
    yield "zeros and the smallest numbers", "", _one_by_one(table, floats, [_SMALL] * len(floats))
    far = [tuple(factor * _magnitude(column) for factor in _FAR_FACTORS) for column in floats]
    yield "numbers far outside", "far", _one_by_one(table, floats, far)
    for name, values in _EXTREME.items():
        yield name, "extreme", _one_by_one(table, floats, [values] * len(floats))


def _magnitude(column: Column) -> float:
    """Return the column's largest magnitude in training; 1 where that is 0 or too large."""
    size = max(abs(column.minimum or 0.0), abs(column.maximum or 0.0))
    return size if 0 < size * max(_FAR_FACTORS) <= MAX_FAR else 1.0


def _one_by_one(
    table: pd.DataFrame, columns: list[Column], values: Sequence[Sequence[float]]
) -> pd.DataFrame:
    """Put each column's values into rows of their own, and all first values into the last row."""
    n = len(values[0])
    rows = table.iloc[np.arange(n * len(columns) + 1) % len(table)].reset_index(drop=True)
    for i, (column, numbers) in enumerate(zip(columns, values, strict=True)):
        cells = rows[column.name].to_numpy(dtype=np.float64).copy()
        cells[i * n : (i + 1) * n] = numbers
        cells[-1] = numbers[0]
        rows[column.name] = cells
    return rows


def strange_categories(column: Column) -> list[str]:
    """Return texts that are no category of the column, though some look like one."""
    categories = [c for c in column.categories or () if isinstance(c, str)]
    similar = [
        text
        for category in categories[:5]
        for text in (
            category + " ",
            category.upper(),
            category.capitalize(),
            unicodedata.normalize("NFD", category),
            category + "\u200b",
            # Cyrillic letters that look like Latin ones.
            category.replace("a", "\u0430").replace("e", "\u0435").replace("o", "\u043e"),
        )
    ]
    long_text = ("x" if not categories else categories[0] or "x") * LONG_CATEGORY
    texts = ["", " ", "nan", "None", "0", "\U0001f427", *similar, long_text[:LONG_CATEGORY]]
    return [text for text in dict.fromkeys(texts) if text not in categories]
