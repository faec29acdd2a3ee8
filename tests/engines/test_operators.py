"""The numpy engine computes every operator as onnxruntime does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from edge_runtime.engine.numpy_engine.kernels.table import KERNELS
from edge_runtime.engine.numpy_engine.session import NumpySession
from edge_runtime.engine.session import Session
from edge_runtime.errors import InferenceError
from edge_runtime.graph_safety.operators import WRITTEN
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper, numpy_helper

SPECIAL = [0.0, -0.0, 1.0, -1.5, 2.5, 1e-300, 1e300, np.inf, -np.inf, np.nan]
"""Numbers on which implementations differ."""

ONNX_TYPES = {
    "f8": TensorProto.DOUBLE,
    "f4": TensorProto.FLOAT,
    "i8": TensorProto.INT64,
    "i4": TensorProto.INT32,
    "b1": TensorProto.BOOL,
    "O": TensorProto.STRING,
}


def run_both(
    op: str,
    inputs: list[Any],
    *,
    n_outputs: int = 1,
    constants: Mapping[int, Any] | None = None,
    domain: str = "",
    **attributes: Any,
) -> list[tuple[Any, Any]]:
    """Run one node on both engines; *constants* are stored inputs, the others are fed."""
    constants = constants or {}
    n_inputs = len(inputs) + len(constants)
    names = [f"x{i}" for i in range(n_inputs)]
    remaining = iter(inputs)
    feeds = {name: next(remaining) for i, name in enumerate(names) if i not in constants}
    outputs = [f"y{i}" for i in range(n_outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, outputs, domain=domain, **attributes)],
        "g",
        [helper.make_tensor_value_info(n, ONNX_TYPES[_code(x)], None) for n, x in feeds.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(x), names[i]) for i, x in constants.items()],
    )
    opsets = [("", 21), ("ai.onnx.ml", 5), ("com.microsoft", 1)]
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid(*o) for o in opsets], ir_version=10
    ).SerializeToString()
    expected = Session(model).run(outputs, feeds)
    return list(zip(expected, NumpySession(model).run(outputs, feeds), strict=True))


def _code(x: Any) -> str:
    return "O" if x.dtype.kind == "O" else x.dtype.str[1:]


def assert_alike(pairs: list[tuple[Any, Any]], ulps: float = 4) -> None:
    for expected, computed in pairs:
        assert computed.dtype == expected.dtype
        assert computed.shape == expected.shape
        if expected.dtype.kind != "f":
            assert (computed == expected).all()
            continue
        tolerance = ulps * np.finfo(expected.dtype).eps
        np.testing.assert_allclose(computed, expected, rtol=tolerance, atol=tolerance * 1e-290)


def numbers(shape: tuple[int, ...], dtype: str = "f8") -> st.SearchStrategy[Any]:
    """Arrays of ordinary and special numbers."""
    cells = st.sampled_from(SPECIAL) | st.floats(-50, 50, width=32)
    return arrays.arrays(np.float64, shape, elements=cells).map(lambda x: _rounded(x, dtype))


def _rounded(x: Any, dtype: str) -> Any:
    with np.errstate(over="ignore"):
        return x.astype(dtype)


FUNCTIONS = [
    "Abs", "Asin", "Ceil", "Cos", "Exp", "Floor", "Identity", "IsInf", "IsNaN", "Log", "Neg",
    "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sqrt", "Tanh",
]  # fmt: skip
SLACK = {"Sin": 1e6, "Cos": 1e6, "Tanh": 8, "Exp": 8}
"""Units in the last place: the range reduction of large angles differs by library."""


@pytest.mark.parametrize("op", FUNCTIONS)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_function_of_one_number(op: str, data: st.DataObject) -> None:
    x = data.draw(numbers((3, 2)))
    if op in ("Sin", "Cos"):
        x = np.where(np.abs(x) > 1e5, 1.0, x)
    if op == "Sign":  # onnxruntime's sign of NaN is 0, and no converter passes NaN
        x = np.nan_to_num(x, nan=1.0)
    if op == "Sigmoid":  # onnxruntime's is exact to 1e-16 of 1 alone: 70 units at -5
        ((expected, computed),) = run_both(op, [x])
        np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-15)
        return
    if op == "Asin":  # onnxruntime 1.32 has it in float32 alone
        x = _rounded(x, "f4")
    if op == "Relu":
        x = np.where(np.isnan(x), 1.0, x)
    assert_alike(run_both(op, [x]), SLACK.get(op, 4))


OPERATIONS = [
    "Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mul", "Sub",
]  # fmt: skip


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_an_operation_on_two_numbers(op: str, dtype: str, data: st.DataObject) -> None:
    a, b = (data.draw(numbers(shape, dtype)) for shape in ((3, 2), (2,)))
    assert_alike(run_both(op, [a, b]))


@pytest.mark.parametrize("op", [*OPERATIONS, "Mod", "BitwiseAnd", "BitwiseOr", "BitwiseXor"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_an_operation_on_two_integers(op: str, data: st.DataObject) -> None:
    integers = arrays.arrays(np.int64, (3, 2), elements=st.integers(-(2**40), 2**40))
    a, b = data.draw(integers), data.draw(integers)
    assert_alike(run_both(op, [a, np.where(b == 0, 1, b)]))


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_extremes_and_sums_of_several_arrays(data: st.DataObject) -> None:
    parts = [np.nan_to_num(data.draw(numbers((3, 2))), nan=0.5) for _ in range(3)]
    for op in ("Max", "Min", "Sum"):
        assert_alike(run_both(op, parts))


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_logic(op: str) -> None:
    a, b = np.array([[True], [False]]), np.array([True, False])
    assert_alike(run_both(op, [a, b]))
    assert_alike(run_both("Not", [a]))
    assert_alike(run_both("Where", [a, np.array([1.0, 2.0]), np.array([[3.0], [4.0]])]))


@pytest.mark.parametrize(
    ("base", "power"),
    [
        (np.array([2.0, -2.0, 0.0, np.inf]), np.array([2.0, 3.0, 0.0, -1.0])),
        (np.array([2, 3, -3]), np.array([3, 0, 3])),
        (np.array([4.0, 9.0]), np.array([2, 2])),
    ],
)
def test_powers(base: Any, power: Any) -> None:
    assert_alike(run_both("Pow", [base, power]))


@pytest.mark.parametrize("source", ["f8", "f4", "i8", "i4", "b1"])
@pytest.mark.parametrize("target", ["f8", "f4", "i8", "i4", "b1", "O"])
def test_casts(source: str, target: str) -> None:
    x = np.array([0.0, 1.0, -1.0, 2.75, -7.25, 1e6]).astype(source)
    if target == "O" and source.startswith("f"):
        x = np.array([0.0, 1.0, -1.5, np.nan, np.inf, -np.inf]).astype(source)
    assert_alike(run_both("Cast", [x], to=ONNX_TYPES[target]))


def test_casts_of_texts() -> None:
    x = np.array(["1", "-2.5", "nan", "1e3"], dtype=object)
    assert_alike(run_both("Cast", [x], to=TensorProto.DOUBLE))
    assert_alike(run_both("Cast", [x[:1]], to=TensorProto.INT64))


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[0], [1], [0, 1], [-1]])
def test_reductions(keepdims: int, axes: list[int]) -> None:
    x = np.random.default_rng(0).normal(size=(5, 7))
    for op in ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"):
        pairs = run_both(op, [x], constants={1: np.array(axes)}, keepdims=keepdims)
        assert_alike(pairs, ulps=32)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_positions_of_extremes(op: str, keepdims: int) -> None:
    x = np.array([[1.0, 3.0, 3.0], [2.0, -1.0, -1.0]])
    for axis in (0, 1, -1):
        assert_alike(run_both(op, [x], axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("largest", [0, 1])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_top_k_takes_the_first_of_equal_cells(largest: int, data: st.DataObject) -> None:
    n = data.draw(st.sampled_from([1, 5, 64, 200]))
    k = data.draw(st.integers(1, min(n, 40)))
    elements = st.integers(0, 12).map(float) | st.floats(-1e6, 1e6)
    x = data.draw(arrays.arrays(np.float64, (3, n), elements=elements))
    constants = {1: np.array([k])}
    assert_alike(run_both("TopK", [x], constants=constants, n_outputs=2, largest=largest))


def test_matrix_products() -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(4, 6)), rng.normal(size=(6, 3)), rng.normal(size=3)
    assert_alike(run_both("MatMul", [a, b]), ulps=64)
    assert_alike(run_both("Gemm", [a, b, c]), ulps=64)
    assert_alike(run_both("Gemm", [a.T, b, c], transA=1, alpha=0.5, beta=2.0), ulps=64)
    assert_alike(run_both("Einsum", [a, b], equation="ij,jk->ik"), ulps=64)
    integers = rng.integers(-9, 9, (4, 6)), rng.integers(-9, 9, (6, 3))
    assert_alike(run_both("MatMul", list(integers)))


def test_softmax_and_cumulative_sums() -> None:
    x = np.random.default_rng(0).normal(size=(4, 6)) * 300
    assert_alike(run_both("Softmax", [x], axis=1), ulps=64)
    for axis in (0, 1):
        assert_alike(run_both("CumSum", [x], constants={1: np.array(axis)}))
        assert_alike(run_both("CumSum", [x], constants={1: np.array([axis])}, reverse=1), 64)


SHAPED: list[tuple[str, list[Any], dict[int, Any], dict[str, Any]]] = [
    ("Reshape", [], {1: np.array([0, -1])}, {}),
    ("Reshape", [], {1: np.array([4, 3, 2])}, {}),
    ("Squeeze", [np.ones((2, 1, 3))], {1: np.array([1])}, {}),
    ("Squeeze", [np.ones((2, 1, 3))], {}, {}),
    ("Unsqueeze", [], {1: np.array([0, -1])}, {}),
    ("Transpose", [], {}, {"perm": [2, 0, 1]}),
    ("Transpose", [], {}, {}),
    ("Expand", [np.ones((3, 1))], {1: np.array([2, 1, 4])}, {}),
    ("Slice", [], {1: np.array([1]), 2: np.array([2**62]), 3: np.array([1])}, {}),
    (
        "Slice",
        [],
        {1: np.array([-1]), 2: np.array([-(2**62)]), 3: np.array([1]), 4: np.array([-1])},
        {},
    ),
    ("Slice", [], {1: np.array([0, 1]), 2: np.array([-1, 99])}, {}),
    ("Gather", [np.array([[0, -1], [1, 1]])], {0: np.arange(6.0).reshape(3, 2)}, {"axis": 0}),
    ("Gather", [np.array([[1, 0]])], {0: np.arange(6.0).reshape(3, 2)}, {"axis": 1}),
    ("Gather", [np.array([2, 0, -1])], {0: np.arange(3.0)}, {}),
    ("GatherElements", [np.array([[1, 0]])], {0: np.arange(6.0).reshape(3, 2)}, {"axis": 0}),
    ("GatherElements", [np.array([[1], [0], [1]])], {0: np.arange(6.0).reshape(3, 2)}, {"axis": 1}),
    ("Shape", [], {}, {"start": 1}),
    ("Concat", [np.ones((2, 3)), np.zeros((2, 1))], {}, {"axis": 1}),
]


@pytest.mark.parametrize(("op", "inputs", "constants", "attributes"), SHAPED)
def test_moves(op: str, inputs: Any, constants: Any, attributes: Any) -> None:
    inputs = inputs or [np.arange(24.0).reshape(2, 3, 4)]
    assert_alike(run_both(op, inputs, constants=constants, **attributes))


def test_splits_and_scatters() -> None:
    x = np.arange(12.0).reshape(3, 4)
    assert_alike(run_both("Split", [x], constants={1: np.array([1, 3])}, n_outputs=2, axis=1))
    indices, updates = np.array([[0, 3], [1, 2], [-1, 0]]), np.full((3, 2), 9.0)
    assert_alike(run_both("ScatterElements", [x, indices, updates], axis=1))
    repeated = np.array([[0, 0], [1, 2], [3, 3]])
    assert_alike(run_both("ScatterElements", [x, repeated, updates], axis=1, reduction="add"))


TEXTS = np.array(["Adelie", "", "é", "a b", "Adelie "], dtype=object)


def test_texts() -> None:
    assert_alike(run_both("Equal", [TEXTS, np.array(["Adelie"], dtype=object)]))
    assert_alike(run_both("StringConcat", [TEXTS, np.array(["x"], dtype=object)]))
    for pattern in (r"(?s).*\x{65}.*", r"\x{41}(?s:.*)", "a b", "(?s).*[a-c]", "(?:a(?:b)?)?"):
        assert_alike(run_both("RegexFullMatch", [TEXTS], pattern=pattern))
    for delimiter in ({}, {"delimiter": " "}, {"delimiter": "el"}):
        assert_alike(run_both("StringSplit", [TEXTS], n_outputs=2, **delimiter))
    tokens = {"separators": [""], "mark": 0, "mincharnum": 1, "pad_value": "#"}
    assert_alike(run_both("Tokenizer", [TEXTS], domain="com.microsoft", **tokens))


@pytest.mark.parametrize(
    ("keys", "values", "default", "x"),
    [
        (np.array(["a", "é"], dtype=object), np.array([3, 4]), np.array([-1]), TEXTS),
        (np.array([1.5, np.nan]), np.array([3, 4]), np.array([-1]), np.array([[1.5, np.nan, 0]])),
        (np.array([1.5]), np.array([3, ]), np.array([-1]), np.array([[1.5, np.nan, 0]])),
        (np.array([0.0, 2.0]), np.array([3.5, 4.5]), np.array([-1.0]), np.array([-0.0, 2, 9])),
        (np.array([0, 2]), np.array(["x", "y"], object), np.array(["z"], object), np.arange(3)),
    ],
)  # fmt: skip
def test_look_ups(keys: Any, values: Any, default: Any, x: Any) -> None:
    attributes = {
        name: numpy_helper.from_array(array)
        for name, array in zip(
            ("keys_tensor", "values_tensor", "default_tensor"), (keys, values, default), strict=True
        )
    }
    assert_alike(run_both("LabelEncoder", [x], domain="ai.onnx.ml", **attributes))


def test_loops_carry_values_and_stack_results() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["goes_on"], ["still"]),
            helper.make_node("Add", ["total", "x0"], ["next"]),
            helper.make_node("Mul", ["next", "x0"], ["stacked"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("total", TensorProto.DOUBLE, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.DOUBLE, None),
            helper.make_tensor_value_info("stacked", TensorProto.DOUBLE, None),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "x0"], ["last", "all"], body=body)],
        "g",
        [helper.make_tensor_value_info("x0", TensorProto.DOUBLE, [None])],
        [helper.make_empty_tensor_value_info(name) for name in ("last", "all")],
        [numpy_helper.from_array(np.array(3), "n")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    ).SerializeToString()
    feeds = {"x0": np.array([1.0, 2.0])}
    expected = Session(model).run(["last", "all"], feeds)
    assert_alike(list(zip(expected, NumpySession(model).run(["last", "all"], feeds), strict=True)))


def test_every_operator_that_converters_write_has_a_kernel() -> None:
    for domain, operators in WRITTEN.items():
        assert set(operators) <= set(KERNELS[domain])


@pytest.mark.parametrize("run", [lambda s, f: s.run(["y0"], f)])
def test_a_failing_operator_is_an_inference_error(run: Callable[..., Any]) -> None:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x0"], ["y0"])],
        "g",
        [helper.make_tensor_value_info("x0", TensorProto.INT64, [None])],
        [helper.make_empty_tensor_value_info("y0")],
        [numpy_helper.from_array(np.arange(2.0), "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    session = NumpySession(model.SerializeToString())
    with pytest.raises(InferenceError, match="numpy engine"):
        run(session, {"x0": np.array([5])})
