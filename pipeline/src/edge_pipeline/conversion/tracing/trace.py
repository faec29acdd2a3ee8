"""Trace a user's function into ONNX nodes.

The function is called once, with symbolic arrays.  Called is a copy of it, in which numpy's and
pandas' constructors accept such arrays (``rebind``, ``constructors``); nothing is patched.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.graph.text_ops import stop_where
from edge_pipeline.conversion.tracing.array import TracedArray, Tracer
from edge_pipeline.conversion.tracing.constructors import replacements
from edge_pipeline.conversion.tracing.fitted_estimators import FittedEstimators
from edge_pipeline.conversion.tracing.frame import TracedFrame
from edge_pipeline.conversion.tracing.pairwise_functions import TracedFloat, pairwise_replacements
from edge_pipeline.conversion.tracing.rebind import Rebinding, is_library
from edge_pipeline.conversion.tracing.series import TracedSeries

__all__ = ["call_traced", "rebinding", "trace", "trace_method"]

_REMEDY = (
    "write it with the functions that docs/function-transformer.md lists, or compute these columns "
    "before the pipeline"
)


def trace(
    context: Context,
    parameter: str,
    function: Callable[..., Any],
    X: Tensor | Frame,
    kwargs: Mapping[str, Any],
    *,
    names: Any = None,
) -> Tensor | Frame:
    """Write the nodes of ``function(X, **kwargs)``.

    Parameters
    ----------
    parameter
        The estimator's parameter that holds the function, for error messages: ``func``.
    names
        The columns' names, when the function gets a data frame.

    Raises
    ------
    UnsupportedEstimatorError
        The function does something that has no form in a graph; names it.
    """
    tracer = _tracer(context, X)
    try:
        rebind = rebinding(context, tracer)
        traced = rebind(function)

        def run() -> Tensor | Frame:
            argument = _symbolic_input(context, tracer, X, names)
            return _result(context, tracer, traced(argument, **rebind(dict(kwargs))))

        output: Tensor | Frame = tracer.branches.explore(
            run, partial(_choice, context), partial(_stopped, context)
        )
        return output
    except Exception as error:  # a user's function raises whatever it raises
        name = getattr(function, "__name__", None) or repr(function)
        raise context.refuse(
            f"parameter {parameter}={name}: {error}{_source_line(error, function)}; {_REMEDY}"
        ) from error


def trace_method(
    context: Context, estimator: Any, method: str, X: Tensor | Frame, *, names: Any = None
) -> Tensor | Frame:
    """Write the nodes of ``estimator.method(X)``, a method that the user wrote.

    Raises
    ------
    UnsupportedEstimatorError
        The method does something that has no form in a graph; names the line.
    """
    tracer = _tracer(context, X)
    try:
        rebind = rebinding(context, tracer)
        traced = getattr(rebind.instance(estimator), method)

        def run() -> Tensor | Frame:
            return _result(context, tracer, traced(_symbolic_input(context, tracer, X, names)))

        output: Tensor | Frame = tracer.branches.explore(
            run, partial(_choice, context), partial(_stopped, context)
        )
        return output
    except Exception as error:  # a user's method raises whatever it raises
        line = _source_line(error, getattr(type(estimator), method))
        raise context.refuse(f"{method}: {error}{line}; {_REMEDY}") from error


def call_traced(
    context: Context,
    tracer: Tracer,
    description: str,
    remedy: str,
    function: Callable[..., Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Call a user's function of arrays with tensors, and return its result as tensors.

    Parameters
    ----------
    description, remedy
        The start and the end of the message where it does something that has no form in a graph.

    Raises
    ------
    UnsupportedEstimatorError
        It does; names the line.
    """
    try:
        traced = rebinding(context, tracer, [(float, TracedFloat)])(function)
        return tracer.unwrap(traced(*map(tracer.wrap, args), **kwargs))
    except Exception as error:  # a user's function raises whatever it raises
        line = _source_line(error, function)
        raise context.refuse(f"{description}: {error}{line}; {remedy}") from error


def rebinding(
    context: Context, tracer: Tracer, builtins: Iterable[tuple[Any, Any]] = ()
) -> Rebinding:
    """Make the function that copies a user's function or object for one trace.

    *builtins* are more pairs (original, replacement).
    """
    estimators = FittedEstimators(context, tracer)
    package = sys.modules["edge_pipeline"]
    exporters = [
        (function, partial(estimators.call_with_originals, function))
        for function in (package.convert, package.export)
    ]
    return Rebinding(
        [*replacements(tracer), *pairwise_replacements(tracer), *exporters, *builtins], estimators
    )


def _tracer(context: Context, X: Tensor | Frame) -> Tracer:
    rows = X if isinstance(X, Tensor) else X.columns[0][0]
    return Tracer(rows, context.vector, TracedFrame.of, context.dates)


def _source_line(error: BaseException, function: Any) -> str:
    """Name the innermost line of the user's code that *error* passed through.

    It is the first line of *function* where the error came after it had returned.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    path, number = (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)
    step: TracebackType | None = error.__traceback__
    while step is not None:
        if not is_library(step.tb_frame.f_globals.get("__name__")):
            path, number = step.tb_frame.f_code.co_filename, step.tb_lineno
        step = step.tb_next
    if not path:
        return ""
    source = linecache.getline(path, number).strip()
    quoted = f": {source}" if source else ""
    return f" ({Path(path).name}, line {number}{quoted})"


def _symbolic_input(context: Context, tracer: Tracer, X: Tensor | Frame, names: Any) -> Any:
    if names is not None:
        return TracedFrame(tracer, names, frame_of(X), context.boolean_columns)
    is_vector = isinstance(X, Tensor) and X.ndim == 1
    tensor: Tensor = X if is_vector else context.matrix(X)  # type: ignore[assignment]
    dtype = np.dtype(np.float64) if tensor.ndim > 2 else context.trained_dtype(X)
    tensor = tensor.astype(dtype) if dtype == np.bool_ else tensor
    array_type = TracedSeries if is_vector else TracedArray
    return array_type(tracer, tensor, is_integer=dtype.kind == "i")


def _choice(
    context: Context, condition: Tensor, yes: Tensor | Frame, no: Tensor | Frame
) -> Tensor | Frame:
    """Return the result of the branch that each row takes."""
    if isinstance(yes, Tensor) and isinstance(no, Tensor):
        if yes.ndim != no.ndim or yes.is_string != no.is_string:
            raise TypeError("the branches of an if return different shapes or kinds")
        return ops.where(ops.expand_dims(condition, 1) if yes.ndim == 2 else condition, yes, no)
    first, second = frame_of(yes), frame_of(no)
    names = context.names.of(yes)
    if names != context.names.of(no) or first.width != second.width:
        raise TypeError("the branches of an if return different columns")
    parts = []
    for a, b in zip(first.columns, second.columns, strict=True):
        x, y = Frame((a,)).matrix(), Frame((b,)).matrix()
        if x.is_string != y.is_string:
            raise TypeError("the branches of an if return text and numbers in one column")
        is_same = a[0] is b[0] and a[1] == b[1]
        parts.append(a if is_same else (ops.where(ops.expand_dims(condition, 1), x, y), 0))
    result = Frame(tuple(parts))
    if names is not None:
        context.names.record(result, names)
    return result


def _stopped(context: Context, condition: Tensor, result: Tensor | Frame) -> Tensor | Frame:
    """Return *result*; the graph stops with an error in the rows where *condition* holds."""
    names = context.names.of(result)
    if isinstance(result, Tensor):
        over = ops.expand_dims(condition, 1) if result.ndim == 2 else condition
        stopped: Tensor | Frame = stop_where(over, result)
    else:
        over = ops.expand_dims(condition, 1)
        stopped = Frame(tuple((stop_where(over, Frame((column,)).matrix()), 0)
                              for column in result.columns))  # fmt: skip
    if names is not None:
        context.names.record(stopped, names)
    return stopped


def _result(context: Context, tracer: Tracer, result: Any) -> Tensor | Frame:
    if type(result) is TracedFrame:
        frame = result.to_frame()
        context.names.record(frame, result.columns)
        return frame
    tensor = tracer.unwrap(result)
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"it returns a {type(result).__name__} not computed from its input; expected "
            "an array with a row for every row of the input"
        )
    if not tensor.ndim or tensor.shape[0] is not None:
        raise ValueError(
            f"its result has the shape {tensor.shape}; the first axis should be the rows (None)"
        )
    return tensor
