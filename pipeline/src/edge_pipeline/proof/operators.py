"""Evaluate ONNX operators on expressions of one row.

Operators that only move numbers (Gather, Concat, Reshape) leave the expressions as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edge_pipeline.proof.expressions import apply, dot, lookup, running_sums, take, where
from edge_pipeline.proof.scalars import Expr, NotUnderstood, constant, make
from edge_pipeline.proof.tree_reader import tree_ensemble

__all__ = ["RULES", "Rows", "constant_of", "objects"]


@dataclass(frozen=True, eq=False)
class Rows:
    """A tensor whose first axis is the rows.

    Attributes
    ----------
    items
        Expressions of one row: an object array of the other axes.
    """

    items: NDArray[Any]


def constant_of(tensor: onnx.TensorProto) -> NDArray[Any]:
    """Return the values of an initializer; text as Python strings."""
    values = numpy_helper.to_array(tensor)
    if tensor.data_type == onnx.TensorProto.STRING:
        texts = [item.decode() if isinstance(item, bytes) else str(item) for item in values.ravel()]
        return objects(texts, values.shape)
    return values


def objects(values: Sequence[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Return *values* as an array of objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


_Rule = Callable[[Sequence[Any], Mapping[str, Any]], Sequence[Any]]


def _expressions(value: Any, rank: int) -> NDArray[Any]:
    """Return *value* as expressions of one row, for an operation on tensors of this rank."""
    if isinstance(value, Rows):
        if value.items.ndim + 1 != rank:
            raise NotUnderstood("tensors of different rank in one operation")
        return value.items
    array = _numbers(value)
    if array.ndim == rank:
        raise NotUnderstood("a constant for every row")
    flat = array.ravel().tolist()
    return objects([constant(item) for item in flat], array.shape)


def _numbers(value: Any) -> NDArray[Any]:
    if not isinstance(value, np.ndarray) or value.dtype == np.float32:
        raise NotUnderstood("a constant of single precision, or none at all")
    return value


def _elementwise(op: Callable[..., Expr]) -> _Rule:
    """Make the rule of an operator that broadcasts its inputs and applies *op* to each element."""

    def rule(inputs: Sequence[Any], _: Mapping[str, Any]) -> Sequence[Any]:
        rank = max(v.items.ndim + 1 if isinstance(v, Rows) else np.ndim(v) for v in inputs)
        arrays = np.broadcast_arrays(*(_expressions(value, rank) for value in inputs))
        flat = [op(*each) for each in zip(*(array.ravel() for array in arrays), strict=True)]
        return [Rows(objects(flat, arrays[0].shape))]

    return rule


def _scalar_operation(op: str) -> _Rule:
    return _elementwise(lambda *args: apply(op, *args))


def _cast(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    op = _CASTS.get(attributes["to"])
    if op is None:
        raise NotUnderstood("a cast to an unusual type")
    return _elementwise(lambda x: _cast_scalar(op, x))(inputs, attributes)


def _cast_scalar(op: str, x: Expr) -> Expr:
    """Cast one scalar; a cast of a float64 to float64 is none."""
    if x.op == "var" and x.value.textual:
        raise NotUnderstood("a number read from a text")
    if op == "to float" and x.op in ("round to float32", "var", "dot", "trees", "map"):
        result = apply(op, x)
        return x if result.op == "to float" else result
    return apply(op, x)


_CASTS = {
    onnx.TensorProto.DOUBLE: "to float",
    onnx.TensorProto.FLOAT: "round to float32",
    onnx.TensorProto.INT64: "to int",
    onnx.TensorProto.BOOL: "to bool",
}


def _move(inputs: Sequence[Any], function: Callable[[NDArray[Any]], NDArray[Any]]) -> Sequence[Any]:
    """Rearrange elements with *function*, which gets an array whose first axis is the rows."""
    if not isinstance(inputs[0], Rows):
        raise NotUnderstood("a constant that is moved about")
    result = function(inputs[0].items[np.newaxis])
    if result.ndim == 0 or result.shape[0] != 1:
        raise NotUnderstood("the axis of the rows is moved")
    return [Rows(result.reshape(result.shape[1:]))]


def _gather(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    source, index = inputs
    axis = attributes.get("axis", 0)
    if isinstance(source, Rows) and isinstance(index, np.ndarray):
        if axis in (0, -1 - source.items.ndim):
            raise NotUnderstood("a choice among the rows")
        return _move(inputs, lambda x: np.take(x, index, axis=axis))
    if isinstance(source, np.ndarray) and isinstance(index, Rows) and axis == 0:
        columns = source.reshape(len(source), -1).T
        flat = [take(column, each) for each in index.items.ravel() for column in columns]
        return [Rows(objects(flat, (*index.items.shape, *source.shape[1:])))]
    raise NotUnderstood("Gather of rows by rows")


def _gather_elements(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    source, index = inputs
    if not isinstance(index, Rows) or index.items.ndim != 1:
        raise NotUnderstood("GatherElements by constants")
    if isinstance(source, np.ndarray) and attributes.get("axis", 0) == 0 and source.ndim == 2:
        columns = zip(_numbers(source).T, index.items, strict=False)
        elements = [take(column, each) for column, each in columns]
    elif isinstance(source, Rows) and source.items.ndim == 1:
        elements = [make("select", [*source.items, each]) for each in index.items]
    else:
        raise NotUnderstood("GatherElements of rows by columns")
    return [Rows(objects(elements, (len(elements),)))]


def _concat(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    axis = attributes["axis"]
    ranks = {value.items.ndim + 1 for value in inputs if isinstance(value, Rows)}
    if len(ranks) != 1 or axis in (0, -next(iter(ranks))):
        raise NotUnderstood("rows under rows")
    arrays = [_expressions(value, next(iter(ranks)))[np.newaxis] for value in inputs]
    return [Rows(np.concatenate(arrays, axis=axis)[0])]


def _slice(inputs: Sequence[Any], _: Mapping[str, Any]) -> Sequence[Any]:
    source, starts, stops, axes, *steps = inputs
    if not isinstance(source, Rows):
        raise NotUnderstood("a constant that is cut")
    slices: list[slice] = [slice(None)] * (source.items.ndim + 1)
    step_sizes = steps[0] if steps else np.ones(len(axes), dtype=np.int64)
    for start, stop, axis, step in zip(starts, stops, axes, step_sizes, strict=True):
        if axis in (0, -len(slices)) or step < 0:
            raise NotUnderstood("rows that are cut")
        slices[axis] = slice(int(start), int(stop), int(step))
    return _move(inputs, lambda x: x[tuple(slices)])


def _reshape(inputs: Sequence[Any], _: Mapping[str, Any]) -> Sequence[Any]:
    if not isinstance(inputs[1], np.ndarray) or not isinstance(inputs[0], Rows):
        raise NotUnderstood("a shape that depends on the rows")
    first, *sizes = inputs[1].tolist()
    if first not in (0, -1) or any(size <= 0 for size in sizes):
        raise NotUnderstood("the axis of the rows is reshaped")
    if int(np.prod(sizes)) != inputs[0].items.size:
        raise NotUnderstood("the axis of the rows is reshaped")
    return [Rows(inputs[0].items.reshape(sizes))]


def _squeeze(inputs: Sequence[Any], _: Mapping[str, Any]) -> Sequence[Any]:
    axes = tuple(int(axis) for axis in inputs[1]) if len(inputs) > 1 else None
    if axes is None or 0 in axes:
        raise NotUnderstood("the axis of the rows is dropped")
    return _move(inputs, lambda x: np.squeeze(x, axis=axes))


def _unsqueeze(inputs: Sequence[Any], _: Mapping[str, Any]) -> Sequence[Any]:
    axes = tuple(int(axis) for axis in inputs[1])
    if 0 in axes:
        raise NotUnderstood("an axis before the rows")
    return _move(inputs, lambda x: np.expand_dims(x, axis=axes))


def _product(X: Any, W: Any, bias: NDArray[Any] | None = None) -> Sequence[Any]:
    """Multiply the row *X* by the constant matrix *W*."""
    if not isinstance(X, Rows) or X.items.ndim != 1 or not isinstance(W, np.ndarray):
        raise NotUnderstood("a product that is not of a row and a constant")
    if W.dtype != np.float64 or W.ndim > 2:
        raise NotUnderstood("a product that is not of a row and a constant")
    columns = W[:, np.newaxis] if W.ndim == 1 else W
    biases = (
        [None] * columns.shape[1]
        if bias is None
        else np.broadcast_to(np.ravel(bias), (columns.shape[1],)).tolist()
    )
    args = list(X.items)
    sums = [dot(args, column, b) for column, b in zip(columns.T, biases, strict=True)]
    return [Rows(objects(sums, () if W.ndim == 1 else (len(sums),)))]


def _gemm(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    scales = (attributes.get("alpha", 1.0), attributes.get("beta", 1.0))
    if scales != (1.0, 1.0) or attributes.get("transA", 0) or len(inputs) != 3:
        raise NotUnderstood("Gemm with a factor")
    W = inputs[1].T if attributes.get("transB", 0) else inputs[1]
    return _product(inputs[0], W, _numbers(inputs[2]))


def _softmax(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    items = inputs[0].items
    if items.ndim != 1 or attributes.get("axis", -1) not in (-1, 1):
        raise NotUnderstood("Softmax over another axis than the columns")
    probabilities = [make("softmax", items, i, str(i).encode()) for i in range(len(items))]
    return [Rows(objects(probabilities, items.shape))]


def _argmax(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    items = inputs[0].items
    last = attributes.get("select_last_index", 0)
    if items.ndim != 1 or attributes.get("axis", 0) not in (-1, 1) or last:
        raise NotUnderstood("ArgMax over another axis than the columns, or of the last of equals")
    if len(items) == 2:
        compares_with_zero = _is_zero(items[0]) or _is_negative_of(*items)
        first = constant(0.0) if compares_with_zero else items[0]
        index = apply("to int", apply("greater", items[1], first))
    else:
        index = apply("argmax", *items)
    return [Rows(objects([index], (1,) if attributes.get("keepdims", 1) else ()))]


def _is_negative_of(x: Expr, y: Expr) -> bool:
    return x.key == apply("neg", y).key


def _is_zero(x: Expr) -> bool:
    if x.op == "dot":
        weights, bias = x.value
        return not weights.any() and not bias
    return x.op == "const" and isinstance(x.value, float) and x.value == 0.0


def _top_k(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    items = inputs[0].items
    if items.ndim != 1 or int(inputs[1][0]) != len(items) or attributes.get("largest", 1):
        raise NotUnderstood("TopK that is not a whole sort upwards")
    results = [
        [make(op, items, i, str(i).encode()) for i in range(len(items))]
        for op in ("sorted", "order")
    ]
    return [Rows(objects(result, items.shape)) for result in results]


def _cumsum(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    items, axis = inputs[0].items, int(inputs[1])
    if (
        axis != 1
        or items.ndim not in (1, 2)
        or attributes.get("exclusive")
        or attributes.get("reverse")
    ):
        raise NotUnderstood("CumSum over another axis than the columns")
    columns = items.reshape(len(items), -1)
    sums = np.stack([objects(running_sums(list(column)), (len(items),)) for column in columns.T])
    return [Rows(sums.T.reshape(items.shape))]


def _reduce_sum(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    items = inputs[0].items
    if items.ndim != 1 or [int(axis) for axis in inputs[1]] not in ([1], [-1]):
        raise NotUnderstood("a sum over another axis than the columns")
    terms = [x for x in items if not _is_zero(x)]
    total = terms[0] if len(terms) == 1 else make("sum", items)
    return [Rows(objects([total], (1,) if attributes.get("keepdims", 1) else ()))]


def _label_encoder(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    names = ("keys_tensor", "values_tensor", "default_tensor")
    if set(attributes) != set(names):
        raise NotUnderstood("LabelEncoder with lists")
    keys, values, default = (constant_of(attributes[name]).tolist() for name in names)
    # Of equal keys the first counts.
    table = dict(zip(reversed(keys), reversed(values), strict=True))
    return _elementwise(lambda x: lookup(x, table, default[0]))(inputs, attributes)


def _trees(inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Sequence[Any]:
    targets = tree_ensemble(list(inputs[0].items), attributes)
    return [Rows(objects(targets, (len(targets),)))]


_NAMES = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Neg": "neg", "Equal": "equal",
    "Less": "less", "Greater": "greater", "GreaterOrEqual": "greater or equal", "IsNaN": "isnan",
    "Sigmoid": "sigmoid", "Exp": "exp", "Tanh": "tanh", "Relu": "relu", "Pow": "pow",
    "Max": "max", "Min": "min",
}  # fmt: skip

RULES: Mapping[tuple[str, str], _Rule] = {
    **{("", op): _scalar_operation(name) for op, name in _NAMES.items()},
    ("", "Identity"): lambda inputs, _: inputs,
    ("", "Cast"): _cast,
    ("", "Where"): _elementwise(where),
    ("", "Gather"): _gather,
    ("", "GatherElements"): _gather_elements,
    ("", "Concat"): _concat,
    ("", "Slice"): _slice,
    ("", "Reshape"): _reshape,
    ("", "Squeeze"): _squeeze,
    ("", "Unsqueeze"): _unsqueeze,
    ("", "Gemm"): _gemm,
    ("", "Softmax"): _softmax,
    ("", "ArgMax"): _argmax,
    ("", "TopK"): _top_k,
    ("", "CumSum"): _cumsum,
    ("", "ReduceSum"): _reduce_sum,
    ("ai.onnx.ml", "LabelEncoder"): _label_encoder,
    ("ai.onnx.ml", "TreeEnsemble"): _trees,
}
