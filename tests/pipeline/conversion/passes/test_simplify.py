"""Fewer nodes give the same answer."""

import numpy as np
import onnx
import onnxruntime
import pytest
from edge_pipeline.conversion.convert import convert
from edge_pipeline.conversion.graph.builder import Graph
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted, labels, rows, signal, unseen
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

RNG = np.random.default_rng(0)
W, B = RNG.normal(size=(4, 3)), RNG.normal(size=3)
X = rows()


def model_of(build):
    graph = Graph()
    build(graph, graph.input("numbers", np.float64, (None, 4)))
    return graph.to_model("1")


def operators(model):
    return [node.op_type for node in model.graph.node if node.op_type != "Identity"]


def answers(model, table):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"numbers": table})


@pytest.mark.parametrize("bias", [B, np.array(2.0), np.array([2.0])])
def test_a_product_and_a_sum_are_one_node_to_the_last_bits(bias):
    model = model_of(lambda graph, x: graph.output("answer", x @ W + bias))
    assert operators(model) == ["Gemm"]
    np.testing.assert_allclose(answers(model, X)[0], X @ W + bias, rtol=1e-14)
    assert answers(model, X[:0])[0].shape == (0, 3)


def test_a_product_that_is_wanted_itself_stays():
    def add_and_product(graph, x):
        graph.output("product", x @ W)
        graph.output("sum", x @ W + B)

    assert operators(model_of(add_and_product)) == ["MatMul", "Add"]


def test_a_sum_with_what_is_no_row_stays():
    model = model_of(lambda graph, x: graph.output("answer", x @ W + x[:, :1]))
    assert "Gemm" not in operators(model)


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), RobustScaler(), MinMaxScaler(), MaxAbsScaler()]
)
def test_a_scaler_goes_into_the_weights(scaler):
    pipeline = fitted(make_pipeline(scaler, LinearRegression()), X, signal(X))
    model = onnx.load_from_string(convert(pipeline, X).graph)
    assert operators(model)[0] == "Gemm"
    assert not {"Div", "Mul", "Sub"} & set(operators(model))
    assert_same(pipeline, X, unseen(), tolerance=1e-13)


def test_a_shift_that_would_cancel_stays_outside():
    far = X + 1e8
    pipeline = fitted(make_pipeline(StandardScaler(), LogisticRegression()), far, labels(X, [0, 1]))
    model = onnx.load_from_string(convert(pipeline, far).graph)
    assert operators(model)[0] == "Sub"
    assert_same(pipeline, far, unseen()[:12] + 1e8)


def test_a_scaled_table_that_is_used_twice_stays():
    def twice(graph, x):
        scaled = (x - 1.0) / np.arange(1.0, 5.0)
        graph.output("scaled", scaled)
        graph.output("answer", scaled @ W + B)

    assert operators(model_of(twice)) == ["Sub", "Div", "Gemm"]


def test_outputs_are_named_at_the_node_that_computes_them():
    def several(graph, x):
        double = x * 2.0
        graph.output("double", double)
        graph.output("again", double)
        graph.output("sum", double + x)
        graph.output("same", x)
        graph.output("constant", graph.constant(np.array([1.0])))

    model = model_of(several)
    onnx.checker.check_model(model, full_check=True)
    assert operators(model) == ["Mul", "Add"]
    assert len(model.graph.node) == 5
    for output, expected in zip(
        answers(model, X), [X * 2.0, X * 2.0, X * 2.0 + X, X, np.ones(1)], strict=True
    ):
        np.testing.assert_array_equal(output, expected)


def test_an_output_that_a_body_reads_is_named_in_the_body_too():
    def looped(graph, x):
        step = x * 2.0
        graph.output("step", step)

        def body(inner):
            inner.input("i", np.int64, ())
            inner.input("go", np.bool_, ())
            total = inner.input("total", np.float64, (None, 4))
            inner.output("go_on", inner.constant(np.array(True)))
            inner.output("next", total + step)

        loop = [np.array(3), np.array(True), x]
        kind = (np.float64, (None, 4))
        graph.output("total", graph.nodes("Loop", loop, [kind], body=graph.body(body))[0])

    graph = Graph()
    looped(graph, graph.input("numbers", np.float64, (None, 4)))
    for _ in range(2):  # writing a model twice gives the same one
        step, total = answers(graph.to_model("1"), X)
        np.testing.assert_array_equal(step, X * 2.0)
        np.testing.assert_array_equal(total, X + X * 2.0 + X * 2.0 + X * 2.0)
