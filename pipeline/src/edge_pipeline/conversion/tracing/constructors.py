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
from scipy import stats
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from edge_pipeline.conversion.column_frame import frame_of
from edge_pipeline.conversion.estimators.univariate_transforms import yeo_johnson
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import TracedArray, Tracer
from edge_pipeline.conversion.tracing.casts import cast
from edge_pipeline.conversion.tracing.constant_array import ConstantArray
from edge_pipeline.conversion.tracing.dates import TracedDates
from edge_pipeline.conversion.tracing.dummies import traced_dummies
from edge_pipeline.conversion.tracing.frame import TracedFrame
from edge_pipeline.conversion.tracing.pandas_cut import bin_labels
from edge_pipeline.conversion.tracing.series import ROW_LABELS, TracedSeries

__all__ = ["is_traced", "replacements", "stacked"]


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
        (pd.to_numeric, _to_numeric),
        (pd.get_dummies, _get_dummies),
        (pd.cut, _bins),
        (pd.to_datetime, _to_datetime),
        *((f, partial(_refuse_traced, f)) for f in (pd.qcut, pd.factorize)),
        (check_array, partial(_checked, tracer, check_array)),
        (validate_data, partial(_validated, tracer)),
        (check_is_fitted, _nothing),
        (sp.softmax, _softmax),
        (stats.boxcox, _box_cox),
        (stats.yeojohnson, _yeo_johnson),
    ]  # fmt: skip


def is_traced(value: Any) -> bool:
    """Return whether *value* is a traced array or frame, or a list that holds one."""
    if type(value) in (list, tuple):
        return any(is_traced(item) for item in value)
    return issubclass(type(value), TracedArray | TracedFrame)


def _array(
    tracer: Tracer, original: Any, value: Any, dtype: Any = None, *args: Any, **kw: Any
) -> Any:
    if not is_traced(value):
        constant = original(value, dtype, *args, **kw)
        return constant.view(ConstantArray) if type(constant) is np.ndarray else constant
    tensor = stacked(tracer, value)
    return TracedArray(tracer, tensor if dtype is None else cast(tensor, dtype))


def stacked(tracer: Tracer, value: Any) -> Tensor:
    """Convert a traced array or frame, or a list of such, to a tensor."""
    if type(value) in (list, tuple):
        parts = [stacked(tracer, item) if is_traced(item) else item for item in value]
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
        return np.column_stack(parts) if is_traced(parts) else np.c_[key]


def _replacement_class(original: type, construct: Callable[..., Any]) -> type:
    """Return a class that constructs traced frames of traced columns, and else is *original*."""

    class Meta(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, original)

        def __getattr__(cls, name: str) -> Any:
            return getattr(original, name)

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            values = [*args, *kwargs.values()]
            if any(value is ROW_LABELS for value in values):
                return construct(*args, **kwargs)
            values += [item for v in values if isinstance(v, dict) for item in v.values()]
            return construct(*args, **kwargs) if is_traced(values) else original(*args, **kwargs)

    return Meta(original.__name__, (), {})


def _frame(
    tracer: Tracer, data: Any = None, index: Any = None, columns: Any = None, **_: Any
) -> Any:
    if data is None or isinstance(data, dict):
        data = data or {}
        data = data if columns is None else {name: data[name] for name in columns}
        return TracedFrame.of(tracer, data)
    if type(data) is TracedFrame:
        return data if columns is None else data[list(columns)]
    tensor = stacked(tracer, data)
    matrix = tensor if tensor.ndim == 2 else ops.expand_dims(tensor, 1)
    names = range(matrix.width) if columns is None else columns
    return TracedFrame(tracer, list(names), frame_of(matrix))


def _series(tracer: Tracer, data: Any = None, index: Any = None, name: Any = None, **_: Any) -> Any:
    return TracedSeries(tracer, _as_tensor(tracer, data)).rename(name)


def _concat(tracer: Tracer, objs: Any, *args: Any, axis: Any = 0, **kw: Any) -> Any:
    parts = list(objs)
    if not is_traced(parts):
        return pd.concat(objs, *args, axis=axis, **kw)
    if (args[0] if args else axis) not in (1, "columns"):
        raise TypeError("pandas.concat of rows changes the batch; only axis=1 is traced")
    frames = [p if type(p) is TracedFrame else TracedFrame.of(tracer, {_label(p, i): p})
              for i, p in enumerate(parts)]  # fmt: skip
    result = frames[0]
    for frame in frames[1:]:
        result = result.join(frame)
    return result


def _label(series: Any, position: int) -> Any:
    name = getattr(series, "name", None)
    return position if name is None else name


def _method_of(name: str, original: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the method *name* of a traced value for the pandas function *original*."""
    if not is_traced(value):
        return original(value, *args, **kwargs)
    if type(value) is TracedArray and name != "copy":
        return np.isnan(value) if name == "isna" else ~np.isnan(value)
    return getattr(value, name)()


def _to_numeric(value: Any, *args: Any, **kwargs: Any) -> Any:
    if not is_traced(value):
        return pd.to_numeric(value, *args, **kwargs)
    if value.to_tensor().is_string:
        raise TypeError(
            "pandas.to_numeric of text has no form in a graph; convert the column before training"
        )
    return value.copy()


def _to_datetime(value: Any, *args: Any, **kwargs: Any) -> Any:
    if not is_traced(value):
        return pd.to_datetime(value, *args, **kwargs)
    if type(value) is TracedDates and (not kwargs.get("utc") or str(value.dt.tz) == "UTC"):
        return value.copy()
    raise TypeError(
        "pandas.to_datetime of text or numbers has no form in a graph; call it before the "
        "pipeline, so that the column is datetime64: the device then reads texts"
    )


def _get_dummies(data: Any, *args: Any, **kwargs: Any) -> Any:
    function: Any = traced_dummies if is_traced(data) else pd.get_dummies
    return function(data, *args, **kwargs)


def _bins(x: Any, bins: Any, right: bool = True, labels: Any = None, **kwargs: Any) -> Any:
    if not is_traced(x):
        return pd.cut(x, bins, right=right, labels=labels, **kwargs)
    codes = bin_labels(
        x.to_tensor(), bins, labels, right=right, include_lowest=kwargs.get("include_lowest", False)
    )
    return x._wrap(codes)


def _checked(tracer: Tracer, original: Any, array: Any, *args: Any, **kwargs: Any) -> Any:
    """Convert a traced frame to an array, as ``check_array`` does."""
    if not is_traced(array):
        return original(array, *args, **kwargs)
    dtype = kwargs.get("dtype")
    dtype = dtype[0] if isinstance(dtype, list | tuple) else dtype
    return _array(tracer, np.asarray, array, None if dtype == "numeric" else dtype)


def _validated(tracer: Tracer, estimator: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
    if not is_traced(X):
        return validate_data(estimator, X, *args, **kwargs)
    if kwargs.get("skip_check_array"):
        return X
    return _checked(tracer, check_array, X, dtype=kwargs.get("dtype"))


def _nothing(*_: Any, **__: Any) -> None:
    """Check nothing: the estimator is fitted."""


def _refuse_traced(original: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    if is_traced(value):
        raise TypeError(f"pandas.{original.__name__} has no form in a graph")
    return original(value, *args, **kwargs)


def _softmax(x: Any, axis: Any = None) -> Any:
    if not is_traced(x):
        return sp.softmax(x, axis=axis)
    exponentials = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return exponentials / np.sum(exponentials, axis=axis, keepdims=True)


def _box_cox(x: Any, lmbda: Any = None, *args: Any, **kwargs: Any) -> Any:
    if not is_traced(x) or lmbda is None:
        return stats.boxcox(x, lmbda, *args, **kwargs)
    return sp.boxcox(x, lmbda)


def _yeo_johnson(x: Any, lmbda: Any = None) -> Any:
    if not is_traced(x) or lmbda is None:
        return stats.yeojohnson(x, lmbda)
    power = np.array([float(lmbda)])
    return x._wrap(yeo_johnson(ops.expand_dims(x.to_tensor(), 1), power)[:, 0])
