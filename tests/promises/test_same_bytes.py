"""Promise 3: the same estimator exported twice gives the same bytes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

EXPORT = """
import hashlib, json, pathlib
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
import edge_pipeline

random = np.random.default_rng(5)
size = random.normal(size=90)
size[::9] = np.nan
shade = random.choice(["red", "green", "blue"], size=90).astype(object)
shade[::11] = None
X = pd.DataFrame({"size (cm)": size, "weight": random.normal(size=90), "shade": shade})
y = np.where(X["weight"] > 0, "heavy", "light")
columns = ColumnTransformer([
    ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["size (cm)", "weight"]),
    ("s", make_pipeline(SimpleImputer(strategy="most_frequent"),
                        OneHotEncoder(handle_unknown="ignore")), ["shade"]),
])
numbers = X[["weight"]].to_numpy()
network = MLPRegressor(hidden_layer_sizes=(9,), tol=0.1, random_state=0)
cases = {
    "linear": (LinearRegression(), numbers, X["weight"]),
    "table": (make_pipeline(columns, LogisticRegression()), X, y),
    "forest": (make_pipeline(columns, RandomForestClassifier(9, random_state=0)), X, y),
    "network": (make_pipeline(columns, network), X, X["weight"]),
    "clusters": (KMeans(3, random_state=0, n_init=1), numbers, None),
}
path = pathlib.Path("model.onnx")
digests = {}
for name, (estimator, sample, target) in cases.items():
    edge_pipeline.export(estimator.fit(sample, target), sample, path, name=name)
    digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
print(json.dumps(digests))
"""


@pytest.mark.slow
def test_another_hash_seed_writes_the_same_bytes(
    in_new_process: Callable[..., str],
) -> None:
    first = json.loads(in_new_process(EXPORT, PYTHONHASHSEED="0").splitlines()[-1])
    second = in_new_process(EXPORT, PYTHONHASHSEED="4242", TZ="Asia/Tokyo", LANG="C")
    assert json.loads(second.splitlines()[-1]) == first
    assert len(set(first.values())) == 5


def test_another_folder_writes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    import edge_pipeline

    contents = []
    for folder in ("one", "another folder"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "penguins.onnx"
        edge_pipeline.build(root / "models/penguins/recipe.toml", output=path)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
