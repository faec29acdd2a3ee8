"""Compute along axes: products of matrices, sums, extremes, sorted cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.engine.numpy_engine.node_spec import Kernel, KernelMaker, NodeSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["REDUCTIONS"]


def _gemm(spec: NodeSpec) -> Kernel:
    attributes = spec.attributes
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    is_plain = (
        alpha == beta == 1.0 and not attributes.get("transA") and not attributes.get("transB")
    )
    if is_plain and len(spec.constants) == 3:
        return lambda a, b, c: a @ b + c
    if is_plain:
        return np.matmul

    def kernel(a: Any, b: Any, c: Any = None) -> Any:
        a_turned = a.T if attributes.get("transA") else a
        b_turned = b.T if attributes.get("transB") else b
        product = a.dtype.type(alpha) * (a_turned @ b_turned)
        return product if c is None else product + a.dtype.type(beta) * c

    return kernel


def _einsum(spec: NodeSpec) -> Kernel:
    equation = spec.attributes["equation"].replace(" ", "")
    return lambda *arrays: np.einsum(equation, *arrays)


def _cumsum(spec: NodeSpec) -> Kernel:
    exclusive, reverse = spec.attributes.get("exclusive", 0), spec.attributes.get("reverse", 0)

    def kernel(x: Any, axis: Any) -> Any:
        at = int(axis.item()) if axis.ndim == 0 else int(axis[0])
        if not exclusive and not reverse:
            return x.cumsum(at, dtype=x.dtype)
        last_axis = np.moveaxis(x, at, -1)
        last_axis = last_axis[..., ::-1] if reverse else last_axis
        sums = last_axis.cumsum(-1, dtype=x.dtype)
        if exclusive:
            first = np.zeros((*sums.shape[:-1], 1), dtype=x.dtype)
            sums = np.concatenate([first, sums[..., :-1]], -1)
        return np.moveaxis(sums[..., ::-1] if reverse else sums, -1, at)

    return kernel


def _reduction(
    function: Callable[..., Any],
) -> KernelMaker:
    """Make the maker of a reduction; *function* takes ``(x, axes, keepdims)``."""

    def maker(spec: NodeSpec) -> Kernel:
        keepdims = bool(spec.attributes.get("keepdims", 1))
        keeps_all = bool(spec.attributes.get("noop_with_empty_axes", 0))
        constant = spec.integers(1)
        if constant:
            return lambda x, _: function(x, constant, keepdims)

        def kernel(x: Any, axes: Any = None) -> Any:
            if axes is None or not axes.size:
                return x if keeps_all else function(x, None, keepdims)
            return function(x, tuple(axes.ravel().tolist()), keepdims)

        return kernel

    return maker


def _sum(x: Any, axes: Any, keepdims: bool) -> Any:
    return x.sum(axes, x.dtype, keepdims=keepdims)


def _mean(x: Any, axes: Any, keepdims: bool) -> Any:
    return x.mean(axes, keepdims=keepdims, dtype=x.dtype)


def _log_sum_exp(x: Any, axes: Any, keepdims: bool) -> Any:
    largest = np.max(x, axes, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, x.dtype.type(0))
    sums = np.log(_sum(np.exp(x - largest), axes, True)) + largest
    return sums if keepdims else np.squeeze(sums, axes)


def _softmax(spec: NodeSpec) -> Kernel:
    axis = spec.attributes.get("axis", -1)
    maximum, add = np.maximum.reduce, np.add.reduce

    def kernel(x: Any) -> Any:
        powers = np.exp(x - maximum(x, axis, keepdims=True))
        powers /= add(powers, axis, keepdims=True)
        return powers

    return kernel


def _log_softmax(spec: NodeSpec) -> Kernel:
    axis = spec.attributes.get("axis", -1)

    def kernel(x: Any) -> Any:
        shifted = x - x.max(axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))

    return kernel


def _hardmax(spec: NodeSpec) -> Kernel:
    axis = spec.attributes.get("axis", -1)

    def kernel(x: Any) -> Any:
        result = np.zeros_like(x)
        np.put_along_axis(result, np.expand_dims(x.argmax(axis), axis), 1, axis)
        return result

    return kernel


def _extreme_position(find: Callable[..., Any]) -> KernelMaker:
    """Make the maker of ArgMax or ArgMin."""

    def maker(spec: NodeSpec) -> Kernel:
        axis, keepdims = spec.attributes.get("axis", 0), spec.attributes.get("keepdims", 1)
        if not spec.attributes.get("select_last_index", 0):
            if keepdims:
                return lambda x: np.expand_dims(find(x, axis), axis)
            return lambda x: find(x, axis)

        def last(x: Any) -> Any:
            position = x.shape[axis] - 1 - find(np.flip(x, axis), axis)
            return np.expand_dims(position, axis) if keepdims else position

        return last

    return maker


PARTITION_FROM = 64
"""Rows of so many cells are partitioned before they are sorted, if few cells are wanted."""


def _top_k(spec: NodeSpec) -> Kernel:
    axis, largest = spec.attributes.get("axis", -1), spec.attributes.get("largest", 1)

    def kernel(x: Any, k: Any) -> Any:
        count = int(k.ravel()[0])
        cells = x if axis in (-1, x.ndim - 1) else np.moveaxis(x, axis, -1)
        keys = cells
        if largest:  # the order of ties stays: the lower index first
            keys = -cells if cells.dtype.kind == "f" else ~cells
        positions = smallest_positions(keys, count)
        values = np.take_along_axis(cells, positions, -1)
        if cells is not x:
            values, positions = np.moveaxis(values, -1, axis), np.moveaxis(positions, -1, axis)
        return values, positions

    return kernel


def smallest_positions(keys: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Find the *count* smallest cells of each row, in order; of equal cells the first."""
    length = keys.shape[-1]
    if count > length:
        raise ValueError(f"expected at least {count} cells, found {length}")
    if length < PARTITION_FROM or 4 * count > length or not count:
        return keys.argsort(-1, kind="stable")[..., :count]
    bound = np.partition(keys, count - 1, -1)[..., count - 1 : count]
    is_candidate = keys <= bound
    if int(np.count_nonzero(is_candidate)) != bound.size * count:
        # Ties at the bound, or NaN: sort the whole rows.
        return keys.argsort(-1, kind="stable")[..., :count]
    positions = np.nonzero(is_candidate)[-1].reshape(*keys.shape[:-1], count)
    order = np.take_along_axis(keys, positions, -1).argsort(-1, kind="stable")
    return np.take_along_axis(positions, order, -1)


def _lp_normalization(spec: NodeSpec) -> Kernel:
    axis, order = spec.attributes.get("axis", -1), spec.attributes.get("p", 2)

    def kernel(x: Any) -> Any:
        norm = np.linalg.norm(x, ord=order, axis=axis, keepdims=True)
        return np.divide(x, norm, out=np.zeros_like(x), where=norm != 0)

    return kernel


REDUCTIONS: Mapping[str, KernelMaker] = {
    "ArgMax": _extreme_position(np.argmax),
    "ArgMin": _extreme_position(np.argmin),
    "CumSum": _cumsum,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "Hardmax": _hardmax,
    "LogSoftmax": _log_softmax,
    "LpNormalization": _lp_normalization,
    "MatMul": lambda _: np.matmul,
    "ReduceL1": _reduction(lambda x, axes, keep: _sum(np.abs(x), axes, keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: np.sqrt(_sum(x * x, axes, keep))),
    "ReduceLogSum": _reduction(lambda x, axes, keep: np.log(_sum(x, axes, keep))),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceMax": _reduction(lambda x, axes, keep: x.max(axes, keepdims=keep)),
    "ReduceMean": _reduction(_mean),
    "ReduceMin": _reduction(lambda x, axes, keep: x.min(axes, keepdims=keep)),
    "ReduceProd": _reduction(lambda x, axes, keep: x.prod(axes, dtype=x.dtype, keepdims=keep)),
    "ReduceSum": _reduction(_sum),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: _sum(x * x, axes, keep)),
    "Softmax": _softmax,
    "TopK": _top_k,
}
