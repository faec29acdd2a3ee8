"""Find a forest with soft votes in a graph, and write the graph of its packed votes.

The forest has the form that the converter writes.  Each tree gives the number of its leaf, and a
table holds the leaf's probabilities.  A running sum adds them up in the order of the trees, and
ArgMax finds the label.  A graph that differs anywhere is left as it is.  Nothing is run here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.engine.optimize.graph_writer import message, rewrite_graph, varint
from edge_runtime.engine.optimize.packed_votes import PackedVotes, pack_votes
from edge_runtime.engine.optimize.prune_outputs import tensor_array
from edge_runtime.graph_safety import onnx_fields as proto
from edge_runtime.graph_safety.onnx_graph import Node, Scope
from edge_runtime.graph_safety.onnx_reader import MAX_FIELDS
from edge_runtime.graph_safety.protobuf_wire import Budget, fields
from edge_runtime.graph_safety.tree_rules import integer_list

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PackedVotesGraph", "pack_votes_graph"]


class PackedVotesGraph(NamedTuple):
    """A ModelProto of one output, shape (n_rows, 1): the packed sums.

    Attributes
    ----------
    graph
        Its bytes.
    name
        Name of the output.
    votes
        The layout of the sums.
    """

    graph: bytes
    name: str
    votes: PackedVotes


def pack_votes_graph(raw: bytes, main: Scope, position: str) -> PackedVotesGraph | None:
    """Write the graph of the forest whose label's position is *position*; None if there is none.

    Parameters
    ----------
    raw
        A ModelProto that the scan has accepted.
    main
        Its main graph, as read from *raw*.
    position
        Name of the value.
    """
    forest = _find_forest(raw, main, position.encode())
    if forest is None:
        return None
    # Only rows of the table that some leaf uses: the coarsest rounding among them counts.
    used_rows, row_of_leaf = np.unique(forest.leaves.table_rows, return_inverse=True)
    packing = pack_votes(forest.table[used_rows.astype(np.int64)], forest.leaves.n_trees)
    if packing is None:
        return None
    packed, votes = packing
    new_node = _with_leaf_weights(raw, forest.trees, packed[row_of_leaf])
    place = next(i for i, node in enumerate(main.nodes) if node is forest.trees)
    graph = rewrite_graph(raw, main, forest.trees.outputs, {place: new_node})
    if graph is None:
        return None
    return PackedVotesGraph(graph, forest.trees.outputs[0].decode(), votes)


_TREES = (b"TreeEnsemble", b"ai.onnx.ml")
_INT64, _FLOAT64 = 7, 11  # TensorProto.DataType
_SUM = 1  # aggregate_function


class _Leaves(NamedTuple):
    """The leaves of an ensemble.

    Attributes
    ----------
    n_trees
        Number of trees.
    trees, targets
        For each leaf the number of its tree, and of the target that it adds to.
    table_rows
        For each leaf the number that it adds: its row in the table of probabilities.
    """

    n_trees: int
    trees: NDArray[np.int64]
    targets: NDArray[np.int64]
    table_rows: NDArray[np.float64]


class _Forest(NamedTuple):
    """The ensemble's node, its leaves, and the table of their probabilities."""

    trees: Node
    leaves: _Leaves
    table: NDArray[np.float64]


def _find_forest(raw: bytes, main: Scope, position: bytes) -> _Forest | None:
    """Match the graph that ends in *position* with the converter's form of a forest."""

    def inputs(name: bytes | None, op: bytes, n_inputs: int, **integers: int) -> list[Any]:
        """Names of the inputs of the node that computes *name*; Nones if it has another form."""
        node = None if name is None else main.producers.get(name)
        if node is None or (node.op, node.domain, len(node.inputs)) != (op, b"", n_inputs):
            return [None] * n_inputs
        expected = {key.encode(): value for key, value in integers.items()}
        has_form = node.integers == expected and node.attributes == expected.keys()
        return node.inputs if has_form else [None] * n_inputs

    def constant(name: bytes | None) -> NDArray[Any] | None:
        tensor = None if name is None else main.tensors.get(name)
        return None if tensor is None else tensor_array(raw, tensor)

    def scalar(name: bytes | None) -> float | None:
        array = constant(name)
        return None if array is None or array.size != 1 else array.item()

    # From the label back to the trees.
    (mean,) = inputs(position, b"ArgMax", 1, axis=1, keepdims=0)
    total, divisor = inputs(mean, b"Div", 2)
    sums, last_tree = inputs(total, b"Gather", 2, axis=1)
    rows, axis = inputs(sums, b"CumSum", 2)
    table_name, row_numbers = inputs(rows, b"Gather", 2, axis=0)
    (leaf_values,) = inputs(row_numbers, b"Cast", 1, to=_INT64)
    trees = None if leaf_values is None else main.producers.get(leaf_values)
    table = constant(table_name)
    if trees is None or (trees.op, trees.domain) != _TREES or table is None:
        return None
    leaves = _read_leaves(trees, raw)
    if leaves is None:
        return None
    is_forest = (
        trees.integers == {b"aggregate_function": _SUM, b"n_targets": leaves.n_trees}
        and scalar(divisor) == leaves.n_trees
        and scalar(last_tree) == leaves.n_trees - 1
        and scalar(axis) == 1
        and table.ndim == 2
        and table.dtype == np.float64
        # Each tree has a target of its own, and gives the number of a row in the table.
        and np.array_equal(leaves.targets, leaves.trees)
        and np.isin(leaves.table_rows, np.arange(len(table))).all()
    )
    return _Forest(trees, leaves, table) if is_forest else None


def _read_leaves(node: Node, raw: bytes) -> _Leaves | None:
    """Read the leaves; None where weights are no float64, or a leaf does not hang on one tree.

    The walk from the roots down ends, because the scan has checked that these are trees.
    """
    tensor = node.tensors.get(b"leaf_weights")
    weights = None if tensor is None or tensor.kind != _FLOAT64 else tensor_array(raw, tensor)
    targets, roots = (integer_list(node, raw, name) for name in (b"leaf_targetids", b"tree_roots"))
    # For both sides: each node's child, and whether it is a leaf.
    branches = [
        [
            integer_list(node, raw, b"nodes_%s%s" % (side, suffix))
            for suffix in (b"nodeids", b"leafs")
        ]
        for side in (b"true", b"false")
    ]
    tree_of_node = np.full(len(branches[0][0]), -1)
    tree_of_node[roots] = np.arange(len(roots))
    level = roots
    while len(level):
        inner = [(children[level], flags[level] == 0) for children, flags in branches]
        for children, is_inner in inner:
            tree_of_node[children[is_inner]] = tree_of_node[level[is_inner]]
        level = np.concatenate([children[is_inner] for children, is_inner in inner])
    leaf_ids = np.concatenate([children[flags == 1] for children, flags in branches])
    tree_of_leaf = np.full(len(targets), -1)
    tree_of_leaf[leaf_ids] = np.concatenate([tree_of_node[flags == 1] for _, flags in branches])
    if weights is None or not len(leaf_ids) == len(targets) == len(weights):
        return None
    if (tree_of_leaf < 0).any():
        return None
    return _Leaves(len(roots), tree_of_leaf, targets, weights)


def _with_leaf_weights(raw: bytes, trees: Node, weights: NDArray[np.float64]) -> bytes:
    """Write the NodeProto of *trees* with one target, to which each leaf adds its weight."""
    tensor = varint(proto.TENSOR_DIM) + varint(len(weights))
    tensor += varint(proto.TENSOR_TYPE) + varint(_FLOAT64)
    tensor += message(proto.TENSOR_RAW_DATA, weights.astype("<f8").tobytes())
    # Each value with its AttributeProto.AttributeType.
    new_attributes = {
        b"n_targets": (2, varint(proto.ATTRIBUTE_INT) + varint(1)),
        b"leaf_targetids": (7, (varint(proto.ATTRIBUTE_INTS) + varint(0)) * len(weights)),
        b"leaf_weights": (4, message(proto.ATTRIBUTE_TENSOR, tensor)),
    }
    parts = [field for name, field in _node_fields(raw, trees) if name not in new_attributes]
    for name, (attribute_type, value) in new_attributes.items():
        attribute = message(proto.ATTRIBUTE_NAME, name) + value
        attribute += varint(proto.ATTRIBUTE_TYPE) + varint(attribute_type)
        parts.append(message(proto.NODE_ATTRIBUTE, attribute))
    return b"".join(parts)


def _node_fields(raw: bytes, node: Node) -> Iterator[tuple[bytes, bytes]]:
    """Yield the fields of a node, each with the name of its attribute, if it is one."""
    before, end = node.place
    for tag, start, stop in fields(raw, before, end, Budget(MAX_FIELDS)):
        name = b""
        if tag == proto.NODE_ATTRIBUTE:
            attribute_fields = fields(raw, start, stop, Budget(MAX_FIELDS), proto.ATTRIBUTE_RUNS)
            name = next(
                raw[a:b]
                for inner_tag, a, b in attribute_fields
                if inner_tag == proto.ATTRIBUTE_NAME
            )
        yield name, raw[before:stop]
        before = stop
