"""Convert a class that is not scikit-learn's: trace its methods, or store its outputs as tables."""

from __future__ import annotations

import inspect
from typing import Any

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, MethodOutput
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.lookup_tables.convert_lookups import as_lookups
from edge_pipeline.conversion.lookup_tables.learn_columns import NotALookUpError
from edge_pipeline.conversion.tracing.rebind import is_library
from edge_pipeline.conversion.tracing.trace import trace_method
from edge_pipeline.errors import UnsupportedEstimatorError

__all__ = ["has_own_method", "own_method"]

_LOOK_UP_FIRST = frozenset({"category_encoders", "feature_engine"})
"""Packages of encoders: most of their transformers are tables of the values of single columns."""


def has_own_method(estimator: Any, method: str) -> bool:
    """Return whether *method* is Python code of the user's, not of a library that we convert."""
    function = inspect.unwrap(getattr(type(estimator), method, None) or len)
    return inspect.isfunction(function) and not is_library(function.__module__)


def own_method(context: Context, estimator: Any, method: str, X: Tensor | Frame) -> MethodOutput:
    """Convert ``estimator.method(X)``; X is a data frame where it was one in training.

    The method is traced, and a transformer that cannot be traced becomes look-up tables.

    Raises
    ------
    UnsupportedEstimatorError
        Neither is possible; names the line that cannot be traced.
    """
    if method != "transform":
        return trace_method(context, estimator, method, X, names=context.names.of(X))
    package = type(estimator).__module__.partition(".")[0]
    if package in _LOOK_UP_FIRST:
        try:
            return as_lookups(context, estimator, X)
        except NotALookUpError as error:
            return _traced(context, estimator, X, error)
    try:
        return _traced(context, estimator, X, None)
    except UnsupportedEstimatorError:
        try:
            return as_lookups(context, estimator, X)
        except NotALookUpError:
            pass
        raise


def _traced(
    context: Context, estimator: Any, X: Tensor | Frame, no_lookup: NotALookUpError | None
) -> Tensor | Frame:
    try:
        return trace_method(context, estimator, "transform", X, names=context.names.of(X))
    except UnsupportedEstimatorError as error:
        if no_lookup is None:
            raise
        raise UnsupportedEstimatorError(
            f"{error.args[0]}; as a look-up table: {no_lookup}", is_random=error.is_random
        ) from error
