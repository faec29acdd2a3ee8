"""Operations on symbolic arrays, under numpy's names where numpy has them.

Every function takes tensors or constants and writes the nodes that onnxruntime has in float64.
Where its CPU provider lacks a float64 kernel (Erf, Softplus, Atan, …: listed in
docs/adr/0002-own-graph-builder.md) the function composes one from those it has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_pipeline.conversion.graph.shape_ops import (
    concatenate,
    full_rows,
    gather_elements,
    reshape,
    reshape_rows,
    rows,
    stack,
)
from edge_pipeline.conversion.graph.tensor import (
    Tensor,
    arithmetic,
    broadcast,
    comparison,
    expand_dims,
    getitem,
    graph_of,
    matmul,
    squeeze,
    take,
)
from edge_pipeline.conversion.graph.types import STRING, Shape

__all__ = [
    "abs_", "argmax", "argmin", "clip", "concatenate", "cos", "cumsum", "exp", "expand_dims",
    "expm1", "floor", "full_rows", "gather_elements", "getitem", "isfinite", "isinf", "isnan",
    "log", "log1p", "log_softmax", "logsumexp", "lookup", "matmul", "max_", "maximum", "mean",
    "min_", "minimum", "norm", "one_hot", "prod", "reshape", "reshape_rows", "rint", "rows",
    "sigmoid", "sign", "sin", "softmax", "softplus", "sort", "sqrt", "square", "squeeze", "stack",
    "sum_", "sum_of_squares", "take", "tanh", "top_k", "trunc", "unary", "where",
]  # fmt: skip


def unary(op: str, x: Tensor, dtype: Any = None) -> Tensor:
    """An elementwise operator of one argument."""
    _refuse_text(op, x)
    return x.graph.node(op, x, dtype=dtype or x.dtype, shape=x.shape)


def exp(x: Tensor) -> Tensor:
    """E to the power of *x*."""
    return unary("Exp", x)


def log(x: Tensor) -> Tensor:
    """Natural logarithm."""
    return unary("Log", x)


def sqrt(x: Tensor) -> Tensor:
    """Square root."""
    return unary("Sqrt", x)


def square(x: Tensor) -> Tensor:
    """*x* times *x*, one rounding as in numpy."""
    return x * x


def abs_(x: Tensor) -> Tensor:
    """Absolute value."""
    return abs(x)


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1."""
    return unary("Sign", x)


def floor(x: Tensor) -> Tensor:
    """Largest whole number not above *x*."""
    return unary("Floor", x)


def trunc(x: Tensor) -> Tensor:
    """Whole number next to *x* towards zero."""
    return sign(x) * floor(abs(x))


def rint(x: Tensor) -> Tensor:
    """Nearest whole number, halves to even as in numpy."""
    return unary("Round", x)


def sin(x: Tensor) -> Tensor:
    """Sine of radians."""
    return unary("Sin", x)


def cos(x: Tensor) -> Tensor:
    """Cosine of radians."""
    return unary("Cos", x)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return unary("Tanh", x)


def sigmoid(x: Tensor) -> Tensor:
    """``scipy.special.expit``: 1 / (1 + exp(-x)), within 3e-16 (test_ops.py)."""
    return unary("Sigmoid", x)


def log1p(x: Tensor) -> Tensor:
    """log(1 + x) without loss where *x* is small.

    log1p(x) is log(w) * x / (w - 1) for w = 1 + x (Kahan; Goldberg 1991, theorem 4).
    """
    w = 1.0 + x
    gap = w - 1.0
    return where(gap == 0.0, x, log(w) * where(isinf(gap), 1.0, x / gap))


def expm1(x: Tensor) -> Tensor:
    """exp(x) - 1 without loss where *x* is small.

    expm1(x) is (u - 1) * x / log(u) for u = exp(x) (Kahan; Higham 2002, section 1.14.1); beyond
    one the subtraction loses nothing.
    """
    u = exp(x)
    near = (u - 1.0) * (x / where(u == 1.0, 1.0, log(u)))
    return where(abs(x) < 1.0, where(u == 1.0, x, near), u - 1.0)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), without overflow and without loss where *x* is very negative."""
    return maximum(x, 0.0) + log1p(exp(-abs(x)))


def isnan(x: Tensor) -> Tensor:
    """Whether each element is NaN."""
    return unary("IsNaN", x, np.bool_)


def isinf(x: Tensor) -> Tensor:
    """Whether each element is infinite, of either sign."""
    return unary("IsInf", x, np.bool_)


def isfinite(x: Tensor) -> Tensor:
    """Whether each element is neither NaN nor infinite."""
    return ~(isnan(x) | isinf(x))


def maximum(x: Any, y: Any) -> Tensor:
    """The larger of two, elementwise; of booleans, or."""
    return comparison("Or", x, y) if _are_booleans(x, y) else arithmetic("Max", x, y)


def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of two, elementwise; of booleans, and."""
    return comparison("And", x, y) if _are_booleans(x, y) else arithmetic("Min", x, y)


def _are_booleans(*values: Any) -> bool:
    dtypes = [v.dtype if isinstance(v, Tensor) else np.asarray(v).dtype for v in values]
    return all(dtype == np.bool_ for dtype in dtypes)


def _refuse_text(op: str, x: Tensor) -> None:
    if x.is_string:
        raise TypeError(f"{op} of text has no form in a graph")


def clip(x: Tensor, low: Any, high: Any) -> Tensor:
    """*x* held between bounds that broadcast; None leaves a side open."""
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


def where(condition: Tensor, x: Any, y: Any) -> Tensor:
    """*x* where *condition* holds, *y* elsewhere; of numbers or of strings."""
    graph = graph_of(condition, x, y)
    kinds = [v.dtype if isinstance(v, Tensor) else np.asarray(v).dtype for v in (x, y)]
    if any(kind.kind in "OU" for kind in kinds):
        dtype: np.dtype[Any] = STRING
    else:
        dtype = np.result_type(*kinds)
    a, b = (v.astype(dtype) if isinstance(v, Tensor) else graph.constant(v, dtype) for v in (x, y))
    if dtype == np.bool_:  # onnxruntime's Where has no such kernel
        return (condition & a) | (~condition & b)
    shape = broadcast(condition.shape, a.shape, b.shape)
    return graph.node("Where", condition, a, b, dtype=dtype, shape=shape)


def _reduce(op: str, x: Tensor, axis: int | tuple[int, ...] | None, keepdims: bool) -> Tensor:
    _refuse_text(op, x)
    if x.dtype == np.bool_:  # onnxruntime has no such kernel
        return _reduce(op, x.astype(np.int64), axis, keepdims).astype(np.bool_)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(a % x.ndim for a in axes)
    if keepdims:
        shape: Shape = tuple(1 if i in axes else size for i, size in enumerate(x.shape))
    else:
        shape = tuple(size for i, size in enumerate(x.shape) if i not in axes)
    return x.graph.node(
        op, x, np.array(axes, dtype=np.int64), keepdims=int(keepdims), dtype=x.dtype, shape=shape
    )


def sum_(x: Tensor, axis: int | tuple[int, ...] | None = -1, keepdims: bool = False) -> Tensor:
    """Sum over *axis*; booleans are counted."""
    return _reduce("ReduceSum", x if x.dtype != np.bool_ else x.astype(np.int64), axis, keepdims)


def sum_of_squares(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """Sum of squares over *axis*, one node."""
    return _reduce("ReduceSumSquare", x, axis, keepdims)


def max_(x: Tensor, axis: int | tuple[int, ...] | None = -1, keepdims: bool = False) -> Tensor:
    """Largest over *axis*."""
    return _reduce("ReduceMax", x, axis, keepdims)


def min_(x: Tensor, axis: int | tuple[int, ...] | None = -1, keepdims: bool = False) -> Tensor:
    """Smallest over *axis*."""
    return _reduce("ReduceMin", x, axis, keepdims)


def mean(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over *axis*: the sum, then one division, as numpy does."""
    size = x.shape[axis]
    if size is None:
        raise ValueError("the mean over the rows of a batch is not a function of one row")
    return sum_(x, axis, keepdims) / float(size)


def prod(x: Tensor, axis: int | tuple[int, ...] | None = -1, keepdims: bool = False) -> Tensor:
    """Product over *axis*."""
    return _reduce("ReduceProd", x, axis, keepdims)


def norm(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """Euclidean length over *axis*."""
    return sqrt(sum_(x * x, axis, keepdims))


def logsumexp(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))), shifted by the largest element as scipy does."""
    top = max_(x, axis, True)
    top = where(isinf(top), 0.0, top)
    total = log(sum_(exp(x - top), axis, True)) + top
    return total if keepdims else squeeze(total, axis)


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last axis, within 5e-16 of scipy's (test_ops.py)."""
    return x.graph.node("Softmax", x, axis=x.ndim - 1, dtype=x.dtype, shape=x.shape)


def log_softmax(x: Tensor) -> Tensor:
    """*x* minus its logsumexp over the last axis."""
    return x - logsumexp(x, -1, True)


def _arg(op: str, x: Tensor, axis: int, keepdims: bool, last: bool = False) -> Tensor:
    axis %= x.ndim
    if keepdims:
        shape: Shape = tuple(1 if i == axis else size for i, size in enumerate(x.shape))
    else:
        shape = x.shape[:axis] + x.shape[axis + 1 :]
    return x.graph.node(
        op,
        x,
        axis=axis,
        keepdims=int(keepdims),
        select_last_index=1 if last else None,
        dtype=np.int64,
        shape=shape,
    )


def argmax(x: Tensor, axis: int = -1, keepdims: bool = False, *, last: bool = False) -> Tensor:
    """Position of the largest element, the first of equals as in numpy, or the last."""
    if x.dtype == np.bool_:
        x = x.astype(np.int64)
    return _arg("ArgMax", x, axis, keepdims, last)


def argmin(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """Position of the smallest element, the first of equals as in numpy."""
    return _arg("ArgMin", x, axis, keepdims)


def cumsum(x: Tensor, axis: int = -1) -> Tensor:
    """Running sum."""
    at = np.array(axis % x.ndim, dtype=np.int64)
    return x.graph.node("CumSum", x, at, dtype=x.dtype, shape=x.shape)


def top_k(x: Tensor, k: int, *, largest: bool = True) -> tuple[Tensor, Tensor]:
    """The *k* largest (or smallest) of the last axis in order, with their positions.

    Of equal values the lower position comes first (the TopK operator's page).
    """
    _refuse_text("TopK", x)
    if x.dtype == np.bool_:
        values, indices = top_k(x.astype(np.int64), k, largest=largest)
        return values.astype(np.bool_), indices
    shape = (*x.shape[:-1], k)
    values, indices = x.graph.nodes(
        "TopK", [x, np.array([k])], [(x.dtype, shape), (np.int64, shape)], largest=int(largest)
    )
    return values, indices


def sort(x: Tensor) -> Tensor:
    """Ascending along the last axis."""
    return top_k(x, x.width, largest=False)[0]


def one_hot(index: Tensor, depth: int, dtype: Any = np.float64) -> Tensor:
    """A last axis of *depth* that is 1 at *index* and 0 elsewhere; outside [0, depth) all zeros."""
    return (expand_dims(index, index.ndim) == np.arange(depth)).astype(dtype)


def lookup(x: Tensor, keys: Any, values: Any, default: Any) -> Tensor:
    """*values* at the position of *x* in *keys*, *default* for anything else.

    ``ai.onnx.ml.LabelEncoder``: a hash table; NaN finds NaN (the operator's page).
    """
    keys, values = np.asarray(keys), np.asarray(values)
    dtype = np.dtype(np.int64 if values.dtype.kind in "iu" else values.dtype)
    if values.dtype.kind in "OU":
        values, dtype = values.astype(object), STRING
    return x.graph.node(
        "LabelEncoder",
        x,
        domain="ai.onnx.ml",
        keys_tensor=keys.astype(object if x.is_string else x.dtype),
        values_tensor=values.astype(dtype),
        default_tensor=np.array([default], dtype=dtype),
        dtype=dtype,
        shape=x.shape,
    )
