"""Fold scalers and one-hot encoders into the weights of ``X @ W + b``: fewer nodes, same result.

- the sum becomes part of the product (onnxruntime fuses MatMul and Add in float32 alone);
- a scaler goes into the weights;
- ones and zeros that tell categories become the weights that they would select.

Columns from several places are looked at place by place.
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
    """``X @ weights + bias``."""

    X: str
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]


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
        self._graph = graph
        self._uses = uses
        self._producers = {node.output[0]: node for node in nodes if len(node.output) == 1}

    def rewrite(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Return *node* alone, or a Gemm with the nodes that it needs."""
        linear = self._match_linear(node)
        if linear is None:
            return [node]
        linear, before = self._folded(linear)
        names = [linear.X, self._constant(linear.weights), self._constant(linear.bias)]
        return [*before, helper.make_node("Gemm", names, [node.output[0]])]

    def _constant(self, values: NDArray[Any]) -> str:
        return self._graph.constant(values)

    def _only_use(self, name: str, op: str) -> onnx.NodeProto | None:
        """The node that makes *name*, when it is an *op* and nothing else reads what it makes."""
        node = self._producers.get(name)
        if node is None or node.op_type != op or self._uses[name] != 1:
            return None
        return node

    def _width(self, name: str) -> int | None:
        """The number of columns of a tensor of two dimensions."""
        shape = self._graph.shape(name)
        return shape[1] if shape is not None and len(shape) == 2 else None

    def _match_linear(self, node: onnx.NodeProto) -> _Linear | None:
        """Match an Add of a constant row to a MatMul with a constant; None for any other node."""
        if node.op_type != "Add":
            return None
        for product_name, bias_name in (node.input, reversed(node.input)):
            product = self._only_use(product_name, "MatMul")
            bias = self._graph.value(bias_name)
            if product is None or bias is None:
                continue
            shape = self._graph.shape(product.input[0])
            weights = self._graph.value(product.input[1])
            if shape is None or len(shape) != 2 or weights is None or weights.ndim != 2:
                continue
            if weights.dtype != np.float64 or 0 in weights.shape:
                continue
            if bias.shape in ((), (1,), weights.shape[1:]):
                return _Linear(product.input[0], weights, np.broadcast_to(bias, weights.shape[1:]))
        return None

    def _folded(self, linear: _Linear) -> tuple[_Linear, list[onnx.NodeProto]]:
        """Fold scalers and one-hot encoders into each part; return the nodes needed before."""
        parts = self._parts(linear.X)
        if len(parts) == 1:
            return self._fold_part(linear)
        nodes: list[onnx.NodeProto] = []
        folded, bias, start = [], linear.bias, 0
        for name, width in parts:
            rows = linear.weights[start : start + width]
            part, before = self._fold_part(_Linear(name, rows, bias))
            nodes += before
            folded.append(part)
            bias, start = part.bias, start + width
        if [part.X for part in folded] == [name for name, _ in parts]:
            return linear, []
        concatenated = self._graph.fresh("concat")
        nodes.append(
            helper.make_node("Concat", [part.X for part in folded], [concatenated], axis=1)
        )
        return _Linear(concatenated, np.vstack([part.weights for part in folded]), bias), nodes

    def _parts(self, name: str) -> list[tuple[str, int]]:
        """The tensors whose columns *name* has side by side, each with its width."""
        whole = [(name, self._width(name) or 0)]
        node = self._only_use(name, "Concat")
        if node is None or _attributes(node).get("axis") not in (1, -1):
            return whole
        parts = [part for part_name in node.input for part in self._parts(part_name)]
        return parts if all(width for _, width in parts) else whole

    def _fold_part(self, linear: _Linear) -> tuple[_Linear, list[onnx.NodeProto]]:
        looked_up = self._fold_one_hot(linear)
        return (self._fold_scaler(linear), []) if looked_up is None else looked_up

    def _fold_scaler(self, linear: _Linear) -> _Linear:
        """Fold a scaler before *linear*: ``(X - a) / b`` or ``X * a + b``."""

        def step(name: str, op: str) -> tuple[str, NDArray[np.float64]] | None:
            """Match an *op* with a constant row: its other input, and the row."""
            node = self._only_use(name, op)
            row = None if node is None else self._graph.value(node.input[1])
            if node is None or row is None or self._width(node.input[0]) is None:
                return None
            if row.dtype != np.float64 or row.shape not in ((), linear.weights.shape[:1]):
                return None
            return node.input[0], np.broadcast_to(row, linear.weights.shape[:1])

        if division := step(linear.X, "Div"):
            X, divisors = division
            if subtraction := step(X, "Sub"):
                shifted = _shifted(linear, subtraction[0], -subtraction[1] / divisors)
                if shifted is not None:
                    return _scaled(shifted, 1.0 / divisors, linear)
            return _scaled(replace(linear, X=X), 1.0 / divisors, linear)
        if multiplication := step(linear.X, "Mul"):
            X, factors = multiplication
            return _scaled(replace(linear, X=X), factors, linear)
        if (addition := step(linear.X, "Add")) and (multiplication := step(addition[0], "Mul")):
            shifted = _shifted(linear, multiplication[0], addition[1])
            if shifted is not None:
                return _scaled(shifted, multiplication[1], linear)
        return linear

    def _fold_one_hot(self, linear: _Linear) -> tuple[_Linear, list[onnx.NodeProto]] | None:
        """Look up weights in place of a one-hot encoding, ``code[:, source] == category``.

        Only for weights in one column: a position in the table is one number.  1,000 rows of five
        columns of words take half of the time, one row two nodes less (measured by
        benchmarks/against_skl2onnx.py).
        """
        weighing = np.flatnonzero(linear.weights.any(axis=0))
        categories = self._categories(linear.X)
        if categories is None or len(weighing) != 1:
            return None
        code, source, category = categories
        largest, width = self._largest_code(code), self._width(code)
        if largest is None or width is None or (largest + 2) * width > MOST_CELLS:
            return None
        # Row -1, the last one, is of the code that stands for no category.
        table = np.zeros((largest + 2, width))
        in_range = (category >= 0) & (category <= largest)
        weights = linear.weights[in_range, weighing[0]]
        np.add.at(table, (category[in_range], source[in_range]), weights)
        ones = np.zeros((width, linear.weights.shape[1]))
        ones[:, weighing[0]] = 1.0
        gathered = self._graph.fresh("gatherelements")
        node = helper.make_node("GatherElements", [self._constant(table), code], [gathered], axis=0)
        return _Linear(gathered, ones, linear.bias), [node]

    def _categories(self, name: str) -> tuple[str, NDArray[np.int64], NDArray[np.int64]] | None:
        """Codes, of which columns and equal to what, where *name* is whether they are."""
        cast = self._only_use(name, "Cast")
        equal = None if cast is None else self._only_use(cast.input[0], "Equal")
        category = None if equal is None else self._graph.value(equal.input[1])
        if equal is None or category is None or category.dtype != np.int64 or category.ndim != 1:
            return None
        code, source = equal.input[0], np.arange(len(category))
        gather = self._only_use(code, "Gather")
        if gather is not None and _attributes(gather).get("axis") == 1:
            positions = self._graph.value(gather.input[1])
            if positions is None or positions.shape != category.shape:
                return None
            code, source = gather.input[0], positions
        width = self._width(code)
        if width is None or not len(source) or source.min() < 0 or source.max() >= width:
            return None
        return code, source, category

    def _largest_code(self, name: str) -> int | None:
        """The largest number in *name*; None where that, or that the least is -1, is not known."""
        node = self._producers.get(name)
        if node is None:
            return None
        attributes = _attributes(node)
        if node.op_type == "LabelEncoder" and "values_tensor" in attributes:
            tensors = [attributes["values_tensor"], attributes["default_tensor"]]
            values = np.concatenate([numpy_helper.to_array(tensor).ravel() for tensor in tensors])
        elif node.op_type == "Gather" and attributes.get("axis", 0) == 0:
            constant = self._graph.value(node.input[0])
            values = np.empty(0) if constant is None else constant.ravel()
        elif node.op_type == "Concat":
            largest_codes = [self._largest_code(part) for part in node.input]
            known_codes = [largest for largest in largest_codes if largest is not None]
            return max(known_codes) if len(known_codes) == len(largest_codes) else None
        else:
            return None
        if values.dtype != np.int64 or not len(values) or values.min() < -1:
            return None
        return int(values.max())


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _shifted(linear: _Linear, X: str, shift: NDArray[np.float64]) -> _Linear | None:
    """``(X + shift) @ weights``, in the units that a scaler makes about one, with a larger bias.

    None where two large numbers would nearly cancel, and lose their last digits.
    """
    size = np.sqrt(np.einsum("ij,ij->j", linear.weights, linear.weights))
    if not (np.abs(shift) @ np.abs(linear.weights) <= MOST_CANCELLED * size).all():
        return None
    return _Linear(X, linear.weights, linear.bias + shift @ linear.weights)


def _scaled(linear: _Linear, factors: NDArray[np.float64], otherwise: _Linear) -> _Linear:
    """``(X * factors) @ weights``; *otherwise* where that overflows."""
    with np.errstate(all="ignore"):
        weights = linear.weights * factors[:, np.newaxis]
    if not np.isfinite(weights).all():
        return otherwise
    return replace(linear, weights=weights)
