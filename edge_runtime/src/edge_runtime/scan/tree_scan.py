"""A TreeEnsemble node in, nothing out, or UnsafeGraphError: its trees must be trees.

onnxruntime follows child numbers without looking whether they come back: a cycle never ends, a
deep chain overflows the stack while the graph is loaded, and nodes with two parents are evaluated
wrongly (microsoft/onnxruntime#24636).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import UnsafeGraphError
from edge_runtime.scan.graph_reading import Node
from edge_runtime.scan.wire import read_run

__all__ = ["MAX_TREE_DEPTH", "TREES", "check_trees"]

MAX_TREE_DEPTH = 4_096
"""Nodes from root to leaf; grown without limit on 100,000 rows, trees have some hundred."""

TREES = frozenset({b"TreeEnsemble", b"TreeEnsembleClassifier", b"TreeEnsembleRegressor"})

_Ints = NDArray[np.int64]


def check_trees(node: Node, raw: bytes) -> None:
    """Refuse an ensemble whose nodes are not trees of bounded depth.

    Parameters
    ----------
    node
        A node of one of the operators :data:`TREES`.
    raw
        The graph's bytes, which hold its lists.
    """
    edges = _edges if node.op == b"TreeEnsemble" else _edges_by_id
    parents, children, n_nodes = edges(node, raw)
    if len(children) and not (children.min() >= 0 and children.max() < n_nodes):
        raise _unsafe("has a child that is no node")
    parent = np.full(n_nodes + 1, n_nodes)  # the last one stands for "none", and is its own parent
    parent[children] = parents
    if np.count_nonzero(parent != n_nodes) != len(children):
        raise _unsafe("has a node with two parents")
    # Every round doubles the distance to the ancestor, until there is none.
    distance = 1
    while (parent != n_nodes).any():
        if distance > MAX_TREE_DEPTH:
            raise _unsafe(f"has a cycle, or a tree deeper than {MAX_TREE_DEPTH}")
        parent = parent[parent]
        distance *= 2


def _edges(node: Node, raw: bytes) -> tuple[_Ints, _Ints, int]:
    """Parents, their children and the number of nodes; leaves are numbered on their own."""
    true, false = (_list(node, raw, name) for name in (b"nodes_truenodeids", b"nodes_falsenodeids"))
    to_leaf = [_list(node, raw, name) for name in (b"nodes_trueleafs", b"nodes_falseleafs")]
    if len({len(true), len(false), *map(len, to_leaf)}) != 1:
        raise _unsafe("has lists of different lengths")
    inner = [np.flatnonzero(flags == 0) for flags in to_leaf]
    return np.concatenate(inner), np.concatenate([true[inner[0]], false[inner[1]]]), len(true)


def _edges_by_id(node: Node, raw: bytes) -> tuple[_Ints, _Ints, int]:
    """The same for opset 3, where a node is called by its tree and its number there."""
    names = (b"nodes_treeids", b"nodes_nodeids", b"nodes_truenodeids", b"nodes_falsenodeids")
    tree, number, true, false = (_list(node, raw, name) for name in names)
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
    return np.concatenate([parents, parents]), order[np.minimum(found, len(keys) - 1)], len(keys)


def _list(node: Node, raw: bytes, name: bytes) -> _Ints:
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
