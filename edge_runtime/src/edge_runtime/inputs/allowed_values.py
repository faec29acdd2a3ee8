"""Columns whose values training has listed: another is refused, as the trained estimator would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Column, Schema
from edge_runtime.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AllowedValues"]

_SHOWN_VALUES = 5


class AllowedValues:
    """The closed columns of a schema.  Missing values are not its business: they were checked."""

    def __init__(self, schema: Schema) -> None:
        self._numeric = _known(schema, schema.numeric)
        self._textual = _known(schema, schema.textual)
        self._bounded = _bounded(schema)

    def __bool__(self) -> bool:
        return bool(self._numeric or self._textual or self._bounded)

    def check_blocks(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        """Refuse the first unknown value of a batch.

        Raises
        ------
        InputError
            With the row and the column.
        """
        for place, column, known in self._numeric:
            cells = feeds[NUMBERS][:, place]
            unknown = ~(np.isin(cells, np.array(list(known))) | np.isnan(cells))
            if unknown.any():
                row = int(np.argmax(unknown))
                raise _refusal(float(cells[row]), column, row)
        for place, column, low, high in self._bounded:
            cells = feeds[NUMBERS][:, place]
            beyond = (cells < low) | (cells > high)
            if beyond.any():
                row = int(np.argmax(beyond))
                raise _beyond(float(cells[row]), column, row)
        for place, column, known in self._textual:
            cells = feeds[STRINGS][:, place].tolist()
            if not known.issuperset(cells):
                row = next(i for i, cell in enumerate(cells) if cell not in known)
                raise _refusal(cells[row], column, row)

    def check_row(self, numbers: NDArray[Any], text: NDArray[Any]) -> None:
        """Refuse an unknown value of one row, given as the blocks' only rows."""
        for place, column, known in self._numeric:
            cell = numbers[place]
            if cell not in known and cell == cell:
                raise _refusal(float(cell), column, None)
        for place, column, low, high in self._bounded:
            if numbers[place] < low or numbers[place] > high:
                raise _beyond(float(numbers[place]), column, None)
        for place, column, known in self._textual:
            if text[place] not in known:
                raise _refusal(text[place], column, None)


def _known(
    schema: Schema, positions: tuple[int, ...]
) -> list[tuple[int, Column, frozenset[str | float]]]:
    """Place in the block, column and values of every closed column at *positions*."""
    columns = [(place, schema.columns[i]) for place, i in enumerate(positions)]
    return [
        (place, column, frozenset((*column.categories, MISSING_STRING)))
        if column.is_string
        else (place, column, frozenset(column.categories))
        for place, column in columns
        if column.closed and column.categories is not None
    ]


def _bounded(schema: Schema) -> list[tuple[int, Column, float, float]]:
    """Place in the numeric block, column and range of every closed column without categories."""
    return [
        (place, column, column.minimum, column.maximum)
        for place, column in enumerate(schema.columns[i] for i in schema.numeric)
        if column.closed
        and column.categories is None
        and column.minimum is not None
        and column.maximum is not None
    ]


def _beyond(value: float, column: Column, row: int | None) -> InputError:
    return InputError(
        f"expected a number from {column.minimum!r} to {column.maximum!r}, found {value!r}, for "
        "which the model has no answer",
        row=row,
        column=column.name,
    )


def _refusal(value: str | float, column: Column, row: int | None) -> InputError:
    listed = column.categories or ()
    shown = ", ".join(repr(item)[:40] for item in listed[:_SHOWN_VALUES])
    more = f" and {len(listed) - _SHOWN_VALUES} more" if len(listed) > _SHOWN_VALUES else ""
    return InputError(
        f"expected one of the values known from training, {shown}{more}; found {value!r:.60}, for "
        "which the model has no answer",
        row=row,
        column=column.name,
    )
