"""Rows that no training table holds: huge, tiny and repeated numbers, and texts that look alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column, Schema

__all__ = ["Reach", "extreme_numbers", "strange_categories"]

MOST_COLUMNS = 64
"""Columns that are given extreme values one at a time; of more, so many are drawn."""

LONG_CATEGORY = 5_000
"""Characters of the longest category asked."""

LARGEST = float(np.finfo(np.float64).max)
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)

Reach = Literal["", "far", "extreme"]

_GENTLE = (0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e-45)
_EXTREME = {
    "numbers of more than 53 bits": (2.0**53 + 2, -(2.0**53) - 2),
    "the largest numbers of float32": (LARGEST_FLOAT32, -LARGEST_FLOAT32, 3.4e38),
    "numbers beyond float32": (1e39, -1e39, 1e150, -1e150),
    "the largest numbers": (LARGEST, -LARGEST),
}
_FAR = (1e3, -1e3, 1e6, -1e6)
"""Times the largest magnitude of training: an error code of a sensor, a wrong unit."""

MOST_FAR = 1e30
"""Beyond, all is extreme."""


def extreme_numbers(
    schema: Schema, table: pd.DataFrame, rng: np.random.Generator
) -> Iterator[tuple[str, Reach, pd.DataFrame]]:
    """Groups of rows: what they are, how far from training, and the rows.

    Each row has one column at an extreme value; the last row of a group has all at the first.
    """
    floats = [c for c in schema.columns if c.type == "float64" and c.minimum is not None]
    if len(floats) > MOST_COLUMNS:
        floats = [floats[i] for i in sorted(rng.permutation(len(floats))[:MOST_COLUMNS])]
    yield "one row many times", "", table.iloc[[0] * 7].reset_index(drop=True)
    if not floats:
        return
    yield "zeros and the smallest numbers", "", _one_by_one(table, floats, [_GENTLE] * len(floats))
    far = [tuple(times * _size(column) for times in _FAR) for column in floats]
    yield "numbers far outside", "far", _one_by_one(table, floats, far)
    for what, values in _EXTREME.items():
        yield what, "extreme", _one_by_one(table, floats, [values] * len(floats))


def _size(column: Column) -> float:
    """Largest magnitude of the column in training; one where that is none, or too large."""
    size = max(abs(column.minimum or 0.0), abs(column.maximum or 0.0))
    return size if 0 < size * max(_FAR) <= MOST_FAR else 1.0


def _one_by_one(
    table: pd.DataFrame, columns: list[Column], values: Sequence[Sequence[float]]
) -> pd.DataFrame:
    n = len(values[0])
    rows = table.iloc[np.arange(n * len(columns) + 1) % len(table)].reset_index(drop=True)
    for i, (column, told) in enumerate(zip(columns, values, strict=True)):
        cells = rows[column.name].to_numpy(dtype=np.float64).copy()
        cells[i * n : (i + 1) * n] = told
        cells[-1] = told[0]
        rows[column.name] = cells
    return rows


def strange_categories(column: Column) -> list[str]:
    """Texts that are none of the column's categories, though some look like one."""
    known = [c for c in column.categories or () if isinstance(c, str)]
    alike = [
        other
        for category in known[:5]
        for other in (
            category + " ",
            category.upper(),
            category.capitalize(),
            unicodedata.normalize("NFD", category),
            category + "\u200b",
            category.replace("a", "\u0430").replace("e", "\u0435").replace("o", "\u043e"),
        )
    ]
    longest = ("x" if not known else known[0] or "x") * LONG_CATEGORY
    strange = ["", " ", "nan", "None", "0", "\U0001f427", *alike, longest[:LONG_CATEGORY]]
    return [text for text in dict.fromkeys(strange) if text not in known]
