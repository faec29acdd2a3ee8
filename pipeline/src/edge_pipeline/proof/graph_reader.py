"""A graph's bytes in, every output as expressions of one row out.

Walks the ModelProto that will be sealed; an operator without a rule raises NotUnderstood for the
outputs that need it.
"""

from __future__ import annotations

from typing import Any

import onnx
from edge_runtime.bundle.schema import NUMBERS, STRINGS, Schema
from numpy.typing import NDArray

from edge_pipeline.proof.operators import RULES, RowCount, Rows, constant_of, objects
from edge_pipeline.proof.scalars import NotUnderstood, variable

__all__ = ["Graph"]

MOST_COLUMNS = 50_000
"""Widest input read, in a third of a second; a hashed text has a million columns."""

MOST_SCALARS = 2_000_000
"""A graph whose answers need more expressions is probed."""


class Graph:
    """The nodes of a graph by what they make; outputs are worked out when asked for.

    Parameters
    ----------
    raw
        A serialized ModelProto.
    schema
        Which cells may be missing.
    """

    def __init__(self, raw: bytes, schema: Schema) -> None:
        proto = onnx.load_model_from_string(raw).graph
        self._made = {name: node for node in proto.node for name in node.output if name}
        self._order = {id(node): i for i, node in enumerate(proto.node)}
        self._nodes = proto.node
        self._values: dict[str, Any] = {
            tensor.name: constant_of(tensor) for tensor in proto.initializer
        }
        self._count = 0
        for given in proto.input:
            self._values.setdefault(given.name, _input(given, schema))

    def output(self, name: str) -> NDArray[Any]:
        """The expressions of one row's answer.

        Raises
        ------
        NotUnderstood
            It depends on an operator, or on a use of one, that has no rule.
        """
        for node in self._needed(name):
            self._run(node)
        value = self._values[name]
        if not isinstance(value, Rows):
            raise NotUnderstood(f"the output {name} does not depend on the row")
        return value.items

    def _needed(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that make *name*, in the order of the graph, without those done already."""
        waiting, found = [name], set()
        while waiting:
            wanted = waiting.pop()
            if wanted in self._values or wanted == "":
                continue
            node = self._made.get(wanted)
            if node is None:
                raise NotUnderstood(f"nothing makes {wanted}")
            place = self._order[id(node)]
            if place not in found:
                found.add(place)
                waiting.extend(node.input)
        return [self._nodes[place] for place in sorted(found)]

    def _run(self, node: onnx.NodeProto) -> None:
        rule = RULES.get((node.domain, node.op_type))
        if rule is None:
            raise NotUnderstood(f"the operator {node.op_type} has no rule")
        inputs = [self._values[name] if name else None for name in node.input]
        if not any(isinstance(value, Rows | RowCount) for value in inputs):
            raise NotUnderstood(f"{node.op_type} of constants")
        results = rule(inputs, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})
        for name, result in zip(node.output, results, strict=False):
            if isinstance(result, Rows):
                self._count += result.items.size
            self._values[name] = result
        if self._count > MOST_SCALARS:
            raise NotUnderstood(f"a row takes more than {MOST_SCALARS} expressions")


def _input(given: onnx.ValueInfoProto, schema: Schema) -> Any:
    tensor = given.type.tensor_type
    sizes = [dim.dim_value for dim in tensor.shape.dim]
    kinds = {NUMBERS: onnx.TensorProto.DOUBLE, STRINGS: onnx.TensorProto.STRING}
    if kinds.get(given.name) != tensor.elem_type or len(sizes) != 2 or sizes[1] > MOST_COLUMNS:
        return None
    textual = given.name == STRINGS
    full = {
        i
        for i, at in enumerate(schema.textual if textual else schema.numeric)
        if not schema.columns[at].missing
    }
    cells = [
        variable(given.name, i, textual=textual, gap="" if i in full else "NaN")
        for i in range(sizes[1])
    ]
    return Rows(objects(cells, (sizes[1],)))
