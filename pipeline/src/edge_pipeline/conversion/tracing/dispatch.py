"""Look up the converter of a numpy call.

numpy hands calls with traced arrays to ``__array_ufunc__`` and ``__array_function__`` (NEP 13 and
NEP 18).  The tables UFUNCS and FUNCTIONS say which nodes each call becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor, graph_of
from edge_pipeline.conversion.tracing.numpy_functions import FUNCTIONS
from edge_pipeline.conversion.tracing.spectra import FOURIER
from edge_pipeline.conversion.tracing.ufuncs import UFUNCS

__all__ = ["trace_function", "trace_ufunc"]


def trace_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Write the nodes of one ufunc call, or of its ``reduce`` or ``accumulate``.

    Raises
    ------
    TypeError
        The call has no form in a graph; names the function.
    """
    if (ufunc, method) in _UFUNC_METHODS:
        return _trace_ufunc_method(_UFUNC_METHODS[ufunc, method], inputs, kwargs)
    if method != "__call__" or ufunc not in UFUNCS:
        suffix = "" if method == "__call__" else f".{method}"
        raise TypeError(f"{_full_name(ufunc)}{suffix} has no form in a graph")
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    out, where = kwargs.pop("out", (None,)), kwargs.pop("where", True)
    dtype = kwargs.pop("dtype", None)
    for harmless in ("casting", "order", "subok"):
        kwargs.pop(harmless, None)
    if kwargs:
        raise TypeError(f"{_full_name(ufunc)} with {', '.join(kwargs)}= has no form in a graph")
    result = UFUNCS[ufunc](*inputs)
    if dtype is not None:
        result = result.astype(dtype)
    if where is True:
        return result
    if out[0] is None:
        raise TypeError(f"{_full_name(ufunc)} with where= and without out= leaves values undefined")
    return ops.where(graph_of(result).tensor(where), result, out[0])


def _trace_ufunc_method(function: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    keepdims = {"keepdims": True} if kwargs.get("keepdims") else {}
    result: Tensor = trace_function(function, inputs, {"axis": kwargs.get("axis", 0), **keepdims})
    return result


def trace_function(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Write the nodes of one call of a numpy function that is not a ufunc.

    Raises
    ------
    TypeError
        The call has no form in a graph; names the function.
    """
    function = FUNCTIONS.get(func) or FOURIER.get(func)
    if function is None:
        raise TypeError(f"{_full_name(func)} has no form in a graph")
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        argument = str(error).rsplit(" ", 1)[-1]
        raise TypeError(
            f"{_full_name(func)} with the argument {argument} has no form here"
        ) from error


def _full_name(function: Any) -> str:
    module = getattr(function, "__module__", None) or (
        "numpy" if getattr(np, function.__name__, None) is function else "scipy.special"
    )
    return f"{module.replace('._core', '').split('._')[0]}.{function.__name__}"


_UFUNC_METHODS: Mapping[tuple[Any, str], Any] = {
    (np.add, "reduce"): np.sum,
    (np.multiply, "reduce"): np.prod,
    (np.maximum, "reduce"): np.max,
    (np.minimum, "reduce"): np.min,
    (np.logical_and, "reduce"): np.all,
    (np.logical_or, "reduce"): np.any,
    (np.add, "accumulate"): np.cumsum,
    (np.multiply, "accumulate"): np.cumprod,
}
