"""Refuse graphs that onnxruntime must never read.

Only the bytes are read; nothing is run.  The rules, and the harm that each prevents:

- no data outside the file, no functions, and only operators of three known sets: nothing runs or
  is read that the seal does not cover;
- every tensor is as large as it says: no memory is allocated for data that do not exist;
- inputs and outputs are those of the manifest: nothing else is computed;
- every loop ends, see :func:`_check_loop`; every tree is a tree, see ``tree_rules``.

An operator may still compute something large from small constants: against that there is
``load(..., isolate=True)``.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import NUMBERS, STRINGS
from edge_runtime.errors import IntegrityError, UnsafeGraphError
from edge_runtime.graph_safety.onnx_fields import REMEDY, quote
from edge_runtime.graph_safety.onnx_graph import Node, Scope, Tensor
from edge_runtime.graph_safety.onnx_reader import read_graph
from edge_runtime.onnxruntime_versions import check_opsets

__all__ = ["MAX_STEPS", "scan"]

MAX_STEPS = 100_000_000
"""Most steps of a loop, multiplied by the steps of the loops around it.  A coordinate descent of
1,000 rounds over 10,000 columns takes a tenth of that."""

_ML, _MICROSOFT = b"ai.onnx.ml", b"com.microsoft"
_TREES = frozenset({b"TreeEnsemble", b"TreeEnsembleClassifier", b"TreeEnsembleRegressor"})
_MICROSOFT_OPS = frozenset({b"CDist", b"MurmurHash3", b"Tokenizer"})
"""Those of onnxruntime's own operators that converters write."""

_SUBGRAPHS: Mapping[bytes, frozenset[bytes]] = {
    b"Loop": frozenset({b"body"}),
    b"If": frozenset({b"then_branch", b"else_branch"}),
}
"""Operators that may have subgraphs.  Scan and SequenceMap may not: their number of steps is a size
of their input, which is unbounded for an empty tensor."""

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
    # Each graph with the number of times that the loops around it may run it.
    pending: list[tuple[Scope, int]] = [(main, 1)]
    while pending:
        scope, steps = pending.pop()
        for node in scope.nodes:
            _check_operator(node)
            if node.op in _TREES and node.domain == _ML:
                # Not at the top: most models need no trees, and imports take most of a start.
                from edge_runtime.graph_safety.tree_rules import check_trees

                check_trees(node, raw)
            inner_steps = steps
            if node.op == b"Loop":
                inner_steps = _check_loop(node, scope, main, raw, steps)
            for name, subgraph in node.subgraphs:
                if name not in _SUBGRAPHS.get(node.op, frozenset()) or node.domain:
                    raise _unsafe(f"an operator {quote(node.op)} with a subgraph {quote(name)}")
                pending.append((subgraph, inner_steps))
    return main


def _check_ends(main: Scope, manifest: Manifest) -> None:
    """Refuse inputs and outputs that the manifest does not name."""
    output_names = {output.name.encode() for output in manifest.outputs}
    for name in main.outputs:
        if name not in output_names:
            raise _unsafe(f"an output {quote(name)} that its manifest does not name")
    if len(set(main.outputs)) != len(main.outputs):
        raise _unsafe("two outputs of one name")
    for name in main.inputs:
        if name not in (NUMBERS.encode(), STRINGS.encode()):
            raise _unsafe(f"an input {quote(name)}, expected {NUMBERS} and {STRINGS}")


def _check_operator(node: Node) -> None:
    if node.domain in (b"", _ML):
        return
    if node.domain == _MICROSOFT and node.op in _MICROSOFT_OPS:
        return
    raise _unsafe(f"the operator {quote(node.domain + b'::' + node.op)}, unknown here")


def _check_loop(node: Node, scope: Scope, main: Scope, raw: bytes, steps: int) -> int:
    """Compute how often this loop's body may run at most, and refuse a loop without a bound.

    A loop's first input is its largest number of steps.  It must be a stored number, or a size of
    one of the model's own inputs: then the loop ends after as many steps as the caller passed rows.
    The stored numbers of nested loops multiply to at most :data:`MAX_STEPS`.  The size of any other
    value is refused: an empty tensor takes no memory, and its other axis may have any length.
    """
    source, where = _resolve(node.inputs[0] if node.inputs else b"", scope)
    if isinstance(source, Tensor):
        steps *= _stored_integer(source, raw)
        if not 0 <= steps <= MAX_STEPS:
            raise _unsafe(f"a loop of {steps} steps, more than {MAX_STEPS}")
        return steps
    for _ in range(_MAX_SELECTIONS):
        if not isinstance(source, Node) or source.domain or not source.inputs:
            break
        selects, name = source.op in _SELECTING, source.inputs[0]
        if not selects and source.op != b"Shape":
            break
        # Resolve the name in the graph of that node.
        source, where = _resolve(name, where)
        if not selects:
            if source is None and where is main:
                return steps
            break
    raise _unsafe("a loop without end: its steps are neither a stored number nor an input's size")


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
        raise _unsafe("a loop whose number of steps is no stored whole number")
    return int.from_bytes(raw[tensor.start : tensor.end], "little", signed=True)


def _unsafe(finding: str) -> UnsafeGraphError:
    return UnsafeGraphError(f"the graph has {finding}; {REMEDY}")
