"""Convert numpy's functions of arrays to ONNX nodes: joins, reshapes, choices, look-ups.

The result for a row must depend on that row alone.  A function that would reorder or count the
rows of the batch raises ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.searchsorted import searchsorted
from edge_pipeline.conversion.graph.tensor import Tensor, arithmetic, broadcast, graph_of
from edge_pipeline.conversion.graph.types import STRING
from edge_pipeline.conversion.tracing.indexing import take_along_axis, take_positions
from edge_pipeline.conversion.tracing.numpy_reductions import NOT_BY_ROW, REDUCTIONS, checked_axes
from edge_pipeline.conversion.tracing.ufuncs import UFUNCS

__all__ = ["FUNCTIONS", "reshape", "transpose"]


def _tensors(parts: Any) -> list[Tensor]:
    """Convert the parts to tensors of one graph."""
    parts = list(parts)
    graph = graph_of(*parts)
    return [graph.tensor(part) for part in parts]


def _concatenate(parts: Any, axis: Any = 0, out: Any = None, dtype: Any = None) -> Tensor:
    tensors = _tensors(parts)
    at = int(axis) % tensors[0].ndim
    if any(tensor.shape[at] is None for tensor in tensors) and len(tensors) > 1:
        raise ValueError("numpy.concatenate along the rows makes more rows than came in; join "
                         "columns (axis=1)")  # fmt: skip
    rows = next((t for t in tensors if t.shape[0] is None), None)
    if at and rows is not None:
        tensors = [_as_rows(t, rows) for t in tensors]
    return ops.concatenate(tensors, at)


def _as_rows(part: Tensor, rows: Tensor) -> Tensor:
    """Repeat a constant of one row for every row."""
    if part.shape[0] is not None and part.shape[0] == 1:
        target = ops.concatenate(
            [ops.rows(rows), rows.graph.constant(np.ones(part.ndim - 1, dtype=np.int64))], 0
        )
        shape = (None, *part.shape[1:])
        return rows.graph.node("Expand", part, target, dtype=part.dtype, shape=shape)
    return part


def _columns(part: Tensor) -> Tensor:
    return ops.expand_dims(part, 1) if part.ndim == 1 else part


def _hstack(parts: Any, **_: Any) -> Tensor:
    tensors = _tensors(parts)
    return _concatenate(tensors, 0 if tensors[0].ndim == 1 else 1)


def _column_stack(parts: Any) -> Tensor:
    return _concatenate([_columns(part) for part in _tensors(parts)], 1)


def _vstack(parts: Any, **_: Any) -> Tensor:
    rows = [ops.expand_dims(p, 0) if p.ndim == 1 else p for p in _tensors(parts)]
    return _concatenate(rows, 0)


def _stack(parts: Any, axis: int = 0, **_: Any) -> Tensor:
    tensors = _tensors(parts)
    at = axis % (tensors[0].ndim + 1)
    return ops.concatenate([ops.expand_dims(tensor, at) for tensor in tensors], at)


def reshape(x: Tensor, shape: Any) -> Tensor:
    """Reshape as numpy does; None in *shape* stands for the rows, which stay rows."""
    sizes = list(shape) if isinstance(shape, tuple | list) else [shape]
    if None not in x.shape:
        total = math.prod(size for size in x.shape if size is not None)
        remainder = total // max(1, math.prod(s for s in sizes if s != -1))
        return ops.reshape(x, [remainder if s == -1 else s for s in sizes])
    if x.shape[0] is not None:
        raise ValueError("numpy.reshape of an array whose first axis is not the rows; transpose it")
    row_size = math.prod(size for size in x.shape[1:] if size is not None)
    if sizes[0] is None and -1 in sizes[1:]:
        remainder = row_size // max(1, math.prod(s for s in sizes[1:] if s != -1))
        sizes = [None, *(remainder if s == -1 else s for s in sizes[1:])]
    elif sizes[0] == -1:
        sizes[0] = None
    if sizes[0] is not None or math.prod(s for s in sizes[1:] if s is not None) != row_size:
        raise ValueError(f"numpy.reshape to {tuple(shape)} mixes values of several rows")
    return ops.reshape_rows(x, *sizes[1:])


def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Transpose as numpy.transpose does."""
    order = [a % x.ndim for a in axes] if axes is not None else list(range(x.ndim))[::-1]
    if order == list(range(x.ndim)):
        return x
    shape = tuple(x.shape[a] for a in order)
    return x.graph.node("Transpose", x, perm=order, dtype=x.dtype, shape=shape)


def _swapaxes(x: Tensor, a: int, b: int) -> Tensor:
    order = list(range(x.ndim))
    order[a % x.ndim], order[b % x.ndim] = order[b % x.ndim], order[a % x.ndim]
    return transpose(x, order)


def _squeeze(x: Tensor, axis: Any = None) -> Tensor:
    if axis is None:
        axes = [i for i, size in enumerate(x.shape) if size == 1]
    else:
        axes = [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    for at in sorted(axes, reverse=True):
        x = ops.squeeze(x, at)
    return x


def _expand_dims(x: Tensor, axis: Any) -> Tensor:
    for at in sorted(axis if isinstance(axis, tuple) else (axis,)):
        x = ops.expand_dims(x, at)
    return x


def _where(condition: Any, x: Any = None, y: Any = None) -> Tensor:
    if x is None or y is None:
        raise TypeError("numpy.where with a condition alone picks rows; give both values")
    graph = graph_of(condition, x, y)
    return ops.where(graph.tensor(condition), x, y)


def _select(conditions: Any, choices: Any, default: Any = 0) -> Tensor:
    result = default
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        result = _where(condition, choice, result)
    return result  # type: ignore[no-any-return]


def _piecewise(x: Tensor, conditions: Any, functions: Any) -> Tensor:
    conditions, functions = list(conditions), list(functions)
    values = [f(x) if callable(f) else f for f in functions]
    default = values.pop() if len(values) > len(conditions) else 0.0
    return _select(conditions, values, default).astype(x.dtype)


def _clip(x: Tensor, a_min: Any = None, a_max: Any = None, out: Any = None, **kw: Any) -> Tensor:
    return ops.clip(x, kw.get("min", a_min), kw.get("max", a_max))


def _nan_to_num(
    x: Tensor, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Tensor:
    if x.dtype.kind != "f":
        return x
    limits = np.finfo(x.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    x = ops.where(ops.isnan(x), nan, x)
    return ops.where(x == np.inf, high, ops.where(x == -np.inf, low, x))


def _round(x: Tensor, decimals: int = 0, out: Any = None) -> Tensor:
    if x.dtype.kind != "f" or not decimals:
        return x if x.dtype.kind in "iu" else ops.rint(x)
    scale = 10.0 ** abs(decimals)
    return ops.rint(x * scale) / scale if decimals > 0 else ops.rint(x / scale) * scale


def _digitize(x: Tensor, bins: Any, right: bool = False) -> Tensor:
    bins = np.asarray(bins, dtype=np.float64)
    side: Any = "left" if right else "right"
    if bins.size > 1 and bins[0] > bins[-1]:
        return len(bins) - _sorted_index(bins[::-1], x, side)
    return _sorted_index(bins, x, side)


def _searchsorted(a: Any, v: Tensor, side: Any = "left", sorter: Any = None) -> Tensor:
    if isinstance(a, Tensor) or sorter is not None:
        raise TypeError("numpy.searchsorted in an array that the rows make has no form here")
    return _sorted_index(np.asarray(a, dtype=np.float64), v, side)


def _sorted_index(edges: Any, x: Tensor, side: Any) -> Tensor:
    """Find the position of each value among sorted constants; NaN is after all of them."""
    flat = _columns(x) if x.ndim <= 1 else x
    index = searchsorted([edges] * flat.width, flat.astype(np.float64), side=side)
    index = ops.where(ops.isnan(flat.astype(np.float64)), float(len(edges)), index)
    result = index.astype(np.int64)
    return ops.squeeze(result, 1) if x.ndim == 1 else result


def _interp(x: Tensor, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Tensor:
    xp, fp = (np.asarray(a, dtype=np.float64) for a in (xp, fp))
    x = x.astype(np.float64)
    segment = ops.clip(_sorted_index(xp, x, "right") - 1, 0, len(xp) - 1)
    slopes = np.append(np.diff(fp) / np.diff(xp), 0.0)
    result = ops.take(slopes, segment) * (x - ops.take(xp, segment)) + ops.take(fp, segment)
    result = ops.where(x < xp[0], float(fp[0] if left is None else left), result)
    return ops.where(x > xp[-1], float(fp[-1] if right is None else right), result)


def _isin(x: Tensor, values: Any, *_: Any, invert: bool = False, **__: Any) -> Tensor:
    unique = np.unique(np.asarray(list(values)))
    keys = unique.astype(object) if x.dtype == STRING else unique.astype(np.float64)
    source = x if x.dtype == STRING else x.astype(np.float64)
    if not len(keys):
        is_member = ops.full_rows(x, np.zeros(x.shape[1:], dtype=bool))
    else:
        is_member = ops.lookup(source, keys, np.ones(len(keys), dtype=np.int64), 0) > 0
        is_member = is_member if x.dtype == STRING else is_member & ~ops.isnan(source)
    return ~is_member if invert else is_member


def _isclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    graph = graph_of(a, b)
    x, y = graph.tensor(a), graph.tensor(b)
    close = (abs(x - y) <= atol + rtol * abs(y)) | (x == y)
    return close | (ops.isnan(x) & ops.isnan(y)) if equal_nan else close


def _constant_like(value: Any) -> Callable[..., Tensor]:
    def traced(x: Tensor, dtype: Any = None, *_: Any, **__: Any) -> Tensor:
        zero = ops.where(ops.isnan(x.astype(np.float64)), 0.0, 0.0)
        return (zero + float(value)).astype(x.dtype if dtype is None else dtype)

    return traced


def _full_like(x: Tensor, fill_value: Any, dtype: Any = None, **_: Any) -> Tensor:
    return _constant_like(fill_value)(x, dtype)


def _dot(a: Any, b: Any, out: Any = None) -> Tensor:
    scalar = any((v.ndim if isinstance(v, Tensor) else np.ndim(v)) == 0 for v in (a, b))
    return arithmetic("Mul", a, b) if scalar else ops.matmul(a, b)


def _einsum(subscripts: Any, *operands: Any, **_: Any) -> Tensor:
    if not isinstance(subscripts, str) or "->" not in subscripts or "." in subscripts:
        raise TypeError("numpy.einsum is traced for subscripts with -> and without ellipsis")
    equation = subscripts.replace(" ", "")
    inputs, output = equation.split("->")
    tensors = [tensor.astype(np.float64) for tensor in _tensors(operands)]
    sizes: dict[str, int | None] = {}
    for letters, tensor in zip(inputs.split(","), tensors, strict=True):
        for letter, size in zip(letters, tensor.shape, strict=True):
            sizes[letter] = broadcast((size,), (sizes.get(letter, 1),))[0]
    if any(size is None and letter not in output for letter, size in sizes.items()):
        raise ValueError(f"numpy.einsum {NOT_BY_ROW}")
    shape = tuple(sizes[letter] for letter in output)
    return tensors[0].graph.node(
        "Einsum", *tensors, equation=equation, dtype=np.float64, shape=shape
    )


def _flip(x: Tensor, axis: Any = None) -> Tensor:
    for at in checked_axes(x, axis, "flip"):
        x = ops.take(x, np.arange(x.shape[at] or 0)[::-1].copy(), at)
    return x


def _roll(x: Tensor, shift: int, axis: Any = None) -> Tensor:
    (at,) = checked_axes(x, axis, "roll")
    return ops.take(x, np.roll(np.arange(x.shape[at] or 0), shift), at)


def _repeat(x: Tensor, repeats: Any, axis: Any = None) -> Tensor:
    (at,) = checked_axes(x, axis, "repeat")
    return ops.take(x, np.repeat(np.arange(x.shape[at] or 0), repeats), at)


def _tile(x: Tensor, reps: Any) -> Tensor:
    counts = (1,) * (x.ndim - np.size(reps)) + tuple(np.atleast_1d(reps).tolist())
    for at, count in enumerate(counts):
        if count != 1:
            (at,) = checked_axes(x, at, "tile")
            x = ops.concatenate([x] * count, at)
    return x


def _delete(x: Tensor, obj: Any, axis: Any = None) -> Tensor:
    (at,) = checked_axes(x, axis, "delete")
    return ops.take(x, np.delete(np.arange(x.shape[at] or 0), obj), at)


def _split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    (at,) = checked_axes(x, axis, "split")
    sections = np.array_split(np.arange(x.shape[at] or 0), indices_or_sections)
    return [ops.take(x, indices, at) for indices in sections]


def _sort(x: Tensor, axis: Any = -1, **_: Any) -> Tensor:
    (at,) = checked_axes(x, axis, "sort")
    return _swapaxes(ops.sort(_swapaxes(x, at, -1)), at, -1)


def _argsort(x: Tensor, axis: Any = -1, **_: Any) -> Tensor:
    (at,) = checked_axes(x, axis, "argsort")
    if at != x.ndim - 1:
        raise TypeError("numpy.argsort is traced along the last axis")
    return ops.top_k(x, x.width, largest=False)[1]


def _polyval(p: Any, x: Tensor) -> Tensor:
    result: Any = 0.0
    for coefficient in np.asarray(p, dtype=np.float64):
        result = result * x + float(coefficient)
    return result  # type: ignore[no-any-return]


def _sinc(x: Tensor) -> Tensor:
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    # numpy too puts a tiny number in place of zero.
    angle = math.pi * ops.where(x == 0.0, 1.0e-20, x)
    return ops.sin(angle) / angle


def _size_of(x: Tensor, axis: Any = None) -> int:
    (at,) = checked_axes(x, axis, "size")
    return x.shape[at] or 0


FUNCTIONS: Mapping[Any, Callable[..., Any]] = {
    **REDUCTIONS,
    np.sort: _sort,
    np.argsort: _argsort,
    np.concatenate: _concatenate,
    np.hstack: _hstack,
    np.vstack: _vstack,
    np.column_stack: _column_stack,
    np.stack: _stack,
    np.append: lambda x, values, axis=None: _concatenate([x, values], axis if axis else 0),
    np.reshape: lambda x, shape=None, *_, **__: reshape(x, shape),
    np.ravel: lambda x, order="C": reshape(x, -1),
    np.transpose: transpose,
    np.swapaxes: _swapaxes,
    np.squeeze: _squeeze,
    np.expand_dims: _expand_dims,
    np.atleast_1d: lambda x: x,
    np.atleast_2d: lambda x: ops.expand_dims(x, 0) if x.ndim == 1 else x,
    np.copy: lambda x, *_, **__: x,
    np.real: lambda x: x,
    np.take: take_positions,
    np.take_along_axis: take_along_axis,
    np.delete: _delete,
    np.flip: _flip,
    np.fliplr: lambda x: _flip(x, 1),
    np.roll: _roll,
    np.repeat: _repeat,
    np.tile: _tile,
    np.split: _split,
    np.array_split: _split,
    np.hsplit: lambda x, sections: _split(x, sections, 1),
    np.where: _where,
    np.select: _select,
    np.piecewise: _piecewise,
    np.clip: _clip,
    np.nan_to_num: _nan_to_num,
    np.round: _round,
    np.around: _round,
    np.fix: lambda x, *_: UFUNCS[np.trunc](x),
    np.digitize: _digitize,
    np.searchsorted: _searchsorted,
    np.interp: _interp,
    np.isin: _isin,
    np.isclose: _isclose,
    np.zeros_like: _constant_like(0.0),
    np.empty_like: _constant_like(0.0),
    np.ones_like: _constant_like(1.0),
    np.full_like: _full_like,
    np.dot: _dot,
    np.einsum: _einsum,
    np.polyval: _polyval,
    np.sinc: _sinc,
    np.ndim: lambda x: x.ndim,
    np.shape: lambda x: x.shape,
    np.size: _size_of,
}
