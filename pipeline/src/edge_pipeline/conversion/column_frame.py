"""Hold columns of several dtypes side by side, as ColumnTransformer selects them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from edge_pipeline.conversion.graph.ops import concatenate, expand_dims, take
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.data.zeros import Zeros

__all__ = [
    "Frame",
    "ImputedColumn",
    "fault_of_cells",
    "frame_of",
    "in_float64",
    "join",
    "matrix_of",
    "zeros_of",
]


@dataclass(frozen=True)
class Frame:
    """Columns by reference: each is a position in a two-dimensional tensor.

    Selecting and reordering columns writes no node; only :meth:`matrix` writes some.
    """

    columns: tuple[tuple[Tensor, int], ...]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)

    def select(self, positions: Iterable[int]) -> Frame:
        """Return the columns at *positions*, in that order."""
        return Frame(tuple(self.columns[int(i)] for i in positions))

    def column(self, position: int) -> Tensor:
        """Return one column, shape (n_samples, 1)."""
        return self.select([position]).matrix()

    def runs(self) -> list[Tensor]:
        """Return the columns in as few tensors as possible, in order."""
        result: list[Tensor] = []
        start = 0
        for i in range(1, self.width + 1):
            if i == self.width or self.columns[i][0] is not self.columns[start][0]:
                tensor = self.columns[start][0]
                result.append(_gather(tensor, [p for _, p in self.columns[start:i]]))
                start = i
        return result

    def matrix(self) -> Tensor:
        """Return all columns in one tensor; they must be all numbers or all strings."""
        kinds = {tensor.is_string for tensor, _ in self.columns}
        if len(kinds) != 1:
            contents = "numbers and strings" if kinds else "no columns"
            raise ValueError(f"{contents} do not make one matrix")
        return _with_zeros(concatenate(self.runs(), 1), zeros_of(self))


class ImputedColumn(NamedTuple):
    """A column as it was before an imputer replaced *marker*, a missing value, by *fill_value*."""

    tensor: Tensor
    position: int
    marker: Any
    fill_value: Any


def frame_of(X: Tensor | Frame) -> Frame:
    """Return *X* as columns."""
    if isinstance(X, Frame):
        return X
    matrix = matrix_of(X)
    return Frame(tuple((matrix, i) for i in range(matrix.width)))


def matrix_of(X: Tensor | Frame) -> Tensor:
    """Return *X* as one tensor of at least two dimensions; a vector becomes a column."""
    if isinstance(X, Frame):
        return X.matrix()
    return expand_dims(X, 1) if X.ndim == 1 else X


def fault_of_cells(X: Tensor | Frame, cells: str) -> str:
    """Say why *X* is no matrix if it has columns of the tensor *cells*; else an empty text."""
    if isinstance(X, Frame) and any(tensor.name == cells for tensor, _ in X.columns):
        return (
            "it takes one matrix, and a column holds dicts or lists; put a DictVectorizer, "
            "FeatureHasher or MultiLabelBinarizer before it"
        )
    return ""


def in_float64(X: Tensor | Frame) -> Tensor | Frame:
    """Return *X* with its numbers and booleans as float64; strings stay.

    The graph's input is float64.  A step may compute integers or booleans, for which onnxruntime
    lacks many operators.  scikit-learn's ``check_array`` promotes them too.
    """
    if isinstance(X, Tensor):
        return X if X.is_string else X.astype(np.float64)
    if all(t.is_string or t.dtype == np.float64 for t, _ in X.columns):
        return X
    tensors = {id(tensor): in_float64(tensor) for tensor, _ in X.columns}
    return Frame(tuple((tensors[id(tensor)], i) for tensor, i in X.columns))  # type: ignore[misc]


def zeros_of(X: Tensor | Frame) -> Zeros:
    """Return how scikit-learn holds the zeros of *X*; one sparse part makes the whole sparse."""
    tensors = [X] if isinstance(X, Tensor) else [tensor for tensor, _ in X.columns]
    kinds = {tensor.zeros for tensor in tensors}
    return "mixed" if "mixed" in kinds else "absent" if "absent" in kinds else "stored"


def _with_zeros(tensor: Tensor, zeros: Zeros) -> Tensor:
    return tensor if tensor.zeros == zeros else replace(tensor, zeros=zeros)


def join(parts: Sequence[Tensor | Frame]) -> Tensor | Frame:
    """Put *parts* side by side: in one matrix when all have one kind, otherwise in a Frame."""
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if len(tensors) == len(parts) and len({tensor.is_string for tensor in tensors}) == 1:
        # Not column by column: a hashed text has a million columns.
        return _side_by_side(tensors)
    frames = [frame_of(part) for part in parts]
    all_columns = Frame(tuple(column for frame in frames for column in frame.columns))
    kinds = {tensor.is_string for tensor, _ in all_columns.columns}
    if len(kinds) > 1:
        return all_columns
    tensors = [part if isinstance(part, Tensor) else part.matrix() for part in parts]
    return _side_by_side(tensors)


def _side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    matrix = concatenate([tensor for tensor in tensors if tensor.width], 1)
    return _with_zeros(matrix, zeros_of(Frame(tuple((tensor, 0) for tensor in tensors))))


def _gather(tensor: Tensor, positions: list[int]) -> Tensor:
    if positions == list(range(tensor.width)):
        return tensor
    if positions == list(range(positions[0], positions[0] + len(positions))):
        return tensor[:, positions[0] : positions[0] + len(positions)]
    return take(tensor, np.array(positions, dtype=np.int64), 1)
