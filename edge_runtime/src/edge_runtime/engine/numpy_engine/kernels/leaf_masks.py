"""Find the leaves of all small trees for one row, without walking down the trees.

The method is QuickScorer (Lucchese et al., SIGIR 2015, doi:10.1145/2766462.2767733).  The leaves of
a tree are the bits of a word, from left to right.  A node whose test is false excludes the leaves
of its true branch.  The leaf of the row is the first one that no node excludes.

Here the words of all trees are combined in advance: for each feature, and each number of thresholds
that lie below the cell.  So a row takes one table row a feature, whatever the depth.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_LEAVES", "LeafFinder", "leaf_finder"]

MAX_LEAVES = 64
"""Leaves of one tree: the bits of a word."""

WORDS_AT_ONCE = 1 << 15
"""Words of a batch that are combined at once, so that they stay in the cache."""

MAX_TABLE_BYTES = 8 << 20
"""Largest table; a row reads little of it, so that it need not fit in the cache."""


def leaf_finder(
    features: Sequence[int],
    thresholds: Sequence[float],
    if_true: Sequence[int],
    if_false: Sequence[int],
    roots: Sequence[int],
) -> LeafFinder | None:
    """Make the table of an ensemble whose tests are ``cell <= threshold``.

    Inner nodes are numbered from 0, leaves from ``len(features)``.  The result is None when a tree
    has too many leaves, or the table would be too large.
    """
    n_nodes, n_trees = len(features), len(roots)
    if not n_nodes or (n_nodes + len(set(features))) * n_trees * 8 > MAX_TABLE_BYTES:
        return None
    masks = [0] * n_nodes
    trees = [0] * n_nodes
    leaves = np.zeros((n_trees, MAX_LEAVES), dtype=np.intp)
    for tree, root in enumerate(roots):
        ordered = _leaves_in_order(root, n_nodes, if_true, if_false)
        if len(ordered) > MAX_LEAVES:
            return None
        leaves[tree, : len(ordered)] = ordered
        for node, first, end in _true_branches(root, n_nodes, if_true, if_false):
            masks[node], trees[node] = ~(((1 << (end - first)) - 1) << first), tree
    cuts: list[tuple[int, list[float], int]] = []
    rows: list[NDArray[np.uint64]] = []
    for feature in sorted(set(features)):
        nodes = [node for node in range(n_nodes) if features[node] == feature]
        nodes.sort(key=thresholds.__getitem__)
        cuts.append((feature, [thresholds[node] for node in nodes], len(rows)))
        words = np.full(n_trees, 2**64 - 1, dtype=np.uint64)
        rows.append(words.copy())
        for node in nodes:
            words[trees[node]] &= np.uint64(masks[node] & (2**64 - 1))
            rows.append(words.copy())
    return LeafFinder(np.array(rows), cuts, leaves)


class LeafFinder:
    """The words of an ensemble, combined by feature.

    Parameters
    ----------
    table
        Words of all trees, shape (n_words, n_trees).
    cuts
        For each feature that a node tests: its number, its thresholds in order, and its first row
        of *table*.
    leaves
        For each tree the leaf of each bit, shape (n_trees, MAX_LEAVES).
    """

    __slots__ = ("_cuts", "_flat", "_starts", "_table")

    def __init__(
        self,
        table: NDArray[np.uint64],
        cuts: list[tuple[int, list[float], int]],
        leaves: NDArray[np.intp],
    ) -> None:
        self._table, self._cuts, self._flat = table, cuts, leaves.reshape(-1)
        # The exponent of bit 0 is 1, see below.
        self._starts = np.arange(len(leaves)) * MAX_LEAVES - 1

    def of_row(self, cells: list[Any]) -> NDArray[np.intp]:
        """Find the leaf of each tree for one row without NaN, shape (n_trees,)."""
        places = [
            base + bisect_left(bounds, cells[feature]) for feature, bounds, base in self._cuts
        ]
        return self._first_leaves(np.bitwise_and.reduce(self._table.take(places, 0)))

    def of_rows(self, x: NDArray[Any]) -> NDArray[np.intp]:
        """Find the leaves of rows, shape (n_rows, n_trees); NaN passes no test."""
        step = max(1, WORDS_AT_ONCE // self._table.shape[1])
        places = [
            np.searchsorted(np.array(bounds, x.dtype), x[:, feature]) + base
            for feature, bounds, base in self._cuts
        ]
        parts = []
        for i in range(0, len(x), step):
            words = self._table.take(places[0][i : i + step], 0)
            for of_feature in places[1:]:
                words &= self._table.take(of_feature[i : i + step], 0)
            parts.append(self._first_leaves(words))
        return np.concatenate(parts)

    def _first_leaves(self, words: NDArray[np.uint64]) -> NDArray[np.intp]:
        lowest = words & (~words + np.uint64(1))
        # The exponent of a power of two is the position of its bit, and one more.
        exponents = np.frexp(lowest.astype(np.float64))[1]
        return self._flat.take(self._starts + exponents)


def _leaves_in_order(
    root: int, n_nodes: int, if_true: Sequence[int], if_false: Sequence[int]
) -> list[int]:
    """List the leaves of a tree from left to right; the true branch is left."""
    ordered: list[int] = []
    pending = [root]
    while pending and len(ordered) <= MAX_LEAVES:
        node = pending.pop()
        if node < n_nodes:
            pending += (if_false[node], if_true[node])
        else:
            ordered.append(node - n_nodes)
    return ordered


def _true_branches(
    root: int, n_nodes: int, if_true: Sequence[int], if_false: Sequence[int]
) -> list[tuple[int, int, int]]:
    """List each inner node with the first and last place of the leaves of its true branch."""
    branches: list[tuple[int, int, int]] = []

    def visit(node: int, first: int) -> int:
        if node >= n_nodes:
            return first + 1
        middle = visit(if_true[node], first)
        branches.append((node, first, middle))
        return visit(if_false[node], middle)

    visit(root, 0)  # at most 64 leaves: not deeper than 63
    return branches
