"""Refuse values outside the categories or the range of training, as the estimator refuses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Column, Schema
from edge_runtime.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AllowedValues"]

_MOST_LISTED_VALUES = 5


class AllowedValues:
    """The values that a schema's closed columns allow.

    A missing value passes: the check of the cells comes before this one.
    """

    def __init__(self, schema: Schema) -> None:
        self._numeric = _categories(schema, schema.numeric)
        self._textual = _categories(schema, schema.textual)
        self._ranges = _ranges(schema)

    def __bool__(self) -> bool:
        return bool(self._numeric or self._textual or self._ranges)

    def check_blocks(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        """Refuse the first value of a batch that is not allowed.

        Raises
        ------
        InputError
            With the row and the column.
        """
        for place, column, categories in self._numeric:
            cells = feeds[NUMBERS][:, place]
            is_unseen = ~(np.isin(cells, np.array(list(categories))) | np.isnan(cells))
            if is_unseen.any():
                row = int(np.argmax(is_unseen))
                raise _unseen_category(float(cells[row]), column, row)
        for place, column, low, high in self._ranges:
            cells = feeds[NUMBERS][:, place]
            is_outside = (cells < low) | (cells > high)
            if is_outside.any():
                row = int(np.argmax(is_outside))
                raise _out_of_range(float(cells[row]), column, row)
        for place, column, categories in self._textual:
            cells = feeds[STRINGS][:, place].tolist()
            if not categories.issuperset(cells):
                row = next(i for i, cell in enumerate(cells) if cell not in categories)
                raise _unseen_category(cells[row], column, row)

    def check_row(self, numbers: NDArray[Any], text: NDArray[Any]) -> None:
        """Refuse a value of one row, passed as the only row of each block."""
        for place, column, categories in self._numeric:
            cell = numbers[place]
            if cell not in categories and cell == cell:
                raise _unseen_category(float(cell), column, None)
        for place, column, low, high in self._ranges:
            if numbers[place] < low or numbers[place] > high:
                raise _out_of_range(float(numbers[place]), column, None)
        for place, column, categories in self._textual:
            if text[place] not in categories:
                raise _unseen_category(text[place], column, None)


def _categories(
    schema: Schema, positions: tuple[int, ...]
) -> list[tuple[int, Column, frozenset[str | float]]]:
    """List place in the block, column and categories of every closed column at *positions*."""
    columns = [(place, schema.columns[i]) for place, i in enumerate(positions)]
    return [
        (place, column, frozenset((*column.categories, MISSING_STRING)))
        if column.is_string
        else (place, column, frozenset(column.categories))
        for place, column in columns
        if column.closed and column.categories is not None
    ]


def _ranges(schema: Schema) -> list[tuple[int, Column, float, float]]:
    """List place in the block, column, minimum and maximum of closed columns without categories."""
    return [
        (place, column, column.minimum, column.maximum)
        for place, column in enumerate(schema.columns[i] for i in schema.numeric)
        if column.closed
        and column.categories is None
        and column.minimum is not None
        and column.maximum is not None
    ]


def _out_of_range(value: float, column: Column, row: int | None) -> InputError:
    return InputError(
        f"expected a number from {column.minimum!r} to {column.maximum!r}, found {value!r}, for "
        "which the model has no prediction",
        row=row,
        column=column.name,
    )


def _unseen_category(value: str | float, column: Column, row: int | None) -> InputError:
    categories = column.categories or ()
    listing = ", ".join(repr(item)[:40] for item in categories[:_MOST_LISTED_VALUES])
    n_more = len(categories) - _MOST_LISTED_VALUES
    more = f" and {n_more} more" if n_more > 0 else ""
    return InputError(
        f"expected one of the values known from training, {listing}{more}; found {value!r:.60}, "
        "for which the model has no prediction",
        row=row,
        column=column.name,
    )
