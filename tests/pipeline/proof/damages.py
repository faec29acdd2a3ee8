"""Damage graphs on purpose, in one way at a time.

A damage changes a graph in place and returns True, or returns False where the graph has nothing of
the kind.  :data:`DAMAGES` lists them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Damage = Callable[[onnx.GraphProto], bool]
"""Changes a graph; returns False where the graph has nothing of the kind."""


def _trees(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Change the attributes of the first TreeEnsemble, given as lists and arrays."""

    def damage(graph: onnx.GraphProto) -> bool:
        node = next((n for n in graph.node if n.op_type == "TreeEnsemble"), None)
        if node is None:
            return False
        attributes = {}
        for attribute in node.attribute:
            value = helper.get_attribute_value(attribute)
            is_tensor = isinstance(value, TensorProto)
            attributes[attribute.name] = numpy_helper.to_array(value).copy() if is_tensor else value
            if isinstance(value, list):
                attributes[attribute.name] = list(value)
        if change(attributes) is False:
            return False
        del node.attribute[:]
        for name, value in attributes.items():
            is_array = isinstance(value, np.ndarray)
            new_value = numpy_helper.from_array(value) if is_array else value
            node.attribute.append(helper.make_attribute(name, new_value))
        return True

    return damage


def _nudge(name: str, direction: float) -> Callable[[dict[str, Any]], Any]:
    def change(attributes: dict[str, Any]) -> None:
        values = attributes[name]
        at = int(np.flatnonzero(np.isfinite(values) & (values != 0))[0])
        values[at] = np.nextafter(values[at], values.dtype.type(direction))

    return change


def _flip_nan(attributes: dict[str, Any]) -> None:
    flags = attributes.setdefault(
        "nodes_missing_value_tracks_true", [0] * len(attributes["nodes_modes"])
    )
    # All, since the first may belong to a column without missing values.
    flags[:] = [1 - flag for flag in flags]


def _less(attributes: dict[str, Any]) -> Any:
    at = np.flatnonzero(attributes["nodes_modes"] == 0)
    attributes["nodes_modes"][at[0]] = 1


def _swap_leaves(attributes: dict[str, Any]) -> Any:
    weights, targets = attributes["leaf_weights"], attributes["leaf_targetids"]
    second = next(
        (i for i in range(1, len(weights)) if (weights[i], targets[i]) != (weights[0], targets[0])),
        None,
    )
    if second is None:
        return False
    weights[[0, second]] = weights[[second, 0]]
    targets[0], targets[second] = targets[second], targets[0]
    return None


def _other_aggregate(attributes: dict[str, Any]) -> Any:
    if len(attributes["tree_roots"]) < 2:
        return False
    attributes["aggregate_function"] = 1 - attributes["aggregate_function"]
    return None


def _drop_tree(attributes: dict[str, Any]) -> Any:
    if len(attributes["tree_roots"]) < 2:
        return False
    attributes["tree_roots"] = attributes["tree_roots"][:-1]
    return None


def _double_tree(attributes: dict[str, Any]) -> None:
    attributes["tree_roots"] = [*attributes["tree_roots"], attributes["tree_roots"][-1]]


def _reorder_trees(attributes: dict[str, Any]) -> Any:
    if len(attributes["tree_roots"]) < 2:
        return False
    attributes["tree_roots"] = attributes["tree_roots"][::-1]
    return None


def _other_feature(attributes: dict[str, Any]) -> None:
    features = attributes["nodes_featureids"]
    features[0] = next(i for i in (0, 1) if i != features[0])


def _other_member(attributes: dict[str, Any]) -> Any:
    if "membership_values" not in attributes:
        return False
    values = attributes["membership_values"]
    values[0] = next(
        v for v in (0.0, 1.0, 2.0, 3.0) if v not in values[: np.argmax(values != values)]
    )
    return None


def _constant(graph: onnx.GraphProto, name: str) -> TensorProto | None:
    return next((t for t in graph.initializer if t.name == name), None)


def _change(tensor: TensorProto, change: Callable[[Any], Any]) -> None:
    values = numpy_helper.to_array(tensor)
    values = values.astype(object) if values.dtype == object else values.copy()
    tensor.CopyFrom(numpy_helper.from_array(change(values), tensor.name))


def _operand(ops: tuple[str, ...], position: int, change: Callable[[Any], Any]) -> Damage:
    """Change the first constant at input *position* of one of the operators *ops*."""

    def damage(graph: onnx.GraphProto) -> bool:
        for node in graph.node:
            if node.op_type in ops and len(node.input) > position:
                tensor = _constant(graph, node.input[position])
                if tensor is not None and tensor.data_type == TensorProto.DOUBLE:
                    before = numpy_helper.to_array(tensor)
                    after = change(before.copy())
                    if after.shape == before.shape and not np.array_equal(after, before):
                        _change(tensor, lambda _, after=after: after)
                        return True
        return False

    return damage


def _all_up(values: Any) -> Any:
    return np.nextafter(values, np.inf)


def _first_up(values: Any) -> Any:
    flat = values.reshape(-1)
    at = np.flatnonzero(flat)
    if len(at):
        flat[at[0]] = np.nextafter(flat[at[0]], np.inf)
    return values


def _first_larger(values: Any) -> Any:
    flat = values.reshape(-1)
    at = np.flatnonzero(flat)
    if len(at):
        flat[at[0]] *= 1 + 1e-6
    return values


def _rows_swapped(values: Any) -> Any:
    return (
        values[[1, 0, *range(2, len(values))]] if values.ndim == 2 and len(values) > 1 else values
    )


def _labels(change: Callable[[Any], Any]) -> Damage:
    """Change the class labels: the last list of texts, or the texts of the last Where."""

    def damage(graph: onnx.GraphProto) -> bool:
        texts = [t for t in graph.initializer if t.data_type == TensorProto.STRING]
        lists = [t for t in texts if np.prod(t.dims) > 1]
        if lists:
            _change(lists[-1], change)
            return True
        choices = [n for n in graph.node if n.op_type == "Where"]
        choices = [n for n in choices if all(_constant(graph, name) for name in n.input[1:])]
        if choices:
            _, if_true, if_false = choices[-1].input
            choices[-1].input[1:] = [if_false, if_true]
        return bool(choices)

    return damage


def _encoder(name: str, change: Callable[[Any], Any]) -> Damage:
    """Change an attribute of the first LabelEncoder."""

    def damage(graph: onnx.GraphProto) -> bool:
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "LabelEncoder" and attribute.name == name:
                    _change(attribute.t, change)
                    return True
        return False

    return damage


def _forget(keys: Any) -> Any:
    keys[0] = "nowhere" if keys.dtype == object else -99.0
    return keys


def _swap_first(values: Any) -> Any:
    values[[0, 1]] = values[[1, 0]]
    return values


def _one_more(values: Any) -> Any:
    return values + 1


def _operator(old: str, new: str, **attributes: Any) -> Damage:
    """Replace the first node of one operator by another operator, or change its attributes."""

    def damage(graph: onnx.GraphProto) -> bool:
        node = next((n for n in graph.node if n.op_type == old), None)
        if node is None:
            return False
        node.op_type = new
        for name, value in attributes.items():
            unchanged = [a for a in node.attribute if a.name != name]
            del node.attribute[:]
            node.attribute.extend([*unchanged, helper.make_attribute(name, value)])
        return True

    return damage


def _operator_without_attributes(old: str, new: str) -> Damage:
    """Replace the first node of one operator by another operator without attributes."""

    def damage(graph: onnx.GraphProto) -> bool:
        node = next((n for n in graph.node if n.op_type == old), None)
        if node is not None:
            node.op_type = new
            del node.attribute[:]
        return node is not None

    return damage


def _before_numbers(*nodes: Any, constants: tuple[TensorProto, ...] = ()) -> Damage:
    """Put nodes between the numeric input and the nodes that read it."""

    def damage(graph: onnx.GraphProto) -> bool:
        inputs = [i for i in graph.input if i.name == "numbers"]
        if not inputs or inputs[0].type.tensor_type.shape.dim[1].dim_value < 2:
            return False
        for node in graph.node:
            node.input[:] = ["changed" if name == "numbers" else name for name in node.input]
        graph.initializer.extend(constants)
        for node in reversed(nodes):
            graph.node.insert(0, node)
        return True

    return damage


def _swapped_columns(graph: onnx.GraphProto) -> bool:
    numbers = next((i for i in graph.input if i.name == "numbers"), None)
    width = numbers.type.tensor_type.shape.dim[1].dim_value if numbers is not None else 0
    order = numpy_helper.from_array(np.array([1, 0, *range(2, width)]), "order")
    node = helper.make_node("Gather", ["numbers", "order"], ["changed"], axis=1)
    return _before_numbers(node, constants=(order,))(graph)


def _backward_output(graph: onnx.GraphProto) -> bool:
    """Reverse the columns of the last output that has several."""
    for output in reversed(graph.output):
        dims = output.type.tensor_type.shape.dim
        if len(dims) == 2 and dims[1].dim_value > 1:
            order = numpy_helper.from_array(np.arange(dims[1].dim_value)[::-1].copy(), "backward")
            graph.initializer.append(order)
            for node in graph.node:
                node.output[:] = ["forward" if n == output.name else n for n in node.output]
                node.input[:] = ["forward" if n == output.name else n for n in node.input]
            gather = helper.make_node("Gather", ["forward", "backward"], [output.name], axis=1)
            graph.node.append(gather)
            return True
    return False


def _one_neighbour_less(graph: onnx.GraphProto) -> bool:
    for node in graph.node:
        tensor = _constant(graph, node.input[1]) if node.op_type == "TopK" else None
        if tensor is not None and numpy_helper.to_array(tensor)[0] > 1:
            fewer = numpy_helper.from_array(numpy_helper.to_array(tensor) - 1, "fewer")
            graph.initializer.append(fewer)
            node.input[1] = "fewer"
            return True
    return False


def _moved_row(graph: onnx.GraphProto) -> bool:
    """Move the training rows or support vectors: the largest constant of two dimensions."""
    tables = [t for t in graph.initializer if len(t.dims) == 2 and max(t.dims) > 10]
    tables = [t for t in tables if t.data_type == TensorProto.DOUBLE]
    tables = [t for t in tables if not np.isin(numpy_helper.to_array(t), (0.0, 1.0)).all()]
    if not tables:
        return False
    largest = max(tables, key=lambda t: int(np.prod(t.dims)))
    _change(largest, lambda values: values * (1 + 1e-3))
    return True


_CASTS = (
    helper.make_node("Cast", ["numbers"], ["single"], to=TensorProto.FLOAT),
    helper.make_node("Cast", ["single"], ["changed"], to=TensorProto.DOUBLE),
)
_PRODUCTS = ("MatMul", "Gemm")

DAMAGES: Mapping[str, Damage] = {
    "threshold up 1 ulp": _trees(_nudge("nodes_splits", np.inf)),
    "threshold down 1 ulp": _trees(_nudge("nodes_splits", -np.inf)),
    "NaN the other way": _trees(_flip_nan),
    "< for <=": _trees(_less),
    "two leaves swapped": _trees(_swap_leaves),
    "leaf up 1 ulp": _trees(_nudge("leaf_weights", np.inf)),
    "mean for sum, or back": _trees(_other_aggregate),
    "tree dropped": _trees(_drop_tree),
    "tree twice": _trees(_double_tree),
    "trees in reverse": _trees(_reorder_trees),
    "other feature": _trees(_other_feature),
    "other category in a set": _trees(_other_member),
    "category dropped": _encoder("keys_tensor", _forget),
    "categories swapped": _encoder("keys_tensor", _swap_first),
    "other code for unknown": _encoder("default_tensor", _one_more),
    "fill up 1 ulp": _operand(("Where",), 1, _all_up),
    "coefficient up 1 ulp": _operand(_PRODUCTS, 1, _first_up),
    "coefficient up 1e-6": _operand(_PRODUCTS, 1, _first_larger),
    "intercept dropped": _operand(("Gemm", "Add"), 2, np.zeros_like),
    "inputs of a product swapped": _operand(_PRODUCTS, 1, _rows_swapped),
    "mean dropped": _operand(("Sub",), 1, np.zeros_like),
    "scale up 1 ulp": _operand(("Div", "Mul"), 1, _first_up),
    "product for quotient": _operator("Div", "Mul"),
    "no lower limit": _operator("Max", "Min"),
    "classes reordered": _labels(lambda values: values[::-1].copy()),
    "float32 put in": _before_numbers(*_CASTS),
    "columns swapped": _swapped_columns,
    "softmax over rows": _operator("Softmax", "Softmax", axis=0),
    "logistic for softmax": _operator_without_attributes("Softmax", "Sigmoid"),
    "smallest for largest": _operator("ArgMax", "ArgMin"),
    "last of equals": _operator("ArgMax", "ArgMax", select_last_index=1),
    "other activation": _operator("Relu", "Tanh"),
    "columns of the answer reversed": _backward_output,
    "one neighbour less": _one_neighbour_less,
    "training rows 1e-3 away": _moved_row,
}
