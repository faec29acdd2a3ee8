"""Functions that onnxruntime lacks in float64 agree with numpy and scipy to a few last digits."""

import numpy as np
import onnxruntime
import pytest
from edge_pipeline.conversion.graph import ops, special_functions
from edge_pipeline.conversion.graph.builder import Graph
from scipy import special as scipy_special

SCALES = (1e-300, 1e-20, 1e-8, 1e-3, 0.1, 1, 3, 10, 300)
RNG = np.random.default_rng(0)
ANY = np.concatenate(
    [RNG.normal(size=500) * scale for scale in SCALES]
    + [[0.0, np.nan, np.inf, -np.inf, 1, -1, 6, 5.999999, 0.5, 709, 710]]
)
UNIT = np.concatenate([RNG.uniform(-1, 1, 2000), [1, -1, 0, np.nan, 1 - 1e-16, 1e-16 - 1, 1e-20]])

CASES = {
    "acos": (UNIT, np.arccos),
    "acosh": (1 + np.abs(ANY), np.arccosh),
    "asin": (UNIT, np.arcsin),
    "asinh": (ANY, np.arcsinh),
    "atan": (ANY, np.arctan),
    "atanh": (UNIT, np.arctanh),
    "cosh": (ANY, np.cosh),
    "erf": (ANY, scipy_special.erf),
    "expit": (ANY[~(ANY < -700)], scipy_special.expit),
    "erfc": (ANY[~(ANY > 26)], scipy_special.erfc),
    "expm1": (ANY, np.expm1),
    "log1p": (ANY, np.log1p),
    "sinh": (ANY, np.sinh),
    "tan": (RNG.uniform(-1.5, 1.5, 2000), np.tan),
}


def run_function(function, *inputs):
    graph = Graph()
    tensors = [graph.input(f"x{i}", np.float64, (None,)) for i in range(len(inputs))]
    graph.output("answer", function(*tensors))
    session = onnxruntime.InferenceSession(graph.to_model("1").SerializeToString())
    return session.run(None, {f"x{i}": values for i, values in enumerate(inputs)})[0]


@pytest.mark.parametrize("name", CASES)
def test_every_value_is_within_a_few_units_of_the_last_place(name):
    x, oracle = CASES[name]
    with np.errstate(all="ignore"):
        expected = oracle(x)
    output = run_function(getattr(special_functions, name, None) or getattr(ops, name), x)
    np.testing.assert_allclose(output, expected, rtol=4e-15 if name != "erfc" else 1e-13, atol=0)


def test_logaddexp_keeps_infinities_and_does_not_overflow():
    x = np.array([np.inf, -np.inf, np.nan, -np.inf, 1000.0, 1.0, -1000.0])
    y = np.array([np.inf, -np.inf, 1.0, 3.0, 999.0, 1.0, 1000.0])
    output = run_function(special_functions.logaddexp, x, y)
    with np.errstate(invalid="ignore"):
        expected = np.logaddexp(x, y)
    np.testing.assert_allclose(output, expected, rtol=1e-15)


def test_a_table_too_coarse_for_its_function_is_refused():
    x = Graph().input("x", np.float64, (None,))
    with pytest.raises(ValueError, match="too few"):
        special_functions.tabulated(np.exp, x, 0.0, 50.0, 2)
