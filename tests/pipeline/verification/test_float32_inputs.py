"""Test estimators that compute in another dtype than float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import polars as pl
import pytest
from edge_pipeline.errors import ConversionError
from pipeline.conversion.estimators.parity import assert_same
from scipy import sparse
from sklearn.cluster import AffinityPropagation, BisectingKMeans, KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import NMF, PCA, KernelPCA, LatentDirichletAllocation
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import edge_runtime

RNG = np.random.default_rng(0)
SINGLE = (RNG.normal(size=(400, 3)) * 3 + 100).round(1).astype(np.float32)
CLUSTERS = np.abs(RNG.normal(size=(60, 3)) + 9.0 * (np.arange(60) % 3)[:, None]).astype(np.float32)
SIDE = (SINGLE.sum(axis=1) > 300).astype(int)
BYTES = RNG.integers(0, 256, (100, 4)).astype(np.uint8)
LABELS = np.array([i % 6 == 0 or i % 5 == 0 for i in range(120)])


@pytest.mark.parametrize(
    ("estimator", "X", "y"),
    [
        (make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)), SINGLE, SIDE),
        (make_pipeline(FunctionTransformer(np.square), LinearRegression()), BYTES, BYTES[:, 0]),
    ],
)
def test_an_estimator_that_computes_in_another_dtype_is_refused(
    estimator: Any, X: Any, y: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=r"train and predict in float64"):
        edge_pipeline.export(estimator.fit(X, y), X, tmp_path / "m.onnx")


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame])
@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (LinearRegression(), SINGLE @ [1, 2, 3]),
        (GaussianMixture(2, random_state=0), None),
        (make_pipeline(StandardScaler(), PCA(2), LogisticRegression()), SIDE),
    ],
)
def test_float32_is_predicted_in_float64_with_a_note(
    estimator: Any, y: Any, container: Any, tmp_path: Path
) -> None:
    """The file predicts float32 rows in float64, and a note gives scikit-learn's own rounding."""
    X = container(SINGLE)
    report = edge_pipeline.export(estimator.fit(X, y), X, tmp_path / "m.onnx")
    assert "X is of float32" in report.notes[0]
    assert_same(estimator, X, X.astype(np.float64)[:50])


@pytest.mark.parametrize(
    "estimator",
    [
        KMeans(3, n_init=1, random_state=0),
        BisectingKMeans(3, random_state=0),
        NMF(2, random_state=0, max_iter=2000),
        LatentDirichletAllocation(2, max_iter=2, random_state=0),
        make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=0)),
    ],
)
def test_estimators_that_need_float32_are_widened(estimator: Any, tmp_path: Path) -> None:
    """An estimator that was fitted on float32 and refuses float64 is converted in float64."""
    path = tmp_path / "m.onnx"
    edge_pipeline.export(estimator.fit(CLUSTERS), CLUSTERS, path)
    with edge_runtime.load(path) as model:
        for method in {"predict", "transform"} & set(dir(estimator)):
            expected = getattr(estimator, method)(CLUSTERS)
            scale = 1e-4 * float(np.abs(expected).max())
            np.testing.assert_allclose(getattr(model, method)(CLUSTERS), expected, 0, scale)


@pytest.mark.parametrize(
    "estimator",
    [
        PCA(2, whiten=True, svd_solver="arpack", random_state=0),
        KernelPCA(2, kernel="rbf", gamma=0.1),
        Nystroem(n_components=5, random_state=0),
        AffinityPropagation(random_state=0),
        KNeighborsRegressor(weights="distance"),
    ],
)
def test_an_estimator_of_sparse_rows_predicts_dense_ones(estimator: Any) -> None:
    rows = sparse.csr_matrix(np.where(RNG.random((60, 4)) < 0.4, RNG.normal(size=(60, 4)), 0.0))
    unseen = RNG.normal(size=(20, 4))
    assert_same(estimator.fit(rows, rows.sum(axis=1).A1), rows, unseen)


@pytest.mark.parametrize(
    ("estimator", "X", "y"),
    [
        (DecisionTreeClassifier(random_state=0), SINGLE, SIDE),
        (LinearRegression(), BYTES, BYTES[:, 0]),
    ],
)
def test_an_estimator_that_is_equal_in_float64_converts(estimator: Any, X: Any, y: Any) -> None:
    assert_same(estimator.fit(X, y), X, X[:50])


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(["a", "b", "c", "a", "b", None] * 20),
        pd.Categorical([True, False, True] * 40),
        pd.Categorical(np.array([1, 2, 3] * 40, dtype=np.int8)),
        pd.Categorical([1, 2, None] * 40),
    ],
)
def test_categories_of_every_type_keep_missing_values(values: Any) -> None:
    X = pd.DataFrame({"c": values, "x": [float(i % 7) for i in range(120)]})
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["c"]), remainder="passthrough"
    )
    assert_same(make_pipeline(encode, LogisticRegression()).fit(X, LABELS), X, X.head(40))


def test_a_missing_string_of_polars_is_its_own_category() -> None:
    """None in polars is the category that scikit-learn makes of it."""
    X = pl.DataFrame({"c": [None, "a", "b"] * 40, "x": [float(i % 7) for i in range(120)]})
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["c"]), remainder="passthrough"
    )
    assert_same(make_pipeline(encode, LogisticRegression()).fit(X, LABELS), X, X[:40])


def test_sparse_columns_of_pandas_convert() -> None:
    X = pd.DataFrame({"a": [0.0, 1.5, 0.0, 2.0] * 20, "b": [1.0, 0.0, 0.0, 3.0] * 20})
    sparse_columns = X.astype(pd.SparseDtype(float, 0.0))
    assert_same(LogisticRegression().fit(sparse_columns, X["a"] > 1), sparse_columns, X)
