"""Every kind of row through HTTP, with scikit-learn as the oracle."""

import json
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pytest
from device.wsgi import requester
from edge_runtime.service import application
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import edge_runtime

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
IMAGES = RNG.integers(0, 255, (60, 4, 4, 3)).astype("uint8")
MATRIX = RNG.normal(size=(60, 3))
DICTS = [{"a": float(i), "c": "xy"[i % 2]} for i in range(60)]
TRAINING, NEW = slice(0, 50), slice(50, 60)


def flat(X: Any) -> Any:
    return X.reshape(len(X), -1)


def tensor(name: str, datatype: str, array: Any) -> dict[str, Any]:
    data = np.asarray(array).ravel().tolist()
    return {"name": name, "datatype": datatype, "shape": list(np.shape(array)), "data": data}


@pytest.mark.parametrize(
    ("estimator", "X", "datatype"),
    [
        (make_pipeline(FunctionTransformer(flat), Ridge()), IMAGES, "UINT8"),
        (LogisticRegression(), MATRIX, "FP64"),
        (make_pipeline(DictVectorizer(), LogisticRegression()), DICTS, "BYTES"),
    ],
    ids=["images", "matrix", "dicts"],
)
def test_predictions_are_scikit_learns(
    estimator: Any, X: Any, datatype: str, tmp_path: Path
) -> None:
    estimator.fit(X[TRAINING], Y[TRAINING])
    expected = estimator.predict(X[NEW]).tolist()
    edge_pipeline.export(estimator, X[TRAINING], tmp_path / "m.onnx", name="m")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        send = requester(application({"m": model}))
        rows = X[NEW] if isinstance(X, list) else X[NEW].tolist()
        results = send("/predict", rows)[2]["results"]
        assert [r["prediction"] for r in results] == pytest.approx(expected, rel=1e-9)
        (alone,) = send("/predict", rows[:1])[2]["results"]
        assert alone == results[0]
        name = send("/v2/models/m")[2]["inputs"][0]["name"]
        cells = [json.dumps(row) for row in rows] if datatype == "BYTES" else X[NEW]
        request = {"inputs": [tensor(name, datatype, cells)], "outputs": [{"name": "predict"}]}
        (output,) = send("/v2/models/m/infer", request)[2]["outputs"]
        assert output["data"] == pytest.approx(expected, rel=1e-9)


def test_neighbours_are_scikit_learns(tmp_path: Path) -> None:
    estimator = NearestNeighbors(n_neighbors=2).fit(MATRIX[TRAINING])
    distances, positions = estimator.kneighbors(MATRIX[NEW])
    edge_pipeline.export(estimator, MATRIX[TRAINING], tmp_path / "m.onnx", name="m")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        send = requester(application({"m": model}))
        results = send("/predict", MATRIX[NEW].tolist())[2]["results"]
        for result, near, indices in zip(results, distances, positions, strict=True):
            assert [n["position"] for n in result["neighbors"]] == indices.tolist()
            assert [n["distance"] for n in result["neighbors"]] == pytest.approx(near, rel=1e-9)
        request = {"inputs": [tensor("X", "FP64", MATRIX[NEW])]}
        outputs = send("/v2/models/m/infer", request)[2]["outputs"]
        assert outputs[1]["data"] == positions.ravel().tolist()
