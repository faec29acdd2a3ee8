"""A TreeEnsemble node in, nothing out, or UnsafeGraphError: its trees must be trees.

onnxruntime follows child numbers without looking whether they come back: a cycle never ends, a
deep chain overflows the stack while the graph is loaded, and nodes with two parents are evaluated
wrongly (microsoft/onnxruntime#24636).  Nor did 1.28 look whether there is a root or a leaf of the
number: it ends the process; 1.32 does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.errors import UnsafeGraphError
from edge_runtime.graph_safety.onnx_reader import Node
from edge_runtime.graph_safety.protobuf_wire import read_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_TREE_DEPTH", "check_trees", "integer_list"]

MAX_TREE_DEPTH = 4_096
"""Nodes from root to leaf; grown without limit on 100,000 rows, trees have some hundred."""

_MEMBER = 6
"""Mode of a node that asks for a set of numbers."""

_Ints: TypeAlias = "NDArray[np.int64]"


def check_trees(node: Node, raw: bytes) -> None:
    """Refuse an ensemble whose nodes are not trees of bounded depth.

    Parameters
    ----------
    node
        A node ``TreeEnsemble``, ``TreeEnsembleClassifier`` or ``TreeEnsembleRegressor``.
    raw
        The graph's bytes, which hold its lists.
    """
    roots: _Ints = np.zeros(0, dtype=np.int64)
    if node.op == b"TreeEnsemble":
        sides, n_nodes, roots = _edges(node, raw)
    else:
        sides, n_nodes = _edges_by_id(node, raw)
    # The last one stands for "none", and is its own parent.
    kind = np.int32 if n_nodes < 2**31 - 1 else np.int64
    parent: NDArray[Any] = np.full(n_nodes + 1, n_nodes, dtype=kind)
    for parents, children in sides:
        if len(children) and not (children.min() >= 0 and children.max() < n_nodes):
            raise _unsafe("has a child that is no node")
        parent[children] = parents
    if np.count_nonzero(parent != n_nodes) != sum(len(children) for _, children in sides):
        raise _unsafe("has a node with two parents")
    is_inside = (parent[roots] != n_nodes).any()
    # Every round doubles the distance to the ancestor, until there is none.
    distance = 1
    while (parent != n_nodes).any():
        if distance > MAX_TREE_DEPTH:
            raise _unsafe(f"has a cycle, or a tree deeper than {MAX_TREE_DEPTH}")
        parent = np.take(parent, parent)
        distance *= 2
    # onnxruntime copies a tree as often as its root is listed.
    if is_inside or len(np.unique(roots)) != len(roots):
        raise _unsafe("has a tree inside another one, or twice")


def _edges(node: Node, raw: bytes) -> tuple[list[tuple[_Ints, _Ints]], int, _Ints]:
    """Parents and their children, way by way, how many nodes, and roots.

    Leaves are numbered apart.
    """
    lists = [
        integer_list(node, raw, name)
        for name in (
            b"nodes_truenodeids",
            b"nodes_trueleafs",
            b"nodes_falsenodeids",
            b"nodes_falseleafs",
        )
    ]
    if len({len(values) for values in lists}) != 1:
        raise _unsafe("has lists of different lengths")
    sides = []
    n_leaves = len(integer_list(node, raw, b"leaf_targetids"))
    roots = integer_list(node, raw, b"tree_roots")
    if len(roots) and not (roots.min() >= 0 and roots.max() < len(lists[0])):
        raise _unsafe("has a root that is no node")
    for children, flags in (lists[:2], lists[2:]):
        if flags.max(initial=0) > 1 or flags.min(initial=0) < 0:
            raise _unsafe("has a mark of leaves that is neither 0 nor 1")
        inner = flags == 0
        # There is one leaf more than nodes in a tree: mostly a look at the largest number will do.
        if children.max(initial=0) >= n_leaves and (children[~inner] >= n_leaves).any():
            raise _unsafe("has a leaf that is none")
        sides.append((np.flatnonzero(inner), np.compress(inner, children)))
    _check_sets(node, raw, len(lists[0]))
    for name, length in ((b"nodes_splits", len(lists[0])), (b"leaf_weights", n_leaves)):
        tensor = node.tensors.get(name)
        if tensor is None:
            raise _unsafe(f"lacks {name.decode()}")
        # Of no axis, 1.28 ends the process.
        if tensor.shape != (length,):
            raise _unsafe("has lists of different lengths")
    return sides, len(lists[0]), roots


def _check_sets(node: Node, raw: bytes, n_nodes: int) -> None:
    """Each node that asks for a set has one: 1.28 ends the process where the list is too short."""
    modes = _stored(node, raw, b"nodes_modes", {2: np.dtype(np.uint8)})
    if len(modes) != n_nodes:
        raise _unsafe("has lists of different lengths")
    n_sets = int(np.count_nonzero(modes == _MEMBER))
    if not n_sets:
        return
    # A set's last number is followed by NaN.
    kinds: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 11: np.dtype("<f8")}
    ends = np.flatnonzero(np.isnan(_stored(node, raw, b"membership_values", kinds)))
    if len(ends) != n_sets or ends[0] < 1 or (np.diff(ends) < 2).any():
        raise _unsafe("has a set of numbers that is none")


def _stored(node: Node, raw: bytes, name: bytes, kinds: dict[int, np.dtype[Any]]) -> NDArray[Any]:
    """The numbers of a tensor among the node's attributes, where they lie."""
    tensor = node.tensors.get(name)
    if tensor is None:
        raise _unsafe(f"lacks {name.decode()}")
    if tensor.kind not in kinds or (tensor.elements and tensor.start == tensor.end):
        raise _unsafe(f"has {name.decode()} in another form")
    return np.frombuffer(raw, kinds[tensor.kind], tensor.elements, tensor.start)


def _edges_by_id(node: Node, raw: bytes) -> tuple[list[tuple[_Ints, _Ints]], int]:
    """The same for opset 3, where a node is called by its tree and its number there."""
    names = (b"nodes_treeids", b"nodes_nodeids", b"nodes_truenodeids", b"nodes_falsenodeids")
    tree, number, true, false = (integer_list(node, raw, name).astype(np.int64) for name in names)
    branches = np.array([mode != b"LEAF" for mode in node.modes], dtype=bool)
    if len({len(tree), len(number), len(true), len(false), len(branches)}) != 1:
        raise _unsafe("has lists of different lengths")
    for values in (tree, number, true, false):
        if len(values) and not (values.min() >= 0 and values.max() < 2**31):
            raise _unsafe("has a node number out of range")
    keys = tree << 31 | number
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).any():
        raise _unsafe("has two nodes of one number")
    parents = np.flatnonzero(branches)
    wanted = np.concatenate([tree[parents] << 31 | ids[parents] for ids in (true, false)])
    found = np.searchsorted(ordered, wanted)
    if len(wanted) and not np.array_equal(ordered[np.minimum(found, len(keys) - 1)], wanted):
        raise _unsafe("has a child that is no node")
    children = order[np.minimum(found, len(keys) - 1)]
    return [(np.concatenate([parents, parents]), children)], len(keys)


def integer_list(node: Node, raw: bytes, name: bytes) -> _Ints:
    """The attribute *name*, a list of whole numbers that are not negative.

    Raises
    ------
    UnsafeGraphError
        It is missing, or a number is negative.
    """
    if name in node.runs:
        return read_run(raw, *node.runs[name])
    if name not in node.attributes:
        raise _unsafe(f"lacks {name.decode()}")
    values = node.ints.get(name, [])
    if any(value >> 63 for value in values):
        raise _unsafe(f"has a negative number in {name.decode()}")
    return np.array(values, dtype=np.int64)


def _unsafe(what: str) -> UnsafeGraphError:
    return UnsafeGraphError(
        f"the graph has a tree ensemble that {what}; do not use this file; build it again with "
        "edge-pipeline"
    )
