"""One row in, the graph's input buffers filled: the fast path of ``predict_one``.

The quick way proves in three C calls that every cell is a plain finite number that float64 holds
exactly, and packs them into the buffer.  Whatever it cannot prove goes the slow way, cell by cell,
which either accepts the row or names the column at fault.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from math import hypot
from operator import itemgetter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edge_runtime.border.cells import EXACT_INTEGERS, number_cell, text_cell
from edge_runtime.border.columns import unmasked
from edge_runtime.border.tables import Border
from edge_runtime.errors import InputError
from edge_runtime.schema import Schema

__all__ = ["RowWriter", "Slots", "cells_of_row", "row_writer"]

RowWriter = Callable[[Any, "Slots"], None]
"""Checks a row and writes it into the slots; raises InputError and leaves them undefined."""


class Slots:
    """Input buffers of one row: ``numbers`` (1, k) and ``strings`` (1, m), empty ones included."""

    __slots__ = ("memory", "numbers", "strings", "text")

    def __init__(self, schema: Schema) -> None:
        self.numbers: NDArray[Any] = np.zeros((1, len(schema.numeric)))
        self.strings: NDArray[Any] = np.full((1, len(schema.textual)), "", dtype=object)
        self.memory = memoryview(self.numbers.data).cast("B") if schema.numeric else memoryview(b"")
        self.text = self.strings[0]


def row_writer(border: Border) -> RowWriter:
    """The writer for the schema's rows, put together once at load."""
    if not border.schema.textual and all(c.type != "bool" for c in border.schema.columns):
        return _plain_numbers(border)
    return _by_cell(border)


def cells_of_row(border: Border) -> Callable[[Any], Sequence[Any]]:
    """The function that gives a row's cells in the order of the schema."""
    schema = border.schema
    names, width = schema.names, len(schema.columns)
    pick = itemgetter(*names) if width > 1 else lambda row, name=names[0]: (row[name],)
    check_names, may_lack = border.check_names, schema.kind == "dicts"
    strict = border.extra_columns == "refuse"

    def cells(row: Any) -> Sequence[Any]:
        if isinstance(row, Mapping):
            if may_lack:
                check_names(list(row), may_lack=True)
                return [row.get(name) for name in names]
            try:
                picked: Sequence[Any] = pick(row)
            except KeyError:
                picked = ()
            if not picked or (strict and len(row) != width):
                check_names(list(row))
            return picked
        if isinstance(row, str) and schema.kind == "text":
            return (row,)
        if isinstance(row, np.ndarray):
            if row.ndim != 1:
                raise InputError(
                    f"expected one row, a 1-d array of {width}, found shape {row.shape}; for "
                    "several rows use predict"
                )
            row = unmasked(row)
        elif hasattr(row, "to_dict"):  # a pandas row: its cells have names
            return cells(row.to_dict())
        elif isinstance(row, str | bytes | bytearray) or not isinstance(row, Sequence):
            raise InputError(
                f"expected a row of {width} cells (dict, sequence or 1-d array), found "
                f"{type(row).__name__}"
            )
        if len(row) != width:
            raise InputError(f"expected {width} cells, found {len(row)}")
        return cast("Sequence[Any]", row)

    return cells


def _by_cell(border: Border) -> RowWriter:
    columns, cells = border.schema.columns, cells_of_row(border)
    numeric = [(place, i, columns[i]) for place, i in enumerate(border.schema.numeric)]
    textual = [(place, i, columns[i]) for place, i in enumerate(border.schema.textual)]

    def write(row: Any, slots: Slots) -> None:
        found = cells(row)
        numbers = slots.numbers[0]
        for place, i, column in numeric:
            numbers[place] = number_cell(found[i], column)
        for place, i, column in textual:
            slots.text[place] = text_cell(found[i], column)

    return write


def _plain_numbers(border: Border) -> RowWriter:
    names, width = border.schema.names, len(border.schema.columns)
    pick = itemgetter(*names) if width > 1 else lambda row, name=names[0]: (row[name],)
    strict = border.extra_columns == "refuse"
    pack = struct.Struct(f"{width}d").pack_into
    slowly, are_plain = _by_cell(border), _PLAIN_TYPES.issuperset

    def write(row: Any, slots: Slots) -> None:
        kind = type(row)
        if kind is dict:
            quick = not strict or len(row) == width
            try:
                found = pick(row)
            except KeyError:
                return slowly(row, slots)
            quick = quick and are_plain(map(type, found))
        elif kind is np.ndarray:
            quick = row.shape == (width,) and row.dtype.char in _PLAIN_DTYPES
            found = row.tolist() if quick else ()
        else:
            quick = kind in _SEQUENCES and len(row) == width and are_plain(map(type, row))
            found = row
        # Below 2**53 if every cell is, and then each is finite and, if whole, a float64.
        try:
            if quick and hypot(*found) < EXACT_INTEGERS:
                return pack(slots.memory, 0, *found)
        except OverflowError:  # an int beyond float64
            pass
        return slowly(row, slots)

    return write


_SEQUENCES = frozenset((tuple, list))
_PLAIN_TYPES = frozenset(
    (float, int, bool, np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_)
)
_PLAIN_DTYPES = frozenset("?bBhHiIlLqQefd")
