"""Move cells without computing: shapes, slices, gathers and scatters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.engine.numpy_engine.node_spec import Kernel, KernelMaker, NodeSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SHAPES"]


def _concat(spec: NodeSpec) -> Kernel:
    axis = spec.attributes["axis"]
    return lambda *arrays: np.concatenate(arrays, axis)


def _expand(_: NodeSpec) -> Kernel:
    def kernel(x: Any, shape: Any) -> Any:
        return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist())))

    return kernel


def _gather(spec: NodeSpec) -> Kernel:
    axis = spec.attributes.get("axis", 0)
    table = spec.constant(0)
    if axis == 0 and table is not None and table.ndim == 1:
        take = table.take
        return lambda _, indices: take(indices)
    return lambda x, indices: x.take(indices, axis)


def _gather_elements(spec: NodeSpec) -> Kernel:
    axis = spec.attributes.get("axis", 0)

    def kernel(x: Any, indices: Any) -> Any:
        return x[_element_index(x, indices, axis)]

    return kernel


def _scatter_elements(spec: NodeSpec) -> Kernel:
    axis = spec.attributes.get("axis", 0)
    operation = _SCATTER[spec.attributes.get("reduction", "none")]

    def kernel(x: Any, indices: Any, updates: Any) -> Any:
        return _scatter(x, _element_index(x, indices, axis), updates, operation)

    return kernel


_SCATTER: Mapping[str, Any] = {
    "none": None,
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def _scatter(x: Any, place: tuple[Any, ...], updates: Any, operation: Any) -> Any:
    """Copy *x*, and write *updates* at *place*, combined by the ufunc *operation* if any."""
    result = x.copy()
    if operation is None:
        result[place] = updates
    else:
        operation.at(result, place, updates)
    return result


def _element_index(x: NDArray[Any], indices: NDArray[Any], axis: int) -> tuple[Any, ...]:
    """Index of each element: *indices* along *axis*, its own position along the others."""
    place = list(np.ogrid[tuple(map(slice, indices.shape))])
    place[axis] = indices
    return tuple(place)


def _gather_nd(spec: NodeSpec) -> Kernel:
    batch = spec.attributes.get("batch_dims", 0)

    def kernel(x: Any, indices: Any) -> Any:
        grid = np.ogrid[tuple(map(slice, indices.shape[:batch]))] if batch else []
        lead = [axis.reshape(axis.shape + (1,) * (indices.ndim - 1 - batch)) for axis in grid]
        return x[(*lead, *np.moveaxis(indices, -1, 0))]

    return kernel


def _scatter_nd(spec: NodeSpec) -> Kernel:
    operation = _SCATTER[spec.attributes.get("reduction", "none")]

    def kernel(x: Any, indices: Any, updates: Any) -> Any:
        return _scatter(x, tuple(np.moveaxis(indices, -1, 0)), updates, operation)

    return kernel


def _reshape(spec: NodeSpec) -> Kernel:
    keeps_zero = spec.attributes.get("allowzero", 0)
    constant = spec.integers(1)
    if constant is not None and (keeps_zero or 0 not in constant):
        return lambda x, _: x.reshape(constant)

    def kernel(x: Any, shape: Any) -> Any:
        sizes = shape.tolist()
        if not keeps_zero:
            sizes = [size or x.shape[i] for i, size in enumerate(sizes)]
        return x.reshape(sizes)

    return kernel


def _flatten(spec: NodeSpec) -> Kernel:
    axis = spec.attributes.get("axis", 1)

    def kernel(x: Any) -> Any:
        at = axis % x.ndim if axis < 0 else axis
        return x.reshape(int(np.prod(x.shape[:at], dtype=np.int64)), -1)

    return kernel


def _shape(spec: NodeSpec) -> Kernel:
    part = slice(spec.attributes.get("start", 0), spec.attributes.get("end"))
    return lambda x: np.array(x.shape[part], dtype=np.int64)


def _size(_: NodeSpec) -> Kernel:
    return lambda x: np.array(x.size, dtype=np.int64)


def _slice(spec: NodeSpec) -> Kernel:
    parts = [spec.integers(i) for i in range(1, len(spec.constants))]
    bounds = spec.constants[1:]
    if all(constant is not None for constant in bounds) and len(bounds) >= 2:
        return lambda x, *_: x[_slices(x.ndim, *parts)]

    def kernel(x: Any, *arrays: Any) -> Any:
        lists = [None if array is None else array.ravel().tolist() for array in arrays]
        return x[_slices(x.ndim, *lists)]

    return kernel


def _slices(
    ndim: int,
    starts: Sequence[int] | None,
    ends: Sequence[int] | None,
    axes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> tuple[slice, ...]:
    """Make the index of a Slice node.  Python clamps ends just as ONNX does, but for one case."""
    starts, ends = starts or (), ends or ()
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    index = [slice(None)] * ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # Before the first cell, which Python would count from the end.
        stop = None if step < 0 and end < -(1 << 31) + 1 else end
        index[axis] = slice(start, stop, step)
    return tuple(index)


def _split(spec: NodeSpec) -> Kernel:
    axis, n_outputs = spec.attributes.get("axis", 0), spec.n_outputs

    def kernel(x: Any, sizes: Any = None) -> Any:
        if sizes is None:
            step = -(-x.shape[axis] // n_outputs)
            cuts = [step * i for i in range(1, n_outputs)]
        else:
            cuts = np.cumsum(sizes)[:-1].tolist()
        parts = np.split(x, cuts, axis)
        return parts if n_outputs > 1 else parts[0]

    return kernel


def _squeeze(spec: NodeSpec) -> Kernel:
    constant = spec.integers(1)
    if constant is not None and len(constant) == 1:
        (axis,) = constant
        return lambda x, _: x.squeeze(axis)

    def kernel(x: Any, axes: Any = None) -> Any:
        return x.squeeze(None if axes is None else tuple(axes.ravel().tolist()))

    return kernel


def _unsqueeze(_: NodeSpec) -> Kernel:
    return lambda x, axes: np.expand_dims(x, tuple(axes.ravel().tolist()))


def _transpose(spec: NodeSpec) -> Kernel:
    order = spec.attributes.get("perm")
    axes = None if order is None else tuple(order)
    return lambda x: x.transpose(axes)


def _tile(_: NodeSpec) -> Kernel:
    return lambda x, repeats: np.tile(x, tuple(repeats.tolist()))


def _constant(spec: NodeSpec) -> Kernel:
    ((name, value),) = spec.attributes.items()
    dtype: Any = {
        "value_float": np.float32, "value_floats": np.float32, "value_int": np.int64,
        "value_ints": np.int64, "value_string": object, "value_strings": object,
    }.get(name)  # fmt: skip
    array = np.asarray(value, dtype=dtype)
    return lambda: array


def _constant_of_shape(spec: NodeSpec) -> Kernel:
    value = spec.attributes.get("value", np.zeros(1, dtype=np.float32)).ravel()[0]
    return lambda shape: np.full(tuple(shape.tolist()), value)


def _one_hot(spec: NodeSpec) -> Kernel:
    axis = spec.attributes.get("axis", -1)

    def kernel(indices: Any, depth: Any, values: Any) -> Any:
        n_classes = int(np.asarray(depth).ravel()[0])
        positions = indices.astype(np.int64)
        positions = np.where(positions < 0, positions + n_classes, positions)
        is_one = np.expand_dims(positions, -1) == np.arange(n_classes)
        return np.moveaxis(np.where(is_one, values[1], values[0]), -1, axis)

    return kernel


def _pad(spec: NodeSpec) -> Kernel:
    mode = spec.attributes.get("mode", "constant")

    def kernel(x: Any, pads: Any, value: Any = None, axes: Any = None) -> Any:
        axes = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
        sizes = pads.tolist()
        widths = [(0, 0)] * x.ndim
        for i, axis in enumerate(axes):
            widths[axis] = (sizes[i], sizes[i + len(sizes) // 2])
        # Negative widths crop.
        cropped = x[
            tuple(
                slice(max(0, -before), x.shape[axis] - max(0, -after))
                for axis, (before, after) in enumerate(widths)
            )
        ]
        widths = [(max(0, before), max(0, after)) for before, after in widths]
        if mode != "constant":
            return np.pad(cropped, widths, mode=mode)
        fill = ("" if x.dtype.kind == "O" else 0) if value is None else value.ravel()[0]
        return np.pad(cropped, widths, constant_values=fill)

    return kernel


def _range(_: NodeSpec) -> Kernel:
    def kernel(start: Any, limit: Any, step: Any) -> Any:
        return np.arange(start.item(), limit.item(), step.item()).astype(start.dtype)

    return kernel


def _trilu(spec: NodeSpec) -> Kernel:
    triangle = np.triu if spec.attributes.get("upper", 1) else np.tril
    return lambda x, k=None: triangle(x, 0 if k is None else int(k.item()))


SHAPES: Mapping[str, KernelMaker] = {
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
