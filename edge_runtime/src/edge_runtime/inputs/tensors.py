"""Check tensors and hand them to the graph: pictures, sound, and wide arrays of one dtype.

An ndarray is checked as a whole.  One of float64 is not copied.  One of another dtype stays as it
is until the graph reads it, some rows at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.schema import Column
from edge_runtime.errors import EdgeRuntimeError, InputError
from edge_runtime.inputs.cells import EXACT_INTEGERS, describe_error, kind_name
from edge_runtime.inputs.columns import are_finite, unmasked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.bundle.tensor_type import TensorType

__all__ = ["TensorReader"]

_FLOAT64 = np.dtype(np.float64)
_MAX_CELLS_OF_LISTS = 1 << 24
"""Most numbers in lists, which take 32 bytes each."""


class TensorReader:
    """Checks the tensors of one column.

    Parameters
    ----------
    column
        Says dtype, shape, and whether a value may be missing.
    tensor
        ``column.tensor``.
    """

    def __init__(self, column: Column, tensor: TensorType) -> None:
        self._column = column
        self._shape, self._size = tensor.shape, tensor.size
        self._name = f"an array of shape {_spelled(('n', *tensor.shape))}"
        self._row_name = f"an array of shape {_spelled(tensor.shape)}"

    def block(self, X: Any) -> NDArray[Any]:
        """Return *X* as an array (n, size) of integers or floats, without a copy where possible.

        Raises
        ------
        InputError
            It has another shape, or a cell that is no finite number.
        """
        if isinstance(X, dict) and list(X) == [self._column.name]:
            X = X[self._column.name]  # as the commands pass their rows
        array = self._array(X, self._name)
        if not array.size and not len(array):
            return np.empty((0, self._size))
        if array.shape[1:] != self._shape:
            one_row = array.shape == self._shape
            hint = "for one row use predict_one(x) or x[np.newaxis]" if one_row else self._hint()
            raise InputError(f"expected {self._name}, found {_spelled(array.shape)}; {hint}")
        return self._checked(array.reshape(len(array), self._size), is_one=False)

    def row_block(self, row: Any) -> NDArray[Any]:
        """Return one row as a float64 array (1, size), without a copy where possible."""
        if type(row) is np.ndarray and row.dtype is _FLOAT64 and row.shape == self._shape:
            block = row.reshape(1, self._size)
            if self._column.limits is None and block.flags.c_contiguous and are_finite(block):
                return block
        array = self._array(row, self._row_name)
        if array.shape != self._shape:
            is_batch = array.shape[1:] == self._shape
            hint = "for several rows use predict" if is_batch else self._hint()
            raise InputError(f"expected {self._row_name}, found {_spelled(array.shape)}; {hint}")
        return self._checked(array.reshape(1, self._size), is_one=True).astype(_FLOAT64, copy=False)

    def _hint(self) -> str:
        return f"as in training: {self._column.tensor}"

    def _array(self, X: Any, expected: str) -> NDArray[Any]:
        """Return *X* as an array of numbers."""
        try:
            array = self._as_array(X, expected)
        except (EdgeRuntimeError, MemoryError):
            raise
        except Exception as error:  # the methods of a foreign class may raise anything
            raise InputError(
                f"expected {expected}, found {kind_name(X)} that is no such array: "
                f"{describe_error(error)}; pass an ndarray"
            ) from error
        if array.dtype.kind not in "fiub" or array.dtype.char == "g":
            raise InputError(
                f"expected {expected} of numbers, found dtype {array.dtype}; convert it to "
                "float64, or to the dtype of training"
            )
        return array

    def _as_array(self, X: Any, expected: str) -> NDArray[Any]:
        if isinstance(X, np.ma.MaskedArray):
            X = unmasked(X)
        elif X is None or isinstance(X, str | bytes | bytearray | dict):
            raise InputError(f"expected {expected}, found {kind_name(X)}; pass an ndarray")
        elif hasattr(X, "to_numpy"):  # a data frame, where the tensor has one axis
            X = X.to_numpy()
        array = np.asarray(X)
        if array.dtype.kind != "O":
            return array
        if array.size > _MAX_CELLS_OF_LISTS:
            raise InputError(f"expected {expected}, found {array.size} objects; pass numbers")
        for cell in array.ravel().tolist():
            if cell is not None and not isinstance(cell, bool | int | float | np.number | np.bool_):
                raise InputError(
                    f"expected {expected} of numbers, found {kind_name(cell)} in it; rows of "
                    "unequal length, or cells that are no numbers"
                )
        return array.astype(_FLOAT64)  # None becomes NaN

    def _checked(self, block: NDArray[Any], *, is_one: bool) -> NDArray[Any]:
        """Refuse the first cell of *block* that the graph must not see."""
        kind, is_wide = block.dtype.kind, block.dtype.itemsize > 4
        if kind == "f" and not (block.flags.c_contiguous and are_finite(block)):
            bad = ~np.isfinite(block)
            if self._column.missing:
                bad &= ~np.isnan(block)
            self._refuse_first(bad, block, "a finite number", is_one=is_one)
        elif kind in "iu" and is_wide and block.size:
            # 2**53 + 1 becomes 2**53 as float64, hence >= and not >.
            numbers = block.astype(_FLOAT64)
            large = np.abs(numbers) >= EXACT_INTEGERS
            self._refuse_first(large, block, "a number that float64 holds exactly", is_one=is_one)
        limits = self._column.limits
        if limits is not None:
            low = -np.inf if limits.minimum is None else limits.minimum
            high = np.inf if limits.maximum is None else limits.maximum
            beyond = (block < low) | (block > high)
            expected = f"a number {limits!s:.80}, the limits set at the build"
            self._refuse_first(beyond, block, expected, is_one=is_one)
        return block

    def _refuse_first(
        self, bad: NDArray[np.bool_], block: NDArray[Any], expected: str, *, is_one: bool
    ) -> None:
        if not bad.any():
            return
        row, cell = (int(i) for i in np.argwhere(bad)[0])
        place = _spelled(tuple(int(i) for i in np.unravel_index(cell, self._shape)))
        raise InputError(
            f"expected {expected}, found {block[row, cell].item()!r} at {place}; correct it, or "
            "leave the row out",
            row=None if is_one else row,
            column=self._column.name,
        )


def _spelled(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
