"""Rows that no training table holds: huge, tiny and repeated numbers, and texts that look alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column, Schema

__all__ = ["extreme_numbers", "strange_categories"]

MOST_COLUMNS = 64
"""Columns that are given extreme values one at a time; of more, so many are drawn."""

LONG_CATEGORY = 5_000
"""Characters of the longest category asked."""

LARGEST = float(np.finfo(np.float64).max)
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)

_GENTLE = {
    "zeros and the smallest numbers": (0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e-45),
}
_EXTREME = {
    "numbers far outside": (1e6, -1e6, 2.0**53 + 2, -(2.0**53) - 2),
    "the largest numbers of float32": (LARGEST_FLOAT32, -LARGEST_FLOAT32, 3.4e38),
    "numbers beyond float32": (1e39, -1e39, 1e150, -1e150),
    "the largest numbers": (LARGEST, -LARGEST),
}


def extreme_numbers(
    schema: Schema, table: pd.DataFrame, rng: np.random.Generator
) -> Iterator[tuple[str, bool, pd.DataFrame]]:
    """Groups of rows: what they are, whether digits are lost in them, and the rows.

    Each row has one column at an extreme value; the last row of a group has all at the first.
    """
    floats = [c for c in schema.columns if c.type == "float64" and c.minimum is not None]
    if len(floats) > MOST_COLUMNS:
        floats = [floats[i] for i in sorted(rng.permutation(len(floats))[:MOST_COLUMNS])]
    yield "one row many times", False, table.iloc[[0] * 7].reset_index(drop=True)
    for is_extreme, groups in ((False, _GENTLE), (True, _EXTREME)):
        for what, values in groups.items() if floats else ():
            rows = table.iloc[np.arange(len(values) * len(floats) + 1) % len(table)]
            rows = rows.reset_index(drop=True)
            for i, column in enumerate(floats):
                cells = rows[column.name].to_numpy(dtype=np.float64).copy()
                start = i * len(values)
                cells[start : start + len(values)] = values
                cells[-1] = values[0]
                rows[column.name] = cells
            yield what, is_extreme, rows


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
