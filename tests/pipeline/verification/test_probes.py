"""Test the probe rows, and when a difference on them counts as rounding noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from edge_pipeline.conversion.convert import convert_sample, sample_for
from edge_pipeline.errors import ParityError
from edge_pipeline.verification.oracle import Oracle
from edge_pipeline.verification.probes.groups import probe_groups
from edge_pipeline.verification.rounding_noise import is_noise
from edge_pipeline.verification.verify import verify_model
from onnx import numpy_helper
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor


def random_numbers() -> Any:
    return np.random.default_rng(0).normal(size=(80, 2))


def probe_tables(estimator: Any, X: Any, y: Any = None) -> dict[str, pd.DataFrame]:
    sample = sample_for(estimator.fit(X, y), X)
    graph = convert_sample(estimator, sample).graph
    return {group.name: group.table for group in probe_groups(sample, None, graph)}


THRESHOLDS = "thresholds, and a float64 to either side"


def test_both_sides_of_reached_thresholds_are_probed() -> None:
    """Every threshold that a row of the sample reaches has rows on both sides."""
    X = random_numbers()
    tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X, X[:, 0] * X[:, 1])
    rows = probe_tables(tree, X, X[:, 0] * X[:, 1])[THRESHOLDS].to_numpy()
    inner = np.flatnonzero(tree.tree_.children_left >= 0)
    paths = tree.decision_path(rows).toarray().astype(bool)
    for node in inner:
        feature, threshold = tree.tree_.feature[node], tree.tree_.threshold[node]
        here = rows[paths[:, node], feature]
        near = here[np.abs(here - threshold) < 1e-6].astype(np.float32)
        assert (near <= threshold).any()
        assert (near > threshold).any()


def test_bin_edges_are_probed_in_every_column() -> None:
    bins = KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf")
    rows = probe_tables(bins, random_numbers())[THRESHOLDS].to_numpy()
    for column, edges in enumerate(bins.bin_edges_):
        for edge in edges[1:-1]:
            for near in (np.nextafter(edge, -np.inf), edge, np.nextafter(edge, np.inf)):
                assert near in rows[:, column]


def test_texts_that_look_like_a_category_are_probed() -> None:
    X = pd.DataFrame({"kind": ["oak", "élm", "ash"] * 5})
    encoder = OneHotEncoder(handle_unknown="ignore")
    texts = set(probe_tables(encoder, X)["one category misspelt"]["kind"])
    assert {"", "oak ", "OAK", "Oak", "\u043e\u0430k", "oak\u200b", "e\u0301lm"} <= texts
    assert max(map(len, texts)) == 5000
    assert not texts & {"oak", "élm", "ash"}


@pytest.mark.parametrize("value", [5e-324, -5e-324, 1e39, -np.finfo(np.float64).max, 2.0**53 + 2])
def test_extreme_numbers_are_probed_in_every_column(value: float) -> None:
    groups = probe_tables(LinearRegression(), random_numbers(), random_numbers()[:, 0])
    for column in ("x0", "x1"):
        assert any(value in table[column].to_numpy() for table in groups.values())


def test_probe_rows_are_the_same_every_time() -> None:
    first, second = (
        probe_tables(
            DecisionTreeRegressor(random_state=0), random_numbers(), random_numbers()[:, 0]
        )
        for _ in range(2)
    )
    assert first.keys() == second.keys()
    for name in first:
        pd.testing.assert_frame_equal(first[name], second[name])


def test_refused_rows_are_counted() -> None:
    """Rows that scikit-learn refuses are counted, and those that the device predicts."""
    X = random_numbers()
    tree = DecisionTreeRegressor().fit(X, X[:, 0])
    sample = sample_for(tree, X)
    refused = verify_model(convert_sample(tree, sample), tree, sample).refused
    # Beyond float32: two groups, of 4 and 2 values in two columns, and a row of both.
    assert refused == (9 + 5, 9 + 5)


def test_a_difference_far_outside_training_is_a_note() -> None:
    """A difference far outside training is a note unless the output is proven."""
    X = random_numbers() * [1e-3, 1.0]
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, X[:, 0])
    sample = sample_for(model, X)
    verified = verify_model(convert_sample(model, sample), model, sample)
    assert all("far outside training" in note for note in verified.notes)
    assert verified.parity.outputs["predict"].level == "bounded"


def test_noise_is_at_most_the_spread_of_scikit_learn() -> None:
    """A difference is noise only where scikit-learn's own prediction changes as much."""
    X = random_numbers()
    model = LinearRegression().fit(X, X[:, 0] + X[:, 1])
    sample = sample_for(model, X)
    output = convert_sample(model, sample).outputs[0]
    rows = pd.DataFrame([[1e6, -1e6]], columns=["x0", "x1"])  # the terms cancel: digits are lost
    expected = model.predict(rows.to_numpy())
    for difference, noise in ((1e-10, True), (1e-6, False)):
        predictions = expected + difference
        assert is_noise(Oracle(model, sample), output, rows, expected, predictions, 1e-12) == noise


def test_another_label_is_noise_only_on_a_boundary() -> None:
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    model = RidgeClassifier().fit(X, [0, 0, 1, 1])
    sample = sample_for(model, X)
    output = convert_sample(model, sample).outputs[0]
    for value, noise in ((0.0, True), (1e6, False)):
        rows = pd.DataFrame({"x0": [value]})
        expected = model.predict(rows.to_numpy())
        assert is_noise(Oracle(model, sample), output, rows, expected, 1 - expected, 0.0) == noise


def cap_predictions(graph: onnx.GraphProto) -> None:
    """Cap predictions at 1e5, which no row of training shows."""
    (output,) = graph.output
    for node in graph.node:
        node.output[:] = ["uncapped" if name == output.name else name for name in node.output]
    graph.initializer.append(numpy_helper.from_array(np.array(1e5), "cap"))
    graph.node.append(onnx.helper.make_node("Min", ["uncapped", "cap"], [output.name]))


def test_a_wrong_graph_far_outside_training_is_refused() -> None:
    """A graph that is wrong far outside training is refused even if nothing is proven."""
    X = random_numbers()
    model = KernelRidge().fit(X, X[:, 0])
    sample = sample_for(model, X)
    healthy = convert_sample(model, sample)
    assert verify_model(healthy, model, sample).parity.outputs["predict"].level == "probed"
    proto = onnx.load_from_string(healthy.graph)
    cap_predictions(proto.graph)
    with pytest.raises(ParityError, match="numbers far outside"):
        verify_model(replace(healthy, graph=proto.SerializeToString()), model, sample)


def test_another_label_is_noise_where_scores_are_tied() -> None:
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    model = GaussianNB().fit(X, [0, 1, 1, 0])
    model.var_[:] = 1.0  # of two classes the same mean and variance: each row ties
    sample = sample_for(model, X)
    output = convert_sample(model, sample).outputs[0]
    rows = pd.DataFrame({"x0": [1e6]})
    expected = model.predict(rows.to_numpy())
    assert is_noise(Oracle(model, sample), output, rows, expected, 1 - expected, 0.0)
    model.theta_[1] += 1.0
    expected = model.predict(rows.to_numpy())
    assert not is_noise(Oracle(model, sample), output, rows, expected, 1 - expected, 0.0)
