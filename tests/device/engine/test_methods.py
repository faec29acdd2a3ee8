"""The fast paths of one row and of a batch predict and refuse as the full validation does."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from device import models
from device.tiny_onnx import Graph
from edge_runtime.engine.optimize.finite_check import check_finite_proof
from edge_runtime.engine.planner import ROWS_AT_ONCE
from edge_runtime.graph_safety.onnx_reader import read_graph
from edge_runtime.model import Model

import edge_runtime
from edge_runtime import InputError

NOT_FINITE = [np.nan, np.inf, -np.inf]
SIZES = [1, 9, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 3 * ROWS_AT_ONCE - 1]


@pytest.fixture(scope="module")
def regressor() -> Iterator[Model]:
    with edge_runtime.load(models.regressor().sealed()) as model:
        model.warm_up()
        yield model


def expected(X: Any) -> Any:
    return (X @ models.COEFFICIENTS + 1.0)[:, 0]


@pytest.mark.parametrize("n_rows", SIZES)
def test_batches_of_every_size_predict_as_single_rows_do(
    regressor: Model, classifier: Model, n_rows: int
) -> None:
    X = np.random.default_rng(n_rows).normal(size=(n_rows, 3))
    predictions: Any = regressor.predict(X)
    assert (predictions.shape, predictions.dtype) == ((n_rows,), np.float64)
    np.testing.assert_allclose(predictions, expected(X), rtol=1e-14)
    assert regressor.predict_one(X[-1]) == pytest.approx(predictions[-1], rel=1e-14)
    for _ in range(3):
        labels: Any = classifier.predict(X)
        assert labels.tolist() == models.labels(X).tolist()


@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("n_rows", [1, 7, ROWS_AT_ONCE + 5])
def test_no_coefficient_hides_a_cell_that_is_not_finite(
    regressor: Model, classifier: Model, bad: float, column: int, n_rows: int
) -> None:
    X = np.ones((n_rows, 3))
    X[n_rows - 1, column] = bad
    for model in (regressor, classifier):
        for _ in range(2):
            with pytest.raises(InputError) as caught:
                model.predict(X)
            assert (caught.value.row, caught.value.column) == (n_rows - 1, f"x{column}")
            with pytest.raises(InputError) as caught:
                model.predict_one(X[-1])
            assert caught.value.column == f"x{column}"


def test_a_prediction_beyond_float64_is_infinite(regressor: Model) -> None:
    row = np.array([1.7e308, 0.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert regressor.predict_one(row) == np.inf
        assert regressor.predict(row[np.newaxis]).tolist() == [np.inf]  # type: ignore[union-attr]


def test_missing_values_are_accepted_where_training_had_some() -> None:
    with edge_runtime.load(models.regressor(gaps=True).sealed()) as model:
        model.warm_up()
        X = np.ones((2 * ROWS_AT_ONCE, 3))
        X[::3, 1] = np.nan
        predictions: Any = model.predict(X)
        assert np.isnan(predictions[::3]).all()
        assert np.isfinite(predictions[1::3]).all()
        assert np.isnan(model.predict_one(X[0]))
        assert np.isnan(model.predict_one(X[0].tolist()))
        assert np.isnan(model.predict_one({"x0": 1, "x1": np.nan, "x2": 2.5}))
        for bad in (np.inf, -np.inf):
            X[-1, 2] = bad
            with pytest.raises(InputError):
                model.predict(X)
            for row in (X[-1], X[-1].tolist(), [np.nan, 1.0, bad], [np.nan, 2**53 + 1, 1]):
                with pytest.raises(InputError):
                    model.predict_one(row)


def test_a_missing_value_is_refused_in_a_column_without_any(mixed: Model) -> None:
    row: list[Any] = [np.nan, "Oslo", 2, True, "Rue A"]
    for _ in range(3):
        assert mixed.predict_one(row) == 120.0
        for place in (2, 3):
            with pytest.raises(InputError, match="missing"):
                mixed.predict_one([*row[:place], np.nan, *row[place + 1 :]])


def test_predictions_do_not_share_buffers(regressor: Model) -> None:
    X = np.random.default_rng(5).normal(size=(50, 3))
    predictions = [regressor.predict_one(row) for row in X]
    np.testing.assert_allclose(predictions, expected(X), rtol=1e-14)
    first: Any = regressor.predict(X[:1])
    regressor.predict(-X[:1])
    np.testing.assert_allclose(first, expected(X[:1]), rtol=1e-14)


STORED = {
    "W": np.ones((3, 2)),
    "V": np.ones((2, 2)),
    "c": np.ones(3),
    "d": np.ones(2),
    "one": np.array([1]),
    "none": np.ones((0,)),
}


@pytest.mark.parametrize(
    ("nodes", "tells"),
    [
        ([("MatMul", ["numbers", "W"])], (True, True)),
        ([("Gemm", ["numbers", "W", "d"])], (True, True)),
        ([("MatMul", ["numbers", "W"]), ("Add", ["d", "*"])], (True, True)),
        ([("Sub", ["numbers", "c"]), ("Div", ["*", "c"]), ("MatMul", ["*", "W"])], (True, False)),
        ([("MatMul", ["numbers", "W"]), ("MatMul", ["*", "V"])], (True, False)),
        ([("MatMul", ["numbers", "W"]), ("Squeeze", ["*", "one"])], (True, True)),
        # A cell is lost, or infinity becomes a number.
        ([("MatMul", ["numbers", "W"]), ("Relu", ["*"])], (False, False)),
        ([("MatMul", ["numbers", "W"]), ("Div", ["d", "*"])], (False, False)),
        ([("MatMul", ["numbers", "W"]), ("Add", ["*", "*"])], (False, False)),
        ([("MatMul", ["numbers", "W"]), ("Add", ["*", "none"])], (False, False)),
        ([("MatMul", ["numbers", "W"]), ("ArgMax", ["*"])], (False, False)),
        ([("Gather", ["numbers", "one"]), ("MatMul", ["*", "W"])], (False, False)),
        ([("Add", ["numbers", "c"])], (False, False)),
    ],
)
def test_the_graph_shows_what_a_finite_output_proves(
    nodes: list[tuple[str, list[str]]], tells: tuple[bool, bool]
) -> None:
    graph = Graph(
        [("numbers", "float64", [None, 3])], [("predict", "float64", [None, None])], STORED
    )
    last = "numbers"
    for place, (op, inputs) in enumerate(nodes):
        output = "predict" if place == len(nodes) - 1 else f"t{place}"
        graph.node(op, [last if name == "*" else name for name in inputs], output)
        last = output
    assert check_finite_proof(read_graph(graph.to_bytes())[0], "predict") == tells


def test_a_product_that_is_scaled_proves_nothing() -> None:
    graph = Graph(
        [("numbers", "float64", [None, 3])], [("predict", "float64", [None, None])], STORED
    )
    graph.node("Gemm", ["numbers", "W"], "predict", alpha=0)
    assert check_finite_proof(read_graph(graph.to_bytes())[0], "predict") == (False, False)
