"""Define the symbolic array that a user's function gets while it is traced.

A :class:`TracedArray` behaves like the ndarray that the function was written for.  It can be
indexed, assigned to and passed to numpy.  It holds a tensor of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.date_kinds import DateKind
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.fourier import ComplexTensor
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.branches import Branches
from edge_pipeline.conversion.tracing.casts import cast
from edge_pipeline.conversion.tracing.dispatch import trace_function, trace_ufunc
from edge_pipeline.conversion.tracing.indexing import indexed
from edge_pipeline.conversion.tracing.numpy_functions import reshape, transpose
from edge_pipeline.conversion.tracing.row_conditions import row_condition
from edge_pipeline.conversion.tracing.spectra import TracedComplex

__all__ = ["ROWS", "TracedArray", "Tracer"]

ROWS = 10_007
"""The value of ``len(X)`` and ``X.shape[0]``: a prime that is unlikely as the length of an array.

A constant of that length with equal rows (``np.ones((len(X), 1))``) is one row, repeated.  Any
other depends on the position of a row in the batch, and is refused."""


class Tracer:
    """Convert tensors to traced arrays and back, for one call of a user's function.

    Parameters
    ----------
    rows
        A tensor with as many rows as the batch.
    vector, dates
        ``Context.vector``, which converts a frame of one column to a vector, and ``Context.dates``.
    make_frame
        ``TracedFrame.of``, where the function may use pandas.
    """

    def __init__(
        self,
        rows: Tensor,
        vector: Callable[[Frame], Tensor],
        make_frame: Callable[[Tracer, dict[Any, Any]], Any] | None = None,
        dates: dict[tuple[str, int], DateKind] | None = None,
    ) -> None:
        self.rows = rows
        self.vector = vector
        self.branches = Branches()
        self.dates = {} if dates is None else dates
        self._make_frame = make_frame

    def frame(self, columns: dict[Any, Any]) -> Any:
        """Make a traced frame of columns."""
        if self._make_frame is None:
            raise TypeError("data frames have no form here")
        return self._make_frame(self, columns)

    def wrap(self, value: Any) -> Any:
        """Wrap tensors, also in lists, in traced arrays; return other values as they are."""
        if isinstance(value, ComplexTensor):
            return TracedComplex(self, value)
        if isinstance(value, Tensor):
            return TracedArray(self, value)
        if type(value) in (list, tuple) and any(isinstance(item, Tensor) for item in value):
            return type(value)(self.wrap(item) for item in value)
        return value

    def unwrap(self, value: Any) -> Any:
        """Unwrap traced arrays, also in lists, and convert constants with a row for every row."""
        if hasattr(type(value), "to_tensor"):
            return value.to_tensor()
        if type(value) in (list, tuple):
            return type(value)(self.unwrap(item) for item in value)
        if type(value) is dict:
            return {key: self.unwrap(item) for key, item in value.items()}
        if isinstance(value, np.ndarray) and ROWS in value.shape:
            return self._repeated_row(value)
        return value

    def _repeated_row(self, value: Any) -> Tensor:
        axis = value.shape.index(ROWS)
        first = np.take(value, 0, axis)
        if not (value == np.expand_dims(first, axis)).all():
            raise TypeError(
                "an array that differs from row to row (np.arange(len(X)), random numbers) depends "
                "on where a row stands in the batch"
            )
        full = ops.full_rows(self.rows, first)
        return transpose(full, [*range(1, axis + 1), 0, *range(axis + 1, full.ndim)])


class TracedArray:
    """A symbolic array with the interface of ndarray.  Assignment replaces its tensor."""

    __array_priority__ = 1000

    def __init__(self, tracer: Tracer, tensor: Tensor, *, is_integer: bool = False) -> None:
        self._tracer = tracer
        self._tensor = tensor
        self._is_integer = is_integer  # assigned values lose their fraction, as in numpy

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """Make ``isinstance(X, np.ndarray)`` in a user's function hold."""
        return np.ndarray

    def to_tensor(self) -> Tensor:
        """Return the tensor of the graph."""
        return self._tensor

    def _wrap(self, value: Any) -> Any:
        """Wrap a tensor in this type of array."""
        return self._tracer.wrap(value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(getattr(type(value), "is_traced_frame", False) for value in inputs):
            return NotImplemented
        unwrap = self._tracer.unwrap
        result = trace_ufunc(ufunc, method, unwrap(inputs), unwrap(kwargs))
        out = kwargs.get("out", (None,))[0]
        if type(out) is type(self):
            out._tensor = result
            return out
        return self._wrap(result)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(getattr(kind, "is_traced_frame", False) for kind in types):
            return NotImplemented
        unwrap = self._tracer.unwrap
        if func in (np.any, np.all) and args and args[0] is self:
            condition = row_condition(self._tracer, func, self._tensor, *args[1:], **kwargs)
            if condition is not None:
                return condition
        if func is np.piecewise:
            args = (*args[:2], [self._over_tensors(value) for value in args[2]])
        result = trace_function(func, unwrap(args), unwrap(kwargs))
        if func is np.shape:
            return _numpy_shape(result)
        return self._wrap(result)

    def _over_tensors(self, value: Any) -> Any:
        """Turn a user's function of arrays into one of tensors; return other values unchanged."""
        if not callable(value):
            return value
        return lambda tensor: self._tracer.unwrap(value(self._wrap(tensor)))

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "a traced array has no values yet; use numpy's functions by their names "
            "(np.column_stack, np.where, …)"
        )

    def __getitem__(self, key: Any) -> Any:
        keys = self._tracer.unwrap(key if type(key) is tuple else (key,))
        return self._wrap(indexed(self._tensor, keys))

    def __setitem__(self, key: Any, value: Any) -> None:
        keys = list(self._tracer.unwrap(key if type(key) is tuple else (key,)))
        value = self._tracer.unwrap(value)
        x = self._tensor
        tensor = value if isinstance(value, Tensor) else x.graph.constant(value, x.dtype)
        if self._is_integer:
            tensor = tensor.astype(np.int64)
        self._tensor = _assign(x, keys, tensor.astype(x.dtype))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        size = self._tensor.shape[0]
        if size is None:
            raise TypeError("a loop over the rows has no form; compute with whole columns")
        return (self[i] for i in range(size))

    def __bool__(self) -> bool:
        x = self._tensor
        if x.is_string:
            raise TypeError("the truth of a text has no form in a graph; compare it with ''")
        return self._tracer.branches.decide(x if x.dtype == np.bool_ else ~(x == 0))

    def __float__(self) -> float:
        raise TypeError(
            "float(), int() and the functions of math take one number; use numpy's of that name"
        )

    __int__ = __index__ = __complex__ = __float__

    def __hash__(self) -> int:
        raise TypeError(
            "a look-up of a value in a dict or set: use series.map(dict), .isin(values)"
        )

    def __repr__(self) -> str:
        return f"<traced array of {self._tensor.dtype}, shape {self._tensor.shape}>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Return numpy's shape, with :data:`ROWS` for the rows."""
        return _numpy_shape(self._tensor.shape)

    @property
    def ndim(self) -> int:
        """Return the number of dimensions."""
        return self._tensor.ndim

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return numpy's dtype."""
        return self._tensor.dtype

    @property
    def T(self) -> Any:  # noqa: N802 - numpy's name
        """Transpose; the function's result must have the rows first again."""
        return self._wrap(transpose(self._tensor))

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        """Cast between numbers and booleans."""
        return self._wrap(cast(self._tensor, dtype))

    def copy(self, *_: Any, **__: Any) -> Any:
        """Copy; assignments to the copy leave this array as it is."""
        copy = self._wrap(self._tensor)
        copy._is_integer = self._is_integer
        return copy

    __copy__ = copy

    def __deepcopy__(self, _: Any) -> Any:
        return self.copy()

    def reshape(self, *shape: Any, **_: Any) -> Any:
        """Reshape as numpy does; the rows stay rows."""
        sizes = shape[0] if len(shape) == 1 and type(shape[0]) is tuple else shape
        return self._wrap(reshape(self._tensor, tuple(None if s == ROWS else s for s in sizes)))

    def toarray(self) -> Any:
        """Return the array itself: a sparse result of scikit-learn is traced as a dense one."""
        return self

    todense = toarray

    def ravel(self, *_: Any, **__: Any) -> Any:
        """Flatten an array with one column."""
        return self.reshape(-1)

    flatten = ravel

    def transpose(self, *axes: Any) -> Any:
        """Transpose as numpy does."""
        order = axes[0] if len(axes) == 1 and type(axes[0]) is tuple else axes
        return self._wrap(transpose(self._tensor, order or None))

    def fill(self, value: Any) -> None:
        """Set every element to *value*."""
        self[...] = value

    def item(self, *_: Any) -> Any:
        """Refuse: no single value is known."""
        return self.__float__()

    tolist = item

    def round(self, decimals: int = 0, *_: Any) -> Any:
        """Round as numpy does."""
        return np.round(self, decimals)

    __round__ = round


def _numpy_shape(shape: Any) -> tuple[int, ...]:
    return tuple(ROWS if size is None else size for size in shape)


def _assign(x: Tensor, keys: list[Any], value: Tensor) -> Tensor:
    """Return *x* with the elements at *keys* replaced, as ``x[keys] = value`` does."""
    if any(k is Ellipsis for k in keys):
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (x.ndim - len(keys) + 1)
    mask: Tensor | None = None
    if keys and isinstance(keys[0], Tensor) and keys[0].dtype == np.bool_:
        mask, keys = keys[0], [slice(None)] * keys[0].ndim + keys[1:]
        if value.ndim and len(keys) != x.ndim + 1:
            raise TypeError("assigning an array by a condition: use np.where(condition, new, old)")
    if x.ndim != 2 or len(keys) == 1:
        if any(k != slice(None) for k in keys):
            raise TypeError("assigning to rows of the batch has no form in a graph")
        condition = x.graph.constant(True) if mask is None else _expanded_mask(mask, x)
        return ops.where(condition, value, x)
    if not isinstance(keys[0], slice) or keys[0] != slice(None):
        raise TypeError("assigning to rows of the batch has no form in a graph")
    return _assign_columns(x, np.arange(x.width)[keys[1]], value, mask)


def _assign_columns(x: Tensor, columns: Any, value: Tensor, mask: Tensor | None) -> Tensor:
    """Return the matrix *x* with some columns replaced, in the rows where *mask* is true."""
    if value.ndim == 1 and np.ndim(columns) == 0:
        value = ops.expand_dims(value, 1)
    columns = np.atleast_1d(columns)
    if value.ndim and value.shape[-1] not in (1, None):
        # Give value as many columns as x has; the columns that are not assigned do not matter.
        source = np.zeros(x.width, dtype=np.int64)
        source[columns] = np.arange(len(columns))
        value = ops.take(value, source, value.ndim - 1)
    condition = x.graph.constant(np.isin(np.arange(x.width), columns))
    if mask is not None:
        condition = _expanded_mask(mask, x) & condition
    return ops.where(condition, value, x)


def _expanded_mask(mask: Tensor, x: Tensor) -> Tensor:
    return ops.expand_dims(mask, 1) if mask.ndim < x.ndim else mask


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: TracedArray, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__doc__ = f"Call numpy.{function.__name__}."
    return method


def _operator(ufunc: np.ufunc, reflected: bool) -> Callable[[Any, Any], Any]:
    def binary(self: TracedArray, operand: Any) -> Any:
        if getattr(type(operand), "is_traced_frame", False):
            return NotImplemented
        return ufunc(operand, self) if reflected else ufunc(self, operand)

    return binary


_OPERATORS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "divmod": np.divmod, "pow": np.power,
    "matmul": np.matmul, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
}  # fmt: skip
_COMPARISONS = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
    "ne": np.not_equal,
}  # fmt: skip
_NUMPY_METHODS = (
    "sum", "mean", "std", "var", "min", "max", "prod", "any", "all", "argmax", "argmin", "cumsum",
    "cumprod", "clip", "squeeze", "swapaxes", "dot", "take", "repeat", "argsort",
)  # fmt: skip
_UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}

for _name, _ufunc in _OPERATORS.items():
    setattr(TracedArray, f"__{_name}__", _operator(_ufunc, False))
    setattr(TracedArray, f"__r{_name}__", _operator(_ufunc, True))
for _name, _ufunc in _COMPARISONS.items():
    setattr(TracedArray, f"__{_name}__", _operator(_ufunc, False))
for _name, _ufunc in _UNARY.items():
    setattr(TracedArray, f"__{_name}__", _method(_ufunc))
for _name in _NUMPY_METHODS:
    setattr(TracedArray, _name, _method(getattr(np, _name)))
