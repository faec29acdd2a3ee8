"""Operators, types, sizes and loops that the graph check refuses, each by name."""

import time

import numpy as np
import pytest
from device import hostile
from device.graph_safety.test_rules import COUNT, FIRST, SHAPE, ZERO, refused
from device.hostile import body, described, loop, model, node, number, subgraph
from device.tiny_onnx import integer, message, tensor
from edge_runtime.errors import UnsafeGraphError
from edge_runtime.graph_safety.rules import scan


@pytest.mark.parametrize("n_axes", [17, 1_000, 200_000])
def test_many_axes_are_refused_at_once(n_axes: int) -> None:
    """Axes are counted before they are multiplied, and a product is never printed."""
    raw = integer(1, 2**31 - 1) * n_axes + integer(2, 11) + message(8, "t")
    started = time.monotonic()
    refused(model(initializers=[raw]), "more than 16 axes")
    dims = message(2, message(1, integer(1, 2**31 - 1)) * n_axes)
    shape = message(1, "v") + message(2, message(1, integer(1, 11) + dims))
    refused(model(more_graph=message(13, shape)), "more than 16 axes")
    assert time.monotonic() - started < 5


def test_the_count_of_a_product_is_not_printed() -> None:
    raw = integer(1, 2**31 - 1) * 16 + integer(2, 11) + message(8, "t")
    refused(model(initializers=[raw]), "more elements than its")


SHAPE_OF_ROWS = node("Shape", ["numbers"], ["rows"], number("start", 0), number("end", 1))
SHAPE_OF_COLUMNS = node("Shape", ["numbers"], ["columns"], number("start", 1))


def test_a_loop_over_columns_is_refused() -> None:
    last = node("Gather", ["shape", "one"], ["columns"])
    for nodes in ([SHAPE_OF_COLUMNS], [SHAPE, last]):
        graph = model([*nodes, loop("columns", body())], initializers=[tensor("one", np.array(1))])
        refused(graph, "neither a stored number nor the number of rows")
    whole = [SHAPE, node("ReduceProd", ["shape"], ["all"]), loop("all", body())]
    refused(model(whole), "loop without end")


def test_one_loop_of_a_nest_may_go_over_the_rows() -> None:
    ones = [ZERO, COUNT]
    inner = loop("rows", body(state="2"), to="x2")
    refused(
        model([SHAPE, FIRST, loop("rows", body(inner))], initializers=ones),
        "a loop over the rows inside another one",
    )
    between = body(loop("rows", body(state="3"), to="x3"), state="2", out="i2")
    nested = body(loop("count", between, to="x2"))
    refused(model([SHAPE, FIRST, loop("rows", nested)], initializers=ones), "inside another one")
    bounds = [tensor("from", np.array([0])), tensor("to", np.array([1]))]
    slice_ = node("Slice", ["shape", "from", "to"], ["rows"])
    scan(model([SHAPE, slice_, loop("rows", body())], initializers=bounds), described())
    scan(model([SHAPE_OF_ROWS, loop("rows", body())]), described())


@pytest.mark.parametrize(
    "op",
    [
        "RandomUniform",
        "RandomNormal",
        "RandomUniformLike",
        "RandomNormalLike",
        "Multinomial",
        "Bernoulli",
        "NonZero",
        "Unique",
        "Compress",
        "Scan",
        "Dropout",
        "SequenceAt",
    ],
)
def test_an_operator_outside_the_table_is_refused(op: str) -> None:
    """An operator that draws numbers, or whose result is as large as its cells say."""
    refused(model([node(op, ["numbers"], ["x"])]), "unknown here")


def test_an_attribute_outside_the_table_is_refused() -> None:
    refused(model([node("Gather", ["numbers", "i"], ["x"], number("seed", 1))]), "unknown here")
    refused(model([node("Abs", ["numbers"], ["x"], number("axis", 1))]), "one of 'axis'")


def test_a_type_outside_the_table_is_refused() -> None:
    refused(model([node("And", ["numbers", "numbers"], ["x"])]), "element type 11")
    refused(model([node("Cast", ["numbers"], ["x"], number("to", 10))]), "result of type 10")
    half = integer(1, 1) + integer(2, 10) + message(9, bytes(2)) + message(8, "half")
    refused(model(initializers=[half]), "element type 10")
    refused(model([node("Add", ["later", "numbers"], ["x"])]), "before it is computed")
    refused(model([node("Abs", ["numbers", "numbers"], ["x"])]), "with 2 inputs")


TO_INTEGERS = node("Cast", ["numbers"], ["integers"], number("to", 7))
AXES = tensor("axes", np.array([1]))


@pytest.mark.parametrize(
    "use",
    [
        node("ConstantOfShape", ["flat"], ["x"]),
        node("Expand", ["numbers", "flat"], ["x"]),
        node("Tile", ["numbers", "flat"], ["x"]),
        node("Pad", ["numbers", "flat"], ["x"]),
        node("Range", ["flat", "flat", "flat"], ["x"]),
        node("Reshape", ["numbers", "flat"], ["x"]),
        node("OneHot", ["numbers", "flat", "numbers"], ["x"]),
        node("TopK", ["numbers", "flat"], ["x", "y"]),
        node("Slice", ["numbers", "flat", "flat"], ["x"]),
        node("Split", ["numbers", "flat"], ["x"]),
    ],
)
def test_cells_do_not_decide_how_large_a_result_is(use: bytes) -> None:
    flat = node("Squeeze", ["integers", "axes"], ["flat"])
    refused(model([TO_INTEGERS, flat, use], initializers=[AXES]), "which a row's cells decide")


def test_the_number_of_rows_and_constants_decide_sizes() -> None:
    """The shape of a value that depends on cells does not depend on them."""
    nodes = [
        TO_INTEGERS,
        node("Shape", ["integers"], ["sizes"]),
        node("Mul", ["sizes", "axes"], ["scaled"]),
        node("ConstantOfShape", ["scaled"], ["zeros"]),
    ]
    scan(model(nodes, initializers=[AXES]), described())


@pytest.mark.parametrize("op", ["Div", "Mod"])
def test_integers_are_divided_by_harmless_constants_only(op: str) -> None:
    """The processor traps at x / 0, and at -2**63 / -1."""
    words = "divides integers by something other"
    refused(model([TO_INTEGERS, node(op, ["integers", "integers"], ["x"])]), words)
    for divisors in ([0], [-1], [3, -1], [7, 0]):
        divisor = tensor("divisor", np.array(divisors))
        nodes = [TO_INTEGERS, node(op, ["integers", "divisor"], ["x"])]
        refused(model(nodes, initializers=[divisor]), words)
    small = tensor("divisor", np.array([-1], dtype=np.int32))
    as_int32 = node("Cast", ["numbers"], ["i32"], number("to", 6))
    refused(model([as_int32, node(op, ["i32", "divisor"], ["x"])], initializers=[small]), words)
    packed = integer(1, 1) + integer(2, 7) + message(7, b"\x00") + message(8, "divisor")
    nodes = [TO_INTEGERS, node(op, ["integers", "divisor"], ["x"])]
    refused(model(nodes, initializers=[packed]), words)
    scan(model(nodes, initializers=[tensor("divisor", np.array([2, -3]))]), described())
    scan(model([node("Div", ["numbers", "numbers"], ["x"])]), described())


def test_the_state_of_a_loop_counts_as_cells() -> None:
    """A loop cannot hide where its state comes from."""
    work = hostile.graph(
        [
            node("Identity", ["go"], ["on"]),
            node("Identity", ["v"], ["w"]),
            node("ConstantOfShape", ["v"], ["x"]),
        ],
        inputs=[("i", "int64", []), ("go", "bool", []), ("v", "int64", [None])],
        outputs=[("on", "bool", []), ("w", "int64", [None])],
    )
    nodes = [TO_INTEGERS, node("Loop", ["count", "", "integers"], ["y"], subgraph("body", work))]
    refused(model(nodes, initializers=[COUNT]), "which a row's cells decide")


CELLS = node("IsNaN", ["numbers"], ["is_nan"])
CHOICE = node("Gather", ["is_nan", "one"], ["choice"])
ONE = tensor("one", np.array(0))


def branch(source: str, name: str) -> bytes:
    return hostile.graph(
        [node("Identity", [source], [name])], outputs=[(name, "float64", [None, 3])]
    )


def test_cells_do_not_choose_a_branch() -> None:
    """One branch may be small, and the other one allocate gigabytes for a single row."""
    branches = (
        subgraph("then_branch", branch("numbers", "p")),
        subgraph("else_branch", branch("numbers", "q")),
    )
    by_cells = [CELLS, CHOICE, node("If", ["choice"], ["x"], *branches)]
    refused(model(by_cells, initializers=[ONE]), "which a row's cells decide")
    constant = tensor("always", np.array(True))
    by_rows = [SHAPE, FIRST, node("Less", ["rows", "one"], ["few"])]
    for condition, nodes in (("always", []), ("few", by_rows)):
        nodes = [*nodes, node("If", [condition], ["x"], *branches)]
        scan(model(nodes, initializers=[ONE, ZERO, constant]), described())


def stacking(going: str) -> bytes:
    """The body of a loop that stacks its step numbers while *going*."""
    return hostile.graph(
        [node("Identity", [going], ["on"]), node("Identity", ["i"], ["step"])],
        inputs=[("i", "int64", []), ("go", "bool", [])],
        outputs=[("on", "bool", []), ("step", "int64", [])],
    )


def test_cells_do_not_decide_how_much_a_loop_stacks() -> None:
    count = tensor("count", np.array(1000))
    for going, nodes in (("choice", [CELLS, CHOICE]), ("go", [])):
        raw = model([*nodes, loop("count", stacking(going))], initializers=[ONE, count])
        if nodes:
            refused(raw, "stacks as many results as a row's cells say")
        else:
            scan(raw, described())


def text(name: str, value: str) -> bytes:
    return message(1, name) + message(4, value) + integer(20, 3)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (node("Einsum", ["numbers"], ["x"], text("equation", "i\0j->ij")), "equation"),
        (node("Einsum", ["numbers"], ["x"], text("equation", "é->e")), "equation"),
        (node("GatherND", ["numbers", "i"], ["x"], number("batch_dims", -4)), "batch_dims"),
        (node("GatherND", ["numbers", "i"], ["x"], number("batch_dims", 17)), "batch_dims"),
        (
            node(
                "Tokenizer", ["words"], ["x"], text("pad_value", "x" * 17), domain="com.microsoft"
            ),
            "pad_value",
        ),
    ],
)
def test_an_attribute_that_harms_onnxruntime_is_refused(bad: bytes, words: str) -> None:
    """A NUL in an equation hangs onnxruntime 1.32, a negative batch_dims crashes it."""
    stored_values = [tensor("i", np.array([[0]])), tensor("words", np.array(["a"]))]
    opsets = (("", 21), ("com.microsoft", 1))
    with pytest.raises(UnsafeGraphError, match=words):
        scan(model([bad], initializers=stored_values, opsets=opsets), described(opsets))
