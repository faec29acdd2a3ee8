"""A wide row is copied whole, and checked as strictly as a narrow one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from device import models
from device.tiny_onnx import Graph
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.errors import InputError
from edge_runtime.inputs.single_row import MIN_WIDE_CELLS
from edge_runtime.model import Model

import edge_runtime

WIDTH = MIN_WIDE_CELLS + 44
LARGEST = 2**53
WEIGHTS = np.linspace(-1.0, 1.0, WIDTH).reshape(-1, 1)


def wide_parts(kind: str) -> models.Parts:
    """A sum of all columns, or whether it is above zero: each method has a runner of its own."""
    is_label = kind == "label"
    dtype = "int64" if is_label else "float64"
    graph = Graph(
        [("numbers", "float64", [None, WIDTH])],
        [("predict", dtype, [None])],
        {"W": WEIGHTS, "axis": np.array([1]), "zero": np.array(0.0)},
    )
    graph.node("MatMul", ["numbers", "W"], "s").node("Squeeze", ["s", "axis"], "sum")
    if is_label:
        graph.node("Greater", ["sum", "zero"], "positive").node(
            "Cast", ["positive"], "predict", to=7
        )
    else:
        graph.node("Identity", ["sum"], "predict")
    columns = tuple(Column(f"x{i}", "int64") for i in range(WIDTH))
    row = np.arange(WIDTH, dtype=float)
    answer = float((row @ WEIGHTS)[0])
    answers: dict[str, Any] = {"predict": [int(answer > 0) if is_label else answer]}
    outputs = [("predict", dtype, None)]
    described = models.manifest(Schema("array", columns), outputs, [row.tolist()], answers)
    return models.Parts(graph.to_bytes(), described)


@pytest.fixture(params=["number", "label"])
def model(request: Any) -> Iterator[Model]:
    with edge_runtime.load(wide_parts(request.param).sealed()) as loaded:
        loaded.predict_one(np.zeros(WIDTH))  # the second call has the final runner
        yield loaded


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "uint64", "float32", "bool", ">f8"])
def test_a_wide_row_of_any_dtype_is_predicted_as_in_a_table(model: Model, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        row = rng.integers(0, 100, WIDTH).astype(dtype)
        assert model.predict_one(row) == model.predict(row.reshape(1, -1))[0]
        assert model.predict_one(row[::-1]) == model.predict(row[::-1].reshape(1, -1))[0]


@pytest.mark.parametrize("value", [LARGEST + 1, -LARGEST - 1])
def test_a_wide_row_with_a_number_that_float64_cannot_hold_is_refused(
    model: Model, value: int
) -> None:
    row = np.zeros(WIDTH, dtype=np.int64)
    row[7] = value
    with pytest.raises(InputError, match="x7"):
        model.predict_one(row)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_wide_row_with_a_cell_that_is_not_finite_is_refused(model: Model, value: float) -> None:
    row = np.zeros(WIDTH, dtype=np.float32)
    row[-1] = value
    with pytest.raises(InputError, match=f"x{WIDTH - 1}"):
        model.predict_one(row)
    ones = np.ones((1, WIDTH), dtype=np.float32)
    assert model.predict_one(ones[0]) == model.predict(ones)[0]


@pytest.mark.parametrize("shape", [(WIDTH - 1,), (WIDTH + 1,), (1, WIDTH), ()])
def test_a_wide_row_of_another_shape_is_refused(model: Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError):
        model.predict_one(np.zeros(shape, dtype=np.uint8))


def test_a_wide_row_of_complex_numbers_or_text_is_refused(model: Model) -> None:
    for dtype in ("complex128", "U3", "M8[s]"):
        with pytest.raises(InputError):
            model.predict_one(np.zeros(WIDTH, dtype=dtype))
