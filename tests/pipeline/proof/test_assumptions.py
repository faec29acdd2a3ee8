"""onnxruntime does what docs/proof.md assumes, tested on single operators at the boundaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from edge_pipeline.proof.rules import LIBRARY, UNIT
from edge_pipeline.proof.tree_reader import MAX_CODES
from edge_runtime.engine.session import Session
from onnx import TensorProto, helper, numpy_helper
from scipy import special

LEAF = -1
HUGE = np.finfo(np.float64).max
TINY = 5e-324


def ensemble(nodes: list[Any], roots: list[int], leaves: list[Any], **more: Any) -> Any:
    """A TreeEnsemble of (feature, split, mode, true, false, nan), a child below zero a leaf."""
    columns = list(zip(*nodes, strict=True))
    children = {"true": columns[3], "false": columns[4]}
    attributes: dict[str, Any] = {
        "nodes_featureids": columns[0],
        "nodes_splits": numpy_helper.from_array(np.array(columns[1], dtype=np.float64)),
        "nodes_modes": numpy_helper.from_array(np.array(columns[2], dtype=np.uint8)),
        "leaf_targetids": [target for target, _ in leaves],
        "leaf_weights": numpy_helper.from_array(np.array([w for _, w in leaves], np.float64)),
        "tree_roots": roots,
        "n_targets": 1 + max(target for target, _ in leaves),
        "aggregate_function": 1,
    }
    for side, at in children.items():
        attributes[f"nodes_{side}nodeids"] = [-1 - i if i < 0 else i for i in at]
        attributes[f"nodes_{side}leafs"] = [int(i < 0) for i in at]
    if any(columns[5]):
        attributes["nodes_missing_value_tracks_true"] = columns[5]
    return graph("TreeEnsemble", "ai.onnx.ml", {**attributes, **more})


def graph(op: str, domain: str = "", attributes: Any = None) -> Any:
    node = helper.make_node(op, ["x"], ["y"], domain=domain, **(attributes or {}))
    x = helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, None])
    y = helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)
    return helper.make_model(
        helper.make_graph([node], "g", [x], [y]),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)],
        ir_version=10,
    )


def run(model: onnx.ModelProto, X: Any) -> Any:
    """Run the model with the session options of the device."""
    session = Session(model.SerializeToString())
    return session.run(["y"], {"x": np.asarray(X, dtype=np.float64)})[0]


BOUNDARIES = np.array(
    [-np.inf, -HUGE, -1.5, -1.0, -TINY, -0.0, 0.0, TINY, 1e-300, 0.1, 1.0, 2.0**53, HUGE, np.inf]
)


@pytest.mark.parametrize("nan", [0, 1])
@pytest.mark.parametrize("rows", [1, 3, 200])
def test_at_most_compares_in_float64_beside_every_threshold(nan: int, rows: int) -> None:
    for threshold in BOUNDARIES:
        with np.errstate(over="ignore"):
            around = [np.nextafter(threshold, end) for end in (-np.inf, threshold, np.inf)]
        X = np.array([*around, -0.0, 0.0, np.nan, -np.inf, np.inf])[:, np.newaxis]
        model = ensemble([(0, threshold, 0, -1, -2, nan)], [0], [(0, 1.0), (0, 2.0)])
        is_true = (X[:, 0] <= threshold) | (np.isnan(X[:, 0]) & bool(nan))
        for start in range(0, len(X), rows):
            part = np.resize(X[start : start + rows], (rows, 1))
            expected = np.resize(np.where(is_true, 1.0, 2.0)[start : start + rows], rows)
            np.testing.assert_array_equal(run(model, part)[:, 0], expected)


def many_leaves(n_trees: int, n_targets: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Stumps whose weights cancel, so that another order of addition gives another sum."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(n_trees, 2)) * 10.0 ** rng.integers(-12, 12, size=(n_trees, 1))
    targets = rng.integers(0, n_targets, size=n_trees)
    targets[:n_targets] = np.arange(n_targets)
    nodes = [(i % 4, 0.0, 0, -1 - 2 * i, -2 - 2 * i, 0) for i in range(n_trees)]
    leaves = [(int(targets[i]), float(weights[i, side])) for i in range(n_trees) for side in (0, 1)]
    return (nodes, list(range(n_trees)), leaves), weights, targets


@pytest.mark.parametrize("n_trees", [1, 7, 100, 700])
@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("aggregate", [0, 1])
def test_sums_start_at_zero_and_add_trees_in_order(
    n_trees: int, n_targets: int, aggregate: int
) -> None:
    n_targets = min(n_targets, n_trees)
    parts, weights, targets = many_leaves(n_trees, n_targets)
    model = ensemble(*parts, aggregate_function=aggregate)
    X = np.random.default_rng(1).normal(size=(300, 4))
    expected = np.zeros((len(X), n_targets))
    for i in range(n_trees):
        expected[:, targets[i]] += np.where(X[:, i % 4] <= 0, weights[i, 0], weights[i, 1])
    if aggregate == 0:
        expected /= n_trees
    np.testing.assert_array_equal(run(model, X), expected)
    for row in range(20):
        np.testing.assert_array_equal(run(model, X[row : row + 1])[0], expected[row])


def test_a_set_contains_its_whole_numbers_alone() -> None:
    members = np.array([0.0, 3.0, 31.0, 32.0, 63.0, 64.0, 255.0, 256.0, MAX_CODES - 1, np.nan])
    model = ensemble(
        [(0, 0.0, 6, -1, -2, 0), (0, 0.5, 0, -3, -4, 0)],
        [0, 1],
        [(0, 1.0), (0, 2.0), (0, 10.0), (0, 20.0)],
        membership_values=numpy_helper.from_array(members),
    )
    X = np.append(np.arange(-1.0, MAX_CODES + 70.0), np.nan)
    inside = np.isin(X, members[:-1])
    expected = np.where(inside, 1.0, 2.0) + np.where(X <= 0.5, 10.0, 20.0)
    np.testing.assert_array_equal(run(model, X[:, np.newaxis])[:, 0], expected)


def lookup(keys: Any, values: Any) -> Any:
    attributes = {
        "keys_tensor": numpy_helper.from_array(np.array(keys)),
        "values_tensor": numpy_helper.from_array(np.array(values)),
        "default_tensor": numpy_helper.from_array(np.array([-1.0])),
    }
    return graph("LabelEncoder", "ai.onnx.ml", attributes)


def test_numbers_are_looked_up_bit_for_bit() -> None:
    keys = [1.5, 0.0, np.nan, TINY, HUGE, 2.0**53]
    model = lookup(keys, np.arange(6.0))
    with np.errstate(over="ignore"):
        beside = [np.nextafter(key, end) for key in keys for end in (-np.inf, np.inf)]
    numbers = [*keys, -0.0, -np.nan, *beside, 1.0, np.inf]
    table = dict(zip(keys, np.arange(6.0), strict=True))
    expected = [2.0 if x != x else table.get(x, -1.0) for x in numbers]
    np.testing.assert_array_equal(run(model, [numbers])[0], expected)


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_limits_are_numpys_and_let_nan_through(op: str) -> None:
    x = np.array([[np.nan, -np.inf, -1.0, -0.0, 0.0, TINY, 1.0, np.inf]])
    model = graph(op)
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.0), "c"))
    model.graph.node[0].input.append("c")
    function = {"Max": np.maximum, "Min": np.minimum}[op]
    np.testing.assert_array_equal(run(model, x), function(x, 0.0))


def test_a_running_sum_takes_one_number_after_the_other() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(40, 300)) * 10.0 ** rng.integers(-12, 12, size=(40, 300))
    model = graph("CumSum")
    model.graph.initializer.append(numpy_helper.from_array(np.array(1), "axis"))
    model.graph.node[0].input.append("axis")
    np.testing.assert_array_equal(run(model, x), np.cumsum(x, axis=1))


def test_a_cast_to_float32_rounds_as_numpys_does() -> None:
    bits = np.random.default_rng(7).integers(-(2**63), 2**63 - 1, size=20_000)
    x = bits.view(np.float64)[np.newaxis]
    model = graph("Cast", "", {"to": TensorProto.FLOAT})
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_array_equal(run(model, x), x.astype(np.float32))


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
def test_arithmetic_is_numpys_bit_for_bit(op: str) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(500, 6)) * 10.0 ** rng.integers(-300, 300, size=(500, 6))
    row = rng.normal(size=6) * 10.0 ** rng.integers(-10, 10, size=6)
    model = graph(op)
    model.graph.initializer.append(numpy_helper.from_array(row, "c"))
    model.graph.node[0].input.append("c")
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.true_divide}[op]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run(model, x), function(x, row))


def test_logistic_tanh_and_softmax_are_scipys_within_bounds() -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=4000) * scale for scale in (1e-3, 1.0, 30.0, 400.0)])
    x = x.reshape(-1, 4)
    for op, function in (("Sigmoid", special.expit), ("Tanh", np.tanh)):
        assert np.abs(run(graph(op), x) - function(x)).max() <= LIBRARY
    for wide in (x, x.reshape(-1, 40)):
        gap = np.abs(run(graph("Softmax"), wide) - special.softmax(wide, axis=1)).max()
        assert gap <= LIBRARY + 2 * wide.shape[1] * UNIT


def test_exp_and_powers_of_two_are_numpys_within_bounds() -> None:
    x = np.random.default_rng(4).uniform(-600, 600, size=(5000, 1))
    assert (np.abs(run(graph("Exp"), x) / np.exp(x) - 1)).max() <= LIBRARY
    model = graph("Pow")
    model.graph.initializer.append(numpy_helper.from_array(np.array(2.0), "two"))
    model.graph.node[0].input[:] = ["two", "x"]
    assert (np.abs(run(model, x) / 2.0**x - 1)).max() <= LIBRARY


@pytest.mark.parametrize("n_terms", [1, 5, 64, 1000])
def test_a_product_is_within_the_bound_of_its_exact_sum(n_terms: int) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(50, n_terms)) * 10.0 ** rng.integers(-8, 8, size=(50, n_terms))
    w = rng.normal(size=(n_terms, 1))
    model = graph("MatMul")
    model.graph.initializer.append(numpy_helper.from_array(w, "w"))
    model.graph.node[0].input.append("w")
    exact = np.array([np.sum(row.astype(np.longdouble) * w[:, 0]) for row in x], np.longdouble)
    size = np.abs(x) @ np.abs(w[:, 0])
    bound = n_terms * UNIT / (1 - n_terms * UNIT) * size
    assert (np.abs(run(model, x)[:, 0] - exact) <= bound).all()
