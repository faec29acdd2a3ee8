"""Flag what lies outside the training data: numbers, categories and missing values."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edge_runtime.bundle.manifest import cell_to_json
from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Column
from edge_runtime.inputs.single_row import RowBuffers, row_writer
from edge_runtime.inputs.tables import InputReader
from edge_runtime.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

__all__ = ["Flag", "FlagKind", "Flagger"]

FlagKind = Literal["below_range", "above_range", "unseen_category", "missing_value"]

_US_PER_DAY = 86_400e6

ROWS_AT_ONCE = 4096
"""Rows compared at once, so that the results of the comparisons stay small."""


@record(frozen=True, slots=True)
class Flag:
    """One cell that lies outside the training data; ``str(flag)`` is a plain sentence.

    Attributes
    ----------
    column
        Name of the column.
    kind
        ``below_range`` or ``above_range`` of the numbers in training; ``unseen_category``;
        ``missing_value``, where no training row lacked a value.
    value
        The number or string, a date in ISO 8601; None for a missing value.
    amount
        Distance from the training range, in the unit of the column, in days for a date; None for
        other kinds.
    spans
        *amount* in units of the training range (largest minus smallest number); None for other
        kinds, and where training had a single number.
    """

    column: str
    kind: FlagKind
    value: str | float | None
    amount: float | None = None
    spans: float | None = None

    def __str__(self) -> str:
        if self.kind == "missing_value":
            return f"{self.column}: missing, as in no training row"
        if self.kind == "unseen_category":
            return f"{self.column}: {self.value!r:.60} is not among the categories of training"
        side = "below" if self.kind == "below_range" else "above"
        spans = "" if self.spans is None else f", {self.spans:.3g} times its span"
        is_date = isinstance(self.value, str)
        value, unit = (self.value, " days") if is_date else (repr(self.value), "")
        return (
            f"{self.column}: {value} lies {self.amount:.6g}{unit} {side} the training range{spans}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; an infinite amount is spelt as in the manifest."""
        return {name: cell_to_json(getattr(self, name)) for name in self.__match_args__}


class Flagger:
    """Flags the cells of rows that lie outside the training data.

    Columns of free text, dicts or lists have no flags: the schema has no categories of them.
    """

    def __init__(self, input_reader: InputReader) -> None:
        schema = input_reader.schema
        # Without derived columns, which no flag reads.
        self._schema = replace(schema, derived=())
        self._reader = InputReader(self._schema, extra_columns=input_reader.extra_columns)
        self._write = row_writer(self._reader)
        self._buffers: list[RowBuffers] = []
        numeric = [schema.columns[i] for i in schema.numeric]
        ranges = np.array([_training_range(column) for column in numeric]).reshape(-1, 2)
        self._lows, self._highs = ranges[:, 0], ranges[:, 1]
        self._may_be_missing = np.array([c.missing_in_training for c in numeric], dtype=np.bool_)
        self._coded = [
            (place, np.array(column.categories, dtype=np.float64))
            for place, column in enumerate(numeric)
            if column.categories is not None
        ]
        self._textual = [
            (place, i, _seen_texts(schema.columns[i])) for place, i in enumerate(schema.textual)
        ]

    def flag_rows(self, X: Any) -> list[tuple[Flag, ...]]:
        """Return the flags of every row of *X*, in the order of the schema's columns.

        Raises
        ------
        InputError
            The model refuses *X* or a row of it.
        """
        feeds, n_rows = self._reader.feeds(X)
        flags: list[tuple[Flag, ...]] = [()] * n_rows
        for start in range(0, n_rows, ROWS_AT_ONCE):
            blocks = {name: block[start : start + ROWS_AT_ONCE] for name, block in feeds.items()}
            for row, flags_of_row in self._flags_by_row(blocks).items():
                flags[start + row] = tuple(flags_of_row)
        return flags

    def flag_row(self, row: Any) -> tuple[Flag, ...]:
        """Return the flags of one row, passed as to ``predict_one``.

        Raises
        ------
        InputError
            The model refuses the row.
        """
        try:
            buffers = self._buffers.pop()  # no other thread has them, as list.pop is atomic
        except IndexError:
            buffers = RowBuffers(self._schema)
        self._write(row, buffers)
        flags = self._flags_by_row({NUMBERS: buffers.numbers, STRINGS: buffers.strings})
        self._buffers.append(buffers)
        return tuple(flags.get(0, ()))

    def _flags_by_row(self, blocks: Mapping[str, NDArray[Any]]) -> dict[int, list[Flag]]:
        """Return the flags of each row that has any, in the order of the columns."""
        columns = self._schema.columns
        places = sorted((row, i, value) for row, i, value in self._outside(blocks))
        flags: dict[int, list[Flag]] = {}
        for row, i, value in places:
            flags.setdefault(row, []).append(_flag(columns[i], value))
        return flags

    def _outside(self, blocks: Mapping[str, NDArray[Any]]) -> Iterator[tuple[int, int, Any]]:
        """Yield row, position of the column and value of each cell outside the training data."""
        if self._schema.kind == "tensor":
            yield from _outside_tensors(blocks[NUMBERS], self._schema.columns[0])
        if len(self._lows):
            numbers, numeric = blocks[NUMBERS], self._schema.numeric
            for row, place in np.argwhere(self._numbers_outside(numbers)).tolist():
                yield row, numeric[place], numbers[row, place].item()
        for place, i, seen_texts in self._textual:
            texts = blocks[STRINGS][:, place].tolist()
            if seen_texts is None:
                if not self._schema.columns[i].missing_in_training:
                    yield from ((r, i, t) for r, t in enumerate(texts) if t == MISSING_STRING)
            elif not seen_texts.issuperset(texts):
                for row, text in enumerate(texts):
                    if text not in seen_texts:
                        yield row, i, text

    def _numbers_outside(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        is_outside = ~((numbers >= self._lows) & (numbers <= self._highs))  # True for NaN
        if is_outside.any():
            is_outside &= ~(np.isnan(numbers) & self._may_be_missing)
        for place, categories in self._coded:
            cells = numbers[:, place]
            is_outside[:, place] |= ~np.isin(cells, categories) & ~np.isnan(cells)
        return is_outside


def _outside_tensors(numbers: NDArray[Any], column: Column) -> Iterator[tuple[int, int, float]]:
    """Yield the least and the largest cell of each row that lie outside the training range."""
    low, high = _training_range(column)
    for row, cells in enumerate(numbers):
        present = cells[~np.isnan(cells)] if column.missing else cells
        if len(present) < len(cells) and not column.missing_in_training:
            yield row, 0, math.nan
        if len(present) and (least := float(present.min())) < low:
            yield row, 0, least
        if len(present) and (largest := float(present.max())) > high:
            yield row, 0, largest


def _training_range(column: Column) -> tuple[float, float]:
    if column.categories is not None or column.minimum is None or column.maximum is None:
        return -math.inf, math.inf
    return column.minimum, column.maximum


def _seen_texts(column: Column) -> frozenset[str | float] | None:
    """Return the strings of training; None for free text, which has no categories."""
    if column.categories is None:
        return None
    return frozenset((*column.categories, *([MISSING_STRING] * column.missing_in_training)))


def _flag_of_date(column: Column, value: float, text: str | None) -> Flag:
    low, high = column.minimum or 0.0, column.maximum or 0.0
    is_below = value < low
    amount = low - value if is_below else value - high
    kind: FlagKind = "below_range" if is_below else "above_range"
    spans = amount / (high - low) if high > low else None
    return Flag(column.name, kind, text, amount / _US_PER_DAY, spans)


def _flag(column: Column, value: Any) -> Flag:
    """Describe a *value* of *column* that lies outside the training data."""
    if value == MISSING_STRING or value != value:
        return Flag(column.name, "missing_value", None)
    if column.type in ("int64", "bool") and value.is_integer():
        value = int(value)
    if column.type == "datetime":
        from edge_runtime.bundle.date_rule import iso_text  # which few models need

        return _flag_of_date(column, value, iso_text(value, column.dates))
    if column.categories is not None or column.minimum is None or column.maximum is None:
        return Flag(column.name, "unseen_category", value)
    is_below = value < column.minimum
    amount = column.minimum - value if is_below else value - column.maximum
    span = column.maximum - column.minimum
    return Flag(
        column.name,
        "below_range" if is_below else "above_range",
        value,
        amount,
        amount / span if span else None,
    )
