"""Convert a user's own class by tracing its ``transform`` or ``predict``."""

from __future__ import annotations

import inspect
from typing import Any

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, MethodOutput
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.rebind import is_library
from edge_pipeline.conversion.tracing.trace import trace_method

__all__ = ["has_own_method", "own_method"]


def has_own_method(estimator: Any, method: str) -> bool:
    """Return whether *method* is Python code of the user's, not of a library that we convert."""
    function = inspect.unwrap(getattr(type(estimator), method, None) or len)
    return inspect.isfunction(function) and not is_library(function.__module__)


def own_method(context: Context, estimator: Any, method: str, X: Tensor | Frame) -> MethodOutput:
    """Trace ``estimator.method(X)``; X is a data frame where it was one in training."""
    return trace_method(context, estimator, method, X, names=context.names.of(X))
