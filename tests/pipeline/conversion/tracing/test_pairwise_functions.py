"""Kernels and distances of the user's are traced, also where they call scikit-learn or scipy."""

from __future__ import annotations

from typing import Any

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import labels, rows, unseen
from scipy.spatial import distance
from scipy.spatial.distance import cdist
from sklearn.cluster import FeatureAgglomeration
from sklearn.metrics import pairwise
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.utils import check_array

X, UNSEEN = rows(50, 3), unseen(3)
Y = labels(X, np.array(["a", "b"]))

KERNELS = {
    "asarray": lambda A, B: np.asarray(A) @ np.array(B, dtype=float).T,
    "check_array": lambda A, B: check_array(A).dot(np.atleast_2d(B).T),
    "rbf_kernel": lambda A, B: pairwise.rbf_kernel(A, B, gamma=0.3),
    "sum": lambda A, B: pairwise.linear_kernel(A, B) + pairwise.polynomial_kernel(A, B, degree=2),
    "product": lambda A, B: pairwise.laplacian_kernel(A, B) * pairwise.cosine_similarity(A, B),
    "chi2": lambda A, B: pairwise.chi2_kernel(np.abs(A), np.abs(B)),
    "sigmoid": lambda A, B: pairwise.sigmoid_kernel(A, Y=B, coef0=0.5),
    "euclidean": lambda A, B: np.exp(-pairwise.euclidean_distances(A, B, squared=True)),
    "reversed": lambda A, B: np.exp(-pairwise.manhattan_distances(B, A)).T,
    "by name": lambda A, B: pairwise.pairwise_kernels(A, B, metric="rbf", gamma=0.2),
    "distances by name": lambda A, B: np.exp(-pairwise.pairwise_distances(A, B, metric="l1")),
    "cosine_distances": lambda A, B: 2.0 - pairwise.cosine_distances(A, B),
    "cdist": lambda A, B: np.exp(-cdist(A, B)) + np.exp(-cdist(A, B, "chebyshev")),
    "scipy": lambda A, B: np.exp(-distance.cdist(A, B, metric="cityblock") / 3),
}

METRICS = {
    "asarray": lambda a, b: np.sqrt(((np.asarray(a) - np.asarray(b)) ** 2).sum()),
    "norm": lambda a, b: np.linalg.norm(np.asarray(a) - b),
    "float": lambda a, b: float(np.max(np.abs(a - b))) if isinstance(1.0, float) else 0.0,
    "dtype": lambda a, b: np.sum(np.abs(np.asarray(a, dtype=float) - b.astype(float))),
    "scipy euclidean": lambda a, b: distance.euclidean(a, b),
    "scipy minkowski": lambda a, b: distance.minkowski(a, b, p=3),
    "scipy sum": lambda a, b: distance.cityblock(a, b) + distance.chebyshev(a, b),
    "matrices of one row": lambda a, b: cdist(a.reshape(1, -1), [b])[0, 0],
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_of_two_matrices_predicts_the_same(name: str) -> None:
    assert_same(SVC(kernel=KERNELS[name]).fit(X, Y), X, UNSEEN)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_two_rows_predicts_the_same(name: str) -> None:
    metric = METRICS[name]
    assert_same(KNeighborsClassifier(3, metric=metric).fit(X[:20], Y[:20]), X[:20], UNSEEN[:10])


@pytest.mark.parametrize("name", ["cosine", "correlation", "braycurtis", "sqeuclidean"])
def test_a_distance_without_triangle_inequality_needs_brute_force(name: str) -> None:
    """scikit-learn's tree misses neighbours there, and its own prediction is no oracle."""
    function = getattr(distance, name)
    by_tree = KNeighborsClassifier(
        3, metric=lambda a, b: function(a, b), algorithm="ball_tree", leaf_size=5
    )
    with pytest.raises(UnsupportedEstimatorError, match="algorithm='brute'"):
        edge_pipeline.convert(by_tree.fit(X, Y), X)
    by_force = KNeighborsClassifier(3, metric=lambda a, b: function(a, b), algorithm="brute")
    assert edge_pipeline.convert(by_force.fit(X, Y), X)


def test_kernels_of_landmarks_are_features() -> None:
    landmarks = X[:5]
    features = FunctionTransformer(lambda D: pairwise.rbf_kernel(D, landmarks))
    assert_same(make_pipeline(features, SVC()).fit(X, Y), X, UNSEEN)


def test_groups_of_columns_are_pooled_by_a_function_of_the_users() -> None:
    pool = lambda A, axis: np.asarray(A).max(axis=axis) - np.asarray(A).min(axis=axis)  # noqa: E731
    assert_same(FeatureAgglomeration(2, pooling_func=pool).fit(X), X, UNSEEN)


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (lambda A, B: pairwise.nan_euclidean_distances(A, B), "line"),
        (lambda A, B: pairwise.pairwise_distances(A, B, metric="canberra"), "'canberra'"),
        (lambda A, B: cdist(A, B, "euclidean", w=np.ones(3)), "w="),
        (lambda A, B: pairwise.rbf_kernel(A) if len(A) > len(B) else A @ B.T, "each other"),
    ],
)
def test_a_kernel_without_nodes_is_refused_with_its_line(kernel: Any, reason: str) -> None:
    machine = SVC(kernel=kernel).fit(X, Y)
    with pytest.raises(UnsupportedEstimatorError, match=reason) as refusal:
        edge_pipeline.convert(machine, X)
    assert "test_pairwise_functions.py, line " in str(refusal.value)
