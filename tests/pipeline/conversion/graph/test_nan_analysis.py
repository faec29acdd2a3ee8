"""Trees look for missing values only where the input may have some."""

import numpy as np
import onnx
import pytest
from edge_pipeline.conversion.convert import convert
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.ops import concatenate, isnan, where
from edge_pipeline.proof.prove import prove
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

RNG = np.random.default_rng(0)
FULL = RNG.normal(size=(90, 4))
GAPS = np.where(RNG.random(FULL.shape) < 0.1, np.nan, FULL)
y = (FULL[:, 0] + FULL[:, 1] > 0).astype(int)


def tracks(model):
    """Whether any tree of the graph has a way for NaN."""
    graph = onnx.load_from_string(model.graph).graph
    return any(
        attribute.name == "nodes_missing_value_tracks_true"
        for node in graph.node
        for attribute in node.attribute
    )


@pytest.mark.parametrize(
    ("estimator", "X", "has_tracks"),
    [
        (RandomForestClassifier(5, max_depth=4, random_state=0), FULL, False),
        (RandomForestClassifier(5, max_depth=4, random_state=0), GAPS, True),
        (HistGradientBoostingRegressor(max_iter=5), FULL, False),
        (HistGradientBoostingRegressor(max_iter=5), GAPS, True),
        (IsolationForest(n_estimators=5, random_state=0), FULL, False),
        (AdaBoostClassifier(n_estimators=3), FULL, False),
        (make_pipeline(SimpleImputer(), StandardScaler(), ExtraTreesRegressor(3)), GAPS, False),
        (make_pipeline(StandardScaler(), ExtraTreesRegressor(3)), GAPS, True),
        (make_pipeline(FunctionTransformer(np.sqrt), ExtraTreesRegressor(3)), FULL, True),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt")
def test_nan_tracks_are_written_where_nan_may_come(estimator, X, has_tracks):
    fitted(estimator, X, y)
    model = convert(estimator, X, missing="as-trained")
    assert tracks(model) == has_tracks
    proofs = prove(model.graph, estimator, model.schema, model.outputs)
    assert not any(proof.contradicted for proof in proofs.values())
    if "FunctionTransformer" not in repr(estimator):
        assert {proof.level for proof in proofs.values()} == {"proven"}
    assert_same(estimator, X, X[::3] * 1.25, tolerance=1e-14)


def may_hold_nan(build, *, full):
    graph = Graph()
    return graph.may_hold_nan(build(graph.input("numbers", np.float64, (None, 4), full=full)))


@pytest.mark.parametrize(
    "build",
    [
        lambda x: x,
        lambda x: (x - 3.0) / np.arange(1.0, 5.0),
        lambda x: x.astype(np.float32),
        lambda x: x[:, [2, 0]],
        lambda x: concatenate([x, (x > 1.0).astype(np.float64)], 1),
    ],
)
def test_moved_and_shifted_numbers_hold_nan_as_the_input_does(build):
    assert not may_hold_nan(build, full=True)
    assert may_hold_nan(build, full=False)


@pytest.mark.parametrize(
    ("build", "may"),
    [
        (lambda x: where(isnan(x), 0.0, x), False),
        (lambda x: where(isnan(x), np.array([1.0, 2.0, np.nan, 3.0]), x), True),
        (lambda x: where(x > 1.0, 0.0, x), True),
        (lambda x: where(isnan(x[:, ::-1]), 0.0, x), True),
        (lambda x: isnan(x).astype(np.float64), False),
        (lambda x: where(isnan(x), 0.0, x) / np.array([1.0, 0.0, 2.0, 3.0]), True),
        (lambda x: where(isnan(x), 0.0, x) - np.array([1.0, np.inf, 2.0, 3.0]), True),
        (lambda x: concatenate([where(isnan(x), 0.0, x), x], 1), True),
        (lambda x: where(isnan(x), 0.0, x) @ np.eye(4), True),
    ],
)
def test_of_numbers_with_gaps_only_filled_ones_hold_none(build, may):
    assert may_hold_nan(build, full=False) == may
