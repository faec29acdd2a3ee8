"""Convert the ufuncs of numpy and scipy to ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.graph import ops, special_functions
from edge_pipeline.conversion.graph.calendar import floor_divide, modulo
from edge_pipeline.conversion.graph.tensor import Tensor, arithmetic, comparison, graph_of
from edge_pipeline.conversion.tracing.scipy_ufuncs import SCIPY_UFUNCS, cube_root
from edge_pipeline.conversion.tracing.text import TextMethods
from edge_pipeline.conversion.tracing.text_operators import compared_text, joined_text

__all__ = ["UFUNCS"]


def _floats(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Cast the arguments of *function* to float64; float32 stays float32."""

    def traced(*inputs: Any) -> Tensor:
        return function(*(_as_float(value) for value in inputs))

    return traced


def _as_float(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value if value.dtype.kind == "f" else value.astype(np.float64)
    array = np.asarray(value)
    return value if array.dtype.kind == "f" else array.astype(np.float64)


def _binary(op: str, of_booleans: str | None = None) -> Callable[[Any, Any], Tensor]:
    """Convert an arithmetic operator; of two booleans numpy has another, *of_booleans*."""

    def traced(x: Any, y: Any) -> Tensor:
        if op == "Add" and (_is_text(x) or _is_text(y)):
            return joined_text(x, y)
        if op == "Mul" and (_is_text(x) or _is_text(y)):
            return _repeated_text(x, y)
        if _is_boolean(x) and _is_boolean(y):
            if of_booleans is None:
                raise TypeError(f"{op} of two boolean arrays; use ^ or astype(float)")
            return comparison(of_booleans, x, y)
        return arithmetic(op, x, y)

    return traced


def _compare(op: str) -> Callable[[Any, Any], Tensor]:
    def traced(x: Any, y: Any) -> Tensor:
        is_text = _is_text(x) or _is_text(y)
        return compared_text(op, x, y) if is_text else comparison(op, x, y)

    return traced


def _equal(x: Any, y: Any) -> Tensor:
    equal = comparison("Equal", x, y)
    if isinstance(x, Tensor) and isinstance(y, Tensor) and x.is_string:
        return equal & ~comparison("Equal", x, MISSING_STRING)  # as NaN, it equals nothing
    return equal


def _not_equal(x: Any, y: Any) -> Tensor:
    return ~_equal(x, y)


def _is_text(value: Any) -> bool:
    return value.is_string if isinstance(value, Tensor) else np.asarray(value).dtype.kind == "U"


def _repeated_text(x: Any, y: Any) -> Tensor:
    text, times = (x, y) if isinstance(x, Tensor) else (y, x)
    if not isinstance(text, Tensor) or not isinstance(times, int | np.integer):
        raise TypeError("Mul of text and a column has no form in a graph")
    result: Tensor = TextMethods(text, lambda tensor: tensor).repeat(int(times))
    return result


def _is_boolean(value: Any) -> bool:
    return bool((value.dtype if isinstance(value, Tensor) else np.asarray(value).dtype) == np.bool_)


def _truth(value: Any) -> Any:
    """Cast to booleans as numpy does: every number but zero is true."""
    if isinstance(value, Tensor):
        return value if value.dtype == np.bool_ else _not_equal(value, 0)
    return np.asarray(value).astype(bool)


def _logical(op: str) -> Callable[[Any, Any], Tensor]:
    return lambda x, y: comparison(op, _truth(x), _truth(y))


def _bitwise(op: str, of_integers: str) -> Callable[[Any, Any], Tensor]:
    """Convert a bitwise operator; of booleans it is the logical one.

    Numbers are cast to int64: numpy refused them in training if they were not integers.
    """

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
    """Compute the remainder with the sign of the divisor."""
    if (constant := _whole_divisor(x, y)) is not None:
        return modulo(x, constant)
    remainder = _fmod(x, y)
    wrong_sign = _has_other_sign(remainder, y)
    return _as_integer(ops.where(wrong_sign, remainder + _as_float(y), remainder), x, y)


def _floor_divide(x: Any, y: Any) -> Tensor:
    """Subtract the remainder, divide, and round: npy_divmod of numpy's npy_math."""
    if (constant := _whole_divisor(x, y)) is not None:
        return floor_divide(x, constant)
    remainder = _fmod(x, y)
    quotient = (_as_float(x) - remainder) / _as_float(y)
    quotient = ops.where(_has_other_sign(remainder, y), quotient - 1.0, quotient)
    floor = ops.floor(quotient)
    whole = ops.where(quotient - floor > 0.5, floor + 1.0, floor)
    divisor = whole.graph.tensor(_as_float(y))
    return _as_integer(ops.where(divisor == 0.0, _as_float(x) / divisor, whole), x, y)


def _whole_divisor(x: Any, y: Any) -> int | None:
    """Return the divisor of int64 by a constant, which is exact beyond 2**53 too."""
    is_constant = isinstance(y, int | np.integer) and not isinstance(y, bool) and y != 0
    is_int64 = isinstance(x, Tensor) and x.dtype == np.int64
    return int(y) if is_int64 and is_constant else None


def _has_other_sign(remainder: Tensor, y: Any) -> Tensor:
    """Return whether a remainder that is not 0 has another sign than the divisor."""
    divisor = remainder.graph.tensor(_as_float(y))
    return (remainder != 0.0) & ((remainder < 0.0) ^ comparison("Less", divisor, 0.0))


def _as_integer(result: Tensor, x: Any, y: Any) -> Tensor:
    """Cast *result* to int64 if both operands are integers; by zero numpy's integers make zero."""
    kinds = {(v.dtype if isinstance(v, Tensor) else np.asarray(v).dtype).kind for v in (x, y)}
    if "f" in kinds:
        return result
    divisor = result.graph.tensor(_as_float(y))
    return ops.where(divisor == 0.0, 0.0, result).astype(np.int64)


def _logarithm(base: int) -> Callable[[Tensor], Tensor]:
    """Convert log2 or log10; the result is an integer where *x* is a power of the base."""

    def traced(x: Tensor) -> Tensor:
        value = ops.log(x) / math.log(base)
        integer = ops.rint(value)
        return ops.where(arithmetic("Pow", float(base), integer) == x, integer, value)

    return traced


def _hypot(x: Any, y: Any) -> Tensor:
    """Return the hypotenuse; the ratio of the sides cannot overflow, as their squares do."""
    graph = graph_of(x, y)
    a, b = abs(graph.tensor(x)), abs(graph.tensor(y))
    long, short = ops.maximum(a, b), ops.minimum(a, b)
    share = short / ops.where(long == 0.0, 1.0, long)
    length = long * ops.sqrt(1.0 + share * share)
    return ops.where((a == np.inf) | (b == np.inf), np.inf, length)


def _logaddexp2(x: Any, y: Any) -> Tensor:
    high, low = ops.maximum(x, y), ops.minimum(x, y)
    gap = ops.where(high == low, 0.0, low - high)
    return high + ops.log1p(arithmetic("Pow", 2.0, gap)) / math.log(2.0)


def _modf(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the fraction and the whole number of *x*, both with its sign."""
    whole = ops.trunc(x)
    return ops.where(ops.isinf(x), 0.0, x - whole), whole


def _arctan2(y: Any, x: Any) -> Tensor:
    graph = graph_of(y, x)
    y, x = graph.tensor(y), graph.tensor(x)
    is_origin = (y == 0.0) & (x == 0.0)
    ratio = ops.where(ops.isinf(y) & ops.isinf(x), 1.0, abs(y) / abs(x))
    base = special_functions.atan(ops.where(is_origin, 0.0, ratio))
    angle = ops.where(_signbit(x), math.pi - base, base)
    return ops.where(_signbit(y), -angle, angle)


def _signbit(x: Tensor) -> Tensor:
    return (x < 0.0) | (1.0 / x < 0.0)


def _fmax(larger: bool) -> Callable[[Any, Any], Tensor]:
    """Convert fmax or fmin: of a number and NaN, the number."""

    def traced(x: Any, y: Any) -> Tensor:
        graph = graph_of(x, y)
        a, b = graph.tensor(x), graph.tensor(y)
        best = ops.maximum(a, b) if larger else ops.minimum(a, b)
        return ops.where(ops.isnan(a), b, ops.where(ops.isnan(b), a, best))

    return traced


def _rounding(op: str) -> Callable[[Tensor], Tensor]:
    return lambda x: x if x.dtype.kind in "iub" else ops.unary(op, x)


def _trunc(x: Tensor) -> Tensor:
    return x if x.dtype.kind in "iub" else ops.trunc(x)


def _heaviside(x: Any, at_zero: Any) -> Tensor:
    return ops.where(ops.isnan(x), x, ops.where(x == 0.0, at_zero, (x > 0.0).astype(np.float64)))


def _false_everywhere(x: Tensor) -> Tensor:
    """Return false for every element: no integer is NaN or infinite."""
    return comparison("Less", x, x)


def _if_float(function: Callable[[Tensor], Tensor], otherwise: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x) if x.dtype.kind == "f" else otherwise(x)


UFUNCS: Mapping[Any, Callable[..., Any]] = {
    np.add: _binary("Add", "Or"),
    np.subtract: _binary("Sub"),
    np.multiply: _binary("Mul", "And"),
    np.divide: _divide,
    np.floor_divide: _floor_divide,
    np.remainder: _mod,
    np.divmod: lambda x, y: (_floor_divide(x, y), _mod(x, y)),
    np.modf: lambda x: _modf(_as_float(x)),
    np.fmod: lambda x, y: _as_integer(_fmod(x, y), x, y),
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
    np.equal: _equal,
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
    np.conjugate: lambda x: x,
    np.absolute: abs,
    np.fabs: _floats(abs),
    np.sign: ops.sign,
    np.signbit: _floats(_signbit),
    np.copysign: _floats(lambda x, y: ops.where(_signbit(y), -abs(x), abs(x))),
    np.heaviside: _floats(_heaviside),
    np.square: lambda x: comparison("And", x, x) if _is_boolean(x) else ops.square(x),
    np.reciprocal: lambda x: arithmetic("Div", 1.0, x),
    np.exp: _floats(ops.exp),
    np.exp2: _floats(lambda x: arithmetic("Pow", 2.0, x)),
    np.expm1: _floats(ops.expm1),
    np.log: _floats(ops.log),
    np.log1p: _floats(ops.log1p),
    np.log2: _floats(_logarithm(2)),
    np.log10: _floats(_logarithm(10)),
    np.logaddexp: _floats(special_functions.logaddexp),
    np.logaddexp2: _floats(_logaddexp2),
    np.sqrt: _floats(ops.sqrt),
    np.cbrt: _floats(cube_root),
    np.hypot: _floats(_hypot),
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
    np.isnan: _if_float(ops.isnan, _false_everywhere),
    np.isinf: _if_float(ops.isinf, _false_everywhere),
    np.isfinite: _if_float(ops.isfinite, lambda x: ~_false_everywhere(x)),
    **{ufunc: _floats(function) for ufunc, function in SCIPY_UFUNCS.items()},
}
