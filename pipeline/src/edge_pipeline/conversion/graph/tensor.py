"""Symbolic arrays: what a converter computes with, in place of numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_pipeline.conversion.graph.types import ONNX_TYPES, STRING, Shape
from edge_pipeline.data.zeros import Zeros

if TYPE_CHECKING:
    from edge_pipeline.conversion.graph.builder import Graph

__all__ = [
    "Tensor",
    "arithmetic",
    "broadcast",
    "comparison",
    "expand_dims",
    "getitem",
    "graph_of",
    "matmul",
    "squeeze",
    "take",
]


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array of the graph: its name, dtype and static shape.

    ``zeros`` is other than "stored" where scikit-learn has a sparse matrix in place of this array.
    XGBoost takes its absent zeros for missing values.

    Arithmetic, comparison, ``@`` and indexing write nodes.  Constants on either side may be numbers
    or ndarrays.  ``edge_pipeline.conversion.graph.ops`` has the other operations under numpy's
    names.  numpy's own functions refuse a tensor: what a user's function computes with is an array
    of ``edge_pipeline.conversion.tracing``.
    """

    graph: Graph
    name: str
    dtype: np.dtype[Any]
    shape: Shape
    zeros: Zeros = "stored"

    __array_ufunc__ = None  # so that ``ndarray + tensor`` calls Tensor.__radd__ (NEP 13)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def width(self) -> int:
        """Size of the last dimension.

        Raises
        ------
        ValueError
            It is not known before the graph runs.
        """
        last = self.shape[-1]
        if last is None:
            raise ValueError(f"{self.name} has no static width: shape {self.shape}")
        return last

    @property
    def is_string(self) -> bool:
        """Whether the elements are strings."""
        return self.dtype == STRING

    def astype(self, dtype: Any) -> Tensor:
        """Cast, as numpy's astype does between numbers and booleans."""
        target = np.dtype(dtype)
        if target == self.dtype:
            return self
        cast = self.graph.node("Cast", self, to=ONNX_TYPES[target], dtype=target, shape=self.shape)
        return cast if cast.zeros == self.zeros else replace(cast, zeros=self.zeros)

    def __bool__(self) -> bool:
        raise TypeError("the value of a traced array is not known before the graph runs")

    def __iter__(self) -> Any:
        raise TypeError("a traced array cannot be iterated over: its rows are not known yet")

    def __getitem__(self, key: Any) -> Tensor:
        return getitem(self, key)

    def __add__(self, other: Any) -> Tensor:
        return arithmetic("Add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return arithmetic("Add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return arithmetic("Sub", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return arithmetic("Sub", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return arithmetic("Mul", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return arithmetic("Mul", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return arithmetic("Div", _float(self), other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return arithmetic("Div", other, _float(self))

    def __pow__(self, other: Any) -> Tensor:
        return arithmetic("Pow", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return arithmetic("Pow", other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return matmul(other, self)

    def __neg__(self) -> Tensor:
        return self.graph.node("Neg", self, dtype=self.dtype, shape=self.shape)

    def __abs__(self) -> Tensor:
        return self.graph.node("Abs", self, dtype=self.dtype, shape=self.shape)

    def __lt__(self, other: Any) -> Tensor:
        return comparison("Less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return comparison("LessOrEqual", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return comparison("Greater", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return comparison("GreaterOrEqual", self, other)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return comparison("Equal", self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ~comparison("Equal", self, other)

    def __and__(self, other: Any) -> Tensor:
        return comparison("And", self, other)

    def __or__(self, other: Any) -> Tensor:
        return comparison("Or", self, other)

    def __xor__(self, other: Any) -> Tensor:
        return comparison("Xor", self, other)

    def __invert__(self) -> Tensor:
        return self.graph.node("Not", self, dtype=np.bool_, shape=self.shape)

    __hash__ = object.__hash__

    @property
    def T(self) -> Tensor:  # noqa: N802 - numpy's name
        """Transposed; of two dimensions."""
        shape = self.shape[::-1]
        return self.graph.node("Transpose", self, dtype=self.dtype, shape=shape)


def arithmetic(op: str, x: Any, y: Any) -> Tensor:
    """A binary operator on numbers, promoted as numpy does."""
    graph = graph_of(x, y)
    dtype = _promoted(x, y)
    if dtype == STRING:
        raise TypeError(f"{op} of text has no form in a graph")
    a, b = _as(graph, x, dtype), _as(graph, y, dtype)
    return graph.node(op, a, b, dtype=dtype, shape=broadcast(a.shape, b.shape))


def comparison(op: str, x: Any, y: Any) -> Tensor:
    """A binary operator whose answer is boolean."""
    graph = graph_of(x, y)
    dtype = _promoted(x, y)
    if dtype == STRING and op != "Equal":
        raise TypeError(f"{op} of text has no form in a graph")
    a, b = _as(graph, x, dtype), _as(graph, y, dtype)
    return graph.node(op, a, b, dtype=np.bool_, shape=broadcast(a.shape, b.shape))


def matmul(x: Any, y: Any) -> Tensor:
    """Matrix product of two dimensions (or of a stack of matrices)."""
    graph = graph_of(x, y)
    dtype = np.result_type(
        *(v.dtype if isinstance(v, Tensor) else np.asarray(v).dtype for v in (x, y))
    )
    if isinstance(x, Tensor) and x.ndim == 2 and not isinstance(y, Tensor) and np.ndim(y) == 1:
        # onnxruntime 1.32 takes one row after the other by a vector: 1,000 in 200 us, not in 7.
        return squeeze(matmul(x, np.asarray(y)[:, np.newaxis]), 1)
    a, b = (v.astype(dtype) if isinstance(v, Tensor) else graph.constant(v, dtype) for v in (x, y))
    if a.ndim == 1 or b.ndim == 1:
        if b.ndim == 1 and a.ndim >= 2:
            shape: Shape = a.shape[:-1]
        else:
            shape = b.shape[:-2] + b.shape[-1:] if b.ndim >= 2 else ()
    else:
        shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    return graph.node("MatMul", a, b, dtype=dtype, shape=shape)


def take(x: Any, indices: Any, axis: int = 0) -> Tensor:
    """Select along *axis* by positions (numpy's take)."""
    graph = graph_of(x, indices)
    source, at = graph.tensor(x), graph.tensor(indices)
    axis %= source.ndim
    shape = source.shape[:axis] + at.shape + source.shape[axis + 1 :]
    return graph.node("Gather", source, at, axis=axis, dtype=source.dtype, shape=shape)


def expand_dims(x: Tensor, axis: int) -> Tensor:
    """A new axis of size 1."""
    axis %= x.ndim + 1
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    return x.graph.node("Unsqueeze", x, np.array([axis]), dtype=x.dtype, shape=shape)


def squeeze(x: Tensor, axis: int = -1) -> Tensor:
    """Without the axis of size 1."""
    axis %= x.ndim
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    return x.graph.node("Squeeze", x, np.array([axis]), dtype=x.dtype, shape=shape)


def getitem(x: Tensor, key: Any) -> Tensor:
    """Index along the columns: ``x[:, k]``, ``x[:, a:b:c]``, ``x[:, [..]]``, None, Ellipsis."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in [k for k in keys if k is Ellipsis]:
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        missing = x.ndim - (len(keys) - 1 - sum(k is None for k in keys))
        keys[at : at + 1] = [slice(None)] * missing
    axis = 0
    for item in keys:
        if item is None:
            x = expand_dims(x, axis)
        elif isinstance(item, slice):
            if item != slice(None):
                x = _slice(x, axis, item)
        elif isinstance(item, int | np.integer):
            x = take(x, np.array(_position(x, axis, int(item)), dtype=np.int64), axis)
            continue
        elif isinstance(item, Tensor):
            x = take(x, item, axis)
        else:
            x = take(x, _positions(x, axis, np.asarray(item)), axis)
        axis += 1
    return x


def _slice(x: Tensor, axis: int, key: slice) -> Tensor:
    size = x.shape[axis]
    if size is None:
        raise ValueError("the rows of a batch cannot be sliced: an answer is a function of one row")
    start, stop, step = key.indices(size)
    if step < 0:
        return take(x, np.arange(start, stop, step, dtype=np.int64), axis)
    shape = (*x.shape[:axis], len(range(start, stop, step)), *x.shape[axis + 1 :])
    bounds = [np.array([value], dtype=np.int64) for value in (start, stop, axis, step)]
    return x.graph.node("Slice", x, *bounds, dtype=x.dtype, shape=shape)


def _position(x: Tensor, axis: int, item: int) -> int:
    size = x.shape[axis]
    if size is None:
        raise ValueError("one row of a batch cannot be picked: an answer is a function of one row")
    if not -size <= item < size:
        raise IndexError(f"index {item} is out of bounds for axis {axis} with size {size}")
    return item % size


def _positions(x: Tensor, axis: int, item: Any) -> Any:
    if item.dtype == np.bool_:
        item = np.flatnonzero(item)
    return np.array([_position(x, axis, int(i)) for i in item.ravel()], dtype=np.int64)


def broadcast(*shapes: Shape) -> Shape:
    """Numpy's broadcasting, where None (the rows) meets 1 or itself."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    result: list[int | None] = []
    for sizes in zip(*padded, strict=True):
        distinct = {size for size in sizes if size != 1}
        if len(distinct) > 1 and None not in distinct:
            raise ValueError(f"shapes {shapes} do not broadcast")
        result.append(None if None in distinct else distinct.pop() if distinct else 1)
    return tuple(result)


def graph_of(*values: Any) -> Graph:
    """The innermost graph among the operands' (a body sees its parents' tensors)."""
    graphs = [value.graph for value in values if isinstance(value, Tensor)]
    return max(graphs, key=_depth)


def _depth(graph: Graph) -> int:
    return 0 if graph._parent is None else 1 + _depth(graph._parent)


def _promoted(x: Any, y: Any) -> np.dtype[Any]:
    kinds = [v.dtype if isinstance(v, Tensor) else _constant_kind(v) for v in (x, y)]
    if STRING in kinds:
        return STRING
    return np.result_type(*kinds)


def _constant_kind(value: Any) -> Any:
    """A Python number adapts to the tensor beside it; an array has its own dtype."""
    if isinstance(value, bool | int | float):
        return type(value)(0) if not isinstance(value, bool) else np.bool_
    array = np.asarray(value)
    return STRING if array.dtype.kind in "US" else array.dtype


def _as(graph: Graph, value: Any, dtype: np.dtype[Any]) -> Tensor:
    return value.astype(dtype) if isinstance(value, Tensor) else graph.constant(value, dtype)


def _float(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype.kind == "f" else tensor.astype(np.float64)
