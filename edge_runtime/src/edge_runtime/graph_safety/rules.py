"""A graph's bytes in, nothing out, or UnsafeGraphError: what onnxruntime must never be handed.

Looks at the wire format alone and runs nothing.  The rules, each with the harm it prevents:

- no data outside the file, no functions, no operators but those of three known sets: nothing is
  read or run that the seal does not cover;
- every stored tensor is as large as it says: no allocation of what is not there;
- inputs and outputs are those of the manifest: nothing is computed that nobody asked for;
- every loop ends: see :func:`_check_loop`; every tree is a tree: see ``tree_scan``.

An operator may still compute something large from small constants.  ``load(..., isolate=True)``
is for that.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import NUMBERS, STRINGS
from edge_runtime.errors import IntegrityError, UnsafeGraphError
from edge_runtime.graph_safety.onnx_fields import REMEDY, shown
from edge_runtime.graph_safety.onnx_reader import Node, Scope, Tensor, read_graph
from edge_runtime.onnxruntime_versions import check_opsets

__all__ = ["MAX_STEPS", "scan"]

MAX_STEPS = 100_000_000
"""Steps of a loop, those of the loops around it multiplied in: a coordinate descent of 1,000 rounds
over 10,000 columns takes a tenth of that."""

_ML, _MICROSOFT = b"ai.onnx.ml", b"com.microsoft"
_TREES = frozenset({b"TreeEnsemble", b"TreeEnsembleClassifier", b"TreeEnsembleRegressor"})
_MICROSOFT_OPS = frozenset({b"CDist", b"MurmurHash3", b"Tokenizer"})
"""Of onnxruntime's own operators, those that converters write."""

_BODIES: Mapping[bytes, frozenset[bytes]] = {
    b"Loop": frozenset({b"body"}),
    b"If": frozenset({b"then_branch", b"else_branch"}),
}
"""Operators that may have subgraphs: a Scan's or SequenceMap's number of steps is a size of its
input, which an empty tensor can have without bound."""

_INT64 = 7
# What hands on numbers that it is given, or some of them, and makes no new ones.
_SELECTING = frozenset({b"Cast", b"Gather", b"Identity", b"Reshape", b"Slice", b"Squeeze"})
_MAX_SELECTIONS = 8


def scan(raw: bytes, manifest: Manifest) -> Scope:
    """Refuse a graph that could harm, or that is not the one the manifest describes.

    Returns
    -------
    Scope
        The main graph, for whoever looks further.

    Raises
    ------
    UnsafeGraphError
        See this module's rules.
    UnsupportedRuntimeError
        It needs operator sets that no onnxruntime has which this runtime knows.
    IntegrityError
        The manifest says otherwise about its operator sets.
    """
    main, opsets = read_graph(raw)
    check_opsets(opsets)
    if opsets != dict(manifest.requires.opsets):
        raise IntegrityError(
            f"the graph asks for the operator sets {opsets}, the manifest for "
            f"{dict(manifest.requires.opsets)}; build the model again"
        )
    _check_ends(main, manifest)
    # A body's steps are those of all loops around it.
    waiting: list[tuple[Scope, int]] = [(main, 1)]
    while waiting:
        scope, steps = waiting.pop()
        for node in scope.nodes:
            _check_operator(node)
            if node.op in _TREES and node.domain == _ML:
                # Not at the top: most of a start is spent on modules.
                from edge_runtime.graph_safety.tree_rules import check_trees

                check_trees(node, raw)
            inner = _check_loop(node, scope, main, raw, steps) if node.op == b"Loop" else steps
            for name, body in node.bodies:
                if name not in _BODIES.get(node.op, frozenset()) or node.domain:
                    raise _unsafe(f"an operator {shown(node.op)} with a subgraph {shown(name)}")
                waiting.append((body, inner))
    return main


def _check_ends(main: Scope, manifest: Manifest) -> None:
    """Inputs and outputs are those that the manifest names."""
    named = {output.name.encode() for output in manifest.outputs}
    for name in main.outputs:
        if name not in named:
            raise _unsafe(f"an output {shown(name)} that its manifest does not name")
    if len(set(main.outputs)) != len(main.outputs):
        raise _unsafe("two outputs of one name")
    for name in main.inputs:
        if name not in (NUMBERS.encode(), STRINGS.encode()):
            raise _unsafe(f"an input {shown(name)}, expected {NUMBERS} and {STRINGS}")


def _check_operator(node: Node) -> None:
    if node.domain in (b"", _ML):
        return
    if node.domain == _MICROSOFT and node.op in _MICROSOFT_OPS:
        return
    raise _unsafe(f"the operator {shown(node.domain + b'::' + node.op)}, unknown here")


def _check_loop(node: Node, scope: Scope, main: Scope, raw: bytes, steps: int) -> int:
    """The number of steps around a body of this loop, which must be bounded.

    A loop's first input is its largest number of steps.  It must be a stored number, or a size of
    one of the model's own inputs: then the loop ends, after the number of rows that the caller
    asked for at the latest.  The stored numbers of loops inside one another multiply to at most
    :data:`MAX_STEPS`.  No other size will do: a tensor with no elements costs nothing, and its
    other axis may be as long as the numbers go.
    """
    found, where = _find(node.inputs[0] if node.inputs else b"", scope)
    if isinstance(found, Tensor):
        steps *= _stored_number(found, raw)
        if not 0 <= steps <= MAX_STEPS:
            raise _unsafe(f"a loop of {steps} steps, more than {MAX_STEPS}")
        return steps
    for _ in range(_MAX_SELECTIONS):
        if not isinstance(found, Node) or found.domain or not found.inputs:
            break
        selects, name = found.op in _SELECTING, found.inputs[0]
        if not selects and found.op != b"Shape":
            break
        # Names mean what they mean where that node stands.
        found, where = _find(name, where)
        if not selects:
            if found is None and where is main:
                return steps
            break
    raise _unsafe("a loop without end: its steps are neither a stored number nor an input's size")


def _find(name: bytes, scope: Scope | None) -> tuple[Tensor | Node | None, Scope | None]:
    """What gives *name* its value as seen from *scope*, and the graph it stands in.

    None in a graph: it is an input of that graph.  None in None: there is no such name.
    """
    while scope is not None and name:
        if name in scope.tensors:
            return scope.tensors[name], scope
        if name in scope.makers:
            return scope.makers[name], scope
        if name in scope.inputs:
            return None, scope
        scope = scope.parent
    return None, None


def _stored_number(tensor: Tensor, raw: bytes) -> int:
    if tensor.kind != _INT64 or tensor.elements != 1 or tensor.end - tensor.start != 8:
        raise _unsafe("a loop whose number of steps is no stored whole number")
    return int.from_bytes(raw[tensor.start : tensor.end], "little", signed=True)


def _unsafe(what: str) -> UnsafeGraphError:
    return UnsafeGraphError(f"the graph has {what}; {REMEDY}")
