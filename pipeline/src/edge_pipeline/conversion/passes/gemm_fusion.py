"""``X @ W + b`` takes up what was done to the columns of X: the same answer in fewer nodes.

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
    """What a graph knows of its tensors.

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
    """Writes the products of a graph's *nodes*.

    Parameters
    ----------
    uses
        How often each name is read.
    """

    def __init__(
        self, nodes: Sequence[onnx.NodeProto], uses: Mapping[str, int], around: GraphInfo
    ) -> None:
        self._around = around
        self._uses = uses
        self._made_by = {node.output[0]: node for node in nodes if len(node.output) == 1}

    def written(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """What to write instead of *node*: itself, or a product with what it needs."""
        linear = self._product_and_sum(node)
        if linear is None:
            return [node]
        linear, before = self._taken_up(linear)
        names = [linear.X, self._constant(linear.weights), self._constant(linear.bias)]
        return [*before, helper.make_node("Gemm", names, [node.output[0]])]

    def _constant(self, values: NDArray[Any]) -> str:
        return self._around.constant(values)

    def _only_use(self, name: str, op: str) -> onnx.NodeProto | None:
        """The node that makes *name*, when it is an *op* and nothing else reads what it makes."""
        node = self._made_by.get(name)
        if node is None or node.op_type != op or self._uses[name] != 1:
            return None
        return node

    def _width(self, name: str) -> int | None:
        """The number of columns of a tensor of two dimensions."""
        shape = self._around.shape(name)
        return shape[1] if shape is not None and len(shape) == 2 else None

    def _product_and_sum(self, node: onnx.NodeProto) -> _Linear | None:
        """What *node* computes, when it adds a constant row to the product with a constant."""
        if node.op_type != "Add":
            return None
        for product_name, bias_name in (node.input, reversed(node.input)):
            product = self._only_use(product_name, "MatMul")
            bias = self._around.value(bias_name)
            if product is None or bias is None:
                continue
            shape = self._around.shape(product.input[0])
            weights = self._around.value(product.input[1])
            if shape is None or len(shape) != 2 or weights is None or weights.ndim != 2:
                continue
            if weights.dtype != np.float64 or 0 in weights.shape:
                continue
            if bias.shape in ((), (1,), weights.shape[1:]):
                return _Linear(product.input[0], weights, np.broadcast_to(bias, weights.shape[1:]))
        return None

    def _taken_up(self, linear: _Linear) -> tuple[_Linear, list[onnx.NodeProto]]:
        """*linear* of what its columns were made of, and the nodes that it then needs before it."""
        parts = self._parts(linear.X)
        if len(parts) == 1:
            return self._of_part(linear)
        made: list[onnx.NodeProto] = []
        told, bias, start = [], linear.bias, 0
        for name, width in parts:
            rows = linear.weights[start : start + width]
            part, before = self._of_part(_Linear(name, rows, bias))
            made += before
            told.append(part)
            bias, start = part.bias, start + width
        if [part.X for part in told] == [name for name, _ in parts]:
            return linear, []
        joined = self._around.fresh("concat")
        made.append(helper.make_node("Concat", [part.X for part in told], [joined], axis=1))
        return _Linear(joined, np.vstack([part.weights for part in told]), bias), made

    def _parts(self, name: str) -> list[tuple[str, int]]:
        """The tensors whose columns *name* has side by side, each with its width."""
        whole = [(name, self._width(name) or 0)]
        node = self._only_use(name, "Concat")
        if node is None or _attributes(node).get("axis") not in (1, -1):
            return whole
        parts = [part for given in node.input for part in self._parts(given)]
        return parts if all(width for _, width in parts) else whole

    def _of_part(self, linear: _Linear) -> tuple[_Linear, list[onnx.NodeProto]]:
        looked_up = self._looked_up(linear)
        return (self._without_scaler(linear), []) if looked_up is None else looked_up

    def _without_scaler(self, linear: _Linear) -> _Linear:
        """*linear* of what a scaler before it scales: ``(X - a) / b`` or ``X * a + b``."""

        def step(name: str, op: str) -> tuple[str, NDArray[np.float64]] | None:
            """What the node that makes *name* is applied to, and its constant row."""
            node = self._only_use(name, op)
            row = None if node is None else self._around.value(node.input[1])
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

    def _looked_up(self, linear: _Linear) -> tuple[_Linear, list[onnx.NodeProto]] | None:
        """*linear* of ones and zeros, ``code[:, source] == wanted``, as a sum of weights looked up.

        Only for weights in one column: a position in the table is one number.  1,000 rows of five
        columns of words take half of the time, one row two nodes less (benchmarks/convert.py).
        """
        weighing = np.flatnonzero(linear.weights.any(axis=0))
        asked = self._categories(linear.X)
        if asked is None or len(weighing) != 1:
            return None
        code, source, wanted = asked
        largest, width = self._largest_code(code), self._width(code)
        if largest is None or width is None or (largest + 2) * width > MOST_CELLS:
            return None
        # Row -1, the last one, is of the code that stands for no category.
        table = np.zeros((largest + 2, width))
        known = (wanted >= 0) & (wanted <= largest)
        weights = linear.weights[known, weighing[0]]
        np.add.at(table, (wanted[known], source[known]), weights)
        ones = np.zeros((width, linear.weights.shape[1]))
        ones[:, weighing[0]] = 1.0
        chosen = self._around.fresh("gatherelements")
        node = helper.make_node("GatherElements", [self._constant(table), code], [chosen], axis=0)
        return _Linear(chosen, ones, linear.bias), [node]

    def _categories(self, name: str) -> tuple[str, NDArray[np.int64], NDArray[np.int64]] | None:
        """Codes, of which columns and equal to what, where *name* is whether they are."""
        cast = self._only_use(name, "Cast")
        equal = None if cast is None else self._only_use(cast.input[0], "Equal")
        wanted = None if equal is None else self._around.value(equal.input[1])
        if equal is None or wanted is None or wanted.dtype != np.int64 or wanted.ndim != 1:
            return None
        code, source = equal.input[0], np.arange(len(wanted))
        gather = self._only_use(code, "Gather")
        if gather is not None and _attributes(gather).get("axis") == 1:
            positions = self._around.value(gather.input[1])
            if positions is None or positions.shape != wanted.shape:
                return None
            code, source = gather.input[0], positions
        width = self._width(code)
        if width is None or not len(source) or source.min() < 0 or source.max() >= width:
            return None
        return code, source, wanted

    def _largest_code(self, name: str) -> int | None:
        """The largest number in *name*; None where that, or that the least is -1, is not known."""
        node = self._made_by.get(name)
        if node is None:
            return None
        given = _attributes(node)
        if node.op_type == "LabelEncoder" and "values_tensor" in given:
            tensors = [given["values_tensor"], given["default_tensor"]]
            values = np.concatenate([numpy_helper.to_array(tensor).ravel() for tensor in tensors])
        elif node.op_type == "Gather" and given.get("axis", 0) == 0:
            stored = self._around.value(node.input[0])
            values = np.empty(0) if stored is None else stored.ravel()
        elif node.op_type == "Concat":
            told = [self._largest_code(part) for part in node.input]
            known = [largest for largest in told if largest is not None]
            return max(known) if len(known) == len(told) else None
        else:
            return None
        if values.dtype != np.int64 or not len(values) or values.min() < -1:
            return None
        return int(values.max())


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {given.name: helper.get_attribute_value(given) for given in node.attribute}


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
