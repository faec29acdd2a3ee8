"""Define the symbolic DataFrame that a user's function gets while it is traced.

A :class:`TracedFrame` has those methods of pandas that work row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import ROWS, TracedArray, Tracer
from edge_pipeline.conversion.tracing.dates import TracedDates, series_of
from edge_pipeline.conversion.tracing.frame_columns import ColumnIndexer, ColumnMethods
from edge_pipeline.conversion.tracing.series import ROW_LABELS, TracedSeries

__all__ = ["TracedFrame"]


class TracedFrame(ColumnMethods):
    """A symbolic DataFrame: column names, and tensors that hold the columns."""

    is_traced_frame = True
    __array_priority__ = 2000

    def __init__(
        self, tracer: Tracer, names: Sequence[Any], frame: Frame, boolean_columns: Any = ()
    ) -> None:
        self._tracer = tracer
        self._names = list(names)
        self._frame = frame
        self._boolean_columns = boolean_columns

    @classmethod
    def of(cls, tracer: Tracer, columns: dict[Any, Any]) -> TracedFrame:
        """Make a frame of columns; a constant is repeated for every row."""
        frame: list[tuple[Tensor, int]] = []
        for value in columns.values():
            tensor = tracer.unwrap(value)
            if not isinstance(tensor, Tensor):
                array = np.asarray(tensor)
                tensor = ops.full_rows(tracer.rows, array.astype(object) if array.dtype.kind == "U"
                                       else array)  # fmt: skip
            frame.append((tensor if tensor.ndim == 2 else ops.expand_dims(tensor, 1), 0))
            if type(value) is TracedDates:
                tracer.dates[frame[-1][0].name, 0] = value.kind
        return cls(tracer, list(columns), Frame(tuple(frame)))

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """Make ``isinstance(df, pd.DataFrame)`` hold."""
        return pd.DataFrame

    def to_frame(self) -> Frame:
        """Return the columns as tensors of the graph."""
        return self._frame

    def to_tensor(self) -> Tensor:
        """Join all columns in one tensor.

        Raises
        ------
        TypeError
            Some columns are numbers, some strings; or one holds dates.
        """
        if any((tensor.name, i) in self._tracer.dates for tensor, i in self._frame.columns):
            raise TypeError("a column of dates beside numbers: take its parts by .dt first")
        try:
            return self._frame.matrix()
        except ValueError as error:
            raise TypeError(f"{error}; select the columns by name first") from error

    def _new(self, *parts: Any) -> TracedFrame:
        return TracedFrame(*parts)

    def _with(self, names: Sequence[Any], tensor: Tensor) -> TracedFrame:
        return TracedFrame(self._tracer, names, frame_of(tensor))

    def _elementwise(self, function: Callable[[Tensor], Tensor]) -> TracedFrame:
        parts = [frame_of(function(run)) for run in self._frame.runs()]
        return TracedFrame(
            self._tracer, self._names, Frame(tuple(c for part in parts for c in part.columns))
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Compute column by column; frames must have the same columns: pandas aligns others."""
        names = {tuple(v._names) for v in inputs if type(v) is TracedFrame}
        if len(names) > 1:
            raise TypeError("pandas aligns frames of different columns; use .to_numpy()")
        if any(type(v) is TracedSeries for v in inputs):
            raise TypeError("pandas aligns a frame and a series by name; use .div(series, axis=0)")
        arrays = [
            TracedArray(self._tracer, v.to_tensor()) if type(v) is TracedFrame else self._aligned(v)
            for v in inputs
        ]
        result = getattr(ufunc, method)(*arrays, **kwargs)
        return self._with(self._names, result.to_tensor())

    def _aligned(self, value: Any) -> Any:
        """Return the values of a pandas Series in the order of the columns; others as they are."""
        if isinstance(value, dict):
            value = pd.Series(value)
        if not isinstance(value, pd.Series):
            return value
        if set(value.index) != set(self._names):
            raise TypeError("pandas aligns a frame and a series by name, and the names differ")
        return value.reindex(self._names).to_numpy()

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = func.__name__
        if name in _REDUCTIONS and args and args[0] is self:
            return getattr(self, name)(*args[1:], **kwargs)
        result = func(*_as_arrays(args), **_as_arrays(kwargs))
        shape = getattr(result, "shape", None)
        if func in (np.where, np.select, np.concatenate, np.hstack, np.column_stack):
            return result
        if shape == (ROWS, len(self._names)) and type(result) is TracedArray:
            return self._with(self._names, result.to_tensor())
        return result

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a traced frame has no values yet; use df.to_numpy()")

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) or key in self._non_string_names():
            return self._series(key)
        if type(key) in (TracedSeries, TracedArray, TracedFrame):
            raise TypeError("selecting rows by a condition changes the batch; use np.where")
        if isinstance(key, slice):
            raise TypeError("slicing the rows changes the batch")
        names = list(key)
        if names and all(isinstance(n, bool | np.bool_) for n in names):
            names = [name for name, mask in zip(self._names, names, strict=True) if mask]
        return self._selected(names)

    def _non_string_names(self) -> list[Any]:
        return [name for name in self._names if not isinstance(name, str)]

    def _position(self, name: Any) -> int:
        if name not in self._names:
            raise KeyError(f"no column {name!r}; the columns are {self._names}")
        return self._names.index(name)

    def _series(self, name: Any) -> TracedSeries:
        column = self._frame.columns[self._position(name)]
        tensor = self._tracer.vector(Frame((column,)))
        if (column[0].name, column[1]) in self._boolean_columns:
            tensor = tensor.astype(np.bool_)
        series = series_of(self._tracer, tensor, column)
        series.name = name
        return series

    def assign_all(self, columns: dict[Any, Any]) -> TracedFrame:
        """Return a frame of other columns."""
        return TracedFrame.of(self._tracer, columns)

    def _selected(self, names: Sequence[Any]) -> TracedFrame:
        frame = self._frame.select([self._position(name) for name in names])
        return TracedFrame(self._tracer, names, frame, self._boolean_columns)

    def __setitem__(self, key: Any, value: Any) -> None:
        names = list(key) if isinstance(key, list | pd.Index) else [key]
        if len(names) > 1:
            tensor = self._tracer.unwrap(value)
            columns = [tensor[:, i] for i in range(len(names))] if isinstance(tensor, Tensor) else (
                [tensor] * len(names))  # fmt: skip
        else:
            columns = [value]
        assigned = TracedFrame.of(self._tracer, dict(zip(names, columns, strict=True)))
        new_columns = list(self._frame.columns)
        for name, column in zip(names, assigned._frame.columns, strict=True):
            if name in self._names:
                new_columns[self._names.index(name)] = column
            else:
                self._names.append(name)
                new_columns.append(column)
        self._frame = Frame(tuple(new_columns))

    def __delitem__(self, key: Any) -> None:
        self._replace_by(self.drop(columns=[key]))

    def _replace_by(self, frame: TracedFrame) -> None:
        self._names, self._frame = frame._names, frame._frame

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._names:
            return self._series(name)
        raise AttributeError(f"pandas.DataFrame.{name} has no form in a graph")

    def __len__(self) -> int:
        return ROWS

    def __iter__(self) -> Iterator[Any]:
        return iter(self._names)

    def __contains__(self, name: Any) -> bool:
        return name in self._names

    def __bool__(self) -> bool:
        raise TypeError("the truth of a frame is ambiguous, in pandas too")

    @property
    def columns(self) -> pd.Index:
        """Return the column names."""
        return pd.Index(self._names)

    @columns.setter
    def columns(self, names: Any) -> None:
        self._names = list(names)

    @property
    def shape(self) -> tuple[int, int]:
        """Return pandas' shape, with :data:`ROWS` for the rows."""
        return ROWS, len(self._names)

    @property
    def ndim(self) -> int:
        """Return 2."""
        return 2

    @property
    def empty(self) -> bool:
        """Return whether there are no columns; there is always a row."""
        return not self._names

    @property
    def index(self) -> Any:
        """Return a stand-in for the row labels, which a graph does not have."""
        return ROW_LABELS

    @property
    def values(self) -> TracedArray:
        """Convert to an array."""
        return TracedArray(self._tracer, self.to_tensor())

    def to_numpy(self, *_: Any, **__: Any) -> TracedArray:
        """Convert to an array."""
        return self.values

    @property
    def T(self) -> Any:  # noqa: N802 - pandas' name
        """Transpose, as an array."""
        return self.values.T

    @property
    def loc(self) -> ColumnIndexer:
        """Select columns by name: ``df.loc[:, names]``."""
        return ColumnIndexer(self, by_name=True)

    @property
    def iloc(self) -> ColumnIndexer:
        """Select columns by position: ``df.iloc[:, positions]``."""
        return ColumnIndexer(self, by_name=False)

    def keys(self) -> pd.Index:
        """Return the column names."""
        return self.columns

    def items(self) -> Iterator[tuple[Any, TracedSeries]]:
        """Iterate over pairs (name, column)."""
        return ((name, self._series(name)) for name in list(self._names))

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a column, or *default* if there is none."""
        return self[key] if isinstance(key, list) or key in self._names else default

    def copy(self, *_: Any, **__: Any) -> TracedFrame:
        """Copy; assignments to the copy leave this frame as it is."""
        return TracedFrame(self._tracer, self._names, self._frame, self._boolean_columns)

    __copy__ = copy

    def __deepcopy__(self, _: Any) -> TracedFrame:
        return self.copy()

    def clip(self, lower: Any = None, upper: Any = None, **_: Any) -> TracedFrame:
        """Clip to two bounds."""
        bounds = [self._aligned(bound) for bound in (lower, upper)]
        if all(np.ndim(bound) == 0 for bound in bounds):
            return self._elementwise(lambda run: ops.clip(run, *bounds))
        return self._with(self._names, ops.clip(self.to_tensor(), *bounds))

    def abs(self) -> TracedFrame:
        """Return the absolute values."""
        return self._elementwise(abs)

    def round(self, decimals: int = 0) -> TracedFrame:
        """Round to *decimals*."""
        return self._with(self._names, self.values.round(decimals).to_tensor())

    def pipe(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call *func* with the frame."""
        return func(self, *args, **kwargs)

    def apply(
        self, func: Callable[..., Any], axis: Any = 0, *, args: Any = (), **kwargs: Any
    ) -> Any:
        """Call *func* with each column; for axis=1 with the frame, which stands for each row."""
        if axis in (1, "columns"):
            return TracedSeries(self._tracer, self._tracer.rows).each(
                lambda: func(self, *args, **kwargs)
            )
        return TracedFrame.of(
            self._tracer, {name: func(column, *args, **kwargs) for name, column in self.items()}
        )

    def agg(self, func: Any, axis: Any = 0) -> Any:
        """Reduce each row by functions with a name in pandas: ``agg(["sum", "mean"], axis=1)``."""
        if axis not in (1, "columns"):
            raise TypeError("agg over the rows changes the batch; only axis=1 is traced")
        if not isinstance(func, list | tuple):
            return getattr(self, getattr(func, "__name__", func))(axis=1)
        labels = [getattr(name, "__name__", name) for name in func]
        return TracedFrame.of(self._tracer, {name: self.agg(name, axis=1) for name in labels})

    aggregate = agg

    applymap = map


_REDUCTIONS: Mapping[str, Any] = {
    # pandas leaves missing values out; its variance divides by n - 1.
    "sum": np.nansum, "mean": np.nanmean, "max": np.nanmax, "min": np.nanmin, "prod": np.prod,
    "std": np.nanstd, "var": np.nanvar, "median": np.median, "any": np.any, "all": np.all,
}  # fmt: skip


def _as_arrays(value: Any) -> Any:
    if type(value) is TracedFrame:
        return value.values
    if type(value) in (list, tuple):
        return type(value)(_as_arrays(item) for item in value)
    if type(value) is dict:
        return {key: _as_arrays(item) for key, item in value.items()}
    return value


def _reduction(name: str) -> Callable[..., Any]:
    def method(self: TracedFrame, axis: Any = None, ddof: int = 1, **kwargs: Any) -> Any:
        array = self.values
        if array.dtype == np.bool_ and name in ("sum", "mean"):
            array = array.astype(float)
        extra = {"ddof": ddof} if name in ("std", "var") else {}
        at = {"columns": 1, "index": 0, None: 0}.get(axis, axis)
        if at == 0 and name in ("any", "all"):
            return _REDUCTIONS[name](array)  # the condition of an if
        return TracedSeries(self._tracer, _REDUCTIONS[name](array, axis=at, **extra).to_tensor())

    method.__doc__ = f"Compute pandas' {name} over the columns of each row."
    return method


def _aligned(ufunc: np.ufunc) -> Callable[..., Any]:
    def method(self: TracedFrame, other: Any, axis: Any = "columns", **_: Any) -> Any:
        if type(other) is TracedSeries:
            if axis not in (0, "index"):
                raise TypeError("pandas aligns a frame and a series by name; give axis=0")
            other = TracedArray(self._tracer, ops.expand_dims(other.to_tensor(), 1))
        return ufunc(self, other)

    method.__doc__ = f"Compute numpy.{ufunc.__name__} of this frame and a number, frame or column."
    return method


def _operator(ufunc: np.ufunc, reflected: bool) -> Callable[[Any, Any], Any]:
    return lambda self, operand: ufunc(operand, self) if reflected else ufunc(self, operand)


def _unary(ufunc: Any) -> Callable[[Any], Any]:
    return lambda self: ufunc(self)


_OPERATORS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "and": np.bitwise_and,
    "div": np.divide, "or": np.bitwise_or, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
for _name, _ufunc in _OPERATORS.items():
    setattr(TracedFrame, f"__{_name}__", _operator(_ufunc, False))
    setattr(TracedFrame, f"__r{_name}__", _operator(_ufunc, True))
    setattr(TracedFrame, _name, _aligned(_ufunc))
for _name, _unary_ufunc in {"neg": np.negative, "invert": np.invert, "abs": np.absolute}.items():
    setattr(TracedFrame, f"__{_name}__", _unary(_unary_ufunc))
for _name in _REDUCTIONS:
    setattr(TracedFrame, _name, _reduction(_name))
