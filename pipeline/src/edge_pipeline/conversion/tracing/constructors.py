"""Replace the constructors that numpy and pandas do not dispatch.

``np.asarray``, ``np.c_``, ``pd.DataFrame`` and others return real arrays and frames whatever they
get.  Each has a counterpart here that accepts traced arrays, and calls the original for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import special as sp

from edge_pipeline.conversion.column_frame import frame_of
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import TracedArray, Tracer, cast
from edge_pipeline.conversion.tracing.frame import TracedFrame
from edge_pipeline.conversion.tracing.series import TracedSeries

__all__ = ["replacements"]


def replacements(tracer: Tracer) -> list[tuple[Any, Any]]:
    """Return pairs (function or class, counterpart that accepts traced arrays)."""
    return [
        *((f, partial(_array, tracer, f))
          for f in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray)),
        (np.c_, _ColumnStack()),
        (pd.DataFrame, _replacement_class(pd.DataFrame, partial(_frame, tracer))),
        (pd.Series, _replacement_class(pd.Series, partial(_series, tracer))),
        (pd.concat, partial(_concat, tracer)),
        (pd.isna, partial(_method_of, "isna", pd.isna)),
        (pd.notna, partial(_method_of, "notna", pd.notna)),
        (pd.to_numeric, partial(_method_of, "copy", pd.to_numeric)),
        *((f, partial(_refuse_traced, f))
          for f in (pd.get_dummies, pd.cut, pd.qcut, pd.to_datetime, pd.factorize)),
        (sp.softmax, _softmax),
    ]  # fmt: skip


def _is_traced(value: Any) -> bool:
    if type(value) in (list, tuple):
        return any(_is_traced(item) for item in value)
    return type(value) in (TracedArray, TracedSeries, TracedFrame)


def _array(
    tracer: Tracer, original: Any, value: Any, dtype: Any = None, *args: Any, **kw: Any
) -> Any:
    if not _is_traced(value):
        return original(value, dtype, *args, **kw)
    tensor = _stacked(tracer, value)
    return TracedArray(tracer, tensor if dtype is None else cast(tensor, dtype))


def _stacked(tracer: Tracer, value: Any) -> Tensor:
    if type(value) in (list, tuple):
        parts = [_stacked(tracer, item) if _is_traced(item) else item for item in value]
        stack: Any = np.stack([TracedArray(tracer, _as_tensor(tracer, part)) for part in parts])
        return stack.to_tensor()  # type: ignore[no-any-return]
    return _as_tensor(tracer, value)


def _as_tensor(tracer: Tracer, value: Any) -> Tensor:
    tensor = tracer.unwrap(value)
    return tensor if isinstance(tensor, Tensor) else ops.full_rows(tracer.rows, tensor)


class _ColumnStack:
    """The counterpart of ``np.c_``."""

    def __getitem__(self, key: Any) -> Any:
        parts = key if type(key) is tuple else (key,)
        return np.column_stack(parts) if _is_traced(parts) else np.c_[key]


def _replacement_class(original: type, construct: Callable[..., Any]) -> type:
    """Return a class that constructs traced frames of traced columns, and else is *original*."""

    class Meta(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, original)

        def __getattr__(cls, name: str) -> Any:
            return getattr(original, name)

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            values = [*args, *kwargs.values()]
            values += [item for v in values if isinstance(v, dict) for item in v.values()]
            return construct(*args, **kwargs) if _is_traced(values) else original(*args, **kwargs)

    return Meta(original.__name__, (), {})


def _frame(
    tracer: Tracer, data: Any = None, index: Any = None, columns: Any = None, **_: Any
) -> Any:
    if isinstance(data, dict):
        data = data if columns is None else {name: data[name] for name in columns}
        return TracedFrame.of(tracer, data)
    if type(data) is TracedFrame:
        return data if columns is None else data[list(columns)]
    tensor = _stacked(tracer, data)
    matrix = tensor if tensor.ndim == 2 else ops.expand_dims(tensor, 1)
    names = range(matrix.width) if columns is None else columns
    return TracedFrame(tracer, list(names), frame_of(matrix))


def _series(tracer: Tracer, data: Any = None, **_: Any) -> Any:
    return TracedSeries(tracer, _as_tensor(tracer, data))


def _concat(tracer: Tracer, objs: Any, *args: Any, axis: Any = 0, **kw: Any) -> Any:
    parts = list(objs)
    if not _is_traced(parts):
        return pd.concat(objs, *args, axis=axis, **kw)
    if (args[0] if args else axis) not in (1, "columns"):
        raise TypeError("pandas.concat of rows changes the batch; only axis=1 is traced")
    frames = [p if type(p) is TracedFrame else TracedFrame.of(tracer, {i: p})
              for i, p in enumerate(parts)]  # fmt: skip
    result = frames[0]
    for frame in frames[1:]:
        result = result.join(frame)
    return result


def _method_of(name: str, original: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the method *name* of a traced value for the pandas function *original*."""
    if not _is_traced(value):
        return original(value, *args, **kwargs)
    if type(value) is TracedArray and name != "copy":
        return np.isnan(value) if name == "isna" else ~np.isnan(value)
    return getattr(value, name)()


def _refuse_traced(original: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    if _is_traced(value):
        raise TypeError(f"pandas.{original.__name__} has no form in a graph")
    return original(value, *args, **kwargs)


def _softmax(x: Any, axis: Any = None) -> Any:
    if not _is_traced(x):
        return sp.softmax(x, axis=axis)
    exponentials = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return exponentials / np.sum(exponentials, axis=axis, keepdims=True)
