"""Arrays of the graph in, scikit-learn's own dtype out; a cast that would lose something fails."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.manifest import Output
from edge_runtime.errors import InferenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_trained", "labels_at", "plain", "squeezed"]


def as_trained(answer: NDArray[Any], output: Output, n_rows: int) -> NDArray[Any]:
    """*answer* in the dtype that scikit-learn answers with.

    Raises
    ------
    InferenceError
        The number of rows is another, or the cast would lose something: the graph contradicts
        its manifest.
    """
    if answer.ndim < 1 or len(answer) != n_rows:
        raise InferenceError(
            f"{output.name}: expected {n_rows} rows, the graph gives the shape {answer.shape}"
        )
    dtype = _dtype(output.dtype)
    if answer.dtype is dtype or answer.dtype == dtype:
        return answer
    if dtype.kind == "U" and answer.dtype.kind == "O":
        longest = max(map(len, answer.ravel().tolist()), default=0)
        if longest * 4 <= dtype.itemsize:
            return answer.astype(dtype)
    elif dtype.kind == "O":
        return answer.astype(dtype)
    elif dtype.kind in "fiub" and answer.dtype.kind in "fiub" and _in_range(answer, dtype):
        with np.errstate(over="ignore"):  # beyond float32: infinite, as in scikit-learn's float32
            cast = answer.astype(dtype)
        # float64 to float32 rounds as scikit-learn's own float32 answer was rounded.
        if dtype.kind == "f" or np.array_equal(cast, answer):
            return cast
    raise InferenceError(
        f"{output.name}: the graph answers in {answer.dtype}, which {output.dtype} cannot hold"
    )


def labels_at(
    numbers: NDArray[Any], labels: NDArray[Any], output: Output, n_rows: int
) -> NDArray[Any]:
    """The labels at the positions *numbers*, as :func:`as_trained` would give them."""
    if numbers.ndim < 1 or len(numbers) != n_rows:
        raise InferenceError(
            f"{output.name}: expected {n_rows} rows, the graph gives the shape {numbers.shape}"
        )
    try:
        named: NDArray[Any] = labels[numbers]
    except IndexError as error:
        raise InferenceError(f"{output.name}: the graph gives a label that is none") from error
    return named


def squeezed(answer: NDArray[Any], output: Output) -> NDArray[Any]:
    """*answer* without its second axis, which must have the length 1."""
    if answer.ndim != 2 or answer.shape[1] != 1:
        raise InferenceError(
            f"{output.name}: expected one column, the graph gives the shape {answer.shape}"
        )
    return answer[:, 0]


def plain(answer: NDArray[Any]) -> Any:
    """The answer for the only row, as a Python value: a label, a float, or a list of them."""
    return answer.item() if answer.ndim == 1 else answer[0].tolist()


def _in_range(answer: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether a cast of floats to whole numbers means the same on every CPU.

    Elsewhere x86 gives the lowest number and ARM the nearest: of 2**63 it makes 2**63 - 1, which
    compares equal to it.
    """
    if answer.dtype.kind != "f" or dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return bool(((answer >= limits.min) & (answer < float(limits.max) + 1.0)).all())


# Reading a name takes 0.3 us, as much as the rest of a small answer.
_dtype = lru_cache(64)(np.dtype)
