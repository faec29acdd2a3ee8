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
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edge_runtime.bundle.schema import Schema
from edge_runtime.errors import EdgeRuntimeError, InputError
from edge_runtime.inputs.cells import EXACT_INTEGERS, kind_name, number_cell, text_cell, told
from edge_runtime.inputs.columns import unmasked
from edge_runtime.inputs.tables import InputReader, as_text, counted, with_text_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RowBuffers", "RowWriter", "cells_of_row", "row_writer"]

RowWriter = Callable[[Any, "RowBuffers"], None]
"""Checks a row and writes it into the slots; raises InputError and leaves them undefined."""


class RowBuffers:
    """Input buffers of one row: ``numbers`` (1, k) and ``strings`` (1, m), empty ones included."""

    __slots__ = ("memory", "numbers", "strings", "text", "touched")

    def __init__(self, schema: Schema) -> None:
        self.numbers: NDArray[Any] = np.zeros((1, schema.numbers_width))
        self.strings: NDArray[Any] = np.full((1, len(schema.textual)), "", dtype=object)
        self.memory = memoryview(self.numbers.data).cast("B") if schema.numeric else memoryview(b"")
        self.text = self.strings[0]
        self.touched: list[int] = []  # derived columns that the last row has filled


def row_writer(border: InputReader) -> RowWriter:
    """The writer for the schema's rows, put together once at load."""
    schema = border.schema
    derive: Callable[..., None] | None = None
    if schema.derived:
        from edge_runtime.inputs.derived_columns import DerivedColumns  # which few models need

        derive = DerivedColumns(schema).write
    check_values = border.allowed_values.check_row if border.allowed_values else None
    if schema.kind in ("dicts", "lists"):
        return lambda row, slots: derive and derive((row,), slots.numbers, slots.touched)
    sources_of = _picker(schema.sources)
    cells, numbers_of = cells_of_row(border), _picker(schema.numeric)
    pick, width = _picker(schema.names), len(schema.columns)
    shape = (width,)
    strict = border.extra_columns == "refuse"
    only_numbers = len(schema.numeric) == width
    flags = [place for place, i in enumerate(schema.numeric) if schema.columns[i].type == "bool"]
    full = [place for place, i in enumerate(schema.numeric) if not schema.columns[i].missing]
    numeric = [(place, i, schema.columns[i]) for place, i in enumerate(schema.numeric)]
    textual = [(place, i, schema.columns[i]) for place, i in enumerate(schema.textual)]
    pack = struct.Struct(f"{len(numeric)}d").pack_into
    are_plain, are_text = _PLAIN_TYPES.issuperset, _TEXT.issuperset
    table_in_place_of = _table_finder(schema)

    def write(row: Any, slots: RowBuffers) -> None:
        kind = type(row)
        try:
            try:
                if kind is dict and (
                    len(row) == width or (not strict and are_text(map(type, row)))
                ):
                    found = pick(row)
                elif kind is list and len(found := tuple(row)) == width:
                    pass  # nobody changes a tuple meanwhile
                elif kind is tuple and len(row) == width:
                    found = row
                elif kind is np.ndarray and row.shape == shape and row.dtype.char in _PLAIN_DTYPES:
                    found = row.tolist()
                else:
                    found = cells(row)
            except KeyError:
                found = cells(row)
            if numeric:
                numbers = found if only_numbers else numbers_of(found)
                if not are_plain(map(type, numbers)) or not _are_exact(numbers, flags, full):
                    for place, i, column in numeric:
                        slots.numbers[0, place] = number_cell(found[i], column)
                else:
                    pack(slots.memory, 0, *numbers)
            for place, i, column in textual:
                cell = found[i]
                quick = type(cell) is str and cell.isascii()
                slots.text[place] = cell if quick else text_cell(cell, column)
            if check_values is not None:
                check_values(slots.numbers[0], slots.text)
            if derive is not None:
                derive(sources_of(found), slots.numbers, slots.touched)
        except (EdgeRuntimeError, MemoryError) as error:
            if isinstance(error, InputError) and (nested := table_in_place_of(row)):
                raise InputError(nested) from error
            raise
        except Exception as error:  # a stranger's method, or a row that changes meanwhile
            raise _unreadable(row, error) from error

    return write


def _are_exact(numbers: Sequence[Any], flags: list[int], full: list[int]) -> bool:
    """Whether all *numbers*, of plain types, are what their columns take and float64 holds.

    Those at *flags* must be 0 or 1, and those at *full* not missing.
    """
    try:
        # Below 2**53 if each of them is, and then each is finite and, if whole, a float64.
        if not hypot(*numbers) < EXACT_INTEGERS:
            known = [number for number in numbers if number == number]
            if not hypot(*known) < EXACT_INTEGERS:
                return False
            if any(numbers[place] != numbers[place] for place in full):
                return False
    except OverflowError:  # an int beyond float64
        return False
    return not flags or all(numbers[place] in (0, 1) for place in flags)


def _picker(keys: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """What gives the values of *keys*, in their order, as a sequence however many they are."""
    if len(keys) > 1:
        return cast("Callable[[Any], Sequence[Any]]", itemgetter(*keys))
    return lambda cells: [cells[key] for key in keys]


_PLAIN_TYPES = frozenset(
    (float, int, bool, np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_)
)
_TEXT = frozenset((str,))
_PLAIN_DTYPES = frozenset("?bBhHiIlLqQefd")


def cells_of_row(border: InputReader) -> Callable[[Any], Sequence[Any]]:
    """The function that gives a row's cells in the order of the schema."""
    schema = border.schema
    names, width = schema.names, len(schema.columns)
    pick = _picker(names)
    check_names = border.check_names
    is_one_cell = schema.kind in ("dicts", "lists")
    known = frozenset(names)
    table_in_place_of = _table_finder(schema)

    def cells(row: Any) -> Sequence[Any]:
        if is_one_cell:
            return (row,)
        try:
            return from_row(row)
        except (EdgeRuntimeError, MemoryError):
            raise
        except Exception as error:  # the methods of a stranger's class may raise anything
            raise _unreadable(row, error) from error

    def from_row(row: Any) -> Sequence[Any]:
        if isinstance(row, Mapping):
            # By its own names, and never asked for another: it might make one up (defaultdict).
            given = list(row)
            if len(given) != width or known.symmetric_difference(given):
                check_names(given)
            return pick(with_text_names(row))
        if isinstance(row, str) and schema.kind == "text":
            return (row,)
        if isinstance(row, np.ndarray):
            if row.ndim != 1:
                raise InputError(
                    f"expected one row, a 1-d array of {width}, found shape {row.shape}; for "
                    "several rows use predict"
                )
            row = unmasked(row)
        elif hasattr(row, "columns") or hasattr(row, "column_names"):
            raise InputError(
                f"expected one row of {counted(width, 'cell')}, found a table ({kind_name(row)}); "
                "for several rows use predict, for one of them predict_one(table.iloc[0])"
            )
        elif hasattr(row, "to_dict"):  # a pandas row: its cells have names
            return from_row(_named(row, border))
        elif isinstance(row, str | bytes | bytearray) or not isinstance(row, Sequence):
            raise InputError(
                f"expected a row of {counted(width, 'cell')} (dict, sequence or 1-d array), found "
                f"{kind_name(row)}"
            )
        found = tuple(row)  # what it holds now, whatever it says of its length
        if len(found) != width:
            nested = table_in_place_of(found)
            raise InputError(nested or f"expected {counted(width, 'cell')}, found {len(found)}")
        return found

    return cells


def _named(row: Any, border: InputReader) -> Mapping[Any, Any]:
    """The cells of a pandas *row* by their names, of which a dict would hide one that is twice."""
    schema = border.schema
    width = counted(len(schema.columns), "cell")
    named = row.to_dict()
    if not isinstance(named, Mapping):
        raise InputError(
            f"expected a row of {width}, found {kind_name(row)}, whose to_dict gives no dict"
        )
    given = list(row.keys()) if hasattr(row, "keys") else list(named)
    if len(given) != len(named):
        border.check_names(given)
    by_position = schema.kind in ("array", "vector") and len(given) == len(schema.columns)
    if by_position and set(as_text(given)) != set(schema.names):
        raise InputError(
            f"expected a row of {width}, found a {kind_name(row)} with names of its own; the "
            "model was trained without names: pass row.to_numpy()"
        )
    return named


def _table_finder(schema: Schema) -> Callable[[Any], str | None]:
    """What says that a row is a list of rows; None when it is not."""
    if not {column.type for column in schema.columns}.isdisjoint(("dict", "list")):
        return lambda row: None

    def found(row: Any) -> str | None:
        if type(row) not in (list, tuple) or not row:
            return None
        name = kind_name(row[0])
        if not issubclass(type(row[0]), dict | list | tuple):
            return None
        if len(row) == 1:
            return f"expected one row, found a list of one {name}; pass the {name} itself"
        return f"expected one row, found a list of {len(row)} {name}s; for several rows use predict"

    return found


def _unreadable(row: Any, error: Exception) -> InputError:
    return InputError(
        f"the {kind_name(row)} cannot be read as a row: {told(error)}; pass a dict, a sequence or "
        "a 1-d array"
    )
