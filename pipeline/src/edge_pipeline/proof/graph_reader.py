"""Read the bytes of a graph, and express every output by the cells of one row.

An operator without a rule raises NotUnderstood for the outputs that depend on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from edge_runtime.bundle.schema import NUMBERS, STRINGS, Schema
from numpy.typing import NDArray

from edge_pipeline.proof.operators import RULES, Rows, constant_of, objects
from edge_pipeline.proof.scalars import NotUnderstood, variable

__all__ = ["Graph", "attributes_of"]

MAX_COLUMNS = 50_000
"""Widest input that is read, in a third of a second.  Hashed text has a million columns."""

MAX_SCALARS = 2_000_000
"""A graph whose outputs need more expressions is probed."""

LONG_LIST = 1_000
"""Longer lists of integers become arrays; the rules of operators with short lists expect lists."""


class Graph:
    """The nodes of a graph, run on expressions when an output is requested.

    Parameters
    ----------
    raw
        A serialized ModelProto, as it will be sealed.
    schema
        Names the columns that may have missing values.
    """

    def __init__(self, raw: bytes, schema: Schema) -> None:
        proto = onnx.load_model_from_string(raw).graph
        self._producers = {name: node for node in proto.node for name in node.output if name}
        self._positions = {id(node): i for i, node in enumerate(proto.node)}
        self._nodes = proto.node
        self._values: dict[str, Any] = {
            tensor.name: constant_of(tensor) for tensor in proto.initializer
        }
        self._count = 0
        for graph_input in proto.input:
            self._values.setdefault(graph_input.name, _cells(graph_input, schema))

    def output(self, name: str) -> NDArray[Any]:
        """Return the expressions of one row of the output *name*.

        Raises
        ------
        NotUnderstood
            The output depends on an operator, or on a use of one, that has no rule.
        """
        for node in self._needed(name):
            self._run(node)
        value = self._values[name]
        if not isinstance(value, Rows):
            raise NotUnderstood(f"the output {name} does not depend on the row")
        return value.items

    def _needed(self, name: str) -> list[onnx.NodeProto]:
        """Return the nodes that *name* depends on and that have not run, in the graph's order."""
        waiting, positions = [name], set()
        while waiting:
            value_name = waiting.pop()
            if value_name in self._values or value_name == "":
                continue
            node = self._producers.get(value_name)
            if node is None:
                raise NotUnderstood(f"nothing makes {value_name}")
            position = self._positions[id(node)]
            if position not in positions:
                positions.add(position)
                waiting.extend(node.input)
        return [self._nodes[position] for position in sorted(positions)]

    def _run(self, node: onnx.NodeProto) -> None:
        rule = RULES.get((node.domain, node.op_type))
        if rule is None:
            raise NotUnderstood(f"the operator {node.op_type} has no rule")
        inputs = [self._values[name] if name else None for name in node.input]
        if not any(isinstance(value, Rows) for value in inputs):
            raise NotUnderstood(f"{node.op_type} of constants")
        results = rule(inputs, attributes_of(node))
        for name, result in zip(node.output, results, strict=False):
            if isinstance(result, Rows):
                self._count += result.items.size
            self._values[name] = result
        if self._count > MAX_SCALARS:
            raise NotUnderstood(f"a row takes more than {MAX_SCALARS} expressions")


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes by name; long lists of integers as arrays.

    A forest has millions of integers, and each takes 40 bytes in a list of Python's.
    """
    return {
        attribute.name: np.fromiter(attribute.ints, np.int64, len(attribute.ints))
        if len(attribute.ints) > LONG_LIST
        else onnx.helper.get_attribute_value(attribute)
        for attribute in node.attribute
    }


def _cells(graph_input: onnx.ValueInfoProto, schema: Schema) -> Any:
    """Return one variable for each column of an input; None for an input of another kind."""
    tensor = graph_input.type.tensor_type
    sizes = [dim.dim_value for dim in tensor.shape.dim]
    element_types = {NUMBERS: onnx.TensorProto.DOUBLE, STRINGS: onnx.TensorProto.STRING}
    if (
        element_types.get(graph_input.name) != tensor.elem_type
        or len(sizes) != 2
        or sizes[1] > MAX_COLUMNS
    ):
        return None
    textual = graph_input.name == STRINGS
    full = {
        i
        for i, position in enumerate(schema.textual if textual else schema.numeric)
        if not schema.columns[position].missing
    }
    cells = [
        variable(graph_input.name, i, textual=textual, missing_marker="" if i in full else "NaN")
        for i in range(sizes[1])
    ]
    return Rows(objects(cells, (sizes[1],)))
