"""Among equally near training rows the graph chooses as scikit-learn's trees do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pipeline.conversion.estimators.parity import assert_same
from sklearn import neighbors as nb
from sklearn.datasets import load_iris, load_wine
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

RNG = np.random.default_rng(0)
GRID = RNG.integers(0, 6, size=(300, 3)).astype(float)
LABELS = RNG.integers(0, 4, 300)
UNSEEN = RNG.integers(-1, 7, size=(60, 3)).astype(float)


def has_ties(X: Any, rows: Any, k: int, p: float) -> bool:
    distances = np.sort(np.linalg.norm(rows[:, None] - X, ord=p, axis=2), axis=1)
    return bool((distances[:, k - 1] == distances[:, k]).any())


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
@pytest.mark.parametrize("p", [1, 2, np.inf])
@pytest.mark.parametrize("k", [1, 2, 3, 8, 20])
def test_the_same_neighbours_are_chosen(algorithm: str, p: float, k: int) -> None:
    assert has_ties(GRID, UNSEEN, k, p)
    for leaf_size in (3, 400):
        parameters = {"algorithm": algorithm, "p": p, "leaf_size": leaf_size}
        model = KNeighborsClassifier(k, **parameters).fit(GRID, LABELS)
        assert_same(model, GRID, UNSEEN)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
def test_every_estimator_of_neighbours_chooses_alike(algorithm: str) -> None:
    distinct = np.unique(GRID, axis=0)
    for model in (
        KNeighborsRegressor(5, algorithm=algorithm, weights="distance"),
        nb.KNeighborsTransformer(n_neighbors=4, algorithm=algorithm, mode="connectivity"),
        nb.LocalOutlierFactor(6, novelty=True, algorithm=algorithm),
    ):
        target = np.arange(float(len(distinct)))
        assert_same(model.fit(distinct, target), distinct, UNSEEN + 0.0)


@pytest.mark.parametrize(
    ("model", "X", "y"),
    [
        (
            make_pipeline(StandardScaler(), KNeighborsClassifier(11, weights="distance")),
            load_iris().data[:, :2],
            load_iris().target,
        ),
        (KNeighborsClassifier(20), load_wine().data[:, [0, 4]], load_wine().target),
    ],
    ids=["iris", "wine"],
)
def test_everyday_tables_with_ties_are_exact(model: Any, X: Any, y: Any) -> None:
    assert_same(model.fit(X, y), X, X)


@pytest.mark.slow
def test_many_training_rows_are_searched_with_ties_too() -> None:
    X = RNG.integers(0, 9, size=(3000, 4)).astype(float)
    model = KNeighborsClassifier().fit(X, RNG.integers(0, 3, 3000))
    assert model._fit_method == "kd_tree"
    assert_same(model, X[:300], RNG.integers(0, 9, size=(40, 4)).astype(float))
