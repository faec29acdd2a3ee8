"""A question that is asked again gets a smaller graph, and exactly the same answers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from device import models
from device.tiny_onnx import Graph, integer, message
from edge_runtime.bundle.manifest import GoldenRows, Output
from edge_runtime.engine.optimize.prune_outputs import prune_outputs
from edge_runtime.engine.planner import MAX_PRUNED_BYTES
from edge_runtime.engine.session import Session
from edge_runtime.graph_safety.onnx_reader import read_graph
from edge_runtime.model import Model

import edge_runtime
from edge_runtime import InferenceError, MethodNotAvailableError

X = np.random.default_rng(11).normal(size=(40, 3))


def final_query(model: Model, *names: str) -> Any:
    return model._planner._final_queries[names]


@pytest.mark.parametrize("names", [models.LABELS, (1, 2, 30), (2.5, -1.0, 0.0)])
def test_the_first_answer_and_the_tenth_are_the_same_bytes(names: Sequence[Any]) -> None:
    with edge_runtime.load(models.classifier(names).sealed()) as model:
        for method in model.methods:
            ask = getattr(model, method)
            first = ask(X)
            for _ in range(9):
                again = ask(X)
                assert (again.dtype, again.tobytes()) == (first.dtype, first.tobytes())
            assert final_query(model, method).session is not model._planner.session
        expected = models.labels(X, names).tolist()
        for _ in range(4):
            assert [model.predict_one(row) for row in X] == expected
        assert type(model.predict_one(X[0])) is type(expected[0])


def test_a_label_alone_needs_no_probabilities_and_no_strings(classifier: Model) -> None:
    classifier.warm_up()
    query = final_query(classifier, "predict")
    assert [signature.element_type for signature in query.session.outputs] == [np.int64]
    assert query.labels[0].tolist() == list(models.LABELS)
    assert [s.name for s in final_query(classifier, "predict_proba").session.outputs] == [
        "predict_proba"
    ]


def test_label_and_probabilities_come_together(classifier: Model) -> None:
    expected = models.probabilities(X)
    for row, label, probabilities in zip(X, models.labels(X), expected, strict=True):
        prediction, by_class = classifier.predict_proba_one(row)
        assert (prediction, type(prediction)) == (label, str)
        assert tuple(by_class) == models.LABELS
        np.testing.assert_allclose(list(by_class.values()), probabilities, rtol=1e-12)
        assert {type(value) for value in by_class.values()} == {float}


def test_probabilities_of_no_known_classes_are_numbered() -> None:
    parts = models.classifier()
    with edge_runtime.load(parts.sealed(classes={})) as model:
        for _ in range(3):
            assert list(model.predict_proba_one(X[0])[1]) == [0, 1, 2]


def test_a_model_without_probabilities_or_with_many_targets_says_so(mixed: Model) -> None:
    row = (1.5, "Paris", 2, True, "Rue A")
    with pytest.raises(MethodNotAvailableError, match="no predict_proba"):
        mixed.predict_proba_one(row)
    model = edge_runtime.load(models.two_targets().sealed())
    with model, pytest.raises(MethodNotAvailableError, match="an array for each target"):
        model.predict_proba_one(X[0])


def test_no_graph_is_cut_when_nothing_proves_the_cut_right() -> None:
    parts = models.classifier()
    manifest = replace(parts.manifest, golden=GoldenRows((), {}))
    with Model.from_parts(parts.graph, manifest) as model:
        model.warm_up()
        assert final_query(model, "predict").session is model._planner.session
        assert model.predict(X).tolist() == models.labels(X).tolist()  # type: ignore[union-attr]


def test_no_second_copy_is_made_of_a_large_graph() -> None:
    parts = models.classifier()
    doc = message(6, b"x" * MAX_PRUNED_BYTES)
    with Model.from_parts(parts.graph + doc, parts.manifest) as model:
        model.warm_up()
        assert model._planner._source is None
        assert final_query(model, "predict").session is model._planner.session


def test_a_position_that_has_no_label_is_an_inference_error(parts: Any) -> None:
    # Rounded sums of the row are the position: golden rows stay within the table.
    graph = Graph(
        [("numbers", "float64", [None, 3])],
        [("predict", "string", [None]), ("decision_function", "float64", [None])],
        {"labels": np.array(["a", "b"]), "one": np.ones(3)},
    )
    graph.node("MatMul", ["numbers", "one"], "decision_function")
    graph.node("Cast", ["decision_function"], "at", to=7)
    graph.node("Gather", ["labels", "at"], "predict")
    outputs = (
        Output("predict", "predict", "<U1"),
        Output("decision_function", "decision_function", "float64"),
    )
    golden = GoldenRows(((0.0, 0.0, 1.0),), {"predict": ["b"], "decision_function": [1.0]})
    manifest = replace(parts.manifest, outputs=outputs, golden=golden)
    with Model.from_parts(graph.to_bytes(), manifest) as model:
        model.warm_up()
        assert final_query(model, "predict").labels[0] is not None
        assert model.predict_one([0.0, 0.0, -1.0]) == "b"  # as Gather counts from the end
        for ask in (lambda: model.predict([[0.0, 0.0, 5.0]]), lambda: model.predict_one([5, 0, 0])):
            with pytest.raises(InferenceError, match="outside the table of labels"):
                ask()


def test_what_a_subgraph_reads_from_outside_is_kept() -> None:
    body = message(1, message(1, "doubled") + message(2, "inner") + message(4, "Identity"))
    body += message(2, "body") + message(12, message(1, "inner"))
    graph = Graph(
        [("numbers", "float64", [None, 3])],
        [("predict", "float64", [None, 3]), ("transform", "float64", [None, 3])],
        {"yes": np.array(True), "two": np.array(2.0), "nine": np.array(9.0)},
    )
    graph.node("Mul", ["numbers", "two"], "doubled").node("Mul", ["numbers", "nine"], "transform")
    branches = b"".join(
        message(5, message(1, name) + message(6, body) + integer(20, 5))
        for name in ("then_branch", "else_branch")
    )
    graph.nodes.append(message(1, "yes") + message(2, "predict") + message(4, "If") + branches)
    raw = graph.to_bytes()
    main, _ = read_graph(raw)
    label = prune_outputs(raw, main, ["predict"])
    assert label is not None
    session = Session(label.graph)
    assert [signature.name for signature in session.outputs] == ["predict"]
    np.testing.assert_array_equal(session.run(["predict"], {"numbers": X})[0], 2.0 * X)
    assert b"nine" not in label.graph
    assert prune_outputs(raw, main, ["predict", "transform"]) is None
