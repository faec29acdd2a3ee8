"""Test the budget of seconds for the probe rows, and the few rows of large proven graphs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from edge_pipeline.conversion.convert import convert_sample, sample_for
from edge_pipeline.errors import ParityError
from edge_pipeline.verification.oracle import Oracle
from edge_pipeline.verification.predict_probes import predict_probes
from edge_pipeline.verification.probes.groups import probe_groups
from edge_pipeline.verification.unverified_manifest import unverified_manifest
from edge_pipeline.verification.verify import LARGE_GRAPH_BYTES, verify_model
from edge_runtime.bundle.manifest import Manifest
from onnx import numpy_helper
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

SECONDS_A_ROW = 1e-3


class SlowRegression(RegressorMixin, BaseEstimator):
    """Predicts as *regression* does, and takes a millisecond a row."""

    def __init__(self, regression: LinearRegression) -> None:
        self.regression = regression

    def predict(self, X: Any) -> Any:
        time.sleep(SECONDS_A_ROW * len(X))
        return self.regression.predict(X)


def rows() -> Any:
    return np.random.default_rng(0).normal(size=(1_000, 3))


def slow_model() -> tuple[Any, Any, Any]:
    X = rows()
    regression = LinearRegression().fit(X, X[:, 0])
    sample = sample_for(regression, X)
    return convert_sample(regression, sample), SlowRegression(regression), sample


def test_a_slow_estimator_is_compared_on_fewer_rows() -> None:
    """All rows would take two seconds; the evidence says how many the budget left out."""
    model, slow, sample = slow_model()
    verified = verify_model(model, slow, sample, probe_seconds=0.5)
    left_out = verified.parity.left_out
    assert left_out is not None
    assert left_out["probe_seconds"] == 0.5
    n_rows = verified.parity.outputs["predict"].rows
    assert 0 < n_rows < 0.5 / SECONDS_A_ROW + 100
    assert any(f"{left_out['rows']:,} probe rows were left out" in note for note in verified.notes)


def test_the_rows_left_out_are_read_back_from_the_manifest() -> None:
    model, slow, sample = slow_model()
    parity = verify_model(model, slow, sample, probe_seconds=0.5).parity
    manifest = replace(unverified_manifest(model), parity=parity)
    assert Manifest.from_bytes(manifest.to_bytes()).parity.left_out == parity.left_out


def test_a_fast_estimator_is_compared_on_every_row() -> None:
    model, slow, sample = slow_model()
    oracle = Oracle(slow.regression, sample)
    groups = list(probe_groups(sample, None, model.graph))
    probes = predict_probes(model, oracle, groups, by_row=False)
    assert probes.left_out is None
    assert sum(len(item.table) for item in probes.rows) == sum(len(g.table) for g in groups)


def test_a_slow_call_leaves_out_rows_far_outside_first() -> None:
    """Where calls alone exceed the budget, ordinary rows remain."""
    model, slow, sample = slow_model()
    groups = list(probe_groups(sample, None, model.graph))
    probes = predict_probes(model, Oracle(slow, sample), groups, by_row=False, seconds=1e-3)
    names = [item.group.name for item in probes.rows]
    assert names[0] == groups[0].name
    assert not any(item.group.reach for item in probes.rows)


def forest() -> tuple[Any, Any, Any]:
    X = rows()
    y = np.random.default_rng(1).integers(0, 2, len(X))
    estimator = RandomForestClassifier(150, random_state=0).fit(X, y)
    sample = sample_for(estimator, X)
    return convert_sample(estimator, sample), estimator, sample


def test_a_large_proven_forest_needs_few_rows() -> None:
    model, estimator, sample = forest()
    assert len(model.graph) >= LARGE_GRAPH_BYTES
    outputs = verify_model(model, estimator, sample).parity.outputs
    for evidence in outputs.values():
        assert evidence.level == "proven"
        assert 300 < evidence.rows < 1_000


@pytest.mark.parametrize("attribute", ["nodes_splits", "leaf_weights"])
def test_one_wrong_number_of_a_large_forest_is_found(attribute: str) -> None:
    """A graph with another number is not proven, so all rows are compared too."""
    model, estimator, sample = forest()
    proto = onnx.ModelProto.FromString(model.graph)
    node = next(node for node in proto.graph.node if node.op_type == "TreeEnsemble")
    tensor = next(a.t for a in node.attribute if a.name == attribute)
    values = numpy_helper.to_array(tensor).copy()
    place = len(values) // 2
    is_vote = attribute == "leaf_weights"
    values[place] = 1.0 - values[place] if is_vote else np.nextafter(values[place], np.inf)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(ParityError):
        verify_model(replace(model, graph=proto.SerializeToString()), estimator, sample)


def test_groups_predicted_together_have_the_same_predictions() -> None:
    model, estimator, sample = forest()
    oracle = Oracle(estimator, sample)
    groups = list(probe_groups(sample, None, model.graph))
    alone, together = (
        predict_probes(model, oracle, groups, by_row=by_row) for by_row in (False, True)
    )
    assert [group.name for group in alone.refused] == [group.name for group in together.refused]
    for a, b in zip(alone.rows, together.rows, strict=True):
        assert a.group.name == b.group.name
        for name in a.predictions:
            np.testing.assert_array_equal(a.predictions[name], b.predictions[name])
