"""Test that verification accepts equal predictions, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from edge_pipeline.cli.display import level_line
from edge_pipeline.conversion.convert import OnnxModel, convert_sample
from edge_pipeline.data.sample import Sample, take_sample
from edge_pipeline.errors import ParityError
from edge_pipeline.finite_rows import unseen_table
from edge_pipeline.verification.verify import verify_model
from onnx import numpy_helper
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC


def frame(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "mass": rng.normal(4000, 800, rows),
            "bill": rng.normal(44, 5, rows),
            "island": rng.choice(["Biscoe", "Dream", "Torgersen"], rows),
        }
    )


def fitted(unknown: str = "ignore") -> Pipeline:
    X = frame()
    y = np.where(X["mass"] + 100 * X["bill"] > 8400, "gentoo", "adelie")
    encode = OneHotEncoder(handle_unknown=unknown)
    columns = make_column_transformer((StandardScaler(), ["mass", "bill"]), (encode, ["island"]))
    return make_pipeline(columns, LogisticRegression()).fit(X, y)


@pytest.fixture
def healthy() -> tuple[OnnxModel, Pipeline, Sample]:
    pipeline, sample = fitted(), take_sample(frame())
    return convert_sample(pipeline, sample), pipeline, sample


def damage(model: OnnxModel, spoil: Any) -> OnnxModel:
    proto = onnx.load_from_string(model.graph)
    spoil(proto.graph)
    return replace(model, graph=proto.SerializeToString())


def scale_constants(dtype: Any, factor: float) -> Any:
    def spoil(graph: onnx.GraphProto) -> None:
        for initializer in graph.initializer:
            values = numpy_helper.to_array(initializer)
            if values.dtype == dtype and values.size > 1:
                changed = numpy_helper.from_array(np.asarray(values * factor), initializer.name)
                initializer.CopyFrom(changed)

    return spoil


def swap_classes(graph: onnx.GraphProto) -> None:
    for initializer in graph.initializer:
        values = numpy_helper.to_array(initializer)
        if values.dtype == object:
            initializer.CopyFrom(numpy_helper.from_array(values[::-1], initializer.name))


def swap_input_columns(graph: onnx.GraphProto) -> None:
    order = numpy_helper.from_array(np.array([1, 0]), "order")
    graph.initializer.append(order)
    for node in graph.node:
        node.input[:] = ["swapped" if name == "numbers" else name for name in node.input]
    swap = onnx.helper.make_node("Gather", ["numbers", "order"], ["swapped"], axis=1)
    graph.node.insert(0, swap)


def forget_a_category(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if node.op_type == "LabelEncoder":
            for attribute in node.attribute:
                if attribute.name == "keys_tensor":
                    keys = numpy_helper.to_array(attribute.t).astype(object)
                    keys[0] = "Nowhere"
                    attribute.t.CopyFrom(numpy_helper.from_array(keys))


def test_equal_predictions_pass_with_their_evidence(healthy: Any) -> None:
    model, pipeline, sample = healthy
    verified = verify_model(model, pipeline, sample, unseen=frame(40, seed=1))
    assert set(verified.parity.outputs) == {"predict", "predict_proba", "decision_function"}
    assert all(e.rows > 300 and e.worst < 1e-14 for e in verified.parity.outputs.values())
    assert len(verified.golden.rows) == 16
    assert set(verified.golden.answers) == set(verified.parity.outputs)


@pytest.mark.parametrize(
    "spoil",
    [
        scale_constants(np.float64, 1 + 1e-6),
        swap_classes,
        swap_input_columns,
        forget_a_category,
    ],
)
def test_a_damaged_graph_is_refused(healthy: Any, spoil: Any) -> None:
    model, pipeline, sample = healthy
    with pytest.raises(ParityError, match="scikit-learn predicts"):
        verify_model(damage(model, spoil), pipeline, sample)


def test_the_error_numbers_the_rows_of_the_users_table(healthy: Any) -> None:
    """Test rows were drawn from a table, and rows with infinity were left out of them."""
    model, pipeline, sample = healthy
    table = frame(40, seed=1)
    table.loc[7, "mass"] = np.inf
    drawn = table.iloc[[7, 31, 2, 19]]
    unseen = unseen_table(sample, drawn, pipeline, {})
    with pytest.raises(ParityError, match=r"\(unseen rows\); first in row 31 \{") as caught:
        verify_model(damage(model, swap_classes), pipeline, sample, unseen=unseen)
    assert caught.value.row == 31


def test_the_error_names_the_row_and_both_predictions(healthy: Any) -> None:
    model, pipeline, sample = healthy
    with pytest.raises(ParityError) as caught:
        verify_model(damage(model, swap_classes), pipeline, sample)
    assert caught.value.output == "predict"
    assert caught.value.row == 0
    assert "'mass': " in str(caught.value)
    assert "np." not in str(caught.value)
    assert "'gentoo'" in str(caught.value)
    assert str(caught.value) == f"{caught.value.difference}; {caught.value.remedy}"
    assert "'adelie'" in str(caught.value)


def test_a_wider_tolerance_accepts_a_small_difference(healthy: Any) -> None:
    model, pipeline, sample = healthy
    near = damage(model, scale_constants(np.float64, 1 + 1e-7))
    verified = verify_model(near, pipeline, sample, tolerance=1e-3)
    assert verified.parity.tolerance == 1e-3
    assert 1e-9 < max(e.worst for e in verified.parity.outputs.values()) < 1e-3


@pytest.mark.parametrize(("unknown", "closed"), [("ignore", False), ("error", True)])
def test_a_column_that_refuses_unseen_categories_is_closed(unknown: str, closed: bool) -> None:
    pipeline, sample = fitted(unknown), take_sample(frame())
    verified = verify_model(convert_sample(pipeline, sample), pipeline, sample)
    assert [c.closed for c in verified.model.schema.columns] == [False, False, closed]


def test_an_unproven_output_has_a_reason() -> None:
    X = frame()[["mass", "bill"]]
    model = SVC().fit(X, X["mass"] > 4000)
    sample = take_sample(X)
    verified = verify_model(convert_sample(model, sample), model, sample)
    evidence = verified.parity.outputs["predict"]
    assert (evidence.level, evidence.formula) == ("probed", "SVC.predict has no formula")
    assert level_line(evidence).endswith("; not proven: SVC.predict has no formula")


def test_golden_rows_have_missing_values_if_the_sample_has() -> None:
    X = frame()
    X.loc[::7, "island"] = None
    encoder = OneHotEncoder().fit(X[["island"]])
    sample = take_sample(X[["island"]])
    verified = verify_model(convert_sample(encoder, sample), encoder, sample)
    cells = [row[0] for row in verified.golden.rows]
    assert None in cells
