"""numpy's functions on symbolic arrays: what a user's function does becomes nodes.

numpy hands its ufuncs and functions to ``__array_ufunc__`` and ``__array_function__`` (NEP 13 and
NEP 18); two tables say which node each one is.  What is in neither raises TypeError by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge_pipeline.convert import ops
from edge_pipeline.convert.tensor import Tensor, arithmetic, comparison

__all__ = ["trace_function", "trace_ufunc"]


def trace_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The nodes of one ufunc call."""
    if method != "__call__" or kwargs or ufunc not in _UFUNCS:
        raise TypeError(f"numpy.{ufunc.__name__} ({method}) has no ONNX form here")
    return _UFUNCS[ufunc](*inputs)


def trace_function(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Tensor:
    """The nodes of one call of a numpy function that is not a ufunc."""
    if func not in _FUNCTIONS:
        raise TypeError(f"numpy.{func.__name__} has no ONNX form here")
    return _FUNCTIONS[func](*args, **kwargs)


def _binary(op: str) -> Callable[[Any, Any], Tensor]:
    return lambda x, y: arithmetic(op, x, y)


def _compare(op: str) -> Callable[[Any, Any], Tensor]:
    return lambda x, y: comparison(op, x, y)


_UFUNCS: Mapping[Any, Callable[..., Tensor]] = {
    np.add: _binary("Add"),
    np.subtract: _binary("Sub"),
    np.multiply: _binary("Mul"),
    np.divide: _binary("Div"),
    np.power: _binary("Pow"),
    np.maximum: ops.maximum,
    np.minimum: ops.minimum,
    np.matmul: ops.matmul,
    np.less: _compare("Less"),
    np.less_equal: _compare("LessOrEqual"),
    np.greater: _compare("Greater"),
    np.greater_equal: _compare("GreaterOrEqual"),
    np.equal: _compare("Equal"),
    np.not_equal: lambda x, y: ~comparison("Equal", x, y),
    np.logical_and: _compare("And"),
    np.logical_or: _compare("Or"),
    np.logical_not: lambda x: ~x,
    np.negative: lambda x: -x,
    np.absolute: abs,
    np.exp: ops.exp,
    np.log: ops.log,
    np.sqrt: ops.sqrt,
    np.square: ops.square,
    np.sign: ops.sign,
    np.floor: ops.floor,
    np.rint: ops.rint,
    np.sin: ops.sin,
    np.cos: ops.cos,
    np.tanh: ops.tanh,
    np.isnan: ops.isnan,
    np.isinf: ops.isinf,
    np.isfinite: ops.isfinite,
}

_FUNCTIONS: Mapping[Any, Callable[..., Tensor]] = {
    np.where: ops.where,
    np.concatenate: lambda parts, axis=0: ops.concatenate(list(parts), axis),
    np.sum: lambda x, axis=None, keepdims=False: ops.sum_(x, axis, keepdims),
}
