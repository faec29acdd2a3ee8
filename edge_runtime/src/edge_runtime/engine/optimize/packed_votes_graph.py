"""A graph in, out the smaller graph that gives a forest's packed votes; runs nothing.

The forest is found by its form, as the converter writes it: each tree gives the number of its leaf,
a table has the leaf's probabilities, a running sum adds them up in the order of the trees, and the
place of the largest is the label.  What differs from that anywhere is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.engine.optimize.graph_writer import message, rewrite_graph, varint
from edge_runtime.engine.optimize.packed_votes import PackedVotes, packed
from edge_runtime.engine.optimize.prune_outputs import stored
from edge_runtime.graph_safety.onnx_fields import ATTRIBUTE_RUNS
from edge_runtime.graph_safety.onnx_reader import MAX_FIELDS, Node, Scope
from edge_runtime.graph_safety.protobuf_wire import Budget, fields
from edge_runtime.graph_safety.tree_rules import whole_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PackedVotesGraph", "pack_votes_graph"]


class PackedVotesGraph(NamedTuple):
    """A ModelProto of one output, shape (n_rows, 1): packed sums, which *tally* reads."""

    graph: bytes
    name: str
    tally: PackedVotes


def pack_votes_graph(raw: bytes, main: Scope, position: str) -> PackedVotesGraph | None:
    """The graph of the forest whose label's number *position* is; None where there is none.

    Parameters
    ----------
    raw
        A ModelProto that the scan has let pass.
    main
        Its main graph, as read from *raw*.
    """
    found = _soft_votes(raw, main, position.encode())
    if found is None:
        return None
    trees, leaves, table = found
    # Of the leaves that there are: the coarsest rounding of these is what counts.
    used, places = np.unique(leaves.weights, return_inverse=True)
    made = packed(table[used.astype(np.int64)], leaves.n_trees)
    if made is None:
        return None
    weights, tally = made
    node = _with_weights(raw, trees, weights[places])
    place = next(i for i, node in enumerate(main.nodes) if node is trees)
    graph = rewrite_graph(raw, main, trees.outputs, {place: node})
    return None if graph is None else PackedVotesGraph(graph, trees.outputs[0].decode(), tally)


_TREES = (b"TreeEnsemble", b"ai.onnx.ml")
_INT64 = 7  # TensorProto.DataType, as are the kinds below
_SUM = 1


class _Leaves(NamedTuple):
    """The leaves of an ensemble, arrays of one number a leaf, and how many trees there are."""

    n_trees: int
    trees: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float64]


def _soft_votes(
    raw: bytes, main: Scope, name: bytes
) -> tuple[Node, _Leaves, NDArray[np.float64]] | None:
    """The ensemble that tells each tree's leaf, its leaves, and the probabilities of each."""

    def made(name: bytes | None, op: bytes, n_inputs: int, **numbers: int) -> list[Any]:
        """What the node *op* makes *name* of: names, or None if it is another or does otherwise."""
        node = None if name is None else main.makers.get(name)
        if node is None or (node.op, node.domain, len(node.inputs)) != (op, b"", n_inputs):
            return [None] * n_inputs
        wanted = {key.encode(): value for key, value in numbers.items()}
        same = node.integers == wanted and node.attributes == wanted.keys()
        return node.inputs if same else [None] * n_inputs

    def constant(name: bytes | None) -> NDArray[Any] | None:
        tensor = None if name is None else main.tensors.get(name)
        return None if tensor is None else stored(raw, tensor)

    def number(name: bytes | None) -> float | None:
        values = constant(name)
        return None if values is None or values.size != 1 else values.item()

    (mean,) = made(name, b"ArgMax", 1, axis=1, keepdims=0)
    total, divisor = made(mean, b"Div", 2)
    sums, last = made(total, b"Gather", 2, axis=1)
    rows, axis = made(sums, b"CumSum", 2)
    table, places = made(rows, b"Gather", 2, axis=0)
    (told,) = made(places, b"Cast", 1, to=_INT64)
    trees = None if told is None else main.makers.get(told)
    probabilities = constant(table)
    if trees is None or (trees.op, trees.domain) != _TREES or probabilities is None:
        return None
    leaves = _leaves(trees, raw)
    if leaves is None:
        return None
    is_such = (
        trees.integers == {b"aggregate_function": _SUM, b"n_targets": leaves.n_trees}
        and number(divisor) == leaves.n_trees
        and number(last) == leaves.n_trees - 1
        and number(axis) == 1
        and probabilities.ndim == 2
        and probabilities.dtype == np.float64
        # Each tree has a target of its own, and tells the place of a row in the table.
        and np.array_equal(leaves.targets, leaves.trees)
        and np.isin(leaves.weights, np.arange(len(probabilities))).all()
    )
    return (trees, leaves, probabilities) if is_such else None


def _leaves(node: Node, raw: bytes) -> _Leaves | None:
    """None where their weights are no float64, or not every leaf hangs on one tree.

    The way from the roots down ends because the scan has seen that these are trees.
    """
    tensor = node.tensors.get(b"leaf_weights")
    weights = None if tensor is None or tensor.kind != _FLOAT64 else stored(raw, tensor)
    targets, roots = (whole_numbers(node, raw, name) for name in (b"leaf_targetids", b"tree_roots"))
    ways = [
        [whole_numbers(node, raw, b"nodes_%s%s" % (way, what)) for what in (b"nodeids", b"leafs")]
        for way in (b"true", b"false")
    ]
    tree = np.full(len(ways[0][0]), -1)
    tree[roots] = np.arange(len(roots))
    level = roots
    while len(level):
        below = [(children[level], flags[level] == 0) for children, flags in ways]
        for children, inner in below:
            tree[children[inner]] = tree[level[inner]]
        level = np.concatenate([children[inner] for children, inner in below])
    ends = np.concatenate([children[flags == 1] for children, flags in ways])
    found = np.full(len(targets), -1)
    found[ends] = np.concatenate([tree[flags == 1] for _, flags in ways])
    if weights is None or not len(ends) == len(targets) == len(weights) or (found < 0).any():
        return None
    return _Leaves(len(roots), found, targets, weights)


# Tags of NodeProto, AttributeProto and TensorProto, as in graph_reading.
_ATTRIBUTE = 0x2A
_NAME, _INTEGER, _TENSOR, _INTEGERS, _TYPE = 0x0A, 0x18, 0x2A, 0x40, 0xA0
_DIMENSION, _KIND, _RAW_DATA = 0x08, 0x10, 0x4A
_FLOAT64 = 11


def _with_weights(raw: bytes, trees: Node, weights: NDArray[np.float64]) -> bytes:
    """*trees* with one target, to which each leaf gives its weight."""
    n_leaves = varint(len(weights))
    tensor = varint(_DIMENSION) + n_leaves + varint(_KIND) + varint(_FLOAT64)
    tensor += message(_RAW_DATA, weights.astype("<f8").tobytes())
    # Values with the type of attribute that each is (AttributeProto.AttributeType).
    instead = {
        b"n_targets": (2, varint(_INTEGER) + varint(1)),
        b"leaf_targetids": (7, (varint(_INTEGERS) + varint(0)) * len(weights)),
        b"leaf_weights": (4, message(_TENSOR, tensor)),
    }
    parts = [field for name, field in _node_fields(raw, trees) if name not in instead]
    for name, (kind, value) in instead.items():
        attribute = message(_NAME, name) + value + varint(_TYPE) + varint(kind)
        parts.append(message(_ATTRIBUTE, attribute))
    return b"".join(parts)


def _node_fields(raw: bytes, node: Node) -> Iterator[tuple[bytes, bytes]]:
    """The fields of a node, each with the name of its attribute, if it is one."""
    before, end = node.place
    for tag, start, stop in fields(raw, before, end, Budget(MAX_FIELDS)):
        name = b""
        if tag == _ATTRIBUTE:
            inside = fields(raw, start, stop, Budget(MAX_FIELDS), ATTRIBUTE_RUNS)
            name = next(raw[a:b] for inner, a, b in inside if inner == _NAME)
        yield name, raw[before:stop]
        before = stop
