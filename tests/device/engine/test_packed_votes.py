"""Packed votes give the label of a forest; where they are undecided, the forest itself does."""

import threading
from typing import Any

import numpy as np
import pytest
from device.forest_models import COLUMNS, Stumps, stumps
from device.hostile import ints, node, number, stored
from edge_runtime.engine.optimize.packed_votes import (
    FEW_ROWS,
    UNDECIDED,
    PackedVotes,
    PackedVotesSession,
    pack_votes,
)
from edge_runtime.model import Model

import edge_runtime
from edge_runtime import NotEnoughMemoryError

RANDOM = np.random.default_rng(3)
GOLDEN = RANDOM.normal(size=(16, COLUMNS))
X = RANDOM.normal(size=(500, COLUMNS))


def label_session(model: Model) -> Any:
    model.warm_up()
    return model._planner._final_queries[("predict",)].session


def uses_packed_votes(forest: Stumps, changes: dict[str, bytes] | None = None) -> bool:
    parts = forest.parts(GOLDEN, changes)
    with Model.from_parts(parts.graph, parts.manifest) as model:
        return isinstance(label_session(model), PackedVotesSession)


def tied(names: Any = ("b", "a")) -> Stumps:
    """Make three trees, and three that cancel them out, unless a value is between 0 and 1."""
    leaf_probabilities = np.array(
        [[[0.7, 0.3], [0.1, 0.9]], [[0.6, 0.4], [0.9, 0.1]], [[0.2, 0.8], [0.8, 0.2]]]
    )
    return Stumps(
        np.repeat([0.0, 1.0], 3),
        np.concatenate([leaf_probabilities, leaf_probabilities[:, :, ::-1]]),
        names,
    )


TIES = np.array(np.meshgrid([-1.0, 2.0], [-1.0, 2.0], [-1.0, 2.0])).reshape(3, -1).T
CLEAR = np.array([[0.5, -1.0, 2.0], [-1.0, 0.5, -1.0], [2.0, 0.5, -1.0], [0.5, 2.0, 2.0]])


def test_few_rows_are_read_as_many_are() -> None:
    table = stumps(50, range(3)).probabilities.reshape(-1, 3)
    packing = pack_votes(table, 50)
    assert packing is not None
    weights, tally = packing
    sums = weights[RANDOM.integers(len(table), size=(40, 50))].sum(axis=1)
    whole = tally.positions(sums)
    assert len(set(whole.tolist())) > 1
    for n_rows in (0, 1, FEW_ROWS, FEW_ROWS + 1):
        few = tally.positions(sums[:n_rows])
        assert (few.dtype, few.tolist()) == (np.int64, whole[:n_rows].tolist())


def test_what_53_bits_cannot_tell_finely_is_not_pack_votes() -> None:
    table = stumps(10, range(5)).probabilities.reshape(-1, 5)
    assert pack_votes(table[:, :1], 10) is None
    assert pack_votes(table, 10) is not None
    assert pack_votes(table, 1000) is None
    assert pack_votes(np.full((4, 2), 0.4), 100) is None  # the rest is no vote
    assert pack_votes(np.array([[1.5, -0.5]]), 10) is None
    assert pack_votes(np.array([[np.nan, 1.0]]), 10) is None
    assert pack_votes(np.array([[0.5, 0.5]]), 2**17) is None


@pytest.mark.parametrize("names", [("b", "a"), (7, -2), ("x", "y", "z"), (0, 1, 2, 3)])
@pytest.mark.parametrize("n_trees", [1, 10, 100])
def test_a_forest_answers_labels_by_its_votes(names: Any, n_trees: int) -> None:
    forest = stumps(n_trees, names, seed=n_trees)
    with edge_runtime.load(forest.parts(GOLDEN).sealed()) as model:
        assert isinstance(label_session(model), PackedVotesSession)
        expected = forest.labels(X)
        for n_rows in (1, 3, FEW_ROWS + 1, len(X)):
            predictions = model.predict(X[:n_rows])
            assert predictions.tolist() == expected[:n_rows].tolist()  # type: ignore[union-attr]
        one = [model.predict_one(row) for row in X]
        assert one == expected.tolist()
        assert {type(label) for label in one} == {type(names[0])}
        many = np.tile(X, (10, 1))
        assert model.predict(many).tolist() == np.tile(expected, 10).tolist()  # type: ignore[union-attr]
        label, _ = model.predict_proba_one(X[0])
        assert label == expected[0]


@pytest.mark.parametrize("names", [("b", "a"), (7, -2)])
def test_ties_are_decided_by_the_sums_in_order(names: Any) -> None:
    forest, rows = tied(names), np.concatenate([TIES, CLEAR, TIES])
    expected = forest.labels(rows).tolist()
    # Not all of them by the first class: the last bit speaks.
    assert set(forest.labels(TIES).tolist()) == set(names)
    with edge_runtime.load(forest.parts(CLEAR).sealed()) as model:
        session = label_session(model)
        assert isinstance(session, PackedVotesSession)
        exact = session._exact.run
        row_counts: list[int] = []

        def counting(names: list[str], feeds: Any) -> Any:
            row_counts.append(len(feeds["numbers"]))
            return exact(names, feeds)

        session._exact.run = counting  # type: ignore[method-assign]
        assert model.predict(rows).tolist() == expected  # type: ignore[union-attr]
        assert row_counts == [2 * len(TIES)]
        assert [model.predict_one(row) for row in rows] == expected


def test_where_most_rows_are_ties_the_forest_is_asked_at_once() -> None:
    parts = tied().parts(TIES)
    with Model.from_parts(parts.graph, parts.manifest) as model:
        assert not isinstance(label_session(model), PackedVotesSession)


def test_many_threads_ask_at_once() -> None:
    forest, rows = tied(), np.tile(np.concatenate([TIES, CLEAR]), (30, 1))
    expected = forest.labels(rows).tolist()
    predictions: dict[int, list[Any]] = {}
    with edge_runtime.load(forest.parts(CLEAR).sealed()) as model:
        assert isinstance(label_session(model), PackedVotesSession)

        def ask(name: int) -> None:
            predictions[name] = [model.predict_one(row) for row in rows]

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert list(predictions.values()) == [expected] * 4


FOREST = stumps(10, ("a", "b", "c"), seed=1)
N = FOREST.n_trees
FIRST_ALONG = (number("axis", 1), number("keepdims", 0))


@pytest.mark.parametrize(
    ("value", "new_node"),
    [
        ("told", FOREST.trees(aggregate_function=number("aggregate_function", 0))),
        ("told", FOREST.trees(n_targets=number("n_targets", N + 1))),
        ("told", FOREST.trees(leaf_targetids=ints("leaf_targetids", [0] * (2 * N)))),
        ("told", FOREST.trees(more=number("post_transform", 0))),
        (
            "told",
            FOREST.trees(leaf_weights=stored("leaf_weights", np.arange(2.0 * N) + 0.25)),
        ),
        ("leaves", node("Cast", ["told"], ["leaves"], number("to", 6))),
        ("rows", node("Gather", ["table", "leaves"], ["rows"])),
        ("sums", node("CumSum", ["rows", "axis"], ["sums"], number("reverse", 1))),
        ("sums", node("CumSum", ["rows", "axis"], ["sums"], number("exclusive", 1))),
        ("total", node("Gather", ["sums", "first"], ["total"], number("axis", 1))),
        ("total", node("ReduceSum", ["rows", "axis_list"], ["total"], number("keepdims", 0))),
        ("predict_proba", node("Div", ["total", "total"], ["predict_proba"])),
        ("predict_proba", node("Mul", ["total", "n_trees"], ["predict_proba"])),
        (
            "winner",
            node(
                "ArgMax",
                ["predict_proba"],
                ["winner"],
                *FIRST_ALONG,
                number("select_last_index", 1),
            ),
        ),
        ("winner", node("ArgMin", ["predict_proba"], ["winner"], *FIRST_ALONG)),
    ],
)
def test_a_graph_of_another_form_keeps_it(value: str, new_node: bytes) -> None:
    from edge_runtime.engine.optimize.packed_votes_graph import pack_votes_graph
    from edge_runtime.graph_safety.onnx_reader import read_graph

    graph = FOREST.parts(GOLDEN, {value: new_node}).graph
    assert pack_votes_graph(graph, read_graph(graph)[0], "winner") is None


def test_the_form_that_these_differ_from_is_taken() -> None:
    assert uses_packed_votes(FOREST)


def test_a_graph_that_says_something_else_than_its_votes_keeps_them_out() -> None:
    # Leaves that belong to another tree's target: each tree is told, but not where it stands.
    swapped = np.roll(np.arange(2 * N) // 2, 2)
    trees = FOREST.trees(leaf_targetids=ints("leaf_targetids", swapped.tolist()))
    assert not uses_packed_votes(FOREST, {"told": trees})


def test_a_margin_a_tenth_smaller_would_decide_wrongly() -> None:
    # Votes of both leaves are rounded as far as can be, and in opposite ways.
    n_trees, vote_bits, nearly = 1000, 30, 2.0**-20
    unit, middle = 2.0**vote_bits, 2.0 ** (vote_bits - 1)
    second = np.array([middle + 0.5 - nearly, middle - 0.5 - nearly]) / unit
    table = np.column_stack([1 - second, second])
    packing = pack_votes(table, n_trees)
    assert packing is not None
    weights, tally = packing
    smaller = PackedVotes(tally.n_classes, tally.bits, tally.total, int(0.9 * tally.margin))
    wrong = {tally: 0, smaller: 0}
    for n_first in range(n_trees):
        leaves = np.repeat([0, 1], [n_first, n_trees - n_first])
        best = np.cumsum(table[leaves], axis=0)[-1].argmax()
        for way in wrong:
            predictions = way.position(float(weights[leaves].sum()))
            wrong[way] += predictions not in (UNDECIDED, best)
    assert wrong[tally] == 0
    assert wrong[smaller] > 0


def test_a_device_without_memory_for_a_second_graph_goes_on_with_the_first() -> None:
    def none_left(*_: Any, **__: Any) -> Any:
        raise NotEnoughMemoryError("not enough memory for a graph")

    with edge_runtime.load(FOREST.parts(GOLDEN).sealed()) as model:
        model._planner._open_session = none_left
        for _ in range(4):
            assert [model.predict_one(row) for row in X[:5]] == FOREST.labels(X[:5]).tolist()
        assert model._planner._final_queries[("predict",)].session is model._planner.session
