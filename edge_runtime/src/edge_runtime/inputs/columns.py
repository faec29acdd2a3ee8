"""One column of cells in, a float64 vector or a list of str out, or an InputError naming the row.

The quick check looks at a whole column; only after it fails are the cells looked at one by one.
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
    "exported",
    "number_column",
    "text_column",
    "unmasked",
    "whole_numbers_to_float64",
]

CELLS_ONE_THREAD_SUMS = 8192
"""OpenBLAS hands sums of more than 10,000 products to its threads, and waiting for those took 15 ms
on a busy machine where the sum takes 3 us (measured)."""

Cells: TypeAlias = "NDArray[Any] | Sequence[Any]"
"""A column as the caller has it: a 1-d array or a list."""

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
    """*cells* as numbers (float64, or a numeric dtype that float64 holds exactly), checked.

    Raises
    ------
    InputError
        Of the first cell that :func:`~edge_runtime.inputs.cells.number_cell` refuses.
    """
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
        found = _KIND_NAMES.get(kind, "extended-precision numbers")
        raise InputError(
            f"expected numbers, found {found} (dtype {cells.dtype}); convert the column to float64",
            column=column.name,
        )
    numbers = whole_numbers_to_float64(cells, (column,))
    check_numbers(numbers.reshape(-1, 1), (column,))
    return numbers


def text_column(cells: Cells, column: Column) -> list[str]:
    """*cells* as str, missing ones as :data:`MISSING_STRING`, checked.

    Raises
    ------
    InputError
        Of the first cell that :func:`~edge_runtime.inputs.cells.text_cell` refuses.
    """
    texts: Sequence[Any] = cells.tolist() if isinstance(cells, np.ndarray) else cells
    if set(map(type, texts)) == {str}:
        joined = "".join(texts)
        if joined.isascii() or (MISSING_STRING not in joined and _is_unicode(joined)):
            return list(texts)
    return [text_cell(cell, column, row) for row, cell in enumerate(texts)]


def unmasked(array: NDArray[Any]) -> NDArray[Any]:
    """*array* as a plain ndarray; what a masked array hides is a missing value."""
    if not isinstance(array, np.ma.MaskedArray):
        return np.asarray(array)
    shown = np.array(array.data, dtype=object)
    shown[np.ma.getmaskarray(array)] = None
    return shown


def exported(column: Any) -> NDArray[Any]:
    """A pandas, polars or pyarrow *column* as an array, no cell of it rounded."""
    if hasattr(column, "to_pylist"):  # pyarrow
        if hasattr(column.type, "index_type"):  # for a gap it gives what the dictionary begins with
            column = column.cast(column.type.value_type)
        cells = np.asarray(column)
    else:
        cells = np.asarray(column.to_numpy())
    if cells.dtype.kind != "f" or isinstance(getattr(column, "dtype", None), np.dtype):
        return cells
    # Whole numbers beside a gap come as floats, which may have been rounded.
    with np.errstate(invalid="ignore"):
        large = np.abs(cells) >= EXACT_INTEGERS
    as_list = getattr(column, "to_list", None) or getattr(column, "to_pylist", None)
    if as_list is None or not large.any():
        return cells
    return np.array(as_list(), dtype=object)


def whole_numbers_to_float64(values: NDArray[Any], columns: Sequence[Column]) -> NDArray[Any]:
    """*values* as float64, refusing integers that float64 cannot hold.

    *values* has one column (1-d) or those of *columns* (2-d); a float64 array is not copied.
    """
    with np.errstate(invalid="ignore"):  # numpy warns of a signalling NaN: it is a NaN
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
    """Whether every cell of a C-contiguous *block* of floats is proven finite.

    The sum of squares of finite cells is finite, unless one of them exceeds 1e154: then False
    says nothing, and :func:`check_numbers` is to look at each.  For a row this takes 0.5 us and
    raises no warning, where ``np.isfinite(block).all()`` takes 2.6 (measured).
    """
    if block.size <= CELLS_ONE_THREAD_SUMS:
        return isfinite(np.vdot(block, block))
    cells = block.ravel()  # a view, as it is contiguous
    for start in range(0, cells.size, CELLS_ONE_THREAD_SUMS):
        some = cells[start : start + CELLS_ONE_THREAD_SUMS]
        if not isfinite(np.vdot(some, some)):  # some.dot(some) would warn of an overflow
            return False
    return True


def check_numbers(block: NDArray[Any], columns: Sequence[Column]) -> None:
    """Refuse the first cell of a float64 *block* (n, len(columns)) that its column does not allow.

    Raises
    ------
    InputError
        With the row and the column.
    """
    bad = ~np.isfinite(block)
    suspicious = bad.any()
    if suspicious:
        allowed = np.array([column.missing for column in columns])
        if allowed.any():
            bad &= ~(np.isnan(block) & allowed)
            suspicious = bad.any()
    flags = [i for i, column in enumerate(columns) if column.type == "bool"]
    if flags:
        cells = block[:, flags]
        wrong = (cells != 0.0) & (cells != 1.0) & ~np.isnan(cells)
        if wrong.any():
            bad[:, flags] |= wrong
            suspicious = True
    if suspicious:
        row, position = (int(i) for i in np.argwhere(bad)[0])
        raise refuse_number(float(block[row, position]), columns[position], row)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
