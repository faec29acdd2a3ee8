"""Refuse values that the estimator refuses, or that are beyond the limits set at the build."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Column, Schema
from edge_runtime.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AllowedValues"]

_MOST_LISTED_VALUES = 5

_Refuse: TypeAlias = Callable[[Any, "int | None"], InputError]
"""Makes the error for a value and its row."""


class AllowedValues:
    """The values that a schema's closed columns and its columns with limits allow.

    A missing value passes: the check of the cells comes before this one.
    """

    def __init__(self, schema: Schema) -> None:
        numeric = [(place, schema.columns[i]) for place, i in enumerate(schema.numeric)]
        textual = [(place, schema.columns[i]) for place, i in enumerate(schema.textual)]
        self._numeric = [
            (place, frozenset(values), refuse)
            for place, column in numeric
            for values, refuse in _allowed_values(column)
        ]
        self._textual = [
            (place, frozenset((*values, MISSING_STRING)), refuse)
            for place, column in textual
            for values, refuse in _allowed_values(column)
        ]
        self._ranges = [
            (place, low, high, refuse)
            for place, column in numeric
            for low, high, refuse in _allowed_ranges(column)
        ]

    def __bool__(self) -> bool:
        return bool(self._numeric or self._textual or self._ranges)

    def check_blocks(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        """Refuse the first value of a batch that is not allowed.

        Raises
        ------
        InputError
            With the row and the column.
        """
        for place, values, refuse in self._numeric:
            cells = feeds[NUMBERS][:, place]
            is_refused = ~(np.isin(cells, np.array(list(values))) | np.isnan(cells))
            if is_refused.any():
                row = int(np.argmax(is_refused))
                raise refuse(float(cells[row]), row)
        for place, low, high, refuse in self._ranges:
            cells = feeds[NUMBERS][:, place]
            is_refused = (cells < low) | (cells > high)
            if is_refused.any():
                row = int(np.argmax(is_refused))
                raise refuse(float(cells[row]), row)
        for place, values, refuse in self._textual:
            texts = feeds[STRINGS][:, place].tolist()
            if not values.issuperset(texts):
                row = next(i for i, text in enumerate(texts) if text not in values)
                raise refuse(texts[row], row)

    def check_row(self, numbers: NDArray[Any], text: NDArray[Any]) -> None:
        """Refuse a value of one row, passed as the only row of each block."""
        for place, values, refuse in self._numeric:
            cell = numbers[place]
            if cell not in values and cell == cell:
                raise refuse(float(cell), None)
        for place, low, high, refuse in self._ranges:
            if numbers[place] < low or numbers[place] > high:
                raise refuse(float(numbers[place]), None)
        for place, values, refuse in self._textual:
            if text[place] not in values:
                raise refuse(text[place], None)


def _allowed_values(column: Column) -> Iterable[tuple[tuple[str | float, ...], _Refuse]]:
    """Yield each list of the only values that *column* allows, the user's limits first."""
    if column.limits is not None and column.limits.values is not None:
        yield column.limits.values, partial(_beyond_limits, column)
    if column.closed and column.categories is not None:
        yield column.categories, partial(_unseen_category, column)


def _allowed_ranges(column: Column) -> Iterable[tuple[float, float, _Refuse]]:
    """Yield each range that *column* allows, the user's limits first."""
    limits = column.limits
    if limits is not None and limits.values is None:
        least = -math.inf if limits.minimum is None else limits.minimum
        most = math.inf if limits.maximum is None else limits.maximum
        yield least, most, partial(_beyond_limits, column)
    low, high = column.minimum, column.maximum
    if column.closed and column.categories is None and low is not None and high is not None:
        yield low, high, partial(_out_of_range, column)


def _beyond_limits(column: Column, value: str | float, row: int | None) -> InputError:
    noun = "a number " if column.limits is not None and column.limits.values is None else ""
    return InputError(
        f"expected {noun}{column.limits!s:.200}, the limits set at the build, found "
        f"{value!r:.60}; check the source of this value, and pass a missing value (NaN or None) "
        "or leave the row out",
        row=row,
        column=column.name,
    )


def _out_of_range(column: Column, value: float, row: int | None) -> InputError:
    return InputError(
        f"expected a number from {column.minimum!r} to {column.maximum!r}, found {value!r}, for "
        "which the model has no prediction",
        row=row,
        column=column.name,
    )


def _unseen_category(column: Column, value: str | float, row: int | None) -> InputError:
    return InputError(
        f"expected one of the values known from training, {_listed(column.categories or ())}; "
        f"found {value!r:.60}, for which the model has no prediction",
        row=row,
        column=column.name,
    )


def _listed(values: tuple[str | float, ...]) -> str:
    listing = ", ".join(repr(value)[:40] for value in values[:_MOST_LISTED_VALUES])
    n_more = len(values) - _MOST_LISTED_VALUES
    return f"{listing} and {n_more} more" if n_more > 0 else listing
