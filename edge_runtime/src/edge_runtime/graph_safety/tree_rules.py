"""Refuse a TreeEnsemble node whose trees are no trees.

onnxruntime follows child numbers without checking for cycles.  A cycle never ends, a deep chain
overflows the stack while the graph is loaded, and a node with two parents is evaluated wrongly
(microsoft/onnxruntime#24636).  onnxruntime 1.28 does not check the numbers of roots and leaves
either, and a wrong one kills the process; 1.32 checks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from edge_runtime.errors import UnsafeGraphError
from edge_runtime.graph_safety.onnx_graph import Node
from edge_runtime.graph_safety.protobuf_wire import read_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_TREE_DEPTH", "check_trees", "integer_list"]

MAX_TREE_DEPTH = 4_096
"""Most nodes from root to leaf; trees grown without limit on 100,000 rows have about a hundred."""

_MEMBER = 6
"""Mode of a node that tests whether a value is in a set."""

_Ints: TypeAlias = "NDArray[np.int64]"


def check_trees(node: Node, raw: bytes) -> None:
    """Refuse an ensemble whose nodes are not trees of bounded depth.

    Parameters
    ----------
    node
        A node ``TreeEnsemble``, ``TreeEnsembleClassifier`` or ``TreeEnsembleRegressor``.
    raw
        The graph's bytes, which have its lists.
    """
    ensemble = _read_ensemble(node, raw) if node.op == b"TreeEnsemble" else _read_by_id(node, raw)
    n_nodes, roots = ensemble.n_nodes, ensemble.roots
    # The last entry means "no parent", and is its own parent.
    dtype = np.int32 if n_nodes < 2**31 - 1 else np.int64
    parent: NDArray[Any] = np.full(n_nodes + 1, n_nodes, dtype=dtype)
    for parents, children in ensemble.edges:
        if len(children) and not (children.min() >= 0 and children.max() < n_nodes):
            raise _unsafe("has a child that is no node")
        parent[children] = parents
    if np.count_nonzero(parent != n_nodes) != sum(len(children) for _, children in ensemble.edges):
        raise _unsafe("has a node with two parents")
    root_has_parent = (parent[roots] != n_nodes).any()
    # Each round doubles the distance to the ancestor (pointer jumping), until nobody has one.
    distance = 1
    while (parent != n_nodes).any():
        if distance > MAX_TREE_DEPTH:
            raise _unsafe(f"has a cycle, or a tree deeper than {MAX_TREE_DEPTH}")
        parent = np.take(parent, parent)
        distance *= 2
    # onnxruntime copies a tree as often as its root is listed.
    if root_has_parent or len(np.unique(roots)) != len(roots):
        raise _unsafe("has a tree inside another one, or twice")


class _Ensemble(NamedTuple):
    """The inner nodes of all trees.

    Attributes
    ----------
    n_nodes
        Number of nodes.
    edges
        Arrays of parents and their children.
    roots
        Numbers of the root nodes; none in opset 3.
    """

    n_nodes: int
    edges: list[tuple[_Ints, _Ints]]
    roots: _Ints


def _read_ensemble(node: Node, raw: bytes) -> _Ensemble:
    """Read the trees of opset 5, where leaves have numbers of their own."""
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
    edges = []
    n_leaves = len(integer_list(node, raw, b"leaf_targetids"))
    roots = integer_list(node, raw, b"tree_roots")
    if len(roots) and not (roots.min() >= 0 and roots.max() < len(lists[0])):
        raise _unsafe("has a root that is no node")
    for children, flags in (lists[:2], lists[2:]):
        if flags.max(initial=0) > 1 or flags.min(initial=0) < 0:
            raise _unsafe("has a mark of leaves that is neither 0 nor 1")
        is_node = flags == 0
        # A tree has one leaf more than nodes, so the largest number mostly suffices.
        if children.max(initial=0) >= n_leaves and (children[~is_node] >= n_leaves).any():
            raise _unsafe("has a leaf that is none")
        edges.append((np.flatnonzero(is_node), np.compress(is_node, children)))
    _check_sets(node, raw, len(lists[0]))
    for name, length in ((b"nodes_splits", len(lists[0])), (b"leaf_weights", n_leaves)):
        tensor = node.tensors.get(name)
        if tensor is None:
            raise _unsafe(f"lacks {name.decode()}")
        # A tensor without axes kills the process (onnxruntime 1.28).
        if tensor.shape != (length,):
            raise _unsafe("has lists of different lengths")
    return _Ensemble(len(lists[0]), edges, roots)


def _check_sets(node: Node, raw: bytes, n_nodes: int) -> None:
    """Refuse a node without its set: a list that is too short kills onnxruntime 1.28."""
    modes = _tensor_array(node, raw, b"nodes_modes", {2: np.dtype(np.uint8)})
    if len(modes) != n_nodes:
        raise _unsafe("has lists of different lengths")
    n_sets = int(np.count_nonzero(modes == _MEMBER))
    if not n_sets:
        return
    # NaN follows the last number of each set.
    dtypes: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 11: np.dtype("<f8")}
    ends = np.flatnonzero(np.isnan(_tensor_array(node, raw, b"membership_values", dtypes)))
    if len(ends) != n_sets or ends[0] < 1 or (np.diff(ends) < 2).any():
        raise _unsafe("has a set of numbers that is none")


def _tensor_array(
    node: Node, raw: bytes, name: bytes, dtypes: dict[int, np.dtype[Any]]
) -> NDArray[Any]:
    """Read the tensor of an attribute, without a copy; *dtypes* has the allowed types."""
    tensor = node.tensors.get(name)
    if tensor is None:
        raise _unsafe(f"lacks {name.decode()}")
    if tensor.kind not in dtypes or (tensor.elements and tensor.start == tensor.end):
        raise _unsafe(f"has {name.decode()} in another form")
    return np.frombuffer(raw, dtypes[tensor.kind], tensor.elements, tensor.start)


def _read_by_id(node: Node, raw: bytes) -> _Ensemble:
    """Read the trees of opset 3, where a node has the number of its tree and one in that tree."""
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
    child_keys = np.concatenate([tree[parents] << 31 | ids[parents] for ids in (true, false)])
    positions = np.minimum(np.searchsorted(ordered, child_keys), len(keys) - 1)
    if len(child_keys) and not np.array_equal(ordered[positions], child_keys):
        raise _unsafe("has a child that is no node")
    edges = [(np.concatenate([parents, parents]), order[positions])]
    return _Ensemble(len(keys), edges, np.zeros(0, dtype=np.int64))


def integer_list(node: Node, raw: bytes, name: bytes) -> _Ints:
    """Read the attribute *name*, a list of integers that are not negative.

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


def _unsafe(finding: str) -> UnsafeGraphError:
    return UnsafeGraphError(
        f"the graph has a tree ensemble that {finding}; do not use this file; build it again with "
        "edge-pipeline"
    )
