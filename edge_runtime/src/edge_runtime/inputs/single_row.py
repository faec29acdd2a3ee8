"""Check one row and write it into the graph's input buffers, for ``predict_one``.

The fast path takes three C calls to prove that float64 holds every cell exactly.  Then it packs the
cells into the buffer.  Any other row takes the slow path, cell by cell, which accepts the row or
names the faulty column.
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
from edge_runtime.inputs.cells import (
    EXACT_INTEGERS,
    describe_error,
    kind_name,
    number_cell,
    text_cell,
)
from edge_runtime.inputs.columns import unmasked
from edge_runtime.inputs.tables import InputReader, quantity, text_names, with_text_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MIN_WIDE_CELLS",
    "RowBuffers",
    "RowReader",
    "RowWriter",
    "copy_wide_row",
    "row_is_cell",
    "row_writer",
]

RowWriter = Callable[[Any, "RowBuffers"], None]
"""Checks a row and writes it into the buffers; an InputError leaves them undefined."""

_PLAIN_TYPES = frozenset(
    (float, int, bool, np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_)
)
_PLAIN_DTYPES = frozenset("?bBhHiIlLqQefd")
_TEXT = frozenset((str,))

MIN_WIDE_CELLS = 256
"""Cells from which an array is copied whole instead of cell by cell; 12,288 take 20 us, not 1,500
(measured)."""


class RowBuffers:
    """Input buffers of one row: ``numbers`` (1, k) and ``strings`` (1, m), also where k or m is 0.

    Attributes
    ----------
    memory
        The bytes of ``numbers``.
    text
        The only row of ``strings``.
    touched
        Derived columns that the last row has filled.
    """

    __slots__ = ("memory", "numbers", "strings", "text", "touched")

    def __init__(self, schema: Schema) -> None:
        self.numbers: NDArray[Any] = np.zeros((1, schema.numbers_width))
        self.strings: NDArray[Any] = np.full((1, len(schema.textual)), "", dtype=object)
        self.memory = memoryview(self.numbers.data).cast("B") if schema.numeric else memoryview(b"")
        self.text = self.strings[0]
        self.touched: list[int] = []


def row_is_cell(schema: Schema) -> bool:
    """Whether a row is a dict, a list or a tensor itself, and never a container of cells."""
    return schema.kind in ("dicts", "lists", "tensor")


def row_writer(input_reader: InputReader) -> RowWriter:
    """Return the writer for rows of the schema; load calls this once."""
    schema, tensors = input_reader.schema, input_reader.tensors
    if tensors is not None:
        return lambda row, buffers: np.copyto(buffers.numbers, tensors.row_block(row))
    derive: Callable[..., None] | None = None
    if schema.derived:
        from edge_runtime.inputs.derived_columns import DerivedColumns  # which few models need

        derive = DerivedColumns(schema).write
    if schema.kind in ("dicts", "lists"):
        return lambda row, buffers: derive and derive((row,), buffers.numbers, buffers.touched)
    return _TableRow(input_reader, derive).write


def copy_wide_row(row: Any, cells: NDArray[Any]) -> bool:
    """Copy a 1-d array of plain numbers into *cells*, where float64 holds each exactly.

    Only for columns that take any finite number.  False where the row needs the checks of
    :func:`row_writer`, which accept it or name the faulty column.
    """
    if type(row) is not np.ndarray or row.shape != cells.shape:
        return False
    if row.dtype.char not in _PLAIN_DTYPES:
        return False
    cells[...] = row
    # Below 2**53 each number is finite and, if whole, exactly a float64; NaN fails.
    return bool(cells.min() > -EXACT_INTEGERS and cells.max() < EXACT_INTEGERS)


class _TableRow:
    """Writes the rows of a table.  All attributes are computed at load, none for a row."""

    __slots__ = (
        "_check_values",
        "_date_cell",
        "_derive",
        "_flags",
        "_ignores_extra",
        "_numeric",
        "_only_numbers",
        "_pack",
        "_pick",
        "_pick_numbers",
        "_pick_sources",
        "_reader",
        "_required",
        "_textual",
        "_width",
    )

    def __init__(self, input_reader: InputReader, derive: Callable[..., None] | None) -> None:
        schema, allowed_values = input_reader.schema, input_reader.allowed_values
        columns = schema.columns
        self._reader = RowReader(input_reader)
        self._derive = derive
        self._check_values = allowed_values.check_row if allowed_values else None
        self._ignores_extra = input_reader.extra_columns == "ignore"
        self._width = len(columns)
        self._pick = _picker(schema.names)
        self._pick_numbers = _picker(schema.numeric)
        self._pick_sources = _picker(schema.sources)
        self._only_numbers = len(schema.numeric) == len(columns)
        self._numeric = [(place, i, columns[i]) for place, i in enumerate(schema.numeric)]
        self._textual = [(place, i, columns[i]) for place, i in enumerate(schema.textual)]
        # Places in the numeric block that hold 0 or 1, and those that must hold a value.
        self._flags = [place for place, _, column in self._numeric if column.type == "bool"]
        self._date_cell: Callable[..., float] | None = None
        if any(column.type == "datetime" for column in columns):
            from edge_runtime.inputs.dates import date_cell  # which few models need

            self._date_cell = date_cell
        self._required = [place for place, _, column in self._numeric if not column.missing]
        self._pack = struct.Struct(f"{len(self._numeric)}d").pack_into

    def write(self, row: Any, buffers: RowBuffers) -> None:
        """Check *row* and write it into *buffers*."""
        try:
            # Dicts are the usual rows: a call fewer is 2 % of a small linear model's prediction.
            if type(row) is dict and len(row) == self._width:
                try:
                    cells = self._pick(row)
                except KeyError:
                    cells = self._reader.cells(row)
            else:
                cells = self._cells(row)
            if self._numeric:
                self._write_numbers(cells, buffers)
            for place, i, column in self._textual:
                cell = cells[i]
                is_plain = type(cell) is str and cell.isascii()
                buffers.text[place] = cell if is_plain else text_cell(cell, column)
            if self._check_values is not None:
                self._check_values(buffers.numbers[0], buffers.text)
            if self._derive is not None:
                self._derive(self._pick_sources(cells), buffers.numbers, buffers.touched)
        except (EdgeRuntimeError, MemoryError) as error:
            if isinstance(error, InputError) and (hint := self._reader.several_rows_hint(row)):
                raise InputError(hint) from error
            raise
        except Exception as error:  # a foreign class's method, or a row that changes meanwhile
            raise _unreadable(row, error) from error

    def _cells(self, row: Any) -> Sequence[Any]:
        """Return the cells in the order of the schema, without a copy where the type allows."""
        kind = type(row)
        cells: Sequence[Any]
        if kind is dict:
            if self._ignores_extra and _TEXT.issuperset(map(type, row)):
                try:
                    return self._pick(row)
                except KeyError:
                    pass
        elif kind is list:
            cells = tuple(row)  # nobody can change a tuple meanwhile
            if len(cells) == self._width:
                return cells
        elif kind is tuple:
            if len(row) == self._width:
                cells = row
                return cells
        elif kind is np.ndarray and row.shape == (self._width,) and row.dtype.char in _PLAIN_DTYPES:
            cells = row.tolist()
            return cells
        return self._reader.cells(row)

    def _write_numbers(self, cells: Sequence[Any], buffers: RowBuffers) -> None:
        numbers = cells if self._only_numbers else self._pick_numbers(cells)
        if self._date_cell is not None:
            for place, i, column in self._numeric:
                convert = self._date_cell if column.type == "datetime" else number_cell
                buffers.numbers[0, place] = convert(cells[i], column)
            return
        try:
            # The length of the vector bounds every number in it.  Below 2**53, each of them is
            # finite and, if whole, exactly a float64.
            are_exact = _PLAIN_TYPES.issuperset(map(type, numbers)) and (
                hypot(*numbers) < EXACT_INTEGERS or self._are_exact_or_missing(numbers)
            )
        except OverflowError:  # an int beyond float64
            are_exact = False
        if are_exact and (not self._flags or all(numbers[i] in (0, 1) for i in self._flags)):
            self._pack(buffers.memory, 0, *numbers)
        else:
            for place, i, column in self._numeric:
                buffers.numbers[0, place] = number_cell(cells[i], column)

    def _are_exact_or_missing(self, numbers: Sequence[Any]) -> bool:
        """Test whether NaN is the only fault of *numbers*, in columns that may be missing."""
        present = [number for number in numbers if number == number]
        return hypot(*present) < EXACT_INTEGERS and all(
            numbers[place] == numbers[place] for place in self._required
        )


def _picker(keys: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """Return a function from a container to its values at *keys*, in their order."""
    if len(keys) > 1:
        return cast("Callable[[Any], Sequence[Any]]", itemgetter(*keys))
    return lambda container: [container[key] for key in keys]  # itemgetter gives one bare value


class RowReader:
    """Reads the cells of one row, in the order of the schema, from any kind of container."""

    def __init__(self, input_reader: InputReader) -> None:
        schema = input_reader.schema
        self._schema = schema
        self._check_names = input_reader.check_names
        self._names = frozenset(schema.names)
        self._pick = _picker(schema.names)
        self._width = len(schema.columns)
        self._expected = f"expected a row of {quantity(self._width, 'cell')}"
        self._is_one_cell = row_is_cell(schema)
        self._cells_may_be_rows = any(
            column.type in ("dict", "list", "tensor") for column in schema.columns
        )

    def cells(self, row: Any) -> Sequence[Any]:
        """Return the row's cells.

        Raises
        ------
        InputError
            The container is not a row of the schema; the cells are not checked.
        """
        if self._is_one_cell:
            return (row,)
        try:
            return self._from_row(row)
        except (EdgeRuntimeError, MemoryError):
            raise
        except Exception as error:  # the methods of a foreign class may raise anything
            raise _unreadable(row, error) from error

    def several_rows_hint(self, row: Any) -> str | None:
        """Return a message when *row* is a list of rows, None otherwise."""
        if self._cells_may_be_rows or type(row) not in (list, tuple) or not row:
            return None
        name = kind_name(row[0])
        if not issubclass(type(row[0]), dict | list | tuple):
            return None
        if len(row) == 1:
            return f"expected one row, found a list of one {name}; pass the {name} itself"
        return f"expected one row, found a list of {len(row)} {name}s; for several rows use predict"

    def _from_row(self, row: Any) -> Sequence[Any]:
        if isinstance(row, Mapping):
            return self._from_mapping(row)
        if isinstance(row, str) and self._schema.kind == "text":
            return (row,)
        if isinstance(row, np.ndarray):
            if row.ndim != 1:
                is_one = row.ndim == 2 and len(row) == 1
                raise InputError(
                    f"expected one row, a 1-d array of {self._width}, found shape {row.shape}; "
                    + ("pass row[0]" if is_one else "for several rows use predict")
                )
            row = unmasked(row)
        elif hasattr(row, "columns") or hasattr(row, "column_names"):
            raise InputError(
                f"expected one row of {quantity(self._width, 'cell')}, found a table "
                f"({kind_name(row)}); for several rows use predict, for one of them "
                "predict_one(table.iloc[0])"
            )
        elif hasattr(row, "to_dict"):  # a pandas Series, whose cells have names
            return self._from_mapping(self._series_to_dict(row))
        elif isinstance(row, str | bytes | bytearray) or not isinstance(row, Sequence):
            raise InputError(
                f"{self._expected} (dict, sequence or 1-d array), found {kind_name(row)}"
            )
        cells = tuple(row)  # a copy: a foreign class may report another length later
        if len(cells) != self._width:
            hint = self.several_rows_hint(cells)
            raise InputError(
                hint or f"expected {quantity(self._width, 'cell')}, found {len(cells)}"
            )
        return cells

    def _from_mapping(self, row: Mapping[Any, Any]) -> Sequence[Any]:
        # Reads only names that the mapping lists: a defaultdict would invent a value for another.
        names = list(row)
        if len(names) != self._width or self._names.symmetric_difference(names):
            self._check_names(names)
        return self._pick(with_text_names(row))

    def _series_to_dict(self, series: Any) -> Mapping[Any, Any]:
        """Return the cells of a pandas *series* by name; refuse names that appear twice."""
        cells = series.to_dict()
        if not isinstance(cells, Mapping):
            raise InputError(
                f"{self._expected}, found {kind_name(series)}, whose to_dict gives no dict"
            )
        names = list(series.keys()) if hasattr(series, "keys") else list(cells)
        if len(names) != len(cells):  # the dict hides a name that appears twice
            self._check_names(names)
        by_position = self._schema.kind in ("array", "vector") and len(names) == self._width
        if by_position and set(text_names(names)) != self._names:
            raise InputError(
                f"{self._expected}, found a {kind_name(series)} with names of its own; "
                "the model was trained without names: pass row.to_numpy()"
            )
        return cells


def _unreadable(row: Any, error: Exception) -> InputError:
    return InputError(
        f"the {kind_name(row)} cannot be read as a row: {describe_error(error)}; pass a dict, a "
        "sequence or a 1-d array"
    )
