"""Convert arrays of the graph to scikit-learn's dtypes and labels, without losing anything."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.manifest import Output
from edge_runtime.errors import InferenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["drop_second_axis", "label_error", "labels_at", "to_python", "to_trained_dtype"]


def to_trained_dtype(array: NDArray[Any], output: Output, n_rows: int) -> NDArray[Any]:
    """Cast *array* to the dtype of scikit-learn's prediction.

    Raises
    ------
    InferenceError
        The number of rows differs from *n_rows*, or the cast would lose something: the graph
        contradicts its manifest.
    """
    if array.ndim < 1 or len(array) != n_rows:
        raise _row_count_error(array, output, n_rows)
    dtype = _dtype(output.dtype)
    if array.dtype is dtype or array.dtype == dtype:
        return array
    if dtype.kind == "U" and array.dtype.kind == "O":
        longest = max(map(len, array.ravel().tolist()), default=0)
        if longest * 4 <= dtype.itemsize:
            return array.astype(dtype)
    elif dtype.kind == "O":
        return array.astype(dtype)
    elif dtype.kind in "fiub" and array.dtype.kind in "fiub" and _in_range(array, dtype):
        with np.errstate(over="ignore"):  # beyond float32: infinite, as in scikit-learn's float32
            cast = array.astype(dtype)
        # float64 to float32 rounds as scikit-learn itself rounded to float32.
        if dtype.kind == "f" or np.array_equal(cast, array):
            return cast
    raise InferenceError(
        f"{output.name}: the graph gives {array.dtype}, which {output.dtype} cannot hold"
    )


def labels_at(
    positions: NDArray[Any], labels: NDArray[Any], output: Output, n_rows: int
) -> NDArray[Any]:
    """Look up the labels at *positions*; they have the trained dtype already.

    Raises
    ------
    InferenceError
        The number of rows differs from *n_rows*, or a position is outside the table.
    """
    if positions.ndim < 1 or len(positions) != n_rows:
        raise _row_count_error(positions, output, n_rows)
    try:
        looked_up: NDArray[Any] = labels[positions]
    except IndexError as error:
        raise label_error(output) from error
    return looked_up


def label_error(output: Output) -> InferenceError:
    """Make the error for a label's position that is outside the table of labels."""
    return InferenceError(f"{output.name}: the graph gives a position outside the table of labels")


def drop_second_axis(array: NDArray[Any], output: Output) -> NDArray[Any]:
    """Remove the second axis, which must have the length 1."""
    if array.ndim != 2 or array.shape[1] != 1:
        raise InferenceError(
            f"{output.name}: expected one column, the graph gives the shape {array.shape}"
        )
    return array[:, 0]


def to_python(array: NDArray[Any]) -> Any:
    """Convert the prediction for the only row to a label, a float, or a list of them."""
    return array.item() if array.ndim == 1 else array[0].tolist()


def _row_count_error(array: NDArray[Any], output: Output, n_rows: int) -> InferenceError:
    return InferenceError(
        f"{output.name}: expected {n_rows} rows, the graph gives the shape {array.shape}"
    )


def _in_range(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether a cast of floats to integers gives the same on every CPU.

    Out of range, x86 gives the lowest integer and ARM the nearest: ARM casts 2**63 to 2**63 - 1,
    which compares equal to 2**63.
    """
    if array.dtype.kind != "f" or dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return bool(((array >= limits.min) & (array < float(limits.max) + 1.0)).all())


# np.dtype(name) takes 0.3 us, as much as everything else for a small array.
_dtype = lru_cache(64)(np.dtype)
