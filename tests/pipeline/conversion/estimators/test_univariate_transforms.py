"""Ranks, powers and bins: numpy.interp, scipy's powers and numpy.searchsorted as nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import onnxruntime
import pytest
from edge_pipeline.conversion.estimators.univariate_transforms import normal_quantile
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.searchsorted import searchsorted
from edge_runtime.errors import InputError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    assert_zero_rows_are_accepted,
    fitted,
    rows,
    unseen,
)
from scipy import stats
from sklearn.preprocessing import KBinsDiscretizer, PowerTransformer, QuantileTransformer

import edge_runtime

X, UNSEEN = rows(120), unseen()
TIED = np.column_stack([X[:, 0].round(), X[:, 1], np.full(len(X), 5.0)])
UNSEEN_TIED = np.vstack(
    [TIED[:20], TIED[:20] + np.array([0.5, 0.0, 1.0]), TIED[:20] - np.array([0.25, 50.0, 1.0])]
)


def run(build: Any, **feeds: Any) -> Any:
    graph = Graph()
    inputs = {name: graph.input(name, v.dtype, (None, *v.shape[1:])) for name, v in feeds.items()}
    graph.output("y", build(**inputs))
    session = onnxruntime.InferenceSession(graph.to_model("1").SerializeToString())
    return session.run(None, feeds)[0]


def gapped(values: Any) -> Any:
    values = values.copy()
    values[::5, 0] = np.nan
    return values


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_search_in_the_graph_finds_what_numpy_finds(side: Any) -> None:
    rng = np.random.default_rng(3)
    edges = [np.sort(rng.integers(0, 40, size)).astype(float) for size in (0, 1, 2, 97)]
    values = rng.integers(-2, 42, size=(200, 4)) / 2
    positions = run(lambda x: searchsorted(edges, x, side=side), x=values)
    for i, column in enumerate(edges):
        np.testing.assert_array_equal(positions[:, i], np.searchsorted(column, values[:, i], side))


def test_the_normal_quantile_has_fifteen_digits() -> None:
    p = np.concatenate([np.logspace(-10, -0.31, 5000), 1 - np.logspace(-10, -0.31, 5000), [0.5]])
    quantiles = run(lambda p: normal_quantile(p), p=p[:, None])[:, 0]
    expected = stats.norm.ppf(p)
    assert np.abs(quantiles - expected).max() <= 1e-15 * np.abs(expected).max()


@pytest.mark.parametrize("output", ["uniform", "normal"])
@pytest.mark.parametrize("n_quantiles", [1, 2, 10, 120])
def test_quantiles_agree_with_ties_and_missing_values(n_quantiles: int, output: Any) -> None:
    model = QuantileTransformer(n_quantiles=n_quantiles, output_distribution=output)
    assert_same(fitted(model, TIED), TIED, UNSEEN_TIED, tolerance=1e-14)
    assert_same(fitted(model, gapped(X)), gapped(X), gapped(UNSEEN), tolerance=1e-14)
    assert_zero_rows_are_accepted(model, X)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_powers_agree_and_keep_missing_values(method: Any, standardize: bool) -> None:
    model = PowerTransformer(method, standardize=standardize)
    data, unseen_rows = gapped(X), gapped(UNSEEN)
    if method == "box-cox":
        data, unseen_rows = np.abs(data) + 0.1, np.abs(unseen_rows) + 1e-12
    assert_same(fitted(model, data), data, unseen_rows, tolerance=1e-13)


def test_powers_that_are_logarithms_are_taken_as_logarithms() -> None:
    model = fitted(PowerTransformer(standardize=False), X)
    model.lambdas_ = np.array([0.0, 2.0, 1.0, -1.5])
    assert_same(model, X, UNSEEN, tolerance=1e-13)
    positive = np.abs(X) + 0.1
    model = fitted(PowerTransformer("box-cox", standardize=False), positive)
    model.lambdas_ = np.array([0.0, 1e-20, 1e-12, -1.5])
    assert_same(model, positive, np.abs(UNSEEN) + 1e-3, tolerance=1e-13)


@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans"])
@pytest.mark.parametrize("encode", ["onehot", "onehot-dense", "ordinal"])
@pytest.mark.parametrize("dtype", [None, np.float32])
def test_an_edge_belongs_to_the_bin_above_it(encode: Any, strategy: Any, dtype: Any) -> None:
    more = {"quantile_method": "averaged_inverted_cdf"} if strategy == "quantile" else {}
    bins = fitted(KBinsDiscretizer(5, encode=encode, strategy=strategy, dtype=dtype, **more), X)
    edges = np.column_stack([edges[:6] for edges in bins.bin_edges_])
    near = np.vstack([edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf), UNSEEN])
    assert_same(bins, X, near)


def test_bins_of_different_number_and_of_a_constant_column() -> None:
    bins = KBinsDiscretizer([2, 9, 3], strategy="uniform")
    assert_same(fitted(bins, TIED), TIED, UNSEEN_TIED)
    assert_zero_rows_are_accepted(bins, TIED)


def test_what_has_no_logarithm_is_refused(tmp_path: Path) -> None:
    positive = gapped(np.abs(X) + 0.1)
    edge_pipeline.export(fitted(PowerTransformer("box-cox"), positive), positive, tmp_path / "m")
    with edge_runtime.load(tmp_path / "m") as model:
        assert np.isfinite(model.transform([[5e-324, 1.0, 1.0, 1e300]])).all()
        for bad in (0.0, -1.0):
            with pytest.raises(InputError, match="row 0, column 'x1': expected a number from"):
                model.transform([[1.0, bad, 1.0, 1.0]])
