"""A loaded model predicts with the right shapes, dtypes and labels, from any thread."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from device import models
from device.tiny_onnx import Graph
from edge_runtime.bundle.manifest import GoldenRows, Output
from edge_runtime.bundle.schema import Schema
from edge_runtime.engine.planner import ROWS_AT_ONCE
from edge_runtime.model import Model

import edge_runtime
from edge_runtime import (
    InferenceError,
    InputError,
    MethodNotAvailableError,
    ModelClosedError,
    SelfTestError,
)

X = np.random.default_rng(7).normal(size=(50, 3))


def test_every_method_answers_as_the_arithmetic_does(classifier: Model) -> None:
    labels: Any = classifier.predict(X)
    assert labels.dtype == np.dtype("<U9")
    assert labels.tolist() == models.labels(X).tolist()
    np.testing.assert_allclose(classifier.decision_function(X), models.scores(X), rtol=1e-12)
    np.testing.assert_allclose(classifier.predict_proba(X), models.probabilities(X), rtol=1e-12)


@pytest.mark.parametrize("names", [(1, 2, 30), (2.5, -1.0, 0.0), (False, True, True)])
def test_labels_of_any_type_come_back_as_they_were(names: Sequence[Any]) -> None:
    with edge_runtime.load(models.classifier(names).sealed()) as model:
        expected = models.labels(X, names)
        predictions: Any = model.predict(X)
        assert (predictions.dtype, predictions.tolist()) == (expected.dtype, expected.tolist())
        one = model.predict_one(X[0])
        assert (type(one), one) == (type(expected[0].item()), expected[0].item())


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32", "object", "bool"])
def test_the_dtype_is_the_one_of_the_manifest(dtype: str) -> None:
    parts = models.classifier((0, 1, 1))
    outputs = (replace(parts.manifest.outputs[0], dtype=dtype), *parts.manifest.outputs[1:])
    manifest = replace(parts.manifest, outputs=outputs, golden=GoldenRows((), {}))
    with Model.from_parts(parts.graph, manifest) as model:
        predictions: Any = model.predict(X)
        assert predictions.dtype == np.dtype(dtype)
        assert predictions.tolist() == models.labels(X, (0, 1, 1)).tolist()
        assert model.predict_one(X[0]) == predictions[0]
        assert type(model.predict_one(X[0])) is type(predictions.tolist()[0])


@pytest.mark.parametrize(
    ("names", "dtype"), [((0, 1, 300), "uint8"), ((0, 2, 1), "bool"), (("a", "b", "cc"), "<U1")]
)
def test_a_cast_that_would_lose_something_is_refused(names: Sequence[Any], dtype: str) -> None:
    parts = models.classifier(names)
    outputs = (replace(parts.manifest.outputs[0], dtype=dtype), *parts.manifest.outputs[1:])
    with pytest.raises(SelfTestError, match="cannot hold"):
        edge_runtime.load(parts.sealed(outputs=outputs))
    manifest = replace(parts.manifest, outputs=outputs, golden=GoldenRows((), {}))
    with Model.from_parts(parts.graph, manifest) as model:
        for ask in (lambda: model.predict(X), lambda: [model.predict_one(row) for row in X]):
            with pytest.raises(InferenceError, match="cannot hold"):
                ask()


def test_several_targets_answer_with_a_list() -> None:
    with edge_runtime.load(models.two_targets().sealed()) as model:
        proba: Any = model.predict_proba(X)
        assert isinstance(proba, list)
        e = np.exp(X - X.max(axis=1, keepdims=True))
        np.testing.assert_allclose(proba[1], e / e.sum(axis=1, keepdims=True), rtol=1e-12)
        two = X @ models.WEIGHTS[:, :2]
        np.testing.assert_allclose(model.predict(X), two, rtol=1e-12)
        np.testing.assert_allclose(model.predict_one(X[3]), two[3], rtol=1e-12)
        assert isinstance(model.predict_one(X[3]), list)
        assert [a.shape for a in model.predict_proba(X[:0])] == [(0, 3), (0, 3)]


def test_a_transformer_transforms_and_does_not_predict() -> None:
    with edge_runtime.load(models.transformer().sealed()) as model:
        predictions: Any = model.transform(X)
        assert predictions.dtype == np.float32
        assert model.methods == ("transform",)
        for ask in (lambda: model.predict(X), lambda: model.predict_one(X[0])):
            with pytest.raises(MethodNotAvailableError, match=r"no predict.*has transform"):
                ask()


def test_hasattr_tells_which_methods_there_are(classifier: Model) -> None:
    served = [m for m in edge_runtime.bundle.manifest.METHODS if hasattr(classifier, m)]
    assert served == ["predict", "predict_proba", "decision_function"]
    assert classifier.methods == tuple(served)
    assert "as the trained estimator would" in (Model.predict.__doc__ or "")


def test_a_batch_larger_than_the_graph_sees_at_once_is_answered_in_order(mixed: Model) -> None:
    n_rows = 2 * ROWS_AT_ONCE + 3
    heights = np.arange(n_rows, dtype=float)
    columns: dict[str, Any] = {"children": [0], "smoker": [False], "street": ["s"]}
    table = {name: cells * n_rows for name, cells in columns.items()}
    cities = ["Paris", "Oslo", None] * n_rows
    predictions: Any = mixed.predict({**table, "height": heights, "city": cities[:n_rows]})
    assert (
        predictions.tolist() == (heights + np.tile([1000.0, 0.0, 5000.0], n_rows)[:n_rows]).tolist()
    )


def test_one_row_answers_as_the_batch_does(classifier: Model, mixed: Model) -> None:
    expected = models.labels(X).tolist()
    names = classifier.schema.names
    assert [classifier.predict_one(row) for row in X] == expected
    assert [classifier.predict_one(row.astype(object)) for row in X] == expected
    assert [classifier.predict_one(row.tolist()) for row in X] == expected
    assert [classifier.predict_one(tuple(row)) for row in X] == expected
    dicts = [dict(zip(names, row, strict=True)) for row in X]
    assert [classifier.predict_one(row) for row in dicts] == expected
    assert type(classifier.predict_one(X[0])) is str
    row = (1.5, "Paris", 2, True, "Rue A")
    assert mixed.predict_one(row) == models.mixed_answer([row])[0]
    assert type(mixed.predict_one(row)) is float


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([1.0, 2.0], "expected 3 cells, found 2"),
        (np.zeros(4), "expected 3 cells, found 4"),
        (np.zeros((1, 3)), r"shape \(1, 3\); pass row\[0\]"),
        (np.zeros((2, 3)), r"shape \(2, 3\); for several rows use predict"),
        (np.float64(1), "expected one row|expected a row"),
        ("abc", "found str"),
        (b"abc", "found bytes"),
        (5, "found int"),
        (None, "found NoneType"),
        ({1.0, 2.0, 3.0}, "found set"),
        ({"x0": 1.0, "x1": 2.0}, "'x2': column missing"),
        ({"x0": 1.0, "x1": 2.0, "x2": 3.0, "x3": 4.0}, "does not know 'x3'"),
        ({"x0": 1.0, "x1": 2.0, "y": 3.0}, "'x2': column missing"),
    ],
)
def test_a_row_of_another_shape_is_refused(classifier: Model, row: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        classifier.predict_one(row)


def test_a_refused_row_leaves_the_next_answer_right(classifier: Model, mixed: Model) -> None:
    for _ in range(3):
        with pytest.raises(InputError):
            classifier.predict_one([1.0, float("nan"), 2.0])
        assert [classifier.predict_one(row) for row in X[:5]] == models.labels(X[:5]).tolist()
        with pytest.raises(InputError):
            mixed.predict_one((1.5, "Oslo", 2, True, 3))
        row = (None, "Paris", 1, False, "")
        assert mixed.predict_one(row) == models.mixed_answer([row])[0]


def test_an_answer_does_not_change_when_the_next_one_is_asked() -> None:
    with edge_runtime.load(models.two_targets().sealed()) as model:
        first = model.predict_one(X[0])
        copied_list = list(first)
        model.predict_one(X[1])
        assert first == copied_list


@pytest.mark.parametrize("kind", ["numbers", "mixed"])
def test_many_threads_ask_one_model_and_each_gets_its_own_answer(
    kind: str, classifier: Model, mixed: Model
) -> None:
    rows: list[Any]
    if kind == "numbers":
        model, rows = classifier, list(X)
        expected = models.labels(X).tolist()
    else:
        model = mixed
        rows = [(float(i), ("Paris", "Oslo", None)[i % 3], i, i % 2 == 0, "s") for i in range(50)]
        expected = models.mixed_answer(rows).tolist()
    wrong: list[Any] = []
    start = threading.Barrier(8)

    def ask(offset: int) -> None:
        start.wait()
        for i in range(300):
            k = (i * 7 + offset) % len(rows)
            predictions = model.predict_one(rows[k])
            batch = model.predict(rows[k : k + 2]).tolist() if i % 25 == 0 else expected[k : k + 2]  # type: ignore[union-attr]
            if predictions != expected[k] or batch != expected[k : k + 2]:
                wrong.append((k, predictions, batch))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_closed_model_says_so(healthy_bundle: bytes) -> None:
    with edge_runtime.load(healthy_bundle) as model:
        model.predict_one(X[0])
    model.close()
    for ask in (
        lambda: model.predict(X),
        lambda: model.predict(X[:0]),
        lambda: model.predict_one(X[0]),
    ):
        with pytest.raises(ModelClosedError, match="load it again"):
            ask()
    assert "tiny" in repr(model)


def test_a_closed_model_frees_its_session(healthy_bundle: bytes) -> None:
    import gc
    import weakref

    model = edge_runtime.load(healthy_bundle)
    model.predict_one(X[0])
    session = weakref.ref(model._planner.session)
    model.close()
    gc.collect()
    assert session() is None


def test_two_threads_a_call_give_the_same_answers(healthy_bundle: bytes) -> None:
    with edge_runtime.load(healthy_bundle, threads=2) as model:
        assert model.predict(X).tolist() == models.labels(X).tolist()  # type: ignore[union-attr]


def test_a_model_prints_its_name_task_and_methods(classifier: Model) -> None:
    assert repr(classifier) == (
        "<Model 'tiny' version 1: classification, 3 columns, predict, predict_proba, "
        "decision_function>"
    )


def test_a_block_that_the_graph_does_not_read_is_still_checked() -> None:
    parts = models.mixed()
    graph = Graph([("numbers", "float64", [None, 3])], [("predict", "float64", [None, 3])], {})
    graph.node("Identity", ["numbers"], "predict")
    manifest = replace(
        parts.manifest,
        outputs=(Output("predict", "predict", "float64"),),
        golden=GoldenRows((), {}),
        schema=Schema("table", parts.manifest.schema.columns),
    )
    with Model.from_parts(graph.to_bytes(), manifest) as model:
        row = (1.5, "Paris", 2, True, "Rue A")
        assert model.predict_one(row) == [1.5, 2.0, 1.0]
        assert model.predict([row]).tolist() == [[1.5, 2.0, 1.0]]  # type: ignore[union-attr]
        with pytest.raises(InputError, match="expected text"):
            model.predict([(1.5, "Paris", 2, True, 3)])


def test_a_graph_that_fails_on_a_checked_row_is_an_inference_error(parts: Any) -> None:
    graph = Graph(
        [("numbers", "float64", [None, 3])],
        [("predict", "float64", [None])],
        {"shape": np.array([7])},
    )
    graph.node("Reshape", ["numbers", "shape"], "predict")
    manifest = replace(
        parts.manifest,
        outputs=(Output("predict", "predict", "float64"),),
        golden=GoldenRows((), {}),
    )
    with Model.from_parts(graph.to_bytes(), manifest) as model:
        for ask in (lambda: model.predict(X), lambda: model.predict_one(X[0])):
            with pytest.raises(InferenceError, match="passed every check") as caught:
                ask()
            assert "\n" not in str(caught.value)
