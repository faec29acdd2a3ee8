"""Clean lines of CSV in, columns out, many rows at once; whatever is odd is left to ``reading``.

A stream is bound by its text: to split a row, read its numbers and check them one by one takes
3 us, the answer 0.03 (measured).  Nearly all lines are clean: no quotes, as many cells as columns,
numbers that are plain.  numpy's own reader takes 0.2 us a number for those, and reads the same
numbers: both end in Python's own conversion.  A block in which one line is not clean is read row
by row.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.schema import Schema
from edge_runtime.cli.csv_cells import MISSING_CELLS, cell_reader
from edge_runtime.inputs.cells import EXACT_INTEGERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["columns_reader"]

_IN_NUMBERS = b"0123456789+-.eE"
_IN_TABLES = _IN_NUMBERS + b",\r\n"


def columns_reader(schema: Schema, header: Sequence[str]) -> Callable[[list[str]], Any]:
    """The function from lines without quotes to a table of *schema*; None if one is not clean.

    Parameters
    ----------
    header
        Names of the lines' cells, among them all of the schema.
    """
    place = {name: i for i, name in enumerate(header)}
    places = [place[column.name] for column in schema.columns]
    width = len(header)
    only_numbers = len(schema.numeric) == len(schema.columns) == width
    in_order = places == list(range(width))
    readers = [
        (column.name, place, _texts if column.is_string else _numbers_or(cell_reader(column)))
        for column, place in zip(schema.columns, places, strict=True)
    ]

    def read(lines: list[str]) -> Any:
        text = "".join(lines)
        if only_numbers and _consists_of(text, _IN_TABLES):
            block = _matrix(lines, width)
            if block is not None:
                return block if in_order else np.ascontiguousarray(block[:, places])
        try:
            rows = list(csv.reader(lines, strict=True))
        except csv.Error:
            return None
        if set(map(len, rows)) != {width}:
            return None
        cells = list(zip(*rows, strict=True))
        return {name: make(cells[place]) for name, place, make in readers}

    return read


def _matrix(lines: list[str], width: int) -> NDArray[Any] | None:
    """The numbers of *lines*; None when they are no matrix, or not surely the nearest float64."""
    if not lines[0].strip():  # of nothing but blank lines numpy warns
        return None
    try:
        block = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        return None
    # numpy skips blank lines.  Of a whole number beyond 2**53 the border wants to see the digits.
    if block.shape != (len(lines), width) or not _are_exact(block):
        return None
    return block


def _are_exact(numbers: NDArray[Any]) -> bool:
    return bool(numbers.min() > -EXACT_INTEGERS and numbers.max() < EXACT_INTEGERS)


def _numbers_or(read: Callable[[str], Any]) -> Callable[[Sequence[str]], Any]:
    """What reads a column of numbers, by *read* where not all of them are plain."""

    def numbers(cells: Sequence[str]) -> Any:
        if _consists_of("".join(cells), _IN_NUMBERS):
            try:
                found = np.array(list(map(float, cells)))
            except ValueError:  # an empty cell, or "1-2"
                pass
            else:
                if _are_exact(found):
                    return found
        return list(map(read, cells))

    return numbers


def _texts(cells: Sequence[str]) -> list[Any]:
    if MISSING_CELLS.isdisjoint(cells):
        return list(cells)
    return [None if cell in MISSING_CELLS else cell for cell in cells]


def _consists_of(text: str, characters: bytes) -> bool:
    return text.isascii() and not text.encode("ascii").translate(None, characters)
