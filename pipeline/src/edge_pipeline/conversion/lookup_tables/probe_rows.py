"""Make the rows on which a transformer is run, to learn its outputs for single values.

Each column takes all of its known values, values that the transformer never saw, and a missing
value.  The columns vary independently of one another, so that the output shows which column it
depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["ColumnValues", "accepted_values", "column_values", "make_rows"]

MAX_KNOWN = 2_000
"""Known values of one column that are tried; a column with more is no set of categories."""

MAX_UNSEEN = 48
"""Unseen values of one column that are tried."""

REPEATS = 3
"""Rows in which each value of a column appears, each time beside other values of the others."""

_LOOKS_MISSING = ("", "nan", "NaN", "None", "missing", "Missing", "<NA>", "unknown", "other")
"""Texts that a transformer may treat as something else than an unseen category."""


@dataclass
class ColumnValues:
    """The values of one column that are tried.

    Attributes
    ----------
    known
        Texts or numbers that the transformer may know.
    unseen
        Values that it cannot know, made from the known ones.
    missing
        Whether a missing value is tried.
    is_text
        Whether the column holds texts.
    """

    candidates: list[Any]
    unseen: list[Any]
    missing: bool
    is_text: bool
    is_closed: bool = field(default=False)

    @property
    def values(self) -> list[Any]:
        """All values; the missing one, None, is the last."""
        return [*self.candidates, *self.unseen, *([None] if self.missing else [])]


def column_values(
    column: pd.Series, categories: Sequence[str], texts: Sequence[str], numbers: Sequence[float]
) -> ColumnValues:
    """Choose the values of one column that are tried.

    Parameters
    ----------
    column
        Real values.
    categories
        Further values of that column in the training sample.
    texts, numbers
        What the fitted transformer holds.
    """
    present = column[column.notna()].drop_duplicates().tolist()
    if all(isinstance(value, str) for value in present) and (present or _is_text(column.dtype)):
        candidates = list(dict.fromkeys([*present, *categories, *texts, *_LOOKS_MISSING]))
        return ColumnValues(candidates, _unseen_texts(candidates), True, True)
    dtype = column.dtype
    candidates = list(dict.fromkeys(float(value) for value in [*present, *numbers]))
    if pd.api.types.is_bool_dtype(dtype):
        return ColumnValues([0.0, 1.0], [], True, False)
    is_integer = pd.api.types.is_integer_dtype(dtype)
    if is_integer:
        candidates = [value for value in candidates if value == np.trunc(value)]
    return ColumnValues(candidates, _unseen_numbers(candidates, is_integer), True, False)


def _is_text(dtype: Any) -> bool:
    return pd.api.types.is_object_dtype(dtype) or isinstance(
        dtype, pd.StringDtype | pd.CategoricalDtype
    )


def _unseen_texts(texts: list[str]) -> list[str]:
    """Vary the known texts: a rule about parts of a text shows by one of them."""
    words = texts[:12]
    separators = sorted({c for text in words for c in text if not c.isalnum()})[:4]
    candidates = ["\u1e9eunseen", "zz9", "0", "-1", "Zürich"]
    for word in words:
        candidates += [word.upper(), word.lower(), word.title(), f" {word}", f"{word} ", word[:-1],
                       f"{word}s", word[::-1]]  # fmt: skip
    for first, second in pairwise(words):
        candidates += [first + second, *(f"{first}{s}{second}" for s in separators)]
    listed = set(texts)
    distinct = [text for text in dict.fromkeys(candidates) if text not in listed]
    step = max(1, len(distinct) // MAX_UNSEEN)
    return distinct[::step][:MAX_UNSEEN]


def _unseen_numbers(numbers: list[float], is_integer: bool) -> list[float]:
    """Return numbers between, beside and far from the known ones."""
    ordered = np.unique(np.asarray(numbers or [0.0], dtype=np.float64))
    between = (ordered[1:] + ordered[:-1]) / 2
    step = max(1, len(between) // (MAX_UNSEEN // 2))
    span = float(ordered[-1] - ordered[0]) or 1.0
    beside = [ordered[0] - span, ordered[-1] + span, ordered[0] - 7.0, ordered[-1] + 7.0]
    candidates = [*between[::step].tolist(), *beside, ordered[-1] + 1000.0]
    if is_integer:
        candidates = [float(np.floor(value)) for value in candidates]
    listed = set(numbers)
    return [value for value in dict.fromkeys(candidates) if value not in listed][:MAX_UNSEEN]


def make_rows(
    example: pd.DataFrame, columns: Sequence[ColumnValues]
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return rows in the dtypes of *example*, and the index of each column's value in each row."""
    generator = np.random.default_rng(0)
    n_rows = REPEATS * max((len(column.values) for column in columns), default=1)
    cells, picks = [], []
    for position, column in enumerate(columns):
        values = column.values
        pick = generator.permutation(np.resize(np.arange(len(values)), n_rows))
        picks.append(pick)
        cells.append(_in_dtype([values[i] for i in pick], example.iloc[:, position]))
    frame = pd.concat(cells, axis=1).set_axis(example.columns, axis=1)
    return frame, np.stack(picks, axis=1)


def _in_dtype(values: list[Any], example: pd.Series) -> pd.Series:
    """Make a column of *values* in the dtype of *example*, or what a user's would have."""
    dtype = example.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        present = [value for value in dict.fromkeys(values) if value is not None]
        more = [value for value in present if value not in set(dtype.categories)]
        return pd.Series(
            values, dtype=pd.CategoricalDtype([*dtype.categories, *more], ordered=dtype.ordered)
        )
    if pd.api.types.is_bool_dtype(dtype) and None not in values:
        return pd.Series([bool(value) for value in values])
    if pd.api.types.is_integer_dtype(dtype):
        return pd.Series(values, dtype=np.float64 if None in values else dtype)
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype):
        return pd.Series(values, dtype=np.float64)
    if pd.api.types.is_object_dtype(dtype):
        missing = example[example.isna()]
        marker = missing.iloc[0] if len(missing) else np.nan
        return pd.Series([marker if v is None else v for v in values], dtype=object)
    return pd.Series(values, dtype=dtype)


def accepted_values(
    example: pd.DataFrame,
    columns: Sequence[ColumnValues],
    accepts: Callable[[pd.DataFrame], bool],
) -> None:
    """Leave out of *columns* the values that the transformer refuses, column by column."""
    base = next((example.iloc[[i]] for i in range(min(8, len(example)))
                 if accepts(example.iloc[[i]])), None)  # fmt: skip
    if base is None:
        raise ValueError("the transformer refuses the first rows of the sample")

    def accepts_values(position: int, values: list[Any]) -> bool:
        rows = base.iloc[np.zeros(len(values), dtype=int)].reset_index(drop=True)
        cells = _in_dtype(values, example.iloc[:, position])
        parts = [cells if i == position else rows.iloc[:, i] for i in range(rows.shape[1])]
        return accepts(pd.concat(parts, axis=1).set_axis(example.columns, axis=1))

    def accepted(position: int, values: list[Any]) -> list[Any]:
        if not values or accepts_values(position, values):
            return values
        if len(values) == 1:
            return []
        half = len(values) // 2
        return accepted(position, values[:half]) + accepted(position, values[half:])

    for position, column in enumerate(columns):
        column.missing = column.missing and accepts_values(position, [None])
        n_unseen = len(column.unseen)
        column.unseen = accepted(position, column.unseen)
        column.candidates = accepted(position, column.candidates)
        column.is_closed = bool(n_unseen) and not column.unseen
