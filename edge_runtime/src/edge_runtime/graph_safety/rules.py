"""Refuse graphs that onnxruntime must never read.

Only the bytes are read; nothing is run.  The rules, and the harm that each prevents:

- no data outside the file and no functions: nothing runs or is read that the seal does not cover;
- every tensor is as large as it says: no memory is allocated for data that do not exist;
- inputs and outputs are those of the manifest: nothing else is computed;
- operators, attributes and element types are those of ``operators``, which are deterministic;
- what is in a row decides neither the size of a result nor a divisor of integers, see
  ``value_types``; nor which branch of an If runs, as the branches' results differ in size;
- every loop ends, see :meth:`_GraphCheck._loop_bound`; every tree is a tree, see ``tree_rules``.

An operator may still compute something large from small constants or from many rows: against that
there is ``load(..., isolate=True)``.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import NUMBERS, STRINGS
from edge_runtime.errors import IntegrityError
from edge_runtime.graph_safety.onnx_fields import quote
from edge_runtime.graph_safety.onnx_graph import Node, Scope, Tensor
from edge_runtime.graph_safety.onnx_reader import MAX_AXES, read_graph
from edge_runtime.graph_safety.value_types import Value, Values, unsafe
from edge_runtime.onnxruntime_versions import check_opsets

__all__ = ["MAX_STEPS", "scan"]

MAX_STEPS = 100_000_000
"""Most steps of a loop, multiplied by the steps of the loops around it.  A coordinate descent of
1,000 rounds over 10,000 columns takes a tenth of that."""

_ML = b"ai.onnx.ml"
_TREES = frozenset({b"TreeEnsemble", b"TreeEnsembleClassifier", b"TreeEnsembleRegressor"})

_SUBGRAPHS: Mapping[bytes, frozenset[bytes]] = {
    b"Loop": frozenset({b"body"}),
    b"If": frozenset({b"then_branch", b"else_branch"}),
}
"""Operators that may have subgraphs.  Scan and SequenceMap may not: their number of steps is a size
of their input, which is unbounded for an empty tensor."""

_CHECKED_ATTRIBUTES = frozenset({b"Einsum", b"GatherND", b"Tokenizer"})
_EQUATION = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,->. ")
"""onnxruntime 1.32 never ends at an equation with another character (a NUL)."""

_MAX_PAD_BYTES = 16
"""The padding stands beside each short text as often as the longest one has characters."""

_INT64 = 7
# Operators that give some numbers of their input, and compute no new ones.
_SELECTING = frozenset({b"Cast", b"Gather", b"Identity", b"Reshape", b"Slice", b"Squeeze"})
_MAX_SELECTIONS = 8


def scan(raw: bytes, manifest: Manifest) -> Scope:
    """Refuse a graph that could harm, or that is not the one the manifest describes.

    Returns
    -------
    Scope
        The main graph.

    Raises
    ------
    UnsafeGraphError
        The graph breaks a rule of this module.
    UnsupportedRuntimeError
        It requires operator sets that no supported onnxruntime has.
    IntegrityError
        The manifest names other operator sets.
    """
    main, opsets = read_graph(raw)
    check_opsets(opsets)
    if opsets != dict(manifest.requires.opsets):
        raise IntegrityError(
            f"the graph requires the operator sets {opsets}, the manifest "
            f"{dict(manifest.requires.opsets)}; build the model again"
        )
    _check_ends(main, manifest)
    _GraphCheck(raw, main).check()
    return main


class _GraphCheck:
    """Check the nodes of the main graph and of its subgraphs, in their order."""

    def __init__(self, raw: bytes, main: Scope) -> None:
        self._raw, self._main = raw, main

    def check(self) -> None:
        values = Values(self._raw)
        values.add_model_inputs(self._main)
        self._check_scope(self._main, values, 1, False)

    def _check_scope(self, scope: Scope, values: Values, steps: int, per_row: bool) -> list[Value]:
        """Check one graph; give its outputs.

        Parameters
        ----------
        values
            Has the inputs of the graph already.
        steps
            How often the stored counts of the loops around it let it run.
        per_row
            Whether it also runs once for each row.
        """
        values.add_tensors(scope.tensors.values())
        for node in scope.nodes:
            for name, _ in node.subgraphs:
                if name not in _SUBGRAPHS.get(node.op, frozenset()) or node.domain:
                    raise unsafe(f"an operator {quote(node.op)} with a subgraph {quote(name)}")
            bound = self._loop_bound(node, scope) if node.op == b"Loop" else (1, False)
            operator, inputs = values.check_inputs(node)
            if node.op in _CHECKED_ATTRIBUTES:
                _check_attributes(node)
            if node.op in _TREES and node.domain == _ML:
                # Not at the top: most models need no trees, and imports take most of a start.
                from edge_runtime.graph_safety.tree_rules import check_trees

                check_trees(node, self._raw)
            if node.op in _SUBGRAPHS:
                if bound[1] and per_row:
                    raise unsafe("a loop over the rows inside another one")
                inner_steps = steps * bound[0]
                if inner_steps > MAX_STEPS:
                    raise unsafe(f"a loop of {inner_steps} steps, more than {MAX_STEPS}")
                results = self._check_subgraphs(node, values, inner_steps, per_row or bound[1])
                values.add_subgraph_outputs(node, results)
            else:
                values.add_outputs(node, operator, inputs)
        return [values.find(name) for name in scope.outputs]

    def _check_subgraphs(
        self, node: Node, values: Values, steps: int, per_row: bool
    ) -> list[Value]:
        """Check the subgraphs of a Loop or If; give the results of the node."""
        is_loop = node.op == b"Loop"
        if len(node.subgraphs) != (1 if is_loop else 2):
            raise unsafe(f"an operator {quote(node.op)} without its subgraph")
        results: list[Value] = []
        for _, subgraph in node.subgraphs:
            inner = Values(self._raw, values)
            if is_loop:
                inner.add_body_inputs(subgraph, node)
            outputs = self._check_scope(subgraph, inner, steps, per_row)
            # The first one is the condition, the last ones are stacked, one for each step.
            if is_loop and outputs[0].from_cells and len(outputs) - 1 > len(node.inputs) - 2:
                raise unsafe("a loop that stacks as many results as a row's cells say")
            results = outputs[1:] if is_loop else outputs  # a loop's condition is no result
        return results

    def _loop_bound(self, node: Node, scope: Scope) -> tuple[int, bool]:
        """Find how often a loop's body may run at most: its stored count, and whether per row.

        A loop's first input is its largest number of steps.  It must be a stored number, or the
        number of rows: the first size of one of the model's own inputs.  Stored numbers of nested
        loops multiply to at most :data:`MAX_STEPS`, and one loop in a nest may go over the rows.
        Any other size is refused: an empty tensor takes no memory, and its other axis may have any
        length; and a table may be wide.
        """
        source, where = _resolve(node.inputs[0] if node.inputs else b"", scope)
        if isinstance(source, Tensor):
            n_steps = _stored_integer(source, self._raw)
            if not 0 <= n_steps <= MAX_STEPS:
                raise unsafe(f"a loop of {n_steps} steps, more than {MAX_STEPS}")
            return n_steps, False
        consumer: Node | None = None
        consumer_scope = where
        for _ in range(_MAX_SELECTIONS):
            if not isinstance(source, Node) or source.domain or not source.inputs:
                break
            shape = source if source.op == b"Shape" else None
            if shape is None and source.op not in _SELECTING:
                break
            previous, previous_scope = source, where
            # Resolve the name in the graph of that node.
            source, where = _resolve(source.inputs[0], where)
            if shape is not None:
                selects_rows = _is_first_axis(shape) or (
                    consumer is not None and self._selects_first(consumer, consumer_scope)
                )
                if source is None and where is self._main and selects_rows:
                    return 1, True
                break
            consumer, consumer_scope = previous, previous_scope
        raise unsafe(
            "a loop without end: its steps are neither a stored number nor the number of rows"
        )

    def _selects_first(self, node: Node, scope: Scope | None) -> bool:
        """Whether *node* takes only the first of some numbers: Gather at 0, Slice from 0 to 1."""
        expected = {b"Gather": (0,), b"Slice": (0, 1)}.get(node.op)
        if expected is None or len(node.inputs) != 1 + len(expected):
            return False
        for name, number in zip(node.inputs[1:], expected, strict=True):
            tensor, _ = _resolve(name, scope)
            if not isinstance(tensor, Tensor) or _stored_integer(tensor, self._raw) != number:
                return False
        return True


def _check_attributes(node: Node) -> None:
    """Refuse attributes at which onnxruntime crashes or hangs, or that multiply a long text."""
    if node.op == b"Einsum" and not _EQUATION.issuperset(node.texts.get(b"equation", b"")):
        raise unsafe("an Einsum whose equation has other characters than letters and ,->.")
    if node.op == b"GatherND" and node.integers.get(b"batch_dims", 0) > MAX_AXES:
        raise unsafe(f"a GatherND whose batch_dims are not 0 to {MAX_AXES}")
    if node.op == b"Tokenizer" and len(node.texts.get(b"pad_value", b"")) > _MAX_PAD_BYTES:
        raise unsafe(f"a Tokenizer whose pad_value has more than {_MAX_PAD_BYTES} bytes")


def _is_first_axis(shape: Node) -> bool:
    """Whether a Shape node gives the first axis alone."""
    return shape.integers.get(b"start", 0) == 0 and shape.integers.get(b"end") == 1


def _check_ends(main: Scope, manifest: Manifest) -> None:
    """Refuse inputs and outputs that the manifest does not name."""
    output_names = {output.name.encode() for output in manifest.outputs}
    for name in main.outputs:
        if name not in output_names:
            raise unsafe(f"an output {quote(name)} that its manifest does not name")
    if len(set(main.outputs)) != len(main.outputs):
        raise unsafe("two outputs of one name")
    for name in main.inputs:
        if name not in (NUMBERS.encode(), STRINGS.encode()):
            raise unsafe(f"an input {quote(name)}, expected {NUMBERS} and {STRINGS}")


def _resolve(name: bytes, scope: Scope | None) -> tuple[Tensor | Node | None, Scope | None]:
    """Find the tensor or node that gives *name* its value in *scope*, and the graph that has it.

    ``(None, graph)``: it is an input of that graph.  ``(None, None)``: the name is undefined.
    """
    while scope is not None and name:
        if name in scope.tensors:
            return scope.tensors[name], scope
        if name in scope.producers:
            return scope.producers[name], scope
        if name in scope.inputs:
            return None, scope
        scope = scope.parent
    return None, None


def _stored_integer(tensor: Tensor, raw: bytes) -> int:
    if tensor.kind != _INT64 or tensor.elements != 1 or tensor.end - tensor.start != 8:
        raise unsafe("a loop whose number of steps is no stored whole number")
    return int.from_bytes(raw[tensor.start : tensor.end], "little", signed=True)
