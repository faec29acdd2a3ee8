"""``trace``: a user's function and symbolic input in, what it answers out, as tensors.

While the function runs, the constructors that numpy and pandas do not dispatch (``np.asarray``,
``np.c_``, ``pd.DataFrame``, …) are replaced by ones that know traced arrays and pass everything
else on; there is no other way to follow ``X = np.asarray(X)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import TracedArray, Tracer, cast
from edge_pipeline.conversion.tracing.frame import TracedFrame
from edge_pipeline.conversion.tracing.series import TracedSeries

__all__ = ["trace"]

_REPLACING = RLock()


def trace(
    context: Context,
    parameter: str,
    function: Callable[..., Any],
    X: Tensor | Frame,
    kwargs: Mapping[str, Any],
    *,
    names: Any = None,
) -> Tensor | Frame:
    """What ``function(X, **kwargs)`` answers.

    Parameters
    ----------
    parameter
        What the user calls the function, for error messages: ``func``.
    names
        The columns' names, when the function gets a data frame.

    Raises
    ------
    UnsupportedEstimatorError
        The function does something that has no form in a graph; names it.
    """
    tracer = Tracer(X if isinstance(X, Tensor) else X.columns[0][0], context.vector)
    try:
        given = _given(context, tracer, X, names)
        with _replaced(tracer):
            answer = function(given, **kwargs)
        return _answered(tracer, answer)
    except Exception as error:  # a user's function raises whatever it raises
        name = getattr(function, "__name__", None) or repr(function)
        raise context.refuse(
            f"parameter {parameter}={name}: {error}; write it with the functions that "
            "docs/function-transformer.md lists, or compute these columns before the pipeline"
        ) from error


def _given(context: Context, tracer: Tracer, X: Tensor | Frame, names: Any) -> Any:
    if names is not None:
        return TracedFrame(tracer, names, frame_of(X), context.boolean_columns)
    is_vector = isinstance(X, Tensor) and X.ndim == 1
    tensor: Tensor = X if is_vector else context.matrix(X)  # type: ignore[assignment]
    dtype = context.trained_dtype(X)
    tensor = tensor.astype(dtype) if dtype == np.bool_ else tensor
    made = TracedSeries if is_vector else TracedArray
    return made(tracer, tensor, whole=dtype.kind == "i")


def _answered(tracer: Tracer, answer: Any) -> Tensor | Frame:
    if type(answer) is TracedFrame:
        return answer.to_frame()
    tensor = tracer.unwrap(answer)
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"it answers with a {type(answer).__name__} of its own making; expected an array with "
            "a row for every row of the input"
        )
    if not tensor.ndim or tensor.shape[0] is not None:
        raise ValueError(
            f"its answer has the shape {tensor.shape}; the first axis should be the rows (None)"
        )
    return tensor


@contextmanager
def _replaced(tracer: Tracer) -> Iterator[None]:
    """The constructors know traced arrays, until the function has answered or raised."""
    replacements = {
        (np, "array"): partial(_array, tracer, np.array),
        (np, "asarray"): partial(_array, tracer, np.asarray),
        (np, "asanyarray"): partial(_array, tracer, np.asanyarray),
        (np, "ascontiguousarray"): partial(_array, tracer, np.ascontiguousarray),
        (np, "c_"): _Columns(),
        (pd, "DataFrame"): _stand_in(pd.DataFrame, partial(_frame, tracer)),
        (pd, "Series"): _stand_in(pd.Series, partial(_series, tracer)),
        (pd, "concat"): partial(_concat, tracer, pd.concat),
        (pd, "isna"): partial(_first_method, "isna", pd.isna),
        (pd, "isnull"): partial(_first_method, "isna", pd.isnull),
        (pd, "notna"): partial(_first_method, "notna", pd.notna),
        (pd, "notnull"): partial(_first_method, "notna", pd.notnull),
        (pd, "to_numeric"): partial(_first_method, "copy", pd.to_numeric),
        **{(pd, name): partial(_refused, getattr(pd, name)) for name in _NOT_TRACED},
    }
    with _REPLACING:
        before = {place: getattr(*place) for place in replacements}
        try:
            for (module, name), value in replacements.items():
                setattr(module, name, value)
            yield
        finally:
            for (module, name), value in before.items():
                setattr(module, name, value)


_NOT_TRACED = ("get_dummies", "cut", "qcut", "to_datetime", "factorize")


def _is_traced(value: Any) -> bool:
    if type(value) in (list, tuple):
        return any(_is_traced(item) for item in value)
    return type(value) in (TracedArray, TracedSeries, TracedFrame)


def _array(tracer: Tracer, plain: Any, value: Any, dtype: Any = None, *args: Any, **kw: Any) -> Any:
    """``np.array`` and its kin."""
    if not _is_traced(value):
        return plain(value, dtype, *args, **kw)
    tensor = _stacked(tracer, value)
    return TracedArray(tracer, tensor if dtype is None else cast(tensor, dtype))


def _stacked(tracer: Tracer, value: Any) -> Tensor:
    if type(value) in (list, tuple):
        parts = [_stacked(tracer, item) if _is_traced(item) else item for item in value]
        stacked = np.stack([TracedArray(tracer, _as_tensor(tracer, part)) for part in parts])
        return stacked.to_tensor()  # type: ignore[attr-defined, no-any-return]
    return _as_tensor(tracer, value)


def _as_tensor(tracer: Tracer, value: Any) -> Tensor:
    tensor = tracer.unwrap(value)
    return tensor if isinstance(tensor, Tensor) else ops.full_rows(tracer.rows, tensor)


class _Columns:
    """``np.c_``."""

    plain = np.c_

    def __getitem__(self, key: Any) -> Any:
        parts = key if type(key) is tuple else (key,)
        return np.column_stack(parts) if _is_traced(parts) else self.plain[key]


def _stand_in(plain: type, make: Callable[..., Any]) -> type:
    """A class that makes traced frames of traced columns, and otherwise is *plain*."""

    class Meta(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, plain)

        def __getattr__(cls, name: str) -> Any:
            return getattr(plain, name)

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            values = [*args, *kwargs.values()]
            values += [item for v in values if isinstance(v, dict) for item in v.values()]
            return make(*args, **kwargs) if _is_traced(values) else plain(*args, **kwargs)

    return Meta(plain.__name__, (), {})


def _frame(
    tracer: Tracer, data: Any = None, index: Any = None, columns: Any = None, **_: Any
) -> Any:
    if isinstance(data, dict):
        return TracedFrame.of(tracer, data if columns is None else {c: data[c] for c in columns})
    if type(data) is TracedFrame:
        return data if columns is None else data[list(columns)]
    tensor = _stacked(tracer, data)
    matrix = tensor if tensor.ndim == 2 else ops.expand_dims(tensor, 1)
    names = range(matrix.width) if columns is None else columns
    return TracedFrame(tracer, list(names), frame_of(matrix))


def _series(tracer: Tracer, data: Any = None, **_: Any) -> Any:
    return TracedSeries(tracer, _as_tensor(tracer, data))


def _concat(tracer: Tracer, plain: Any, objs: Any, *args: Any, axis: Any = 0, **kw: Any) -> Any:
    parts = list(objs)
    if not _is_traced(parts):
        return plain(objs, *args, axis=axis, **kw)
    if (args[0] if args else axis) not in (1, "columns"):
        raise TypeError("pandas.concat of rows changes the batch; only axis=1 is traced")
    frames = [p if type(p) is TracedFrame else TracedFrame.of(tracer, {i: p})
              for i, p in enumerate(parts)]  # fmt: skip
    joined = frames[0]
    for frame in frames[1:]:
        joined = joined.join(frame)
    return joined


def _first_method(name: str, plain: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    if not _is_traced(value):
        return plain(value, *args, **kwargs)
    if type(value) is TracedArray and name != "copy":
        return np.isnan(value) if name == "isna" else ~np.isnan(value)
    return getattr(value, name)()


def _refused(plain: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    if _is_traced(value):
        raise TypeError(f"pandas.{plain.__name__} has no form in a graph")
    return plain(value, *args, **kwargs)
