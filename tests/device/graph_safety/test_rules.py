"""Graphs that try something are refused before onnxruntime sees them; the caller lives."""

import os
from pathlib import Path

import numpy as np
import pytest
from device import hostile
from device.hostile import (
    TREE_OPSETS,
    body,
    described,
    ints,
    loop,
    model,
    node,
    stored,
    strings,
    subgraph,
    trees,
)
from device.tiny_onnx import external_tensor, integer, message, tensor, value_info
from edge_runtime.bundle.layout import pack
from edge_runtime.graph_safety.onnx_reader import MAX_NODES, MAX_SUBGRAPHS
from edge_runtime.graph_safety.rules import MAX_STEPS, scan
from edge_runtime.graph_safety.tree_rules import MAX_TREE_DEPTH

import edge_runtime
from edge_runtime import IntegrityError, UnsafeGraphError, UnsupportedRuntimeError

SPARSE = message(15, message(1, tensor("s", np.ones(1))))
COUNT = tensor("count", np.array([7]))
FOREVER = tensor("forever", np.array(2**62))


def refused(graph: bytes, words: str) -> None:
    """By load, as UnsafeGraphError, in one line."""
    with pytest.raises(UnsafeGraphError, match=words) as caught:
        edge_runtime.load(pack(graph, described()))
    assert "\n" not in str(caught.value)


def test_a_healthy_graph_passes_and_answers() -> None:
    with edge_runtime.load(pack(model(), described())) as loaded:
        assert loaded.predict(hostile.ROWS).tolist() == hostile.ROWS  # type: ignore[union-attr]


@pytest.mark.parametrize("place", ["relative", "absolute", "symlink", "by kind alone"])
def test_data_outside_the_file_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    real = tmp_path / "w.bin"
    real.write_bytes(np.zeros(3).tobytes())
    os.symlink(real, tmp_path / "link.bin")
    location = {"relative": "w.bin", "absolute": str(real), "symlink": "link.bin"}.get(place)
    outside = (
        external_tensor("w", 3, location)
        if location
        else integer(1, 3) + integer(2, 11) + integer(14, 1) + message(8, "w")
    )
    refused(model(initializers=[outside]), "outside the file")
    # In an attribute as well, where a Constant keeps its tensor.
    constant = node("Constant", [], ["c"], message(1, "value") + message(5, outside))
    refused(model([constant]), "outside the file")


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (model(more=message(25, message(1, "f"))), "functions"),
        (model(more=message(20, b"")), "training"),
        (model(more=message(26, b"")), "device configuration"),
        (model(more=message(99, b"")), "field 99"),
        (model(more=integer(7, 1)), "field 7"),
        (model(more=message(7, b"")), "two graphs"),
        (model(more=message(8, message(1, "") + integer(2, 21))), "two versions"),
        (model(more_graph=SPARSE), "sparse"),
        (model(more_graph=message(14, b"")), "quantization"),
        (model([node("Identity", ["numbers"], ["x"], more=message(8, "o"))]), "overloaded"),
        (model([node("A", [], ["x"], message(1, "r") + message(21, "z"))]), "references"),
        (model([node("A", [], ["x"], message(1, "r") + message(22, b""))]), "sparse"),
        (model([node("A", [], ["x"], message(1, "r") + message(11, b""))]), "lists of subgraphs"),
        (model([node("A", [], ["x"], ints("r", [1]), ints("r", [2]))]), "two attributes"),
        (model([node("A", [], ["x"], stored("r", 1.0) + message(5, b""))]), "two tensors"),
        (model([node("A", [], ["x"]), node("B", [], ["x"])]), "two values called 'x'"),
        (model([node("A", [], ["numbers"])]), "one of them an input"),
        (model(initializers=[tensor("numbers", np.ones(3))]), "one of them an input"),
        (model(initializers=[tensor("predict", np.ones(3))]), "one of them stored"),
        (model(initializers=[COUNT, COUNT]), "two tensors called 'count'"),
        (model(initializers=[integer(1, 1) + message(3, b"")]), "segments"),
        (b"", "no graph"),
        (b"\x0b\x0c", "out of use"),
        (b"\x3a\xff\xff\xff\xff\x7f", "beyond"),
        (b"\xff" * 30, "does not end"),
    ],
)
def test_what_no_bundle_may_hold_is_refused_by_name(graph: bytes, words: str) -> None:
    refused(graph, words)


@pytest.mark.parametrize(
    ("op", "domain"),
    [
        ("Gemm", "org.example"),
        ("PyOp", "ai.onnx.contrib"),
        ("QLinearConv", "com.microsoft"),
        ("Gemm", "ai.onnx.ml\0"),
        ("Gemm", "ai.onnx.preview.training"),
    ],
)
def test_an_operator_of_an_unknown_set_is_refused(op: str, domain: str) -> None:
    refused(model([node(op, ["numbers"], ["x"], domain=domain)]), "unknown here")
    opsets = (("", 21), (domain, 1))
    if domain != "com.microsoft":
        with pytest.raises(UnsupportedRuntimeError, match="needs the operators"):
            edge_runtime.load(pack(model(opsets=opsets), described(opsets)))


def test_an_opset_of_the_future_names_the_remedy() -> None:
    for opsets in ((("", 99),), (("", 21), ("ai.onnx.ml", 6))):
        with pytest.raises(UnsupportedRuntimeError, match="update edge-runtime and onnxruntime"):
            edge_runtime.load(pack(model(opsets=opsets), described(opsets)))


def test_a_graph_of_other_opsets_than_its_manifest_says_is_refused() -> None:
    with pytest.raises(IntegrityError, match=", the manifest"):
        edge_runtime.load(pack(model(opsets=(("", 20),)), described()))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"".join(integer(1, 10**6) for _ in range(2)) + integer(2, 11), "more elements than its"),
        (integer(1, 10**12) + integer(2, 11), "an axis of more than"),
        (integer(1, -1) + integer(2, 11), "an axis of more than"),
        (integer(1, 10**18) + integer(1, 0) + integer(2, 11), "an axis of more than"),
        (integer(1, 3) + integer(2, 11) + message(9, bytes(23)), "3 elements, and holds 2"),
        (integer(1, 3) + integer(2, 11) + message(9, bytes(32)), "3 elements, and holds 4"),
        (integer(1, 2) + integer(2, 7) + message(7, b"\x01"), "2 elements, and holds 1"),
        (integer(1, 2) + integer(2, 7) + message(7, b"\x01\x80"), "beyond its field"),
        (integer(1, 1) + integer(2, 11) + message(10, bytes(7)), "are cut"),
        (integer(1, 2) + integer(2, 8) + message(6, "a"), "2 elements, and holds 1"),
        (integer(1, 1) + integer(2, 8) + message(9, bytes(8)), "1 elements, and holds 0"),
        (integer(1, 1) + integer(2, 99), "element type 99"),
    ],
)
def test_a_tensor_of_another_size_than_it_holds_is_refused(raw: bytes, words: str) -> None:
    refused(model(initializers=[raw + message(8, "t")]), words)


def test_elements_packed_as_numbers_are_counted_too() -> None:
    packed = [
        integer(1, 2) + integer(2, 7) + message(7, b"\x01\xff\x01") + message(8, "a"),
        integer(1, 2) + integer(2, 11) + message(10, bytes(16)) + message(8, "b"),
        integer(1, 2) + integer(2, 1) + message(4, bytes(8)) + message(8, "c"),
        integer(1, 0) + integer(2, 11) + message(8, "d"),
    ]
    scan(model(initializers=packed), described())


def test_a_million_outputs_are_refused() -> None:
    many = message(12, value_info("o", "float64", [None])) * 10**6
    refused(model(more_graph=many), "more than 10000")
    refused(
        model([node("Split", ["numbers"], [], more=message(2, "o") * 10**6)]), "more than 10000"
    )
    split = [node("Split", [], [], more=message(2, "o") * 9999)] * 21
    refused(model(split), "more than 200000 values")


def test_ends_that_the_manifest_does_not_name_are_refused() -> None:
    twice = [hostile.IDENTITY_OUTPUT, hostile.IDENTITY_OUTPUT]
    refused(model(outputs=twice), "two outputs")
    third = [("numbers", "float64", [None, 3]), ("secret", "float64", [1])]
    refused(model(inputs=third), "an input 'secret'")  # type: ignore[arg-type]
    sequence = message(1, "predict") + message(2, message(4, b""))
    refused(model(outputs=[], more_graph=message(12, sequence)), "sequences")


@pytest.mark.slow
def test_too_many_nodes_are_refused() -> None:
    empty = node("", [], [])
    refused(model([empty] * (MAX_NODES + 1)), "more than 100000 nodes")


def test_subgraphs_without_end_are_refused() -> None:
    inner = hostile.graph([])
    for _ in range(MAX_SUBGRAPHS + 1):
        inner = hostile.graph([node("If", ["c"], ["x"], subgraph("then_branch", inner))])
    refused(model([node("If", ["c"], ["y"], subgraph("then_branch", inner))]), "inside one another")
    # A hundred thousand, more than any stack holds.
    deep = b""
    for _ in range(3000):
        deep = message(1, message(5, message(6, deep)))
    refused(model(more_graph=deep), "inside one another")


def test_only_loops_and_branches_have_subgraphs() -> None:
    for op, name in (("Scan", "body"), ("SequenceMap", "body"), ("Loop", "other"), ("Gemm", "g")):
        steps = [tensor("count", np.array(3))]
        model_bytes = node(op, ["count", ""], ["x"], subgraph(name, body()))
        refused(model([model_bytes], initializers=steps), "with a subgraph")


# What a loop's number of steps may be, and what it may not.
SHAPE = node("Shape", ["numbers"], ["shape"])
FIRST = node("Gather", ["shape", "zero"], ["rows"])
ZERO = tensor("zero", np.array(0))
EMPTY = tensor("sizes", np.array([2**60, 0]))


@pytest.mark.parametrize(
    ("nodes", "initializers"),
    [
        ([loop("", body())], []),
        ([loop("count", body())], [tensor("count", np.array(MAX_STEPS + 1))]),
        ([loop("count", body())], [tensor("count", np.array(-1))]),
        ([loop("count", body())], [tensor("count", np.array(7.0))]),
        ([loop("count", body())], [tensor("count", np.array([7, 7]))]),
        ([loop("forever", body())], [FOREVER]),
        ([loop("absent", body())], []),
        ([node("Constant", [], ["c"], stored("value", np.array(7))), loop("c", body())], []),
        ([node("Mul", ["count", "count"], ["m"]), loop("m", body())], [COUNT]),
        ([SHAPE, FIRST, node("Mul", ["rows", "rows"], ["m"]), loop("m", body())], [ZERO]),
        # An empty tensor, as long as one likes.
        (
            [
                node("ConstantOfShape", ["sizes"], ["none"]),
                node("Shape", ["none"], ["shape"]),
                FIRST,
                loop("rows", body()),
            ],
            [ZERO, EMPTY],
        ),
    ],
)
def test_a_loop_without_a_bound_is_refused(nodes: list[bytes], initializers: list[bytes]) -> None:
    refused(model(nodes, initializers=initializers), "loop")


def test_loops_inside_one_another_multiply() -> None:
    tens = tensor("tens", np.array(100_000))
    inner = body(loop("tens", body(state="2"), to="x2"))
    refused(model([loop("tens", inner)], initializers=[tens]), "a loop of 10000000000 steps")


def test_a_name_means_what_it_means_where_it_stands() -> None:
    # Inside, `rows` looks like a size of the input; the loop outside has another `rows`.
    shadow = body(SHAPE, FIRST, out="rows")
    outside = [node("Mul", ["count", "count"], ["rows"]), loop("rows", shadow)]
    refused(model(outside, initializers=[COUNT, ZERO]), "loop without end")


def test_a_loop_over_the_rows_and_a_counted_one_are_taken() -> None:
    n_calls = loop("count", body(state="2"), to="x2")
    scan(model([loop("count", body())], initializers=[COUNT]), described())
    scan(
        model([SHAPE, FIRST, loop("rows", body(n_calls))], initializers=[ZERO, COUNT]),
        described(),
    )


def test_a_tree_must_be_a_tree() -> None:
    manifest = described(TREE_OPSETS)

    def check(tree: bytes) -> None:
        scan(model([tree], opsets=TREE_OPSETS), manifest)

    check(trees([1, 2, 0], [0, 0, 1]))
    long = [*range(1, MAX_TREE_DEPTH), 0]
    nan = float("nan")
    check(trees([1, 0], [0, 1], modes=[6, 6], members=[1.0, nan, 2.0, 3.0, nan]))
    check(trees(long, [0] * (MAX_TREE_DEPTH - 1) + [1]))
    deep = [*range(1, 3 * MAX_TREE_DEPTH), 0]
    for tree, words in (
        (trees([0], [0]), "cycle"),
        (trees([1, 0], [0, 0]), "cycle"),
        (trees([*range(1, 600), 0], [0] * 600), "cycle"),
        (trees([2, 2, 0], [0, 0, 1]), "two parents"),
        (trees([1, 5], [0, 0]), "no node"),
        (trees([1, 2**62], [0, 0]), "no node"),
        (trees([1, -1], [0, 0]), "negative"),
        (trees(deep, [0] * (len(deep) - 1) + [1]), "deeper"),
        (trees([0, 0], [1]), "different lengths"),
        (trees([1, 0], [0, 1], tree_roots=[2]), "root that is no node"),
        (trees([1, 0], [0, 1], tree_roots=[-1]), "negative"),
        (trees([1, 1], [0, 1]), "leaf that is none"),
        (trees([1, 0], [0, 1], nodes_falsenodeids=[0, 2**40]), "leaf that is none"),
        (trees([1, 0], [0, 1], nodes_falseleafs=[1, 2]), "neither 0 nor 1"),
        (node("TreeEnsemble", ["numbers"], ["y"], domain="ai.onnx.ml"), "lacks"),
        (trees([1, 0], [0, 1], tree_roots=[0, 0]), "inside another one, or twice"),
        (trees([1, 0], [0, 1], tree_roots=[0, 1]), "inside another one, or twice"),
        (trees([1, 0], [0, 1], leaf_targetids=[0, 0]), "different lengths"),
        (trees([1, 0], [0, 1], splits=np.array(1.0)), "different lengths"),
        (trees([1, 0], [0, 1], modes=[0]), "different lengths"),
        (trees([1, 0], [0, 1], modes=[0, 6]), "lacks membership_values"),
        (trees([1, 0], [0, 1], modes=[6, 6], members=[1.0, nan]), "set of numbers that is none"),
        (trees([1, 0], [0, 1], modes=[0, 6], members=[nan]), "set of numbers that is none"),
        (trees([1, 0], [0, 1], modes=[6, 6], members=[1.0, nan, nan]), "that is none"),
        (trees([1, 0], [0, 1], modes=[0, 6], members=[1.0, 2.0]), "that is none"),
    ):
        with pytest.raises(UnsafeGraphError, match=words):
            check(tree)


def test_a_tree_of_the_older_operator_must_be_a_tree() -> None:
    def old(ids: list[int], true: list[int], false: list[int], modes: str) -> bytes:
        message_text = ["BRANCH_LEQ" if mode == "B" else "LEAF" for mode in modes]
        return node(
            "TreeEnsembleRegressor",
            ["numbers"],
            ["y"],
            ints("nodes_treeids", [0] * len(ids)),
            ints("nodes_nodeids", ids),
            ints("nodes_truenodeids", true),
            ints("nodes_falsenodeids", false),
            strings("nodes_modes", message_text),
            domain="ai.onnx.ml",
        )

    def check(tree: bytes) -> None:
        scan(model([tree], opsets=TREE_OPSETS), described(TREE_OPSETS))

    check(old([0, 1, 2], [1, 0, 0], [2, 0, 0], "BLL"))
    check(old([7, 9, 8], [9, 0, 0], [8, 0, 0], "BLL"))
    for tree, words in (
        (old([0, 1, 2], [0, 0, 0], [2, 0, 0], "BLL"), "cycle"),
        (old([0, 1, 2], [1, 0, 0], [1, 0, 0], "BLL"), "two parents"),
        (old([0, 1, 2], [1, 0, 0], [3, 0, 0], "BLL"), "no node"),
        (old([0, 1, 1], [1, 0, 0], [1, 0, 0], "BLL"), "two nodes of one number"),
        (old([0, 1, 2**40], [1, 0, 0], [1, 0, 0], "BLL"), "out of range"),
        (old([0, 1, 2], [1, 0, 0], [2, 0, 0], "BL"), "different lengths"),
    ):
        with pytest.raises(UnsafeGraphError, match=words):
            check(tree)


def test_an_attribute_has_one_name_and_its_modes_are_those_of_that_name() -> None:
    # protobuf takes the last name, and onnxruntime walks what that says.
    two = message(1, "nodes_modes") + strings("classlabels_strings", ["LEAF", "LEAF"])
    refused(model([node("Identity", ["numbers"], ["y"], two)]), "two names in one attribute")
    nameless = b"".join(message(9, v) for v in ("a", "b")) + integer(20, 8)
    refused(model([node("Identity", ["numbers"], ["y"], nameless)]), "has no name")
    late = b"".join(message(9, mode) for mode in ("BRANCH_LEQ", "LEAF", "LEAF")) + integer(20, 8)
    lists = (
        ints("nodes_treeids", [0, 0, 0]),
        ints("nodes_nodeids", [0, 1, 2]),
        ints("nodes_truenodeids", [0, 0, 0]),
        ints("nodes_falsenodeids", [2, 0, 0]),
    )
    cyclic = node(
        "TreeEnsembleRegressor",
        ["numbers"],
        ["y"],
        *lists,
        late + message(1, "nodes_modes"),
        domain="ai.onnx.ml",
    )
    with pytest.raises(UnsafeGraphError, match="cycle"):
        scan(model([cyclic], opsets=TREE_OPSETS), described(TREE_OPSETS))


def test_a_name_is_text() -> None:
    raw = model([node("Identity", ["numbers"], ["qqqq"])])
    refused(raw.replace(b"qqqq", b"q\xff\xfeq"), "no UTF-8")
