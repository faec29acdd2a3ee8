"""Evaluate tree ensembles, all trees of all rows at once, level by level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.engine.numpy_engine.kernels.leaf_masks import LeafFinder, leaf_finder
from edge_runtime.engine.numpy_engine.node_spec import Kernel, KernelMaker, NodeSpec
from edge_runtime.errors import UnsupportedRuntimeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TREES"]

_Ints: TypeAlias = "NDArray[np.intp]"

LEQ, LT, GTE, GT, EQ, NEQ, MEMBER = range(7)
"""Modes of a node (ai.onnx.ml, TreeEnsemble 5)."""

_COMPARE: Mapping[int, Callable[..., Any]] = {
    LEQ: np.less_equal, LT: np.less, GTE: np.greater_equal, GT: np.greater, EQ: np.equal,
    NEQ: np.not_equal,
}  # fmt: skip

AVERAGE, SUM, MIN, MAX = range(4)
"""Aggregate functions."""

MAX_CELLS_AT_ONCE = 1 << 18
"""Rows times trees that are followed at once, so that the positions stay in the cache."""

DROP_EVERY = 4
"""Levels between two looks for the paths that have ended."""

WALK_NODES = 1 << 20
"""Largest ensemble that has lists too, for single rows; they take 56 bytes a node."""


def _tree_ensemble(spec: NodeSpec) -> Kernel:
    forest = _Forest(spec.attributes)
    return forest.predict


class _Forest:
    """The arrays of an ensemble.

    Inner nodes come first, then leaves, which are their own children: a path that has ended stays
    where it is.
    """

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        splits = attributes["nodes_splits"]
        n_nodes, n_leaves = len(splits), len(attributes["leaf_weights"])
        self.n_nodes, self.n_targets = n_nodes, int(attributes.get("n_targets", 1))
        self.dtype = splits.dtype
        self.features = _with_leaves(attributes["nodes_featureids"], n_leaves, 0)
        self.thresholds = np.concatenate([splits, np.zeros(n_leaves, self.dtype)])
        self.children = self._children(attributes, n_nodes, n_leaves)
        self.roots = np.asarray(attributes["tree_roots"], dtype=np.intp)
        self.modes = _with_leaves(attributes["nodes_modes"], n_leaves, LEQ)
        self.missing = self._missing(attributes, n_leaves)
        self.members = self._members(attributes)
        self.targets = np.asarray(attributes["leaf_targetids"], dtype=np.intp)
        self.weights = attributes["leaf_weights"]
        self.aggregate = attributes.get("aggregate_function", SUM)
        if attributes.get("post_transform", 0):
            raise UnsupportedRuntimeError(
                "the numpy engine has no post_transform of TreeEnsemble; load the model with "
                'engine="onnxruntime"'
            )
        self._check_lists()
        self.depth = self._depth()
        self.only_leq = bool((self.modes == LEQ).all())
        self._words: LeafFinder | None = None
        self._walk: Callable[[list[Any]], list[int]] | None = None
        self._has_finder = False

    def _check_lists(self) -> None:
        """Refuse lists that contradict each other, as onnxruntime does.

        numpy would count a negative feature from the last column, and so predict something else.
        """
        size = self.n_nodes + len(self.weights)
        lists = self.features, self.thresholds, self.modes, self.missing
        lengths = {len(values) for values in lists if values is not None}
        if lengths != {size} or len(self.targets) != len(self.weights):
            raise ValueError("lists of a TreeEnsemble have different lengths")
        if self.features.min(initial=0) < 0 or self.modes.max(initial=0) > MEMBER:
            raise ValueError("a TreeEnsemble has a negative feature, or an unknown mode")
        if len(self.targets) and not 0 <= self.targets.min() <= self.targets.max() < self.n_targets:
            raise ValueError("a TreeEnsemble has a leaf whose target does not exist")

    @staticmethod
    def _children(attributes: Mapping[str, Any], n_nodes: int, n_leaves: int) -> _Ints:
        """Lay out the children: those of node i at 2 i (false) and 2 i + 1 (true)."""
        children = np.empty(2 * (n_nodes + n_leaves), dtype=np.intp)
        for side, branch in enumerate(("false", "true")):
            numbers = np.asarray(attributes[f"nodes_{branch}nodeids"], dtype=np.intp)
            are_leaves = np.asarray(attributes[f"nodes_{branch}leafs"], dtype=np.intp)
            children[side : 2 * n_nodes : 2] = numbers + n_nodes * are_leaves
        children[2 * n_nodes :] = np.repeat(np.arange(n_nodes, n_nodes + n_leaves), 2)
        return children

    def _missing(self, attributes: Mapping[str, Any], n_leaves: int) -> NDArray[np.bool_] | None:
        """Nodes that take the true branch for NaN; None when there is none."""
        tracks = attributes.get("nodes_missing_value_tracks_true")
        if tracks is None or not np.any(tracks):
            return None
        return _with_leaves(tracks, n_leaves, 0).astype(np.bool_)

    def _members(self, attributes: Mapping[str, Any]) -> dict[int, NDArray[Any]]:
        """Sets of the nodes of mode MEMBER; the stored sets end with NaN."""
        nodes = np.flatnonzero(self.modes[: self.n_nodes] == MEMBER)
        if not len(nodes):
            return {}
        values = attributes["membership_values"]
        ends = np.flatnonzero(np.isnan(values))
        starts = [0, *(ends[:-1] + 1).tolist()]
        return {
            int(node): values[start:end]
            for node, start, end in zip(nodes, starts, ends.tolist(), strict=True)
        }

    def _depth(self) -> int:
        """Count the inner nodes on the longest path."""
        depth, level = 0, self.roots
        while len(level := level[level < self.n_nodes]):
            level = np.unique(
                np.concatenate([self.children[2 * level], self.children[2 * level + 1]])
            )
            depth += 1
        return depth

    def predict(self, x: NDArray[Any]) -> Any:
        """Compute the sums of the targets, shape (n_rows, n_targets)."""
        if not self._has_finder:
            self._make_finder()
        n_rows, n_trees = len(x), len(self.roots)
        if n_rows == 1 and self._walk is not None:
            cells = x[0].tolist()
            if not any(cell != cell for cell in cells):
                return self._aggregate(np.asarray([self._walk(cells)]))
        step = max(1, MAX_CELLS_AT_ONCE // max(1, n_trees))
        if n_rows <= step:
            return self._aggregate(self._leaves(x))
        parts = [self._aggregate(self._leaves(x[i : i + step])) for i in range(0, n_rows, step)]
        return np.concatenate(parts)

    def _make_finder(self) -> None:
        """Choose how the leaves of a row are found, at the first call: a table, or a walk.

        A step of a walk takes Python 45 ns.  numpy needs 5 us for a level of all trees, and a path
        ends long before the deepest level.
        """
        n_nodes, roots = self.n_nodes, self.roots.tolist()
        if self.only_leq and n_nodes <= WALK_NODES:
            features = self.features[:n_nodes].tolist()
            thresholds = self.thresholds[:n_nodes].tolist()
            if_false = self.children[: 2 * n_nodes : 2].tolist()
            if_true = self.children[1 : 2 * n_nodes : 2].tolist()
            self._words = leaf_finder(features, thresholds, if_true, if_false, roots)
            if self._words is not None:
                self._walk = self._words.of_row  # type: ignore[assignment]
            else:
                self._walk = _walker(features, thresholds, if_true, if_false, roots)
        self._has_finder = True

    def _leaves(self, x: NDArray[Any]) -> _Ints:
        """Find the leaf of every tree for every row, shape (n_rows, n_trees)."""
        if self._words is None:
            return self._descend(x)
        leaves = self._words.of_rows(x)
        if self.missing is not None:
            rows = np.flatnonzero(np.isnan(x).any(1))
            if len(rows):
                leaves[rows] = self._descend(x[rows])
        return leaves

    def _descend(self, x: NDArray[Any]) -> _Ints:
        """Follow every tree for every row; give the leaves, shape (n_rows, n_trees)."""
        n_rows, n_trees = len(x), len(self.roots)
        cells = np.ascontiguousarray(x).reshape(-1)
        nodes = np.tile(self.roots, n_rows)
        offsets: Any = np.repeat(np.arange(n_rows) * x.shape[1], n_trees) if n_rows > 1 else 0
        active: Any = None
        for level in range(self.depth):
            here = nodes if active is None else nodes[active]
            start = offsets if active is None or n_rows == 1 else offsets[active]
            features = self.features.take(here)
            features += start
            values = cells.take(features)
            if self.only_leq:
                is_true = values <= self.thresholds.take(here)
            else:
                is_true = self._test(here, values)
            if self.missing is not None:
                is_true |= np.isnan(values) & self.missing.take(here)
            here = here * 2
            here += is_true
            there = self.children.take(here)
            if active is None:
                nodes = there
            else:
                nodes[active] = there
            if level % DROP_EVERY == DROP_EVERY - 1 and nodes.size > 4096:
                active = np.flatnonzero(nodes < self.n_nodes)
        nodes -= self.n_nodes
        return nodes.reshape(n_rows, n_trees)

    def _test(self, nodes: _Ints, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Apply each node's own comparison."""
        modes = self.modes.take(nodes)
        thresholds = self.thresholds.take(nodes)
        is_true = np.zeros(len(nodes), dtype=np.bool_)
        for mode in np.unique(modes).tolist():
            places = np.flatnonzero(modes == mode)
            if mode == MEMBER:
                for node in np.unique(nodes[places]).tolist():
                    own = places[nodes[places] == node]
                    is_true[own] = np.isin(values[own], self.members[node])
            else:
                is_true[places] = _COMPARE[mode](values[places], thresholds[places])
        return is_true

    def _aggregate(self, leaves: _Ints) -> Any:
        """Add up the weights of the leaves, tree by tree in their order."""
        n_rows, n_trees = leaves.shape
        weights = self.weights.take(leaves)
        if self.n_targets == 1:
            return _combine(weights, self.aggregate)[:, np.newaxis]
        targets = self.targets.take(leaves)
        if self.aggregate in (MIN, MAX):
            extreme = np.fmin if self.aggregate == MIN else np.fmax
            result = np.full((n_rows, self.n_targets), np.nan, dtype=self.dtype)
            for tree in range(n_trees):
                place = np.arange(n_rows), targets[:, tree]
                result[place] = extreme(result[place], weights[:, tree])
            return np.nan_to_num(result, nan=0.0)
        result = np.zeros((n_rows, self.n_targets), dtype=self.dtype)
        if self.n_targets >= n_trees and self._has_own_targets(targets):
            np.put_along_axis(result, targets, weights, 1)
        else:
            rows = np.arange(n_rows)
            for tree in range(n_trees):
                result[rows, targets[:, tree]] += weights[:, tree]
        return result / self.dtype.type(n_trees) if self.aggregate == AVERAGE else result

    def _has_own_targets(self, targets: _Ints) -> bool:
        """Whether each tree adds to a target of its own, the same in all rows."""
        first = targets[0] if len(targets) else targets
        return len(np.unique(first)) == first.size and bool((targets == first).all())


def _walker(
    features: list[int],
    thresholds: list[float],
    if_true: list[int],
    if_false: list[int],
    roots: list[int],
) -> Callable[[list[Any]], list[int]]:
    """Make the function that walks down all trees for the cells of one row without NaN."""
    n_nodes = len(features)

    def walk(cells: list[Any]) -> list[int]:
        leaves = []
        for node in roots:
            while node < n_nodes:
                if cells[features[node]] <= thresholds[node]:
                    node = if_true[node]
                else:
                    node = if_false[node]
            leaves.append(node - n_nodes)
        return leaves

    return walk


def _combine(weights: NDArray[Any], aggregate: int) -> Any:
    """Reduce the weights of the trees; a cumulative sum adds them one after another."""
    if aggregate == MIN:
        return weights.min(1)
    if aggregate == MAX:
        return weights.max(1)
    sums = weights.cumsum(1, dtype=weights.dtype)[:, -1]
    return sums / weights.dtype.type(weights.shape[1]) if aggregate == AVERAGE else sums


def _with_leaves(values: Any, n_leaves: int, fill: int) -> _Ints:
    return np.concatenate([np.asarray(values, np.intp), np.full(n_leaves, fill, np.intp)])


TREES: Mapping[str, KernelMaker] = {"TreeEnsemble": _tree_ensemble}
