"""Trace a user's function into ONNX nodes.

The function is called once, with symbolic arrays.  Called is a copy of it, in which numpy's and
pandas' constructors accept such arrays (``rebind``, ``constructors``); nothing is patched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import TracedArray, Tracer
from edge_pipeline.conversion.tracing.constructors import replacements
from edge_pipeline.conversion.tracing.frame import TracedFrame
from edge_pipeline.conversion.tracing.rebind import Rebinding
from edge_pipeline.conversion.tracing.series import TracedSeries

__all__ = ["trace"]


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
    rows = X if isinstance(X, Tensor) else X.columns[0][0]
    tracer = Tracer(rows, context.vector, TracedFrame.of)
    try:
        rebind = Rebinding(replacements(tracer))
        argument = _symbolic_input(context, tracer, X, names)
        result = rebind(function)(argument, **rebind(dict(kwargs)))
        return _result_tensor(tracer, result)
    except Exception as error:  # a user's function raises whatever it raises
        name = getattr(function, "__name__", None) or repr(function)
        raise context.refuse(
            f"parameter {parameter}={name}: {error}; write it with the functions that "
            "docs/function-transformer.md lists, or compute these columns before the pipeline"
        ) from error


def _symbolic_input(context: Context, tracer: Tracer, X: Tensor | Frame, names: Any) -> Any:
    if names is not None:
        return TracedFrame(tracer, names, frame_of(X), context.boolean_columns)
    is_vector = isinstance(X, Tensor) and X.ndim == 1
    tensor: Tensor = X if is_vector else context.matrix(X)  # type: ignore[assignment]
    dtype = context.trained_dtype(X)
    tensor = tensor.astype(dtype) if dtype == np.bool_ else tensor
    array_type = TracedSeries if is_vector else TracedArray
    return array_type(tracer, tensor, is_integer=dtype.kind == "i")


def _result_tensor(tracer: Tracer, result: Any) -> Tensor | Frame:
    if type(result) is TracedFrame:
        return result.to_frame()
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
