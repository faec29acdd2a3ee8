"""Sums in the graph add in numpy's order."""

import numpy as np
import onnxruntime
import pytest
from edge_pipeline.convert.graph import Graph
from edge_pipeline.convert.sums import sum_as_numpy


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 31, 128, 129, 136, 300, 784])
def test_a_sum_is_numpys_to_the_last_bit(n):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(50, 3, n)) * 10.0 ** rng.integers(-8, 8, size=(50, 3, n))
    graph = Graph()
    graph.output("answer", sum_as_numpy(graph.input("x", np.float64, (None, 3, n))))
    session = onnxruntime.InferenceSession(graph.to_model("1").SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x.sum(axis=-1))
