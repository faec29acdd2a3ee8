"""The tree builder alone, against trees walked in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import (
    Forest,
    float32_splits,
    join_forests,
    leaf_rows,
    prepend_constant_trees,
    sum_by_target,
    sum_rows,
    sum_values,
    value_per_tree,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# Whole numbers: onnxruntime cuts a fraction off before it looks into a set.
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, 2.0**31, 2.0**32 + 1, -1.0, 30.0, 31.0]


def random_forest(rng: np.random.Generator, n_trees: int, *, sets: bool = False) -> Forest:
    """Trees of one to fifteen nodes, grown by splitting a leaf at random."""
    trees = []
    for _ in range(n_trees):
        left, right = [-1], [-1]
        for _ in range(rng.integers(0, 8)):
            at = rng.choice([i for i, child in enumerate(left) if child < 0])
            left[at], right[at] = len(left), len(left) + 1
            left += [-1, -1]
            right += [-1, -1]
        n = len(left)
        thresholds = np.where(rng.random(n) < 0.1, np.inf, rng.integers(-3, 40, n) / 2)
        trees.append(
            Forest(
                roots=np.zeros(1, dtype=np.int64),
                feature=rng.integers(0, 3, n),
                threshold=thresholds,
                left=np.array(left),
                right=np.array(right),
                missing_left=rng.random(n) < 0.4,
            )
        )
    forest = join_forests(trees)
    if not sets:
        return forest
    inner = np.flatnonzero(~forest.is_leaf)
    nodes = np.sort(rng.choice(inner, len(inner) // 2, replace=False))
    categories = np.tile(np.arange(64.0), (len(nodes), 1))
    categories[:, 50:] = np.nan
    return forest.with_category_sets(nodes, categories, rng.random(categories.shape) < rng.random())


def walked(forest: Forest, X: Any) -> Any:
    """The node that each row ends at, shape (n_samples, n_trees)."""
    node_of, value_of = forest.members
    asks_set = np.zeros(forest.n_nodes, dtype=bool)
    asks_set[node_of] = True
    at = np.tile(forest.roots, (len(X), 1))
    for row, tree in np.ndindex(at.shape):
        node = at[row, tree]
        while forest.left[node] >= 0:
            x = X[row, forest.feature[node]]
            if np.isnan(x):
                goes_left = forest.missing_left[node]
            elif asks_set[node]:
                goes_left = x in value_of[node_of == node]
            else:
                goes_left = x <= forest.threshold[node]
            node = forest.left[node] if goes_left else forest.right[node]
        at[row, tree] = node
    return at


def rows(rng: np.random.Generator, n: int) -> Any:
    X = rng.integers(-3, 52, (n, 3)).astype(float)
    pick = rng.random(X.shape) < 0.3
    X[pick] = rng.choice(SPECIAL, pick.sum())
    return X


def run(answer: Tensor, X: Any) -> Any:
    answer.graph.output("answer", answer)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = answer.graph.to_model("1").SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    whole = session.run(None, {"numbers": X})[0]
    one = [session.run(None, {"numbers": X[i : i + 1]})[0] for i in range(len(X))]
    np.testing.assert_array_equal(np.concatenate(one), whole)
    assert session.run(None, {"numbers": X[:0]})[0].shape == (0, *whole.shape[1:])
    return whole


def in_order(parts: Any) -> Any:
    """Sum over axis 1 from the first on, as the operator and scikit-learn add."""
    total = np.zeros((len(parts), *parts.shape[2:]))
    for i in range(parts.shape[1]):
        total += parts[:, i]
    return total


def on_numbers() -> Tensor:
    return Graph().input("numbers", np.float64, (None, 3))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("sets", [False, True], ids=["thresholds", "sets"])
def test_every_row_ends_at_the_leaf_where_numpy_ends(seed: int, sets: bool) -> None:
    rng = np.random.default_rng(seed)
    forest, X = random_forest(rng, 6, sets=sets), rows(rng, 60)
    values = rng.normal(size=forest.n_nodes)
    at = walked(forest, X)
    np.testing.assert_array_equal(run(value_per_tree(on_numbers(), forest, values), X), values[at])


@pytest.mark.parametrize("n_trees", [1, 2, 70, 300])
def test_sums_add_tree_after_tree(n_trees: int) -> None:
    rng = np.random.default_rng(n_trees)
    forest, X = random_forest(rng, n_trees), rows(rng, 20)
    values = rng.normal(size=(forest.n_nodes, 4)) * 10.0 ** rng.integers(-9, 9, (1, 4))
    at = walked(forest, X)
    expected = in_order(values[at])
    one = sum_values(on_numbers(), forest, values[:, 0])
    np.testing.assert_array_equal(run(one, X), expected[:, 0])
    several = sum_rows(on_numbers(), forest, values)
    np.testing.assert_array_equal(run(several, X), expected)
    mean = sum_rows(on_numbers(), forest, values, mean=True)
    np.testing.assert_array_equal(run(mean, X), expected / n_trees)


def test_leaves_with_one_nonzero_value_need_one_node() -> None:
    rng = np.random.default_rng(0)
    forest, X = random_forest(rng, 40), rows(rng, 20)
    pure = np.eye(3)[rng.integers(0, 3, forest.n_nodes)]
    answer = sum_rows(on_numbers(), forest, pure, mean=True)
    at = walked(forest, X)
    np.testing.assert_array_equal(run(answer, X), in_order(pure[at]) / 40)
    assert answer.graph.to_model("1").graph.node[0].op_type == "TreeEnsemble"


def test_targets_of_interleaved_trees_start_from_their_constants() -> None:
    rng = np.random.default_rng(5)
    forest, X = random_forest(rng, 30), rows(rng, 20)
    values = rng.normal(size=forest.n_nodes)
    with_base, extended = prepend_constant_trees(forest, values, [1e9, -3.7])
    targets = np.tile([0, 1], 16)
    answer = sum_by_target(on_numbers(), with_base, extended, targets[with_base.tree_of], 2)
    at = walked(forest, X)
    parts = np.stack([values[at][:, k::2] for k in (0, 1)], axis=2)
    base = np.broadcast_to([1e9, -3.7], (20, 1, 2))
    expected = in_order(np.concatenate([base, parts], axis=1))
    np.testing.assert_array_equal(run(answer, X), expected)


def test_float32_sums_add_in_float32() -> None:
    rng = np.random.default_rng(6)
    forest, X = random_forest(rng, 50), rows(rng, 20)
    X = np.where(np.abs(X) > 1e30, 7.0, X)
    values = rng.normal(size=forest.n_nodes).astype(np.float32)
    zeros = np.zeros(forest.n_nodes)
    answer = sum_by_target(
        on_numbers(), forest, values.astype(np.float64), zeros, 1, dtype=np.float32
    )
    expected = np.zeros(20, dtype=np.float32)
    for part in values[walked(forest, X)].T:
        expected += part
    np.testing.assert_array_equal(run(answer, X)[:, 0], expected)


def test_rows_of_a_table_are_told_apart_by_every_bit() -> None:
    rng = np.random.default_rng(7)
    forest, X = random_forest(rng, 5), rows(rng, 20)
    values = rng.choice([0.1, np.nextafter(0.1, 1), 0.0], (forest.n_nodes, 2))
    leaf_row, table = leaf_rows(on_numbers(), forest, values)
    np.testing.assert_array_equal(table[run(leaf_row, X)], values[walked(forest, X)])
    assert len(table) == len(np.unique(table, axis=0)) <= 9


def test_trees_ask_about_the_columns_that_they_were_given() -> None:
    rng = np.random.default_rng(8)
    forest, X = random_forest(rng, 9), rows(rng, 20)
    values = rng.normal(size=forest.n_nodes)
    with_other_columns = forest.with_features([2, 0, 1])
    expected = values[walked(forest, X[:, [2, 0, 1]])]
    np.testing.assert_array_equal(
        run(value_per_tree(on_numbers(), with_other_columns, values), X), expected
    )


floats32 = st.floats(width=32, allow_nan=False)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.floats(allow_nan=False), floats32), st.floats(-3e38, 3e38), st.booleans())
def test_a_split_decides_as_the_threshold_does_for_float32(
    threshold: float, x: float, inclusive: bool
) -> None:
    split = float32_splits([threshold], inclusive=inclusive)[0]
    near = np.float32(threshold) if abs(threshold) < 3e38 else np.float32(0)
    following = np.nextafter(near, np.float32(np.inf))
    middle = (float(near) + float(following)) / 2
    nearby = [float(near), middle, np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf)]
    for value in (x, threshold, *nearby):
        if not abs(value) < 3.4e38:
            continue
        rounded = float(np.float32(value))
        expected = rounded <= threshold if inclusive else rounded < threshold
        assert (value <= split) == expected, (value, threshold, split)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.floats(allow_nan=False), floats32), floats32)
def test_float32_splits_decide_as_float32_input_does(threshold: float, x: float) -> None:
    with np.errstate(over="ignore"):
        split = np.float32(float32_splits([threshold])[0])
    near = np.float32(threshold) if abs(threshold) < 3e38 else np.float32(0)
    for value in (x, near, np.nextafter(near, np.float32(-np.inf))):
        assert (np.float32(value) <= split) == (float(np.float32(value)) <= threshold)
