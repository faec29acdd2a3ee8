"""Fold scalers and one-hot encoders into the weights of ``X @ W + b``: fewer nodes, same result.

:class:`GemmFusion` makes one Gemm of a product and its bias (onnxruntime fuses MatMul and Add in
float32 alone).  Then it tries the rules in ``RULES`` on what computes X, for each part of a Concat.
A rule is a function: it matches a pattern of nodes, checks it, and returns the new product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge_pipeline.conversion.graph.types import Shape

__all__ = ["GemmFusion", "GraphInfo"]

MOST_CANCELLED = 100.0
"""A shift moves into the bias where it is at most this many times the weights: it costs at most the
last two of sixteen digits."""

MOST_CELLS = 1 << 16
"""Largest table of weights by category and column: half a megabyte of float64."""


@dataclass(frozen=True)
class GraphInfo:
    """The constants, shapes and free names of a graph.

    Attributes
    ----------
    value
        The values of a constant by name, or None.
    shape
        The static shape of a tensor by name, or None where it is not known.
    constant
        Keeps an array, and gives its name.
    fresh
        A name that no other tensor has.
    names_used
        The names that a node reads, those in its bodies included.
    """

    value: Callable[[str], NDArray[Any] | None]
    shape: Callable[[str], Shape | None]
    constant: Callable[[NDArray[Any]], str]
    fresh: Callable[[str], str]
    names_used: Callable[[onnx.NodeProto], set[str]]


@dataclass(frozen=True)
class _Linear:
    """``X @ weights + bias``, and the *nodes* that compute X where a rule wrote new ones."""

    X: str
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    nodes: tuple[onnx.NodeProto, ...] = ()


class _Matcher:
    """Look for patterns of nodes, from what reads a tensor back to what computes it."""

    def __init__(
        self, nodes: Sequence[onnx.NodeProto], uses: Mapping[str, int], graph: GraphInfo
    ) -> None:
        self.graph = graph
        self.producers = {node.output[0]: node for node in nodes if len(node.output) == 1}
        self._uses = uses

    def only_use(self, name: str, op: str) -> onnx.NodeProto | None:
        """The node that makes *name*, when it is an *op* and nothing else reads what it makes."""
        node = self.producers.get(name)
        if node is None or node.op_type != op or self._uses[name] != 1:
            return None
        return node

    def width(self, name: str) -> int | None:
        """The number of columns of a tensor of two dimensions."""
        shape = self.graph.shape(name)
        return shape[1] if shape is not None and len(shape) == 2 else None

    def row_operation(
        self, name: str, op: str, width: int
    ) -> tuple[str, NDArray[np.float64]] | None:
        """Match an *op* with a constant row of *width* numbers: its other input, and the row."""
        node = self.only_use(name, op)
        row = None if node is None else self.graph.value(node.input[1])
        if node is None or row is None or self.width(node.input[0]) is None:
            return None
        if row.dtype != np.float64 or row.shape not in ((), (width,)):
            return None
        return node.input[0], np.broadcast_to(row, (width,))


class GemmFusion:
    """Rewrites the products in the *nodes* of a graph.

    Parameters
    ----------
    uses
        How often each name is read.
    """

    def __init__(
        self, nodes: Sequence[onnx.NodeProto], uses: Mapping[str, int], graph: GraphInfo
    ) -> None:
        self._matcher = _Matcher(nodes, uses, graph)

    def rewrite(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Return *node* alone, or a Gemm with the nodes that it needs."""
        linear = _match_product_and_bias(self._matcher, node)
        if linear is None:
            return [node]
        linear = self._fold_parts(linear)
        constant = self._matcher.graph.constant
        names = [linear.X, constant(linear.weights), constant(linear.bias)]
        return [*linear.nodes, helper.make_node("Gemm", names, [node.output[0]])]

    def _fold_parts(self, linear: _Linear) -> _Linear:
        """Fold what computes X, in each of the parts that a Concat joins."""
        parts = self._parts(linear.X)
        if len(parts) == 1:
            return self._fold(linear)
        folded_parts, bias, start = [], linear.bias, 0
        for name, width in parts:
            folded = self._fold(_Linear(name, linear.weights[start : start + width], bias))
            folded_parts.append(folded)
            bias, start = folded.bias, start + width
        names = [folded.X for folded in folded_parts]
        if names == [name for name, _ in parts]:
            return linear
        joined = self._matcher.graph.fresh("concat")
        concat = helper.make_node("Concat", names, [joined], axis=1)
        nodes = [node for folded in folded_parts for node in folded.nodes]
        weights = np.vstack([folded.weights for folded in folded_parts])
        return _Linear(joined, weights, bias, (*nodes, concat))

    def _parts(self, name: str) -> list[tuple[str, int]]:
        """The tensors whose columns *name* has side by side, each with its width."""
        whole = [(name, self._matcher.width(name) or 0)]
        node = self._matcher.only_use(name, "Concat")
        if node is None or _attributes(node).get("axis") not in (1, -1):
            return whole
        parts = [part for part_name in node.input for part in self._parts(part_name)]
        return parts if all(width for _, width in parts) else whole

    def _fold(self, linear: _Linear) -> _Linear:
        """Apply the first rule that matches."""
        rewritten = (rule(self._matcher, linear) for rule in RULES)
        return next((result for result in rewritten if result is not None), linear)


def _match_product_and_bias(matcher: _Matcher, node: onnx.NodeProto) -> _Linear | None:
    """Match ``MatMul(X, constant) + constant row``; None for any other node."""
    if node.op_type != "Add":
        return None
    for product_name, bias_name in (node.input, reversed(node.input)):
        product = matcher.only_use(product_name, "MatMul")
        bias = matcher.graph.value(bias_name)
        if product is None or bias is None:
            continue
        weights = matcher.graph.value(product.input[1])
        shape = matcher.graph.shape(product.input[0])
        if shape is None or len(shape) != 2 or weights is None or weights.ndim != 2:
            continue
        if weights.dtype != np.float64 or 0 in weights.shape:
            continue
        if bias.shape in ((), (1,), weights.shape[1:]):
            return _Linear(product.input[0], weights, np.broadcast_to(bias, weights.shape[1:]))
    return None


# ---- rules: pattern, check, rewrite ----


def _fold_one_hot(matcher: _Matcher, linear: _Linear) -> _Linear | None:
    """Look up weights in place of a one-hot encoding, ``Cast(Equal(codes, categories))``.

    Only for weights in one column: a position in the table is one number.  1,000 rows of five
    columns of words take half of the time, one row two nodes less (measured by
    benchmarks/against_skl2onnx.py).
    """
    one_hot = _match_one_hot(matcher, linear.X)
    outputs = np.flatnonzero(linear.weights.any(axis=0))
    if one_hot is None or len(outputs) != 1:
        return None
    largest, width = _largest_code(matcher, one_hot.codes), matcher.width(one_hot.codes)
    if largest is None or width is None or (largest + 2) * width > MOST_CELLS:
        return None
    # Row -1, the last one, is of the code that stands for no category.
    table = np.zeros((largest + 2, width))
    in_range = (one_hot.category >= 0) & (one_hot.category <= largest)
    cells = one_hot.category[in_range], one_hot.source[in_range]
    np.add.at(table, cells, linear.weights[in_range, outputs[0]])
    ones = np.zeros((width, linear.weights.shape[1]))
    ones[:, outputs[0]] = 1.0
    gathered = matcher.graph.fresh("gatherelements")
    names = [matcher.graph.constant(table), one_hot.codes]
    node = helper.make_node("GatherElements", names, [gathered], axis=0)
    return _Linear(gathered, ones, linear.bias, (node,))


def _fold_standard_scaler(matcher: _Matcher, linear: _Linear) -> _Linear | None:
    """Fold ``(X - mean) / scale``."""
    division = matcher.row_operation(linear.X, "Div", len(linear.weights))
    subtraction = division and matcher.row_operation(division[0], "Sub", len(linear.weights))
    if not division or not subtraction:
        return None
    (X, mean), scale = subtraction, division[1]
    return _scaled(_shifted(linear, -mean / scale), X, 1.0 / scale)


def _fold_min_max_scaler(matcher: _Matcher, linear: _Linear) -> _Linear | None:
    """Fold ``X * scale + min``."""
    addition = matcher.row_operation(linear.X, "Add", len(linear.weights))
    product = addition and matcher.row_operation(addition[0], "Mul", len(linear.weights))
    if not addition or not product:
        return None
    X, scale = product
    return _scaled(_shifted(linear, addition[1]), X, scale)


def _fold_division(matcher: _Matcher, linear: _Linear) -> _Linear | None:
    """Fold ``X / scale``."""
    division = matcher.row_operation(linear.X, "Div", len(linear.weights))
    return None if division is None else _scaled(linear, division[0], 1.0 / division[1])


def _fold_multiplication(matcher: _Matcher, linear: _Linear) -> _Linear | None:
    """Fold ``X * scale``."""
    product = matcher.row_operation(linear.X, "Mul", len(linear.weights))
    return None if product is None else _scaled(linear, *product)


RULES: tuple[Callable[[_Matcher, _Linear], _Linear | None], ...] = (
    _fold_one_hot,
    _fold_standard_scaler,
    _fold_min_max_scaler,
    _fold_division,
    _fold_multiplication,
)
"""In the order in which they are tried: a whole scaler comes before its last step alone."""


def _shifted(linear: _Linear, shift: NDArray[np.float64]) -> _Linear | None:
    """``(X + shift) @ weights``, in the units that a scaler makes about one, with a larger bias.

    None where two large numbers would nearly cancel, and lose their last digits.
    """
    size = np.sqrt(np.einsum("ij,ij->j", linear.weights, linear.weights))
    if not (np.abs(shift) @ np.abs(linear.weights) <= MOST_CANCELLED * size).all():
        return None
    return replace(linear, bias=linear.bias + shift @ linear.weights)


def _scaled(linear: _Linear | None, X: str, factors: NDArray[np.float64]) -> _Linear | None:
    """``(X * factors) @ weights``; None where that overflows, or where there is no *linear*."""
    if linear is None:
        return None
    with np.errstate(all="ignore"):
        weights = linear.weights * factors[:, np.newaxis]
    return replace(linear, X=X, weights=weights) if np.isfinite(weights).all() else None


@dataclass(frozen=True)
class _OneHot:
    """Ones where column ``source[i]`` of *codes* equals ``category[i]``, for each output i."""

    codes: str
    source: NDArray[np.int64]
    category: NDArray[np.int64]


def _match_one_hot(matcher: _Matcher, name: str) -> _OneHot | None:
    cast = matcher.only_use(name, "Cast")
    equal = None if cast is None else matcher.only_use(cast.input[0], "Equal")
    category = None if equal is None else matcher.graph.value(equal.input[1])
    if equal is None or category is None or category.dtype != np.int64 or category.ndim != 1:
        return None
    codes, source = equal.input[0], np.arange(len(category))
    gather = matcher.only_use(codes, "Gather")
    if gather is not None and _attributes(gather).get("axis") == 1:
        positions = matcher.graph.value(gather.input[1])
        if positions is None or positions.shape != category.shape:
            return None
        codes, source = gather.input[0], positions
    width = matcher.width(codes)
    if width is None or not len(source) or source.min() < 0 or source.max() >= width:
        return None
    return _OneHot(codes, source, category)


def _largest_code(matcher: _Matcher, name: str) -> int | None:
    """The largest number in *name*; None where that, or that the least is -1, is not known."""
    node = matcher.producers.get(name)
    if node is None:
        return None
    attributes = _attributes(node)
    if node.op_type == "Concat":
        largest_codes = [_largest_code(matcher, part) for part in node.input]
        known_codes = [largest for largest in largest_codes if largest is not None]
        return max(known_codes) if len(known_codes) == len(largest_codes) else None
    values = None
    if node.op_type == "LabelEncoder" and "values_tensor" in attributes:
        tensors = [attributes["values_tensor"], attributes["default_tensor"]]
        values = np.concatenate([numpy_helper.to_array(tensor).ravel() for tensor in tensors])
    elif node.op_type == "Gather" and attributes.get("axis", 0) == 0:
        values = matcher.graph.value(node.input[0])
    if values is None or values.dtype != np.int64 or not values.size or values.min() < -1:
        return None
    return int(values.max())


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
