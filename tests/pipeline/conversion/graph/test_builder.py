"""The graph under construction: shared nodes, shared constants, the same bytes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.tensor import broadcast


def model_of(graph: Graph) -> onnx.ModelProto:
    model = graph.to_model("test")
    onnx.checker.check_model(model, full_check=True)
    return model


def test_an_operation_written_twice_is_one_node() -> None:
    graph = Graph()
    x = graph.input("x", np.float64, (None, 2))
    graph.output("y", ops.exp(x + 1.0) * ops.exp(x + 1.0))
    assert [node.op_type for node in model_of(graph).graph.node] == ["Add", "Exp", "Mul"]


def test_equal_constants_are_stored_once() -> None:
    graph = Graph()
    x = graph.input("x", np.float64, (None, 2))
    graph.output("y", x + np.array([1.0, 2.0]) - np.array([1.0, 2.0]) * np.array([1.0, -0.0]) - x)
    assert len(model_of(graph).graph.initializer) == 2
    assert graph.constant(0.0) is not graph.constant(-0.0)
    assert graph.constant(np.array(["a\0", "b"])) is not graph.constant(np.array(["a", "\0b"]))


def test_what_no_output_needs_is_left_out() -> None:
    graph = Graph()
    x = graph.input("x", np.float64, (None, 2))
    ops.exp(x * np.array([3.0, 4.0]))
    graph.output("y", -x)
    model = model_of(graph)
    assert [node.op_type for node in model.graph.node] == ["Neg"]
    assert not model.graph.initializer


def test_a_body_uses_the_tensors_and_constants_around_it() -> None:
    graph = Graph()
    x = graph.input("x", np.float64, (None, 2))
    step = x * np.array([2.0, 3.0])

    def body(inner: Graph) -> None:
        inner.input("i", np.int64, ())
        inner.input("go", np.bool_, ())
        total = inner.input("total", np.float64, (None, 2))
        inner.output("go_on", inner.constant(np.array(True)))
        inner.output("next", total + step + np.array([0.5, 0.5]))

    (total,) = graph.nodes(
        "Loop",
        [np.array(3), np.array(True), x],
        [(np.float64, x.shape)],
        body=graph.body(body),
    )
    graph.output("y", total)
    session = onnxruntime.InferenceSession(model_of(graph).SerializeToString())
    rows = np.array([[1.0, 2.0], [0.0, -1.0]])
    (output,) = session.run(None, {"x": rows})
    np.testing.assert_allclose(output, rows + 3 * (rows * [2.0, 3.0] + 0.5), rtol=1e-15)


def test_the_same_calls_give_the_same_bytes() -> None:
    def bytes_of() -> bytes:
        graph = Graph()
        x = graph.input("x", np.float64, (None, 3))
        graph.output("y", ops.softmax(x @ np.arange(9.0).reshape(3, 3)))
        return graph.to_model("test").SerializeToString(deterministic=True)

    assert bytes_of() == bytes_of()


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (((None, 3), (3,)), (None, 3)),
        (((None, 1), (1, 4)), (None, 4)),
        (((None, 1, 2), (5, 1)), (None, 5, 2)),
        (((), (None,)), (None,)),
    ],
)
def test_shapes_broadcast_as_numpys_do_with_the_rows_unknown(
    shapes: object, expected: object
) -> None:
    assert broadcast(*shapes) == expected  # type: ignore[misc]


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    x = Graph().input("x", np.float64, (None, 3))
    with pytest.raises(ValueError, match="do not broadcast"):
        x + np.ones(4)
