"""Kinds of damage: each spoils one thing of a graph, or tells that the graph has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Damage = Callable[[onnx.GraphProto], bool]
"""Spoils a graph; False where there is nothing of the kind."""


def _trees(spoil: Callable[[dict[str, Any]], Any]) -> Damage:
    """Spoil the attributes of the first ensemble, as lists and arrays."""

    def damage(graph: onnx.GraphProto) -> bool:
        node = next((n for n in graph.node if n.op_type == "TreeEnsemble"), None)
        if node is None:
            return False
        told = {}
        for attribute in node.attribute:
            value = helper.get_attribute_value(attribute)
            is_tensor = isinstance(value, TensorProto)
            told[attribute.name] = numpy_helper.to_array(value).copy() if is_tensor else value
            if isinstance(value, list):
                told[attribute.name] = list(value)
        if spoil(told) is False:
            return False
        del node.attribute[:]
        for name, value in told.items():
            given = numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
            node.attribute.append(helper.make_attribute(name, given))
        return True

    return damage


def _nudge(name: str, direction: float) -> Callable[[dict[str, Any]], Any]:
    def spoil(told: dict[str, Any]) -> None:
        values = told[name]
        at = int(np.flatnonzero(np.isfinite(values) & (values != 0))[0])
        values[at] = np.nextafter(values[at], values.dtype.type(direction))

    return spoil


def _flip_nan(told: dict[str, Any]) -> None:
    flags = told.setdefault("nodes_missing_value_tracks_true", [0] * len(told["nodes_modes"]))
    # All, since the first may ask of a column that has no gaps.
    flags[:] = [1 - flag for flag in flags]


def _less(told: dict[str, Any]) -> Any:
    at = np.flatnonzero(told["nodes_modes"] == 0)
    told["nodes_modes"][at[0]] = 1


def _swap_leaves(told: dict[str, Any]) -> Any:
    weights, targets = told["leaf_weights"], told["leaf_targetids"]
    other = next(
        (i for i in range(1, len(weights)) if (weights[i], targets[i]) != (weights[0], targets[0])),
        None,
    )
    if other is None:
        return False
    weights[[0, other]] = weights[[other, 0]]
    targets[0], targets[other] = targets[other], targets[0]
    return None


def _other_aggregate(told: dict[str, Any]) -> Any:
    if len(told["tree_roots"]) < 2:
        return False
    told["aggregate_function"] = 1 - told["aggregate_function"]
    return None


def _drop_tree(told: dict[str, Any]) -> Any:
    if len(told["tree_roots"]) < 2:
        return False
    told["tree_roots"] = told["tree_roots"][:-1]
    return None


def _double_tree(told: dict[str, Any]) -> None:
    told["tree_roots"] = [*told["tree_roots"], told["tree_roots"][-1]]


def _reorder_trees(told: dict[str, Any]) -> Any:
    if len(told["tree_roots"]) < 2:
        return False
    told["tree_roots"] = told["tree_roots"][::-1]
    return None


def _other_feature(told: dict[str, Any]) -> None:
    features = told["nodes_featureids"]
    features[0] = next(i for i in (0, 1) if i != features[0])


def _other_member(told: dict[str, Any]) -> Any:
    if "membership_values" not in told:
        return False
    values = told["membership_values"]
    values[0] = next(
        v for v in (0.0, 1.0, 2.0, 3.0) if v not in values[: np.argmax(values != values)]
    )
    return None


def _constant(graph: onnx.GraphProto, name: str) -> TensorProto | None:
    return next((t for t in graph.initializer if t.name == name), None)


def _change(tensor: TensorProto, how: Callable[[Any], Any]) -> None:
    values = numpy_helper.to_array(tensor)
    values = values.astype(object) if values.dtype == object else values.copy()
    tensor.CopyFrom(numpy_helper.from_array(how(values), tensor.name))


def _operand(ops: tuple[str, ...], position: int, how: Callable[[Any], Any]) -> Damage:
    """Change the constant that an operator has at *position*."""

    def damage(graph: onnx.GraphProto) -> bool:
        for node in graph.node:
            if node.op_type in ops and len(node.input) > position:
                tensor = _constant(graph, node.input[position])
                if tensor is not None and tensor.data_type == TensorProto.DOUBLE:
                    before = numpy_helper.to_array(tensor)
                    after = how(before.copy())
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


def _labels(how: Callable[[Any], Any]) -> Damage:
    """Change constants of text that are no keys of a table."""

    def damage(graph: onnx.GraphProto) -> bool:
        texts = [t for t in graph.initializer if t.data_type == TensorProto.STRING]
        listed = [t for t in texts if np.prod(t.dims) > 1]
        if listed:
            _change(listed[-1], how)
            return True
        where = [n for n in graph.node if n.op_type == "Where" and _constant(graph, n.input[1])]
        where = [n for n in where if _constant(graph, n.input[2])]
        if where:
            where[-1].input[1], where[-1].input[2] = where[-1].input[2], where[-1].input[1]
        return bool(where)

    return damage


def _encoder(name: str, how: Callable[[Any], Any]) -> Damage:
    def damage(graph: onnx.GraphProto) -> bool:
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "LabelEncoder" and attribute.name == name:
                    _change(attribute.t, how)
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
    """Make the first node of one operator another, or give it other attributes."""

    def damage(graph: onnx.GraphProto) -> bool:
        node = next((n for n in graph.node if n.op_type == old), None)
        if node is None:
            return False
        node.op_type = new
        for name, value in attributes.items():
            kept = [a for a in node.attribute if a.name != name]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute(name, value)])
        return True

    return damage


def _bare(old: str, new: str) -> Damage:
    """The same without attributes."""

    def damage(graph: onnx.GraphProto) -> bool:
        node = next((n for n in graph.node if n.op_type == old), None)
        if node is not None:
            node.op_type = new
            del node.attribute[:]
        return node is not None

    return damage


def _before_numbers(*nodes: Any, constants: tuple[TensorProto, ...] = ()) -> Damage:
    """Put nodes between the input of numbers and whoever reads it."""

    def damage(graph: onnx.GraphProto) -> bool:
        given = [i for i in graph.input if i.name == "numbers"]
        if not given or given[0].type.tensor_type.shape.dim[1].dim_value < 2:
            return False
        for node in graph.node:
            node.input[:] = ["spoilt" if name == "numbers" else name for name in node.input]
        graph.initializer.extend(constants)
        for node in reversed(nodes):
            graph.node.insert(0, node)
        return True

    return damage


def _swapped_columns(graph: onnx.GraphProto) -> bool:
    size = next((i for i in graph.input if i.name == "numbers"), None)
    wide = size.type.tensor_type.shape.dim[1].dim_value if size is not None else 0
    order = numpy_helper.from_array(np.array([1, 0, *range(2, wide)]), "order")
    node = helper.make_node("Gather", ["numbers", "order"], ["spoilt"], axis=1)
    return _before_numbers(node, constants=(order,))(graph)


def _backward_output(graph: onnx.GraphProto) -> bool:
    """The columns of the last answer of several columns in reverse."""
    for output in reversed(graph.output):
        dims = output.type.tensor_type.shape.dim
        if len(dims) == 2 and dims[1].dim_value > 1:
            order = numpy_helper.from_array(np.arange(dims[1].dim_value)[::-1].copy(), "backward")
            graph.initializer.append(order)
            for node in graph.node:
                node.output[:] = ["forward" if n == output.name else n for n in node.output]
                node.input[:] = ["forward" if n == output.name else n for n in node.input]
            made = helper.make_node("Gather", ["forward", "backward"], [output.name], axis=1)
            graph.node.append(made)
            return True
    return False


def _one_neighbour_less(graph: onnx.GraphProto) -> bool:
    for node in graph.node:
        tensor = _constant(graph, node.input[1]) if node.op_type == "TopK" else None
        if tensor is not None and numpy_helper.to_array(tensor)[0] > 1:
            made = numpy_helper.from_array(numpy_helper.to_array(tensor) - 1, "fewer")
            graph.initializer.append(made)
            node.input[1] = "fewer"
            return True
    return False


def _moved_row(graph: onnx.GraphProto) -> bool:
    """A training row or support vector moved: the largest constant of two dimensions."""
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
    helper.make_node("Cast", ["single"], ["spoilt"], to=TensorProto.DOUBLE),
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
    "logistic for softmax": _bare("Softmax", "Sigmoid"),
    "smallest for largest": _operator("ArgMax", "ArgMin"),
    "last of equals": _operator("ArgMax", "ArgMax", select_last_index=1),
    "other activation": _operator("Relu", "Tanh"),
    "columns of the answer reversed": _backward_output,
    "one neighbour less": _one_neighbour_less,
    "training rows 1e-3 away": _moved_row,
}
