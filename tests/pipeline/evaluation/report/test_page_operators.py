"""Each operator of the page's evaluator gives what onnxruntime gives, on hard numbers.

Skipped where there is no node; on Debian, `apt-get install nodejs` installs one.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from edge_pipeline.evaluation.report.browser_model import _graph
from onnx import TensorProto, helper, numpy_helper
from pipeline.evaluation.report.node import node_command, run_script

pytestmark = pytest.mark.skipif(
    node_command() is None,
    reason="no node: the evaluator was NOT run; apt-get install nodejs",
)

NAN, INF = float("nan"), float("inf")
HARD = np.array(
    [
        [0.5, 1.5, 2.5, -0.5],
        [-1.5, -2.5, 0.0, -0.0],
        [NAN, INF, -INF, 1e300],
        [-1e300, 5e-324, 1e-9, 3.0],
        [-1.0, 1.0, 0.25, -0.75],
    ]
)
PLAIN = np.array([[0.5, 1.5, -2.5, 4.0], [3.0, -0.25, 0.125, -1.0], [2.0, 2.0, -7.0, 0.0]])

UNARY = "Abs Ceil Cos Exp Floor IsInf IsNaN Log Neg Relu Round Sigmoid Sign Sin Sqrt Tanh"
BINARY = "Add Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mul Pow Sub Sum"
LOGIC = "And Or Xor"
BITS = "BitwiseAnd BitwiseOr BitwiseXor"
OTHER = np.array([[2.0, -1.0, 0.5, NAN]])
INTEGERS = np.array([[1, 2, 3, 4]], dtype=np.int64)


def ints(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


CASES: dict[str, tuple[Any, list[Any], dict[str, Any]]] = {
    **{name: (HARD, [], {}) for name in UNARY.split()},
    **{name: (HARD, [OTHER], {}) for name in BINARY.split()},
    **{name: (HARD > 0, [np.array([True, False, True, False])], {}) for name in LOGIC.split()},
    **{name: (PLAIN.astype(np.int64), [INTEGERS - 3], {}) for name in BITS.split()},
    "Not": (HARD > 0, [], {}),
    "ArgMax": (PLAIN, [], {"axis": 1, "keepdims": 0}),
    "ArgMin": (PLAIN, [], {"axis": -1}),
    "Concat": (PLAIN, [PLAIN[:, :2]], {"axis": 1}),
    "CumSum": (PLAIN, [ints(1)[0]], {}),
    "Expand": (PLAIN[:1], [ints(3, 4)], {}),
    "Gather": (PLAIN, [np.array([[0, -1], [2, 1]])], {"axis": 1}),
    "GatherElements": (PLAIN, [np.array([[0, 3], [2, -1], [1, 1]])], {"axis": 1}),
    "Gemm": (PLAIN, [PLAIN.T.copy(), np.array([1.0, 2.0, 3.0])], {}),
    "Identity": (HARD, [], {}),
    "MatMul": (PLAIN, [PLAIN.T.copy()], {}),
    "ReduceMax": (PLAIN, [ints(1)], {"keepdims": 0}),
    "ReduceMin": (PLAIN, [ints(0, 1)], {}),
    "ReduceProd": (PLAIN, [ints(-1)], {}),
    "ReduceSum": (PLAIN, [ints(0)], {"keepdims": 0}),
    "ReduceSumSquare": (PLAIN, [ints(1)], {}),
    "Reshape": (PLAIN, [ints(0, 2, -1)], {}),
    "Shape": (PLAIN, [], {"start": 1}),
    "Softmax": (PLAIN, [], {"axis": 1}),
    "Squeeze": (PLAIN[:1], [ints(0)], {}),
    "Transpose": (PLAIN.reshape(3, 2, 2), [], {"perm": [2, 0, 1]}),
    "Unsqueeze": (PLAIN, [ints(1, -1)], {}),
}
SLICES: dict[str, tuple[Any, list[Any], dict[str, Any]]] = {
    "all": (PLAIN, [ints(1), ints(-1), ints(1), ints(1)], {}),
    "backwards": (PLAIN, [ints(-1), ints(-10), ints(1), ints(-2)], {}),
    "two axes": (PLAIN, [ints(0, 1), ints(2, 99), ints(0, 1), ints(1, 2)], {}),
    "empty": (PLAIN, [ints(3), ints(1), ints(1), ints(1)], {}),
}
TYPES = {"float64": TensorProto.DOUBLE, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}


def compare(operator: str, X: Any, constants: list[Any], attributes: dict[str, Any]) -> None:
    """Run one node in onnxruntime and in node.js."""
    names = [f"c{i}" for i in range(len(constants))]
    outputs = ["y", "z"] if operator == "Split" else ["y"]
    node = helper.make_node(operator, ["x", *names], outputs, **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TYPES[X.dtype.name], X.shape)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(c), n) for c, n in zip(constants, names, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    model = onnx.shape_inference.infer_shapes(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    script = """
    const {graph, type, shape, cells} = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const numbers = cells.map(cell => typeof cell === "string" ? Number(cell) : cell);
    const x = edgeGraph.tensor(type, shape, Float64Array.from(numbers));
    const spell = v => Object.is(v, -0) ? "-0" : Number.isFinite(v) ? v : String(v);
    const result = Object.values(edgeGraph.read(graph)({x}));
    process.stdout.write(JSON.stringify(
      result.map(t => ({type: t.type, shape: t.shape, cells: Array.from(t.cells, spell)}))));
    """
    spelled = [
        v if np.isfinite(v) else str(v).replace("inf", "Infinity") for v in X.ravel().tolist()
    ]
    feed = {"graph": _graph(model), "type": X.dtype.name, "shape": X.shape, "cells": spelled}
    results = json.loads(run_script(script, json.dumps(feed)))
    for expected, result in zip(session.run(None, {"x": X}), results, strict=True):
        assert (result["type"], tuple(result["shape"])) == (expected.dtype.name, expected.shape)
        actual = np.array([float(str(cell)) for cell in result["cells"]]).reshape(expected.shape)
        np.testing.assert_allclose(actual, expected.astype(np.float64), rtol=1e-14, atol=0)


@pytest.mark.parametrize("operator", CASES)
def test_an_operator_is_that_of_onnxruntime(operator: str) -> None:
    compare(operator, *CASES[operator])


@pytest.mark.parametrize("name", SLICES)
def test_a_slice_is_that_of_onnxruntime(name: str) -> None:
    compare("Slice", *SLICES[name])


def test_a_split_is_that_of_onnxruntime() -> None:
    compare("Split", PLAIN, [ints(1, 3)], {"axis": 1})


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scattered_elements_are_those_of_onnxruntime(reduction: str) -> None:
    places = np.array([[0, 3], [2, -1], [1, 0]])
    updates = np.array([[0.5, 7.0], [-1.0, 2.0], [3.0, 0.25]])
    compare("ScatterElements", PLAIN, [places, updates], {"axis": 1, "reduction": reduction})
