"""Trees as flat arrays, and the ``ai.onnx.ml::TreeEnsemble`` node that walks them.

In: a :class:`Forest`, which families make from a library's own arrays, and a value for every leaf.
Out: tensors.  Nothing here loops over nodes: a forest of 300,000 is written in a tenth of a second.

What onnxruntime does with the operator, on which the exactness of every tree family stands
(``onnxruntime/core/providers/cpu/ml/tree_ensemble_aggregator.h``): sums start at 0.0 and take one
tree after the other, in the order of ``tree_roots``; each leaf gives one weight to one target.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = [
    "Forest",
    "float32_splits",
    "join_forests",
    "leaf_rows",
    "prepend_constant_trees",
    "sum_by_target",
    "sum_rows",
    "sum_values",
    "value_per_tree",
]

_BRANCH_LEQ, _BRANCH_MEMBER = 0, 6
_AVERAGE, _SUM = 0, 1

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]

_NO_MEMBERS = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Forest:
    """Binary trees one after the other in arrays over all their nodes.

    Attributes
    ----------
    roots
        First node of each tree; a tree's nodes stand together.
    feature
        Column that a node asks about; ignored at leaves.
    threshold
        A value at most this goes left.  Ignored at leaves and where *members* speak.
    left, right
        Positions of the children in these arrays, -1 at leaves.
    missing_left
        Whether NaN goes left.
    members
        Node and value, in two arrays sorted by node: at these nodes exactly the listed values go
        left.
    """

    roots: _Ints
    feature: _Ints
    threshold: _Floats
    left: _Ints
    right: _Ints
    missing_left: _Bools
    members: tuple[_Ints, _Floats] = field(default=_NO_MEMBERS)

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.roots)

    @property
    def n_nodes(self) -> int:
        """Number of nodes, leaves included."""
        return len(self.left)

    @cached_property
    def is_leaf(self) -> _Bools:
        """Which nodes are leaves."""
        return self.left < 0

    @cached_property
    def tree_of(self) -> _Ints:
        """The tree that each node belongs to."""
        sizes = np.diff(np.append(self.roots, self.n_nodes))
        return np.repeat(np.arange(self.n_trees), sizes)

    def with_category_sets(self, nodes: _Ints, categories: _Floats, goes_left: _Bools) -> Forest:
        """The same trees, asking at *nodes* whether a value is one of a set.

        Values of neither side go where NaN goes: the other side's set is listed and what is not in
        it follows.

        Parameters
        ----------
        categories
            Shape (n_nodes_given, n_categories), NaN where a node has fewer.
        goes_left
            Which of them go left.
        """
        turned = self.missing_left[nodes]
        left, right, missing_left = self.left.copy(), self.right.copy(), self.missing_left.copy()
        left[nodes] = np.where(turned, self.right[nodes], self.left[nodes])
        right[nodes] = np.where(turned, self.left[nodes], self.right[nodes])
        missing_left[nodes] = False
        listed = ~np.isnan(categories) & (goes_left != turned[:, np.newaxis])
        row, column = np.nonzero(listed)
        threshold = self.threshold.copy()
        threshold[nodes] = -np.inf  # where nothing is listed, nothing goes left
        return replace(
            self,
            threshold=threshold,
            left=left,
            right=right,
            missing_left=missing_left,
            members=(nodes[row], categories[row, column]),
        )

    def with_features(self, columns: ArrayLike) -> Forest:
        """The same trees, asking about ``columns[feature]``."""
        features = np.where(self.is_leaf, 0, self.feature)
        return replace(self, feature=np.asarray(columns, dtype=np.int64)[features])


def join_forests(forests: Sequence[Forest]) -> Forest:
    """All trees of *forests*, in order."""
    starts = np.cumsum([0] + [forest.n_nodes for forest in forests])[:-1]
    shifted = list(zip(forests, starts, strict=True))

    def children(side: str) -> _Ints:
        parts = [(getattr(forest, side), start) for forest, start in shifted]
        return np.concatenate([np.where(at < 0, -1, at + start) for at, start in parts])

    return Forest(
        roots=np.concatenate([forest.roots + start for forest, start in shifted]),
        feature=np.concatenate([forest.feature for forest in forests]),
        threshold=np.concatenate([forest.threshold for forest in forests]),
        left=children("left"),
        right=children("right"),
        missing_left=np.concatenate([forest.missing_left for forest in forests]),
        members=(
            np.concatenate([forest.members[0] + start for forest, start in shifted]),
            np.concatenate([forest.members[1] for forest in forests]),
        ),
    )


def prepend_constant_trees(
    forest: Forest, values: _Floats, constants: ArrayLike
) -> tuple[Forest, _Floats]:
    """*forest* after one-leaf trees that answer *constants*, with the values of all nodes.

    Boosting starts its sum from a constant; the operator adds ``base_values`` last, which rounds
    differently.  As first trees the constants are where they belong.
    """
    constants = np.atleast_1d(np.asarray(constants, dtype=np.float64))
    n = len(constants)
    leaf = np.full(n, -1, dtype=np.int64)
    ahead = Forest(
        roots=np.arange(n),
        feature=np.zeros(n, dtype=np.int64),
        threshold=np.zeros(n),
        left=leaf,
        right=leaf,
        missing_left=np.zeros(n, dtype=np.bool_),
    )
    return join_forests([ahead, forest]), np.concatenate([constants, values])


def float32_splits(threshold: ArrayLike, *, inclusive: bool = True) -> _Floats:
    """Thresholds for float64 input that decide as *threshold* does for the input cast to float32.

    ``float32(x) <= threshold`` holds up to the last float64 that rounds, half to even, to the last
    float32 not above the threshold.  So the cast needs no node; and where the input is cast after
    all, the result cast to float32 is that last float32.

    Parameters
    ----------
    inclusive
        False for the rule ``float32(x) < threshold``.
    """
    exact = np.asarray(threshold, dtype=np.float64)
    with np.errstate(over="ignore"):
        last = exact.astype(np.float32)
        above = last > exact if inclusive else last >= exact
        last = np.where(above, np.nextafter(last, np.float32(-np.inf)), last)
        following = np.nextafter(last, np.float32(np.inf))
        # Rounding to an infinity begins where rounding to 2**128 would.
        ends = [np.clip(end.astype(np.float64), -(2.0**128), 2.0**128) for end in (last, following)]
        middle = (ends[0] + ends[1]) / 2
    ties_up = last.view(np.int32) % 2 != 0
    split = np.where(ties_up, np.nextafter(middle, -np.inf), middle)
    return np.where(last == np.inf, np.inf, split)


def sum_values(X: Tensor, forest: Forest, values: _Floats, *, dtype: Any = np.float64) -> Tensor:
    """Sum over the trees, in their order, of the leaf's value (one a node); shape (n_samples,)."""
    zeros = np.zeros(forest.n_nodes, dtype=np.int64)
    return ops.squeeze(sum_by_target(X, forest, values, zeros, 1, dtype=dtype), 1)


def sum_by_target(
    X: Tensor,
    forest: Forest,
    values: _Floats,
    targets: ArrayLike,
    n_targets: int,
    *,
    mean: bool = False,
    dtype: Any = np.float64,
) -> Tensor:
    """Sum in tree order of the leaf's value, for the target that the leaf adds to.

    Leaves of equal value are written as often as they occur: see ``_with_split_roots``.

    Parameters
    ----------
    values, targets
        One a node.
    mean
        Whether to divide the sums by the number of trees.
    dtype
        float32 for a library that compares and adds in float32: input, thresholds and sums.

    Returns
    -------
    Tensor, shape (n_samples, n_targets)
    """
    if not X.graph.may_hold_nan(X):
        forest = replace(forest, missing_left=np.zeros(forest.n_nodes, dtype=np.bool_))
    forest, nodes = _with_split_roots(forest)
    leaf, inner = forest.is_leaf, ~forest.is_leaf
    position = np.empty(forest.n_nodes, dtype=np.int64)
    position[leaf] = np.arange(np.count_nonzero(leaf))
    position[inner] = np.arange(np.count_nonzero(inner))
    return X.graph.node(
        "TreeEnsemble",
        X.astype(dtype),
        domain="ai.onnx.ml",
        aggregate_function=_AVERAGE if mean else _SUM,
        n_targets=n_targets,
        leaf_targetids=_ints(np.asarray(targets)[nodes[leaf]]),
        leaf_weights=values[nodes[leaf]].astype(dtype),
        tree_roots=_ints(position[forest.roots]),
        dtype=dtype,
        shape=(X.shape[0], n_targets),
        **_splits(forest, inner, position, dtype),
    )


def value_per_tree(X: Tensor, forest: Forest, values: _Floats) -> Tensor:
    """The leaf's value (one a node) in every tree, shape (n_samples, n_trees)."""
    return sum_by_target(X, forest, values, forest.tree_of, forest.n_trees)


def leaf_rows(X: Tensor, forest: Forest, values: NDArray[Any]) -> tuple[Tensor, NDArray[Any]]:
    """Which row of *values* (one a node) each tree ends at.

    Returns
    -------
    rows
        int64, shape (n_samples, n_trees): positions in *table*.
    table
        The distinct rows among the leaves'.
    """
    table, row_index = _distinct(values[forest.is_leaf])
    at = np.zeros(forest.n_nodes)
    at[forest.is_leaf] = row_index
    return value_per_tree(X, forest, at).astype(np.int64), table


def sum_rows(X: Tensor, forest: Forest, values: _Floats, *, mean: bool = False) -> Tensor:
    """Sum over the trees, in their order, of the row of *values* (one a node) that each ends at.

    Shape (n_samples, n_columns).  The operator has one weight a leaf; where rows have more than
    one number that is not zero, each tree tells its row and a running sum adds them in order.
    """
    n_columns = values.shape[1]
    leaves = values[forest.is_leaf]
    if (np.count_nonzero(leaves, axis=1) <= 1).all():
        column = np.argmax(values != 0, axis=1)
        weights = values[np.arange(len(values)), column]
        return sum_by_target(X, forest, weights, column, n_columns, mean=mean)
    rows, table = leaf_rows(X, forest, values)
    total = ops.cumsum(ops.take(table, rows, 0), 1)[:, forest.n_trees - 1]
    return total / float(forest.n_trees) if mean else total


def _with_split_roots(forest: Forest) -> tuple[Forest, _Ints]:
    """*forest* with a split above every root that is a leaf, and the old place of every node.

    A root must be a split.  onnxruntime 1.32 takes one whose two ways lead to one leaf for a leaf;
    1.28 answers wrongly there, and crashes where leaves are shared, so the leaf is there twice.
    """
    bare = np.flatnonzero(forest.is_leaf[forest.roots])
    old = np.arange(forest.n_nodes)
    if not len(bare):
        return forest, old
    n, leaf = len(bare), forest.roots[bare]
    split = forest.n_nodes + np.arange(n)
    roots = forest.roots.copy()
    roots[bare] = split
    none = np.full(n, -1, dtype=np.int64)
    with_splits = replace(
        forest,
        roots=roots,
        feature=np.concatenate([forest.feature, np.zeros(2 * n, dtype=np.int64)]),
        threshold=np.concatenate([forest.threshold, np.zeros(2 * n)]),
        left=np.concatenate([forest.left, leaf, none]),
        right=np.concatenate([forest.right, split + n, none]),
        missing_left=np.concatenate([forest.missing_left, np.zeros(2 * n, dtype=np.bool_)]),
    )
    return with_splits, np.concatenate([old, leaf, leaf])


def _splits(forest: Forest, inner: _Bools, position: _Ints, dtype: Any) -> dict[str, Any]:
    """The operator's attributes of inner nodes; *position* is a node's place among its own kind."""
    left, right = forest.left[inner], forest.right[inner]
    missing_left = forest.missing_left[inner]
    node, value = forest.members
    modes = np.full(len(left), _BRANCH_LEQ, dtype=np.uint8)
    modes[position[node]] = _BRANCH_MEMBER
    # NaN ends each node's list of members.
    ends = np.flatnonzero(np.diff(np.append(node, -1)))
    members = np.insert(value, ends + 1, np.nan).astype(dtype) if len(value) else None
    return {
        "nodes_featureids": _ints(forest.feature[inner]),
        "nodes_splits": forest.threshold[inner].astype(dtype),
        "nodes_modes": modes,
        "nodes_truenodeids": _ints(position[left]),
        "nodes_falsenodeids": _ints(position[right]),
        "nodes_trueleafs": _ints(forest.is_leaf[left]),
        "nodes_falseleafs": _ints(forest.is_leaf[right]),
        # Absent, onnxruntime takes a loop that does not look for NaN.
        "nodes_missing_value_tracks_true": _ints(missing_left) if missing_left.any() else None,
        "membership_values": members,
    }


def _distinct(rows: NDArray[Any]) -> tuple[NDArray[Any], _Ints]:
    """The distinct rows (of float64), bit by bit, and the position of each row among them."""
    bits = np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.int64)
    order = np.lexsort(bits.T)
    ordered = bits[order]
    first = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    index = np.empty(len(rows), dtype=np.int64)
    index[order] = np.cumsum(first) - 1
    return rows[order[first]], index


def _ints(values: NDArray[Any]) -> array.array[int]:
    return array.array("q", np.ascontiguousarray(values, dtype=np.int64).tobytes())
