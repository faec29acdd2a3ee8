"""Every operation on symbolic arrays answers as numpy or scipy does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

X = np.random.default_rng(3).normal(size=(7, 4)) * 5
X[2] = 0.0


def run(build: Callable[..., Any], *values: Any) -> Any:
    """Build a graph of one formula and run it."""
    graph = Graph()
    arrays_ = [np.asarray(value) for value in values]
    inputs = [
        graph.input(f"x{i}", a.dtype if a.dtype.kind != "U" else object, (None, *a.shape[1:]))
        for i, a in enumerate(arrays_)
    ]
    graph.output("y", build(*inputs))
    session = onnxruntime.InferenceSession(graph.to_model("test").SerializeToString())
    feeds = {f"x{i}": a.astype(object) if a.dtype.kind == "U" else a for i, a in enumerate(arrays_)}
    return session.run(None, feeds)[0]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (ops.sigmoid, special.expit),
        (ops.softmax, lambda x: special.softmax(x, axis=1)),
        (ops.log_softmax, lambda x: special.log_softmax(x, axis=1)),
        (ops.logsumexp, lambda x: special.logsumexp(x, axis=1)),
        (ops.softplus, lambda x: np.logaddexp(0, x)),
        (ops.tanh, np.tanh),
        (ops.exp, np.exp),
        (ops.sin, np.sin),
        (ops.cos, np.cos),
        (ops.rint, np.rint),
        (ops.floor, np.floor),
        (ops.sign, np.sign),
        (ops.norm, lambda x: np.linalg.norm(x, axis=1)),
        (ops.mean, lambda x: x.mean(axis=1)),
        (ops.prod, lambda x: x.prod(axis=1)),
        (ops.cumsum, lambda x: np.cumsum(x, axis=1)),
        (ops.sort, lambda x: np.sort(x, axis=1)),
        (ops.argmax, lambda x: x.argmax(axis=1)),
        (ops.argmin, lambda x: x.argmin(axis=1)),
        (lambda x: ops.clip(x, -1, 2), lambda x: np.clip(x, -1, 2)),
        (lambda x: ops.where(x > 0, x, -1.0), lambda x: np.where(x > 0, x, -1.0)),
        (lambda x: 2 - x / 3, lambda x: 2 - x / 3),
        (lambda x: x @ np.arange(8.0).reshape(4, 2), lambda x: x @ np.arange(8.0).reshape(4, 2)),
        (lambda x: np.arange(4.0) * x, lambda x: np.arange(4.0) * x),
        (lambda x: abs(-x) ** 1.5, lambda x: abs(-x) ** 1.5),
        (lambda x: x[:, 1], lambda x: x[:, 1]),
        (lambda x: x[:, -1:], lambda x: x[:, -1:]),
        (lambda x: x[:, ::-2], lambda x: x[:, ::-2]),
        (lambda x: x[:, [3, 0]], lambda x: x[:, [3, 0]]),
        (lambda x: x[:, np.array([True, False, True, False])], lambda x: x[:, [0, 2]]),
        (lambda x: x[:, None, :], lambda x: x[:, None, :]),
        (lambda x: x[..., None], lambda x: x[..., None]),
        (lambda x: ops.concatenate([x, x[:, :2]]), lambda x: np.hstack([x, x[:, :2]])),
        (lambda x: ops.full_rows(x, [1.0, 2.0]), lambda x: np.tile([1.0, 2.0], (len(x), 1))),
        (lambda x: ops.reshape_rows(x, 2, 2), lambda x: x.reshape(-1, 2, 2)),
        (lambda x: ops.isnan(x / x), lambda x: x == 0),
    ],
)
def test_an_operation_answers_as_numpy_does(build: Any, expected: Any) -> None:
    with np.errstate(all="ignore"):
        expected_output = expected(X)
    output = run(build, X)
    assert output.shape == expected_output.shape
    assert output.dtype == expected_output.dtype
    np.testing.assert_allclose(output, expected_output, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_operation_answers_for_no_rows_and_for_one(rows: int) -> None:
    output = run(lambda x: ops.softmax(ops.concatenate([x, x])) @ np.ones((8, 2)), X[:rows])
    np.testing.assert_allclose(output, np.ones((rows, 2)), rtol=1e-15)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (5, 3), elements=st.floats(-700, 700)))
def test_softplus_keeps_its_precision_where_x_is_very_negative(x: Any) -> None:
    np.testing.assert_allclose(run(ops.softplus, x), np.logaddexp(0, x), rtol=4e-15, atol=5e-324)


def test_lookup_finds_nan_and_defaults_for_unknown_keys() -> None:
    x = np.array([[1.7, np.nan], [-0.0, 9.0]])
    output = run(lambda t: ops.lookup(t, [0.0, 1.7, np.nan], [10, 11, 12], -1), x)
    np.testing.assert_array_equal(output, [[11, 12], [10, -1]])


def test_equal_strings_are_found_whatever_their_script() -> None:
    x = np.array([["straße", "東京"], ["", "a b"]])
    output = run(lambda t: ops.lookup(t, ["東京", "", "straße"], [0, 1, 2], -1), x)
    np.testing.assert_array_equal(output, [[2, 0], [1, -1]])


def test_rows_of_the_batch_cannot_be_picked() -> None:
    x = Graph().input("x", np.float64, (None, 3))
    for pick in (lambda: x[0], lambda: x[1:], lambda: ops.mean(x, 0)):
        with pytest.raises(ValueError, match="function of one row"):
            pick()
