"""Symbolic arrays: what a converter computes with, in place of numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from edge_pipeline.conversion.graph.builder import Graph

__all__ = [
    "ONNX_TYPES",
    "STRING",
    "Shape",
    "Tensor",
    "arithmetic",
    "broadcast",
    "comparison",
    "graph_of",
]

STRING = np.dtype(object)
"""dtype of a string tensor, as onnxruntime's Python binding has it."""

Shape = tuple[int | None, ...]
"""Static shape; None is the number of rows."""

ONNX_TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.bool_): TensorProto.BOOL,
    STRING: TensorProto.STRING,
}


@dataclass(frozen=True, eq=False)
class Tensor:
    """The promise of an array: a name in the graph, with its dtype and static shape.

    Arithmetic, comparison, ``@`` and numpy's ufuncs write nodes; constants on either side may be
    numbers or ndarrays.  ``edge_pipeline.conversion.graph.ops`` has the rest under numpy's names.
    """

    graph: Graph
    name: str
    dtype: np.dtype[Any]
    shape: Shape

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
        wanted = np.dtype(dtype)
        if wanted == self.dtype:
            return self
        return self.graph.node("Cast", self, to=ONNX_TYPES[wanted], dtype=wanted, shape=self.shape)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from edge_pipeline.conversion.tracing.dispatch import trace_ufunc

        return trace_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from edge_pipeline.conversion.tracing.dispatch import trace_function

        return trace_function(func, args, kwargs)

    def __bool__(self) -> bool:
        raise TypeError("the value of a traced array is not known before the graph runs")

    def __iter__(self) -> Any:
        raise TypeError("a traced array cannot be iterated over: its rows are not known yet")

    def __getitem__(self, key: Any) -> Tensor:
        from edge_pipeline.conversion.graph.ops import getitem

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
        from edge_pipeline.conversion.graph.ops import matmul

        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        from edge_pipeline.conversion.graph.ops import matmul

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


def arithmetic(op: str, left: Any, right: Any) -> Tensor:
    """A binary operator on numbers, promoted as numpy does."""
    graph = graph_of(left, right)
    dtype = _promoted(left, right)
    a, b = _as(graph, left, dtype), _as(graph, right, dtype)
    return graph.node(op, a, b, dtype=dtype, shape=broadcast(a.shape, b.shape))


def comparison(op: str, left: Any, right: Any) -> Tensor:
    """A binary operator whose answer is boolean."""
    graph = graph_of(left, right)
    dtype = _promoted(left, right)
    a, b = _as(graph, left, dtype), _as(graph, right, dtype)
    return graph.node(op, a, b, dtype=np.bool_, shape=broadcast(a.shape, b.shape))


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


def _promoted(left: Any, right: Any) -> np.dtype[Any]:
    kinds = [v.dtype if isinstance(v, Tensor) else _constant_kind(v) for v in (left, right)]
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
