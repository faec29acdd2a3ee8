"""numpy's functions on symbolic arrays: what a user's function does becomes nodes.

numpy hands its ufuncs and functions to ``__array_ufunc__`` and ``__array_function__`` (NEP 13 and
NEP 18); tables say which nodes each one is.  What is in none raises TypeError by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special as sp

from edge_pipeline.conversion.graph import ops, special_functions
from edge_pipeline.conversion.graph.tensor import Tensor, arithmetic, comparison, graph_of

__all__ = ["UFUNCS", "trace_function", "trace_ufunc"]


def trace_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The nodes of one ufunc call, or of its ``reduce`` or ``accumulate``."""
    if method in ("reduce", "accumulate") and (ufunc, method) in _METHODS:
        axis = kwargs.get("axis", 0)
        extra = {"keepdims": True} if kwargs.get("keepdims") else {}
        answer: Tensor = trace_function(_METHODS[ufunc, method], inputs, {"axis": axis, **extra})
        return answer
    if method != "__call__" or ufunc not in UFUNCS:
        raise TypeError(f"{_told(ufunc)}{_dot(method)} has no form in a graph")
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    out, chosen = kwargs.pop("out", (None,)), kwargs.pop("where", True)
    dtype = kwargs.pop("dtype", None)
    for harmless in ("casting", "order", "subok"):
        kwargs.pop(harmless, None)
    if kwargs:
        raise TypeError(f"{_told(ufunc)} with {', '.join(kwargs)}= has no form in a graph")
    answer = UFUNCS[ufunc](*inputs)
    if dtype is not None:
        answer = answer.astype(dtype)
    if chosen is True:
        return answer
    if out[0] is None:
        raise TypeError(f"{_told(ufunc)} with where= and without out= leaves values undefined")
    return ops.where(graph_of(answer).tensor(chosen), answer, out[0])


def trace_function(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """The nodes of one call of a numpy function that is not a ufunc."""
    from edge_pipeline.conversion.tracing.numpy_functions import FUNCTIONS

    if func not in FUNCTIONS:
        raise TypeError(f"{_told(func)} has no form in a graph")
    try:
        return FUNCTIONS[func](*args, **kwargs)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        argument = str(error).rsplit(" ", 1)[-1]
        raise TypeError(f"{_told(func)} with the argument {argument} has no form here") from error


def _told(function: Any) -> str:
    module = getattr(function, "__module__", None) or (
        "numpy" if getattr(np, function.__name__, None) is function else "scipy.special"
    )
    return f"{module.replace('._core', '').split('._')[0]}.{function.__name__}"


def _dot(method: str) -> str:
    return "" if method == "__call__" else f".{method}"


def _floats(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """*function* of arguments that are float64, or float32 where they were."""

    def traced(*inputs: Any) -> Tensor:
        return function(*(_as_float(value) for value in inputs))

    return traced


def _as_float(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value if value.dtype.kind == "f" else value.astype(np.float64)
    array = np.asarray(value)
    return value if array.dtype.kind == "f" else array.astype(np.float64)


def _binary(op: str, of_booleans: str | None = None) -> Callable[[Any, Any], Tensor]:
    """An arithmetic operator; numpy has others for two booleans."""

    def traced(x: Any, y: Any) -> Tensor:
        if _is_boolean(x) and _is_boolean(y):
            if of_booleans is None:
                raise TypeError(f"{op} of two boolean arrays; use ^ or astype(float)")
            return comparison(of_booleans, x, y)
        return arithmetic(op, x, y)

    return traced


def _compare(op: str) -> Callable[[Any, Any], Tensor]:
    return lambda x, y: comparison(op, x, y)


def _not_equal(x: Any, y: Any) -> Tensor:
    return ~comparison("Equal", x, y)


def _is_boolean(value: Any) -> bool:
    return bool((value.dtype if isinstance(value, Tensor) else np.asarray(value).dtype) == np.bool_)


def _truth(value: Any) -> Any:
    """Numpy's truth of a number: anything but zero."""
    if isinstance(value, Tensor):
        return value if value.dtype == np.bool_ else _not_equal(value, 0)
    return np.asarray(value).astype(bool)


def _logical(op: str) -> Callable[[Any, Any], Tensor]:
    return lambda x, y: comparison(op, _truth(x), _truth(y))


def _bitwise(op: str, of_integers: str) -> Callable[[Any, Any], Tensor]:
    """Of booleans the logical operator; numbers must have been whole, or numpy would refuse."""

    def traced(x: Any, y: Any) -> Tensor:
        if _is_boolean(x) and _is_boolean(y):
            return comparison(op, x, y)
        graph = graph_of(x, y)
        a, b = (graph.tensor(v).astype(np.int64) for v in (x, y))
        return arithmetic(of_integers, a, b)

    return traced


def _invert(x: Tensor) -> Tensor:
    if x.dtype == np.bool_:
        return ~x
    return ops.unary("BitwiseNot", x.astype(np.int64))


def _divide(x: Any, y: Any) -> Tensor:
    return arithmetic("Div", _as_float(x), _as_float(y))


def _power(x: Any, y: Any) -> Tensor:
    if isinstance(x, Tensor) and isinstance(y, int | float) and y == 2:
        return x * x  # as numpy does
    if isinstance(x, Tensor) and isinstance(y, float) and y == 0.5:
        return ops.sqrt(x)
    return arithmetic("Pow", x, y)


def _fmod(x: Any, y: Any) -> Tensor:
    x, y = _as_float(x), _as_float(y)
    graph = graph_of(x, y)
    a, b = graph.tensor(x), graph.tensor(y)
    shape = (a + b).shape
    return graph.node("Mod", a, b, fmod=1, dtype=np.float64, shape=shape)


def _mod(x: Any, y: Any) -> Tensor:
    """The remainder with the sign of the divisor."""
    rest = _fmod(x, y)
    wrong = (rest != 0.0) & ((rest < 0.0) ^ _negative(rest, y))
    return _whole_again(ops.where(wrong, rest + _as_float(y), rest), x, y)


def _floor_divide(x: Any, y: Any) -> Tensor:
    """numpy's: the exact quotient without the remainder, made whole (npy_math, npy_divmod)."""
    rest = _fmod(x, y)
    quotient = (_as_float(x) - rest) / _as_float(y)
    wrong = (rest != 0.0) & ((rest < 0.0) ^ _negative(rest, y))
    quotient = ops.where(wrong, quotient - 1.0, quotient)
    whole = ops.floor(quotient)
    return _whole_again(ops.where(quotient - whole > 0.5, whole + 1.0, whole), x, y)


def _negative(like: Tensor, y: Any) -> Tensor:
    return comparison("Less", like.graph.tensor(_as_float(y)), 0.0)


def _whole_again(answer: Tensor, x: Any, y: Any) -> Tensor:
    kinds = {(v.dtype if isinstance(v, Tensor) else np.asarray(v).dtype).kind for v in (x, y)}
    return answer if "f" in kinds else answer.astype(np.int64)


def _logarithm(base: int) -> Callable[[Tensor], Tensor]:
    """Whole where *x* is a whole power, as numpy's log2 and log10 are."""

    def traced(x: Tensor) -> Tensor:
        value = ops.log(x) / math.log(base)
        whole = ops.rint(value)
        return ops.where(arithmetic("Pow", float(base), whole) == x, whole, value)

    return traced


def _cube_root(x: Tensor) -> Tensor:
    size = abs(x)
    root = arithmetic("Pow", size, 1 / 3)
    whole = ops.rint(root)
    return ops.sign(x) * ops.where(whole * whole * whole == size, whole, root)


def _arctan2(y: Any, x: Any) -> Tensor:
    graph = graph_of(y, x)
    y, x = graph.tensor(y), graph.tensor(x)
    nowhere = (y == 0.0) & (x == 0.0)
    base = special_functions.atan(ops.where(nowhere, 0.0, abs(y) / abs(x)))
    angle = ops.where(_signbit(x), math.pi - base, base)
    return ops.where(_signbit(y), -angle, angle)


def _signbit(x: Tensor) -> Tensor:
    return (x < 0.0) | (1.0 / x < 0.0)


def _fmax(larger: bool) -> Callable[[Any, Any], Tensor]:
    """The larger (smaller) of two; of a number and NaN, the number."""

    def traced(x: Any, y: Any) -> Tensor:
        graph = graph_of(x, y)
        a, b = graph.tensor(x), graph.tensor(y)
        best = ops.maximum(a, b) if larger else ops.minimum(a, b)
        return ops.where(ops.isnan(a), b, ops.where(ops.isnan(b), a, best))

    return traced


def _rounding(op: str) -> Callable[[Tensor], Tensor]:
    return lambda x: x if x.dtype.kind in "iub" else ops.unary(op, x)


def _trunc(x: Tensor) -> Tensor:
    return x if x.dtype.kind in "iub" else ops.sign(x) * ops.floor(abs(x))


def _heaviside(x: Any, at_zero: Any) -> Tensor:
    return ops.where(ops.isnan(x), x, ops.where(x == 0.0, at_zero, (x > 0.0).astype(np.float64)))


def _never(x: Tensor) -> Tensor:
    """What isnan and isinf answer for whole numbers."""
    return comparison("Less", x, x)


def _if_float(function: Callable[[Tensor], Tensor], otherwise: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x) if x.dtype.kind == "f" else otherwise(x)


def _logit(p: Tensor) -> Tensor:
    return ops.log(p / (1.0 - p))


def _xlogy(x: Any, y: Any) -> Tensor:
    return ops.where(_not_equal(x, 0.0), x * ops.log(graph_of(x, y).tensor(y)), 0.0)


def _boxcox(x: Tensor, power: Any) -> Tensor:
    power = float(power)
    return ops.log(x) if power == 0.0 else ops.expm1(power * ops.log(x)) / power


def _inv_boxcox(y: Tensor, power: Any) -> Tensor:
    power = float(power)
    return ops.exp(y) if power == 0.0 else ops.exp(ops.log1p(power * y) / power)


UFUNCS: Mapping[Any, Callable[..., Tensor]] = {
    np.add: _binary("Add", "Or"),
    np.subtract: _binary("Sub"),
    np.multiply: _binary("Mul", "And"),
    np.divide: _divide,
    np.floor_divide: _floor_divide,
    np.remainder: _mod,
    np.fmod: lambda x, y: _whole_again(_fmod(x, y), x, y),
    np.power: _power,
    np.float_power: _floats(_power),
    np.maximum: ops.maximum,
    np.minimum: ops.minimum,
    np.fmax: _floats(_fmax(True)),
    np.fmin: _floats(_fmax(False)),
    np.matmul: ops.matmul,
    np.less: _compare("Less"),
    np.less_equal: _compare("LessOrEqual"),
    np.greater: _compare("Greater"),
    np.greater_equal: _compare("GreaterOrEqual"),
    np.equal: _compare("Equal"),
    np.not_equal: _not_equal,
    np.logical_and: _logical("And"),
    np.logical_or: _logical("Or"),
    np.logical_xor: _logical("Xor"),
    np.logical_not: lambda x: ~_truth(x),
    np.bitwise_and: _bitwise("And", "BitwiseAnd"),
    np.bitwise_or: _bitwise("Or", "BitwiseOr"),
    np.bitwise_xor: _bitwise("Xor", "BitwiseXor"),
    np.invert: _invert,
    np.negative: lambda x: -x,
    np.positive: lambda x: x,
    np.absolute: abs,
    np.fabs: _floats(abs),
    np.sign: ops.sign,
    np.signbit: _floats(_signbit),
    np.copysign: _floats(lambda x, y: ops.where(_signbit(y), -abs(x), abs(x))),
    np.heaviside: _floats(_heaviside),
    np.square: ops.square,
    np.reciprocal: lambda x: arithmetic("Div", 1.0, x),
    np.exp: _floats(ops.exp),
    np.exp2: _floats(lambda x: arithmetic("Pow", 2.0, x)),
    np.expm1: _floats(ops.expm1),
    np.log: _floats(ops.log),
    np.log1p: _floats(ops.log1p),
    np.log2: _floats(_logarithm(2)),
    np.log10: _floats(_logarithm(10)),
    np.logaddexp: _floats(special_functions.logaddexp),
    np.sqrt: _floats(ops.sqrt),
    np.cbrt: _floats(_cube_root),
    np.hypot: _floats(lambda x, y: ops.sqrt(x * x + y * y)),
    np.floor: _rounding("Floor"),
    np.ceil: _rounding("Ceil"),
    np.trunc: _trunc,
    np.rint: _floats(ops.rint),
    np.sin: _floats(ops.sin),
    np.cos: _floats(ops.cos),
    np.tan: _floats(special_functions.tan),
    np.arcsin: _floats(special_functions.asin),
    np.arccos: _floats(special_functions.acos),
    np.arctan: _floats(special_functions.atan),
    np.arctan2: _floats(_arctan2),
    np.sinh: _floats(special_functions.sinh),
    np.cosh: _floats(special_functions.cosh),
    np.tanh: _floats(ops.tanh),
    np.arcsinh: _floats(special_functions.asinh),
    np.arccosh: _floats(special_functions.acosh),
    np.arctanh: _floats(special_functions.atanh),
    **dict.fromkeys((np.deg2rad, np.radians), _floats(lambda x: x * (math.pi / 180.0))),
    **dict.fromkeys((np.rad2deg, np.degrees), _floats(lambda x: x * (180.0 / math.pi))),
    np.isnan: _if_float(ops.isnan, _never),
    np.isinf: _if_float(ops.isinf, _never),
    np.isfinite: _if_float(ops.isfinite, lambda x: ~_never(x)),
    sp.expit: _floats(special_functions.expit),
    sp.logit: _floats(_logit),
    sp.erf: _floats(special_functions.erf),
    sp.erfc: _floats(special_functions.erfc),
    sp.log1p: _floats(ops.log1p),
    sp.expm1: _floats(ops.expm1),
    sp.xlogy: _floats(_xlogy),
    sp.boxcox: _floats(_boxcox),
    sp.inv_boxcox: _floats(_inv_boxcox),
    sp.ndtr: _floats(lambda x: 0.5 * special_functions.erfc(-x / math.sqrt(2.0))),
}

_METHODS: Mapping[tuple[Any, str], Any] = {
    (np.add, "reduce"): np.sum,
    (np.multiply, "reduce"): np.prod,
    (np.maximum, "reduce"): np.max,
    (np.minimum, "reduce"): np.min,
    (np.logical_and, "reduce"): np.all,
    (np.logical_or, "reduce"): np.any,
    (np.add, "accumulate"): np.cumsum,
    (np.multiply, "accumulate"): np.cumprod,
}
