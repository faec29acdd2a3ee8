"""Compute each cell by itself: arithmetic, comparisons, logic, casts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.engine.numpy_engine.graph_decoder import DTYPES
from edge_runtime.engine.numpy_engine.node_spec import Kernel, KernelMaker, NodeSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ELEMENTWISE"]


def _kernel(kernel: Kernel) -> KernelMaker:
    """Make the maker of a kernel that needs no attributes."""
    return lambda _: kernel


def _divide(a: Any, b: Any) -> Any:
    """Divide; integers towards zero, as C does."""
    if a.dtype.kind == "f":
        return np.divide(a, b)
    quotient, remainder = np.divmod(a, b)
    return quotient + ((remainder != 0) & ((a < 0) != (b < 0))).astype(a.dtype)


def _modulo(spec: NodeSpec) -> Kernel:
    return np.fmod if spec.attributes.get("fmod", 0) else np.mod


def _power(a: Any, b: Any) -> Any:
    """Compute a power in the dtype of *a*; integers through float64, as onnxruntime does."""
    if a.dtype.kind == "f":
        return np.power(a, b.astype(a.dtype) if b.dtype != a.dtype else b)
    return np.power(a.astype(np.float64), b.astype(np.float64)).astype(a.dtype)


def _sigmoid(x: Any) -> Any:
    # exp of a negative number alone: it cannot overflow.
    small = np.exp(-np.abs(x))
    one = x.dtype.type(1)
    return np.where(x >= 0, one, small) / (one + small)


def _relu(x: Any) -> Any:
    return np.maximum(x, x.dtype.type(0))


def _maximum(*arrays: Any) -> Any:
    return reduce(np.maximum, arrays)


def _minimum(*arrays: Any) -> Any:
    return reduce(np.minimum, arrays)


def _sum(*arrays: Any) -> Any:
    return reduce(np.add, arrays)


def _equal(a: Any, b: Any) -> Any:
    return np.equal(a, b) if a.dtype.kind != "O" else np.equal(a, b, dtype=object).astype(np.bool_)


def _is_inf(spec: NodeSpec) -> Kernel:
    positive = spec.attributes.get("detect_positive", 1)
    negative = spec.attributes.get("detect_negative", 1)
    if positive and negative:
        return np.isinf
    if positive:
        return np.isposinf
    if negative:
        return np.isneginf
    return lambda x: np.zeros(x.shape, dtype=np.bool_)


def _cast(spec: NodeSpec) -> Kernel:
    dtype = DTYPES[spec.attributes["to"]]
    return lambda x: cast(x, dtype)


def cast(x: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Cast as onnxruntime does; text to and from numbers by C's rules."""
    if x.dtype == dtype:
        return x
    if dtype.kind == "O":
        return _map_cells(_TO_TEXT.get(x.dtype.kind, _float_text), x, dtype)
    if x.dtype.kind == "O":
        return _map_cells(float if dtype.kind == "f" else int, x, dtype)
    return x.astype(dtype)


def _map_cells(function: Any, x: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    result = np.empty(x.shape, dtype=dtype)
    result.reshape(-1)[:] = [function(cell) for cell in x.ravel().tolist()]
    return result


def _float_text(cell: float) -> str:
    if cell != cell:
        return "NaN"
    if cell in (np.inf, -np.inf):
        return "INF" if cell > 0 else "-INF"
    return f"{cell:.17g}"


_TO_TEXT: Mapping[str, Any] = {"i": str, "u": str, "b": lambda cell: str(int(cell))}

_COMPARISONS: Mapping[str, KernelMaker] = {
    "Equal": _kernel(_equal),
    "Greater": _kernel(np.greater),
    "GreaterOrEqual": _kernel(np.greater_equal),
    "Less": _kernel(np.less),
    "LessOrEqual": _kernel(np.less_equal),
}

_FUNCTIONS: Mapping[str, Kernel] = {
    "Abs": np.abs,
    "Acos": np.arccos,
    "Acosh": np.arccosh,
    "Asin": np.arcsin,
    "Asinh": np.arcsinh,
    "Atan": np.arctan,
    "Atanh": np.arctanh,
    "BitwiseNot": np.invert,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Exp": np.exp,
    "Floor": np.floor,
    "Identity": lambda x: x,
    "IsNaN": np.isnan,
    "Log": np.log,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Reciprocal": lambda x: x.dtype.type(1) / x,
    "Relu": _relu,
    "Round": np.rint,
    "Sigmoid": _sigmoid,
    "Sign": np.sign,
    "Sin": np.sin,
    "Sinh": np.sinh,
    "Softplus": lambda x: np.logaddexp(x, x.dtype.type(0)),
    "Softsign": lambda x: x / (x.dtype.type(1) + np.abs(x)),
    "Sqrt": np.sqrt,
    "Tan": np.tan,
    "Tanh": np.tanh,
}

_OPERATIONS: Mapping[str, Kernel] = {
    "Add": np.add,
    "And": np.logical_and,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
    "Div": _divide,
    "Max": _maximum,
    "Min": _minimum,
    "Mul": np.multiply,
    "Or": np.logical_or,
    "Pow": _power,
    "Sub": np.subtract,
    "Sum": _sum,
    "Where": np.where,
    "Xor": np.logical_xor,
}

ELEMENTWISE: Mapping[str, KernelMaker] = {
    **_COMPARISONS,
    **{name: _kernel(kernel) for name, kernel in {**_FUNCTIONS, **_OPERATIONS}.items()},
    "Cast": _cast,
    "IsInf": _is_inf,
    "Mod": _modulo,
}
