"""Infer the element type of every value in a graph, and whether it depends on the rows' cells.

``operators`` has the rules.  A value depends on cells when it is computed from the model's inputs;
the shape of such a value does not.  Inputs that decide how large a result is must not depend on
cells, and integers must be divided by constants other than 0 and -1: the processor traps otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from edge_runtime.bundle.schema import NUMBERS, STRINGS
from edge_runtime.errors import UnsafeGraphError
from edge_runtime.graph_safety.onnx_fields import REMEDY, quote
from edge_runtime.graph_safety.onnx_graph import Node, Scope, Tensor
from edge_runtime.graph_safety.operators import (
    ROW_INDEPENDENT,
    TYPE_CLASSES,
    Operator,
    find_operator,
)

__all__ = ["Value", "Values", "unsafe"]

_FLOAT32, _INT32, _INT64, _TEXT, _BOOL, _FLOAT64, _UINT32 = 1, 6, 7, 8, 9, 11, 12
_NO_ATTRIBUTES: frozenset[str] = frozenset()
_INTEGERS = TYPE_CLASSES["I"]
_ALL_TYPES = TYPE_CLASSES["A"]
_DIVIDES = frozenset({b"Div", b"Mod"})
_DTYPES: Mapping[int, np.dtype[Any]] = {
    2: np.dtype(np.uint8),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
}


class Value(NamedTuple):
    """The type of a value, and where it comes from.

    Attributes
    ----------
    type
        Its element type, as ONNX numbers it.
    from_cells
        Whether it depends on what is in a row.
    tensor
        The stored tensor, if it is a constant.
    """

    type: int
    from_cells: bool
    tensor: Tensor | None = None


class Values:
    """The values that the nodes of one graph may read: its own, and those of enclosing graphs."""

    __slots__ = ("_enclosing", "_raw", "_values")

    def __init__(self, raw: bytes, enclosing: Values | None = None) -> None:
        self._raw, self._enclosing = raw, enclosing
        self._values: dict[bytes, Value] = {}

    def add_tensors(self, tensors: Iterable[Tensor]) -> None:
        """Add the stored tensors of the graph.

        Raises
        ------
        UnsafeGraphError
            One has an element type that no operator may read.
        """
        for tensor in tensors:
            if tensor.kind not in _ALL_TYPES:
                raise unsafe(
                    f"a tensor {quote(tensor.name)} of the element type {tensor.kind}, "
                    "which no operator reads"
                )
            self._values[tensor.name] = Value(tensor.kind, False, tensor)

    def add_model_inputs(self, main: Scope) -> None:
        """Add the two inputs of a model."""
        for name in main.inputs:
            self._values[name] = Value(_INPUT_TYPES[name], True)

    def add_body_inputs(self, body: Scope, loop: Node) -> None:
        """Add the inputs of a Loop's body: step number, condition, and the state of the loop."""
        states = [self.find(name) for name in loop.inputs[2:]]
        if len(body.inputs) != 2 + len(states):
            raise unsafe("a loop whose body has another number of inputs")
        # While the body runs, its condition is true.
        values = [Value(_INT64, False), Value(_BOOL, False)]
        values += [Value(state.type, True) for state in states]
        self._values.update(zip(body.inputs, values, strict=True))

    def find(self, name: bytes) -> Value:
        """Find a value by name.

        Raises
        ------
        UnsafeGraphError
            No node before this one defines it.
        """
        values: Values | None = self
        while values is not None:
            value = values._values.get(name)
            if value is not None:
                return value
            values = values._enclosing
        raise unsafe(f"a node that reads {quote(name)} before it is computed")

    def check_inputs(self, node: Node) -> tuple[Operator, list[Value | None]]:
        """Check the node's operator, attributes and inputs; give the table's entry and the inputs.

        Raises
        ------
        UnsafeGraphError
            The table does not have them, or the result's size depends on cells.
        """
        attributes = _text_set(node.attributes) if node.attributes else _NO_ATTRIBUTES
        operator = find_operator(_text(node.domain), _text(node.op), attributes)
        if operator is None:
            raise _unknown_operator(node)
        inputs = self._find_inputs(node, operator[0])
        if node.op in _DIVIDES:
            self._check_divisor(node, inputs)
        return operator, inputs

    def add_outputs(self, node: Node, operator: Operator, inputs: list[Value | None]) -> None:
        """Add the outputs of a checked node without subgraphs."""
        from_cells = node.op not in _SHAPES and any(
            value.from_cells for value in inputs if value is not None
        )
        rules = operator[1]
        for i, output in enumerate(node.outputs):
            rule = rules[min(i, len(rules) - 1)]
            type_ = rule if isinstance(rule, int) else _output_type(rule, node, inputs)
            if type_ not in _ALL_TYPES:
                raise unsafe(f"an operator {quote(node.op)} with a result of type {type_}")
            if output:
                self._values[output] = Value(type_, from_cells)

    def add_subgraph_outputs(self, node: Node, results: list[Value]) -> None:
        """Add the outputs of a Loop or If, which are *results* of its subgraph.

        They depend on cells: the condition decides how often the body runs, or which branch.
        """
        if len(results) != len(node.outputs):
            raise unsafe(f"an operator {quote(node.op)} with another number of results")
        for output, result in zip(node.outputs, results, strict=True):
            if output:
                self._values[output] = Value(result.type, True)

    def _find_inputs(self, node: Node, classes: str) -> list[Value | None]:
        """Find the inputs, and check their types and whether they depend on cells."""
        names, repeats = node.inputs, classes.endswith("*")
        letters = classes.removesuffix("*")
        if len(names) > len(letters) and not repeats:
            raise unsafe(f"an operator {quote(node.op)} with {len(names)} inputs")
        values: list[Value | None] = []
        for i, name in enumerate(names):
            if not name:  # an optional input
                values.append(None)
                continue
            value, letter = self.find(name), letters[min(i, len(letters) - 1)]
            if value.type not in TYPE_CLASSES[letter]:
                raise unsafe(
                    f"an operator {quote(node.op)} whose input {quote(name)} has the element type "
                    f"{value.type}"
                )
            if value.from_cells and letter in ROW_INDEPENDENT:
                raise unsafe(
                    f"an operator {quote(node.op)} whose result is as large as {quote(name)} says, "
                    "which a row's cells decide"
                )
            values.append(value)
        return values

    def _check_divisor(self, node: Node, inputs: list[Value | None]) -> None:
        """Refuse to divide integers by a cell, by 0 or by -1, at which the processor traps."""
        divisor = inputs[1] if len(inputs) == 2 else None
        if divisor is None:
            raise unsafe(f"an operator {quote(node.op)} without a divisor")
        if divisor.type not in _INTEGERS:
            return
        tensor = divisor.tensor
        if tensor is not None and tensor.end - tensor.start > 0:
            dtype = _DTYPES[tensor.kind]
            numbers = np.frombuffer(self._raw, dtype, tensor.elements, tensor.start)
            if not ((numbers == 0) | (numbers.astype(np.int64) == -1)).any():
                return
        raise unsafe(
            f"an operator {quote(node.op)} that divides integers by something other than "
            "constants that are neither 0 nor -1"
        )


_INPUT_TYPES = {NUMBERS.encode(): _FLOAT64, STRINGS.encode(): _TEXT}
_SHAPES = frozenset({b"Shape", b"Size"})


def unsafe(finding: str) -> UnsafeGraphError:
    """Make the error for something that no graph may have."""
    return UnsafeGraphError(f"the graph has {finding}; {REMEDY}")


def _unknown_operator(node: Node) -> UnsafeGraphError:
    name = quote(node.domain + b"::" + node.op if node.domain else node.op)
    if find_operator(_text(node.domain), _text(node.op), _NO_ATTRIBUTES) is None:
        return unsafe(f"the operator {name}, unknown here")
    names = ", ".join(map(quote, sorted(node.attributes)[:30]))
    return unsafe(f"an operator {name} with an attribute that is unknown here, one of {names}")


def _output_type(rule: str, node: Node, inputs: list[Value | None]) -> int:
    """Give the type of an output by a rule of the table."""
    if rule[0] == "=":
        position = int(rule[1:])
        value = inputs[position] if position < len(inputs) else None
        if value is None:
            raise unsafe(f"an operator {quote(node.op)} without an input that it needs")
        return value.type
    if rule == "to":
        return node.integers.get(b"to", 0)
    if rule == "hash":
        return _INT32 if node.integers.get(b"positive") == 0 else _UINT32
    if rule == "labels":
        return _TEXT if b"classlabels_strings" in node.attributes else _INT64
    if rule == "mapped":
        return _INT64 if inputs and inputs[0] is not None and inputs[0].type == _TEXT else _TEXT
    # "value" of a constant, or "values" of a LabelEncoder
    for attribute, type_ in _ATTRIBUTE_TYPES.items():
        if attribute in node.attributes:
            return node.tensors[attribute].kind if attribute in node.tensors else type_
    return _FLOAT32


_ATTRIBUTE_TYPES = {
    b"value": _FLOAT32,
    b"value_float": _FLOAT32,
    b"value_floats": _FLOAT32,
    b"value_int": _INT64,
    b"value_ints": _INT64,
    b"value_string": _TEXT,
    b"value_strings": _TEXT,
    b"values_tensor": _FLOAT32,
    b"values_floats": _FLOAT32,
    b"values_int64s": _INT64,
    b"values_strings": _TEXT,
}


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _text_set(names: Iterable[bytes]) -> frozenset[str]:
    return frozenset(map(_text, names))
