"""Compile a graph once into a list of numpy calls.

Each value of the graph has a *slot* in a list.  A step reads the slots of its inputs, calls a
kernel, and writes the slots of its outputs.  Nodes that no requested output needs are left out, and
nodes whose inputs are all constant are computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.engine.numpy_engine.graph_decoder import DecodedGraph, DecodedNode
from edge_runtime.engine.numpy_engine.kernels.table import KERNELS
from edge_runtime.engine.numpy_engine.node_spec import Kernel, NodeSpec
from edge_runtime.errors import UnsupportedRuntimeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Plan", "compile_plan"]

Step: TypeAlias = "Callable[[list[Any]], None]"

MAX_FOLDED_BYTES = 1 << 20
"""Largest constant that compiling computes; a larger one is computed at each call."""


class Plan:
    """A graph that is ready to run.

    Attributes
    ----------
    captured
        Names of the outer values that a subgraph reads; they are its last inputs.
    """

    __slots__ = ("_initial", "_inputs", "_outputs", "_steps", "captured")

    def __init__(
        self,
        initial: list[Any],
        steps: list[Step],
        inputs: list[int],
        outputs: list[int],
        captured: tuple[str, ...] = (),
    ) -> None:
        self._initial, self._steps = initial, steps
        self._inputs, self._outputs = inputs, outputs
        self.captured = captured

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Compute the outputs from the inputs, in their order."""
        values = self._initial.copy()
        for slot, array in zip(self._inputs, arrays, strict=True):
            values[slot] = array
        for step in self._steps:
            step(values)
        return [values[slot] for slot in self._outputs]


def compile_plan(graph: DecodedGraph, outputs: Sequence[str]) -> Plan:
    """Compile the part of the main graph that computes *outputs*.

    Raises
    ------
    UnsupportedRuntimeError
        The numpy engine lacks an operator of the graph.
    """
    return _Compiler(graph, outputs, {}).plan()


class _Compiler:
    """Compiles one graph.  *constants* has the constant values of the graphs around it."""

    def __init__(
        self,
        graph: DecodedGraph,
        outputs: Sequence[str],
        constants: Mapping[str, NDArray[Any]],
    ) -> None:
        self._graph, self._outputs = graph, outputs
        local = {*graph.inputs, *(name for node in graph.nodes for name in node.outputs)}
        self._constants = {
            name: array for name, array in constants.items() if name not in local
        } | graph.tensors
        self._slots: dict[str, int] = {}
        self._initial: list[Any] = []
        self._steps: list[Step] = []
        self._captured: list[str] = []
        self._local = local

    def plan(self) -> Plan:
        inputs = [self._slot(name) for name in self._graph.inputs]
        for node in self._needed_nodes():
            self._compile(node)
        outputs = [self._slot(name) for name in self._outputs]
        captured = tuple(self._captured)
        inputs += [self._slot(name) for name in captured]
        return Plan(self._initial, self._steps, inputs, outputs, captured)

    def _needed_nodes(self) -> list[DecodedNode]:
        needed, nodes = set(self._outputs), []
        for node in reversed(self._graph.nodes):
            if not needed.isdisjoint(node.outputs):
                nodes.append(node)
                needed.update(_names_read(node))
        return nodes[::-1]

    def _slot(self, name: str) -> int:
        """Give the slot of a value; the first mention of an outer value captures it."""
        if name not in self._slots:
            self._slots[name] = len(self._initial)
            self._initial.append(self._constants.get(name))
            if name and name not in self._constants and name not in self._local:
                self._captured.append(name)
        return self._slots[name]

    def _compile(self, node: DecodedNode) -> None:
        make_kernel = KERNELS.get(node.domain, {}).get(node.op)
        if make_kernel is None:
            raise UnsupportedRuntimeError(
                f"the numpy engine has no operator {node.op!r}; load the model with "
                'engine="onnxruntime"'
            )
        attributes = dict(node.attributes)
        inputs = [self._slot(name) for name in node.inputs]
        for name, content in node.attributes.items():
            if isinstance(content, DecodedGraph):
                body = _Compiler(content, content.outputs, self._constants).plan()
                attributes[name] = body
                # The values that a body reads from around it are further inputs of the node.
                inputs += [self._slot(outer) for outer in body.captured]
        constants = [self._constants.get(name) for name in node.inputs]
        kernel = make_kernel(NodeSpec(attributes, constants, len(node.outputs)))
        if self._fold(node, kernel, inputs):
            return
        outputs = [self._slot(name) for name in node.outputs]
        self._steps.append(_step(kernel, inputs, outputs))

    def _fold(self, node: DecodedNode, kernel: Any, inputs: list[int]) -> bool:
        """Compute a node of small constants now; whether it was done."""
        values = [self._initial[slot] for slot in inputs]
        are_constant = all(name in self._constants for name in node.inputs)
        if not are_constant or len(inputs) != len(node.inputs) or len(node.outputs) != 1:
            return False
        with np.errstate(all="ignore"):
            result = np.asarray(kernel(*values))
        if result.nbytes > MAX_FOLDED_BYTES:
            return False
        self._constants[node.outputs[0]] = result
        return True


def _names_read(node: DecodedNode) -> set[str]:
    """Collect the names that a node reads, with those that its subgraphs may capture."""
    names = set(node.inputs)
    for content in node.attributes.values():
        if isinstance(content, DecodedGraph):
            names.update(content.outputs)
            for inner in content.nodes:
                names |= _names_read(inner)
    return names


def _step(kernel: Kernel, inputs: list[int], outputs: list[int]) -> Step:
    """Make a step; one that knows its number of inputs saves 0.1 us a call."""
    if len(outputs) > 1:

        def several(values: list[Any]) -> None:
            results = kernel(*[values[slot] for slot in inputs])
            for slot, result in zip(outputs, results, strict=False):
                values[slot] = result

        return several
    output = outputs[0]
    if len(inputs) == 1:
        (a,) = inputs

        def unary(values: list[Any]) -> None:
            values[output] = kernel(values[a])

        return unary
    if len(inputs) == 2:
        a, b = inputs

        def binary(values: list[Any]) -> None:
            values[output] = kernel(values[a], values[b])

        return binary

    def any_number(values: list[Any]) -> None:
        values[output] = kernel(*[values[slot] for slot in inputs])

    return any_number
