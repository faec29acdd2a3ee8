"""Convert one column of cells to float64 or str, or refuse it with an InputError.

A fast check covers the whole column.  Only when it fails are the cells checked one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.bundle.schema import MISSING_STRING, Column
from edge_runtime.errors import InputError
from edge_runtime.inputs.cells import EXACT_INTEGERS, number_cell, refuse_number, text_cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Cells",
    "are_finite",
    "check_numbers",
    "column_to_numpy",
    "number_column",
    "text_column",
    "unmasked",
    "whole_numbers_to_float64",
]

CELLS_ONE_THREAD_SUMS = 8192
"""Longest dot product that OpenBLAS computes without its threads, which start beyond 10,000.

Waiting for the threads took 15 ms on a busy machine; the sum takes 3 us (measured).
"""

Cells: TypeAlias = "NDArray[Any] | Sequence[Any]"
"""A column as the caller passes it: a 1-d array or a list."""

_PLAIN_NUMBERS = frozenset((float, np.float64, np.float32))
_KIND_NAMES = {
    "c": "complex numbers",
    "M": "dates and times",
    "m": "time spans",
    "S": "bytes",
    "U": "text",
    "T": "text",
    "V": "records",
}


def number_column(cells: Cells, column: Column) -> NDArray[Any]:
    """Convert *cells* to float64 and check them.

    Raises
    ------
    InputError
        For the first cell that :func:`~edge_runtime.inputs.cells.number_cell` refuses.
    """
    if column.type == "datetime":
        from edge_runtime.inputs.dates import date_column  # which few models need

        return date_column(cells, column)
    if not isinstance(cells, np.ndarray):
        if _PLAIN_NUMBERS.issuperset(map(type, cells)):
            cells = np.array(cells, dtype=np.float64)
        else:
            return np.array(
                [number_cell(cell, column, row) for row, cell in enumerate(cells)],
                dtype=np.float64,
            )
    kind = cells.dtype.kind
    if kind == "O":
        return number_column(cells.tolist(), column)
    if kind in _KIND_NAMES or cells.dtype.char == "g":
        if not len(cells):
            return np.empty(0)
        type_name = _KIND_NAMES.get(kind, "extended-precision numbers")
        is_flag = column.type == "bool"
        raise InputError(
            f"expected {'true or false' if is_flag else 'numbers'}, found {type_name} "
            f"(dtype {cells.dtype}); convert the column to {'bool' if is_flag else 'float64'}",
            column=column.name,
        )
    numbers = whole_numbers_to_float64(cells, (column,))
    check_numbers(numbers.reshape(-1, 1), (column,))
    return numbers


def text_column(cells: Cells, column: Column) -> list[str]:
    """Convert *cells* to str, missing values to :data:`MISSING_STRING`, and check them.

    Raises
    ------
    InputError
        For the first cell that :func:`~edge_runtime.inputs.cells.text_cell` refuses.
    """
    texts: Sequence[Any] = cells.tolist() if isinstance(cells, np.ndarray) else cells
    if set(map(type, texts)) == {str}:
        all_text = "".join(texts)
        if all_text.isascii() or (MISSING_STRING not in all_text and _is_unicode(all_text)):
            return list(texts)
    return [text_cell(cell, column, row) for row, cell in enumerate(texts)]


def unmasked(array: NDArray[Any]) -> NDArray[Any]:
    """Return *array* as a plain ndarray, with None for every masked cell."""
    if not isinstance(array, np.ma.MaskedArray):
        return np.asarray(array)
    cells = np.array(array.data, dtype=object)
    cells[np.ma.getmaskarray(array)] = None
    return cells


def column_to_numpy(column: Any) -> NDArray[Any]:
    """Convert a pandas, polars or pyarrow *column* to an array without rounding a cell."""
    if getattr(getattr(column, "dtype", None), "time_zone", None):  # polars: numpy has no zones
        return np.array(column.to_list(), dtype=object)
    if hasattr(column, "to_pylist"):  # pyarrow
        if getattr(column.type, "tz", None):
            return np.array(column.to_pylist(), dtype=object)
        if hasattr(column.type, "index_type"):  # else a missing value reads as the first category
            column = column.cast(column.type.value_type)
        cells = np.asarray(column)
    else:
        cells = np.asarray(column.to_numpy())
    if cells.dtype.kind != "f" or isinstance(getattr(column, "dtype", None), np.dtype):
        return cells
    # Integers with missing values arrive as floats, which may have been rounded.
    with np.errstate(invalid="ignore"):
        large = np.abs(cells) >= EXACT_INTEGERS
    as_list = getattr(column, "to_list", None) or getattr(column, "to_pylist", None)
    if as_list is None or not large.any():
        return cells
    return np.array(as_list(), dtype=object)


def whole_numbers_to_float64(values: NDArray[Any], columns: Sequence[Column]) -> NDArray[Any]:
    """Convert *values* to float64, and refuse integers that float64 cannot hold.

    *values* is one column (1-d) or the block of *columns* (2-d).  A float64 array is not copied.
    """
    with np.errstate(invalid="ignore"):  # numpy warns about a signalling NaN
        numbers: NDArray[Any] = values.astype(np.float64, copy=False)
    if values.dtype.kind in "iu" and values.dtype.itemsize > 4 and values.size:
        # 2**53 + 1 becomes 2**53 as float64, hence >= and not >.
        large = np.abs(numbers) >= EXACT_INTEGERS
        if large.any():
            flat = values.reshape(len(values), -1)
            for row, position in np.argwhere(large.reshape(flat.shape)):
                number_cell(flat[row, position], columns[position], int(row))
    return numbers


def are_finite(block: NDArray[Any]) -> bool:
    """Prove that every cell of a C-contiguous *block* of floats is finite.

    A finite sum of squares proves it.  The sum also overflows when a finite cell exceeds 1e154.
    So False proves nothing, and the caller then calls :func:`check_numbers`.  One row takes
    0.5 us without a warning; ``np.isfinite(block).all()`` takes 2.6 us (measured).
    """
    if block.size <= CELLS_ONE_THREAD_SUMS:
        return isfinite(np.vdot(block, block))
    cells = block.ravel()  # a view, as it is contiguous
    for start in range(0, cells.size, CELLS_ONE_THREAD_SUMS):
        part = cells[start : start + CELLS_ONE_THREAD_SUMS]
        if not isfinite(np.vdot(part, part)):  # part.dot(part) would warn of an overflow
            return False
    return True


def check_numbers(block: NDArray[Any], columns: Sequence[Column]) -> None:
    """Refuse the first cell of a float64 *block* (n, len(columns)) that its column forbids.

    Raises
    ------
    InputError
        With the row and the column.
    """
    is_bad = ~np.isfinite(block)
    has_bad = is_bad.any()
    if has_bad:
        may_be_missing = np.array([column.missing for column in columns])
        if may_be_missing.any():
            is_bad &= ~(np.isnan(block) & may_be_missing)
            has_bad = is_bad.any()
    flags = [i for i, column in enumerate(columns) if column.type == "bool"]
    if flags:
        cells = block[:, flags]
        is_no_flag = (cells != 0.0) & (cells != 1.0) & ~np.isnan(cells)
        if is_no_flag.any():
            is_bad[:, flags] |= is_no_flag
            has_bad = True
    if has_bad:
        row, position = (int(i) for i in np.argwhere(is_bad)[0])
        raise refuse_number(float(block[row, position]), columns[position], row)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
