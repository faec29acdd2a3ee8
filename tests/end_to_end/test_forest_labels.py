"""A forest's labels on the device are scikit-learn's, ties included, however they are answered."""

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pytest
from edge_runtime.engine.optimize.packed_votes import PackedVotesSession
from sklearn.datasets import load_wine
from sklearn.ensemble import BaggingClassifier, ExtraTreesClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

import edge_runtime

FORESTS = {
    "random forest": lambda **more: RandomForestClassifier(random_state=0, **more),
    "extra trees": lambda **more: ExtraTreesClassifier(random_state=0, **more),
    "weighted": lambda **more: RandomForestClassifier(
        class_weight="balanced_subsample", random_state=1, **more
    ),
    "bagging": lambda n_estimators, max_depth: BaggingClassifier(
        DecisionTreeClassifier(max_depth=max_depth), n_estimators, max_features=0.7, random_state=0
    ),
}


def opened(estimator: Any, X: Any, path: Path) -> Any:
    edge_pipeline.export(estimator, X, path)
    return edge_runtime.load(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORESTS)
@pytest.mark.parametrize(("n_trees", "depth"), [(10, 2), (100, 4), (64, 3)])
def test_labels_of_rows_that_training_did_not_see(
    name: str, n_trees: int, depth: int, tmp_path: Path
) -> None:
    X, y = load_wine(return_X_y=True)
    train, test, labels, _ = train_test_split(X, y, random_state=0)
    names = np.array(["red", "rosé", "white"])[labels]
    estimator = FORESTS[name](n_estimators=n_trees, max_depth=depth).fit(train, names)
    with opened(estimator, train, tmp_path / "forest.onnx") as model:
        model.warm_up()
        assert isinstance(model._planner._final_queries[("predict",)].session, PackedVotesSession)
        rows = np.concatenate([test, np.random.default_rng(0).permuted(test, axis=0)])
        expected = estimator.predict(rows)
        assert model.predict(rows).tolist() == expected.tolist()
        assert [model.predict_one(row) for row in rows] == expected.tolist()


def test_labels_of_rows_with_gaps(tmp_path: Path) -> None:
    X, y = load_wine(return_X_y=True)
    random = np.random.default_rng(5)
    train = np.where(random.random(X.shape) < 0.3, np.nan, X)
    rows = np.where(random.random(X.shape) < 0.5, np.nan, random.permuted(X, axis=0))
    estimator = RandomForestClassifier(50, max_depth=4, random_state=0).fit(train, y)
    with opened(estimator, train, tmp_path / "forest.onnx") as model:
        model.warm_up()
        assert isinstance(model._planner._final_queries[("predict",)].session, PackedVotesSession)
        expected = estimator.predict(rows).tolist()
        assert model.predict(rows).tolist() == expected
        assert [model.predict_one(row) for row in rows] == expected


@pytest.mark.slow
@pytest.mark.parametrize("n_trees", [2, 4, 10, 100])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_rows_that_tie(n_trees: int, n_classes: int, tmp_path: Path) -> None:
    # Few values and noise for labels: leaves of equal shares, and sums that tie.
    random = np.random.default_rng(n_trees)
    X = random.integers(2, size=(90, 3)).astype(float)
    y = random.integers(n_classes, size=90)
    estimator = RandomForestClassifier(n_trees, max_depth=2, bootstrap=False, random_state=0)
    estimator.fit(X, y)
    rows = np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1).T
    with opened(estimator, X, tmp_path / "forest.onnx") as model:
        for _ in range(3):
            assert model.predict(rows).tolist() == estimator.predict(rows).tolist()
            assert [model.predict_one(row) for row in rows] == estimator.predict(rows).tolist()
