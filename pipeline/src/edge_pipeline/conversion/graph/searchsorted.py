"""Where a number falls among sorted ones: ``numpy.searchsorted`` as a node."""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["searchsorted"]

_MODES = {"right": 1, "left": 0}
"""TreeEnsemble's BRANCH_LT and BRANCH_LEQ (its operator page): who stays below an edge."""


def searchsorted(
    edges: Sequence[NDArray[Any]], X: Tensor, *, side: Literal["left", "right"]
) -> Tensor:
    """``numpy.searchsorted(edges[i], X[:, i], side)`` for every column, as float64.

    A binary search is a balanced tree, and onnxruntime has trees: ten comparisons for a thousand
    edges, where comparing with each and counting takes a thousand.

    Parameters
    ----------
    edges
        Sorted; one array a column.  NaN in *X* finds some position.
    """
    nodes = _Nodes()
    for column, sorted_edges in enumerate(edges):
        # A tree needs a node: below infinity and above it are the same position.
        values = np.asarray(sorted_edges, dtype=np.float64)
        nodes.add_tree(column, values if len(values) else np.array([np.inf]), bool(len(values)))
    return X.graph.node(
        "TreeEnsemble",
        X,
        domain="ai.onnx.ml",
        n_targets=len(edges),
        aggregate_function=1,
        post_transform=0,
        tree_roots=array.array("q", nodes.roots),
        nodes_featureids=array.array("q", nodes.features),
        nodes_splits=np.array(nodes.splits),
        nodes_modes=np.full(len(nodes.splits), _MODES[side], dtype=np.uint8),
        nodes_truenodeids=array.array("q", nodes.below),
        nodes_trueleafs=array.array("q", nodes.below_is_leaf),
        nodes_falsenodeids=array.array("q", nodes.above),
        nodes_falseleafs=array.array("q", nodes.above_is_leaf),
        leaf_targetids=array.array("q", nodes.targets),
        leaf_weights=np.array(nodes.positions),
        dtype=np.float64,
        shape=(X.shape[0], len(edges)),
    )


class _Nodes:
    """The attributes of a TreeEnsemble that grows tree by tree."""

    def __init__(self) -> None:
        self.roots: list[int] = []
        self.features: list[int] = []
        self.splits: list[float] = []
        self.below: list[int] = []
        self.above: list[int] = []
        self.below_is_leaf: list[int] = []
        self.above_is_leaf: list[int] = []
        self.targets: list[int] = []
        self.positions: list[float] = []

    def add_tree(self, column: int, edges: NDArray[Any], counts: bool) -> None:
        """A balanced tree over *edges*, whose leaves are positions (all 0 unless *counts*)."""
        self.roots.append(len(self.splits))
        self._add(column, edges, 0, len(edges), counts)

    def _add(self, column: int, edges: NDArray[Any], low: int, high: int, counts: bool) -> int:
        """The node for positions *low* to *high*: one more than there are edges between them."""
        middle = (low + high) // 2
        at = len(self.splits)
        self.features.append(column)
        self.splits.append(float(edges[middle]))
        for nodes, leaves in ((self.below, self.below_is_leaf), (self.above, self.above_is_leaf)):
            nodes.append(0)
            leaves.append(0)
        for nodes, leaves, start, stop in (
            (self.below, self.below_is_leaf, low, middle),
            (self.above, self.above_is_leaf, middle + 1, high),
        ):
            if start == stop:
                nodes[at], leaves[at] = len(self.targets), 1
                self.targets.append(column)
                self.positions.append(float(start) if counts else 0.0)
            else:
                nodes[at] = self._add(column, edges, start, stop, counts)
        return at
