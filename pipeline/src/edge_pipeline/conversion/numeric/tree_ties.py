"""Choose among equally near training rows as scikit-learn's k-d tree or ball tree does.

The tree keeps the k nearest rows seen so far in a heap, and does not take a row that is as far as
the farthest of them.  So the choice depends on the order in which it visits the rows, and on the
heap's own order.  Both are functions of the row alone (``sklearn.neighbors._binary_tree``,
``_query_single_depthfirst``; ``sklearn.utils._heap.heap_push``), and this module repeats them.

The nodes stand in a Loop that runs only when some row of the batch has a tie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["can_replay", "replay_ties"]

MAX_FEATURES = 64
"""Columns up to which the distances are added one by one, as scikit-learn adds them."""

_METRICS = ("euclidean", "manhattan", "chebyshev")


def can_replay(model: Any) -> bool:
    """Whether the neighbours of *model* come from a tree whose choice this module can repeat."""
    if model._fit_method not in ("kd_tree", "ball_tree") or model.effective_metric_ not in _METRICS:
        return False
    if set(model.effective_metric_params_ or ()) - {"p"}:
        return False
    nodes = np.asarray(model._tree.get_arrays()[2])
    # All leaves stand on the last level, unless too many training rows are equal.
    is_last_level = np.arange(len(nodes)) >= len(nodes) // 2
    return model.n_features_in_ <= MAX_FEATURES and bool((nodes["is_leaf"] == is_last_level).all())


def replay_ties(model: Any, X: Tensor, order: Tensor, has_tie: Tensor) -> Tensor:
    """Return *order* with the tree's own choice in the rows that have a tie.

    Parameters
    ----------
    order
        Positions of the nearest training rows, shape (n_samples, k), the nearest first.
    has_tie
        Shape (n_samples,): whether the k-th and the next training row are equally near.
    """
    graph = X.graph

    def build(inner: Graph) -> None:
        inner.input(inner.fresh("step"), np.int64, ())
        going = inner.input(inner.fresh("going"), np.bool_, ())
        before = inner.input(inner.fresh("order"), np.int64, order.shape)
        # Only what is computed of a tensor of the body stands in the body.
        x = inner.node("Identity", X, dtype=X.dtype, shape=X.shape)
        replayed = _tree_query(model, x, order.width)
        inner.output(inner.fresh("going"), going)
        inner.output(inner.fresh("order"), ops.where(ops.expand_dims(has_tie, 1), replayed, before))

    any_tie = ops.sum_(has_tie.astype(np.float64), None) > 0.0

    (replayed_order,) = graph.nodes(
        "Loop",
        [np.array(1, dtype=np.int64), any_tie, order],
        [(np.dtype(np.int64), order.shape)],
        body=graph.body(build),
    )
    return replayed_order


def _tree_query(model: Any, x: Tensor, k: int) -> Tensor:
    """Return the positions of the k nearest training rows that the tree finds, nearest first."""
    data, index, nodes, bounds = (np.asarray(array) for array in model._tree.get_arrays())
    metric = model.effective_metric_
    distances = _add_up(x, metric, lambda value, j: value - data[:, j])
    lower_bound = _box_bound if model._fit_method == "kd_tree" else _ball_bound
    visits = _visit_positions(x, index, nodes, lambda: lower_bound(x, metric, nodes, bounds))
    values, rows = _push_all(x, distances, visits, k)
    return ops.gather_elements(rows, ops.top_k(values, k, largest=False)[1])


def _add_up(x: Tensor, metric: str, difference: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Add the differences of one column after the other, in reduced form."""
    total: Tensor | None = None
    for j in range(x.width):
        part = difference(x[:, j : j + 1], j)
        part = part * part if metric == "euclidean" else ops.abs_(part)
        if total is None:
            total = part
        else:
            total = ops.maximum(total, part) if metric == "chebyshev" else total + part
    assert total is not None  # a fitted tree has columns
    return total


def _box_bound(x: Tensor, metric: str, _: Any, bounds: Any) -> Tensor:
    """Return the reduced distance to the box of each node (``min_rdist`` of ``_kd_tree``)."""
    low, high = bounds

    def to_box(value: Tensor, j: int) -> Tensor:
        below, above = low[:, j] - value, value - high[:, j]
        outside: Tensor = ((below + ops.abs_(below)) + (above + ops.abs_(above))) * 0.5
        return outside

    return _add_up(x, metric, to_box)


def _ball_bound(x: Tensor, metric: str, nodes: Any, bounds: Any) -> Tensor:
    """Return the reduced distance to the ball of each node (``min_rdist`` of ``_ball_tree``)."""
    reduced = _add_up(x, metric, lambda value, j: value - bounds[0][:, j])
    is_euclidean = metric == "euclidean"
    outside = ops.maximum((ops.sqrt(reduced) if is_euclidean else reduced) - nodes["radius"], 0.0)
    return outside * outside if is_euclidean else outside


def _visit_positions(
    x: Tensor, index: Any, nodes: Any, lower_bound: Callable[[], Tensor]
) -> Tensor:
    """Return for each training row when the tree visits it: the nearer child of a node first."""
    sizes = nodes["idx_end"] - nodes["idx_start"]
    starts = ops.full_rows(x, np.zeros(1))
    if len(nodes) > 1:
        bound = lower_bound()
        for first in (2**level - 1 for level in range(1, (len(nodes) + 1).bit_length() - 1)):
            left = np.arange(first, 2 * first + 1, 2)
            left_first = ops.take(bound, left, 1) <= ops.take(bound, left + 1, 1)
            left_starts = starts + ops.where(left_first, 0.0, sizes[left + 1].astype(np.float64))
            right_starts = starts + ops.where(left_first, sizes[left].astype(np.float64), 0.0)
            pairs = ops.stack([left_starts, right_starts], 2)
            starts = ops.reshape_rows(pairs, 2 * len(left))
    leaves = np.arange(len(nodes) // 2, len(nodes))
    leaf_of, offset = np.zeros(len(index), dtype=np.int64), np.zeros(len(index))
    for i, leaf in enumerate(leaves):
        members = index[nodes["idx_start"][leaf] : nodes["idx_end"][leaf]]
        leaf_of[members], offset[members] = i, np.arange(len(members))
    return ops.take(starts, leaf_of, 1) + offset


def _push_all(x: Tensor, distances: Tensor, visits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Push the training rows into a heap of the k nearest, in the order of the visits.

    A step pushes, for every row of the batch, the next training row that is nearer than the
    heap's farthest one.
    """
    graph = x.graph
    n_training = distances.width
    start = [
        ops.full_rows(x, np.full(k, np.inf)),
        ops.full_rows(x, np.zeros(k, dtype=np.int64)),
        ops.full_rows(x, np.array([-1.0])),
    ]

    def build(inner: Graph) -> None:
        inner.input(inner.fresh("step"), np.int64, ())
        inner.input(inner.fresh("going"), np.bool_, ())
        values, rows, visited = (inner.input(inner.fresh("heap"), s.dtype, s.shape) for s in start)
        is_next = (distances < values[:, :1]) & (visits > visited)
        waiting = ops.where(is_next, visits, float(n_training))
        visit = ops.min_(waiting, 1, keepdims=True)
        row = ops.argmin(waiting, 1, keepdims=True)
        is_pushed = visit < float(n_training)
        value = ops.gather_elements(distances, row)
        values, rows = _replace_root(values, rows, value, row, is_pushed)
        inner.output(inner.fresh("going"), ops.sum_(is_pushed.astype(np.float64), None) > 0.0)
        for tensor in (values, rows, visit):
            inner.output(inner.fresh("heap"), tensor)

    values, rows, _ = graph.nodes(
        "Loop",
        [np.array(n_training + 1, dtype=np.int64), None, *start],
        [(s.dtype, s.shape) for s in start],
        body=graph.body(build),
    )
    return values, rows


def _replace_root(
    values: Tensor, rows: Tensor, value: Tensor, row: Tensor, is_pushed: Tensor
) -> tuple[Tensor, Tensor]:
    """Replace the root of each heap and move it down (``heap_push``)."""
    k = values.width
    place = row * 0
    moves = is_pushed
    for _ in range(k.bit_length() - 1):
        left, right = place * 2 + 1, place * 2 + 2
        left_value = ops.gather_elements(values, ops.minimum(left, np.int64(k - 1)))
        right_value = ops.gather_elements(values, ops.minimum(right, np.int64(k - 1)))
        takes_right = (right < np.int64(k)) & (left_value < right_value)
        child = ops.where(takes_right, right, left)
        child_value = ops.where(takes_right, right_value, left_value)
        moves = moves & (left < np.int64(k)) & (value < child_value)
        safe_child = ops.minimum(child, np.int64(k - 1))
        values = _write(values, place, child_value, moves)
        rows = _write(rows, place, ops.gather_elements(rows, safe_child), moves)
        place = ops.where(moves, child, place)
    return _write(values, place, value, is_pushed), _write(rows, place, row, is_pushed)


def _write(heap: Tensor, place: Tensor, value: Tensor, condition: Tensor) -> Tensor:
    """Write *value* at *place* of each row where *condition* holds."""
    value = ops.where(condition, value, ops.gather_elements(heap, place))
    return heap.graph.node(
        "ScatterElements", heap, place, value, axis=1, dtype=heap.dtype, shape=heap.shape
    )
