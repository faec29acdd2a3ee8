"""Pairwise kernels in the graph are scikit-learn's."""

import numpy as np
import onnxruntime
import pytest
from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.numeric import kernels
from edge_pipeline.conversion.numeric.pairwise import squared_distances
from edge_pipeline.conversion.registry import converters_of
from edge_pipeline.conversion.skl2onnx_fallback import fallback
from edge_pipeline.errors import UnsupportedEstimatorError
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS, pairwise_kernels

RNG = np.random.default_rng(0)
X = np.abs(RNG.normal(size=(7, 4)))
Y = np.abs(RNG.normal(size=(5, 4)))
X[0] = 0.0  # cosine divides by lengths, chi2 by sums
X[3, 1] = Y[2, 1] = 0.0


def run_kernel(metric, rows, **params):
    graph = Graph()
    context = Context(graph, converters_of, fallback)
    tensor = graph.input("numbers", np.float64, (None, 4))
    graph.output("answer", kernels.kernel(context, metric, tensor, Y, **params))
    session = onnxruntime.InferenceSession(graph.to_model("1").SerializeToString())
    return session.run(None, {"numbers": rows})[0]


def of_two_rows(x, y):
    return np.exp(-np.sum(np.abs(x - y))) * x[0] + x @ y


@pytest.mark.parametrize(
    "metric", [*PAIRWISE_KERNEL_FUNCTIONS, of_two_rows, RBF(0.7) + WhiteKernel()]
)
@pytest.mark.parametrize("n_rows", [0, 1, 7])
def test_a_kernel_is_scikit_learns_for_any_number_of_rows(metric, n_rows):
    output = run_kernel(metric, X[:n_rows])
    expected = pairwise_kernels(X, Y, metric=metric)[:n_rows]
    np.testing.assert_allclose(output, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("metric", "params"),
    [
        ("poly", {"gamma": 0.3, "degree": 2.5, "coef0": 2.0}),
        ("poly", {"gamma": 0.3, "degree": 2, "coef0": 0.0}),
        ("sigmoid", {"gamma": 0.2, "coef0": 0.1}),
        ("rbf", {"gamma": 3.0}),
        ("laplacian", {"gamma": 0.1}),
        ("chi2", {"gamma": 0.5}),
    ],
)
def test_a_kernels_parameters_are_used(metric, params):
    expected = pairwise_kernels(X, Y, metric=metric, **params)
    np.testing.assert_allclose(run_kernel(metric, X, **params), expected, rtol=1e-14, atol=1e-15)


def test_distances_cancel_as_scikit_learns_do():
    far = X + 1e6  # x² - 2xy + y² keeps four digits of the distance here
    expected = pairwise_kernels(far, Y + 1e6, metric="rbf", gamma=1.0)
    graph = Graph()
    tensor = graph.input("numbers", np.float64, (None, 4))
    graph.output("answer", squared_distances(tensor, Y + 1e6))
    session = onnxruntime.InferenceSession(graph.to_model("1").SerializeToString())
    output = np.exp(-session.run(None, {"numbers": far})[0])
    np.testing.assert_allclose(output, expected, atol=2e-2)


def test_an_unknown_kernel_is_refused_by_name():
    with pytest.raises(UnsupportedEstimatorError, match="kernel='cubic'"):
        run_kernel("cubic", X)


def test_a_function_that_has_no_nodes_is_refused_by_name():
    def of_its_own(x, y):
        return int(x[0]) + y[0]

    with pytest.raises(UnsupportedEstimatorError, match="of_its_own"):
        run_kernel(of_its_own, X)
