"""Sums in the graph add in numpy's order."""

import numpy as np
import onnxruntime
import pytest
from edge_pipeline.conversion.graph import ops, row_norms
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.summation import sum_as_numpy


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 31, 128, 129, 136, 300, 784])
def test_a_sum_is_numpys_to_the_last_bit(n):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(50, 3, n)) * 10.0 ** rng.integers(-8, 8, size=(50, 3, n))
    graph = Graph()
    graph.output("answer", sum_as_numpy(graph.input("x", np.float64, (None, 3, n))))
    session = onnxruntime.InferenceSession(graph.to_model("1").SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x.sum(axis=-1))


@pytest.mark.parametrize(
    "width", [1, 3, 20, 127, row_norms.ONE_BLOCK, row_norms.ONE_BLOCK + 1, 300]
)
def test_squared_distances_add_three_terms_in_order(width):
    rng = np.random.default_rng(width)
    X, Y = rng.normal(size=(40, width)), rng.normal(size=(30, width))
    X[:10] = Y[:10] * 1e3  # where nearly all digits cancel, rounding is all that is left
    graph = Graph()
    x = graph.input("x", np.float64, (None, width))
    lengths = row_norms.numpy_lengths(x)
    own = np.einsum("ij,ij->i", Y, Y)
    expected = ops.maximum(x @ (-2.0 * Y.T) + lengths + own, 0.0)
    graph.output("expected", expected)
    graph.output("squares", row_norms.euclidean_squares(x, Y, row_norms.numpy_lengths))
    session = onnxruntime.InferenceSession(graph.to_model("1").SerializeToString())
    for rows in (X, X[:1]):
        np.testing.assert_array_equal(*session.run(None, {"x": rows}))
