"""The device finds the same neighbours as scikit-learn, and names them."""

import csv
import io
import json
from dataclasses import replace

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline.errors import ConversionError
from edge_runtime.bundle.bundle_file import open_bundle
from edge_runtime.bundle.layout import pack
from edge_runtime.cli.main import main
from edge_runtime.errors import InferenceError, InputError, IntegrityError, MethodNotAvailableError
from pipeline.conversion.estimators.parity import assert_same_neighbours
from pipeline.conversion.estimators.tables import rows, signal
from scipy import sparse
from sklearn import neighbors as nb
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import edge_runtime

X = rows(80)
UNSEEN = rows(25, seed=1)
ENGINES = ("onnxruntime", "numpy")

TEXTS = [
    "how do I reset my password",
    "where is my parcel",
    "cancel the order please",
    "what does shipping to Norway cost",
    "the parcel is late",
    "cancel my password",
]
QUESTIONS = ["my parcel is very late", "password please", "unseen words", ""]


def neighbours(pipeline, X, **more):
    *_, (_, last) = pipeline.steps
    return last.kneighbors(pipeline[:-1].transform(X), **more)


@pytest.fixture
def device(tmp_path):
    def export(estimator, X, engine="auto", **more):
        edge_pipeline.export(estimator, X, tmp_path / "near.onnx", **more)
        return edge_runtime.load(tmp_path / "near.onnx", engine=engine)

    return export


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev"])
def test_both_engines_find_the_same_neighbours(device, algorithm, metric):
    model = nb.NearestNeighbors(n_neighbors=6, algorithm=algorithm, metric=metric).fit(X)
    for engine in ENGINES:
        found_by = device(model, X, engine)
        distances, positions = found_by.kneighbors(UNSEEN)
        expected, order = model.kneighbors(UNSEEN)
        np.testing.assert_allclose(distances, expected, rtol=1e-9)
        np.testing.assert_array_equal(positions, order)
        assert found_by.methods == ("kneighbors",)


@pytest.mark.parametrize(
    "model",
    [
        nb.KNeighborsClassifier(4),
        nb.KNeighborsRegressor(3, weights="distance"),
        nb.KNeighborsTransformer(n_neighbors=4),
        nb.KNeighborsTransformer(n_neighbors=4, mode="connectivity"),
        nb.LocalOutlierFactor(5, novelty=True),
    ],
    ids=repr,
)
def test_every_model_of_neighbours_finds_them(device, model):
    model.fit(X, signal(X).astype(int))
    assert_same_neighbours(model, device(model, X), UNSEEN, 1e-9)


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
def test_equally_near_rows_are_as_near_as_scikit_learns(device, algorithm):
    """Whole numbers tie at most ranks, and half of the training rows come twice."""
    grid = np.random.default_rng(3).integers(0, 4, size=(60, 2)).astype(float)
    grid = np.vstack([grid, grid[:30]])
    model = nb.NearestNeighbors(n_neighbors=7, algorithm=algorithm).fit(grid)
    for engine in ENGINES:
        assert_same_neighbours(model, device(model, grid, engine), grid + 0.5, 1e-9)
        assert_same_neighbours(model, device(model, grid, engine), grid, 1e-9)


def test_the_last_step_of_a_pipeline_finds_neighbours_of_transformed_rows(device):
    table = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    table["kind"] = np.where(X[:, 0] > 0, "red", "blue")
    preprocessing = make_column_transformer(
        (StandardScaler(), ["a", "b", "c"]), (OneHotEncoder(handle_unknown="ignore"), ["kind"])
    )
    pipeline = make_pipeline(preprocessing, PCA(3), nb.NearestNeighbors(n_neighbors=4)).fit(table)
    unseen = table.assign(a=table["a"] * 1.1, kind="green").head(20)
    distances, positions = device(pipeline, table).kneighbors(unseen)
    expected, order = neighbours(pipeline, unseen)
    np.testing.assert_allclose(distances, expected, rtol=1e-9)
    np.testing.assert_array_equal(positions, order)


def test_missing_values_are_as_far_as_in_scikit_learn(device):
    gaps = X.copy()
    gaps[::7, 1] = np.nan
    model = nb.NearestNeighbors(n_neighbors=5, metric="nan_euclidean").fit(gaps)
    assert_same_neighbours(model, device(model, gaps), gaps * 1.1, 1e-9)


def test_texts_find_texts_by_id(device):
    nearest = nb.NearestNeighbors(n_neighbors=2, metric="cosine")
    pipeline = make_pipeline(TfidfVectorizer(), nearest).fit(TEXTS)
    for engine in ENGINES:
        model = device(pipeline, TEXTS, engine, ids=[f"answer {i}" for i in range(6)])
        distances, positions = model.kneighbors(QUESTIONS)
        expected, order = neighbours(pipeline, QUESTIONS)
        np.testing.assert_allclose(distances, expected, atol=1e-12)
        np.testing.assert_array_equal(positions[:2], order[:2])
        names = model.neighbors_ids[positions[:2, 0]].tolist()
        assert names == [f"answer {i}" for i in order[:2, 0]]
        best, second = model.kneighbors_one(QUESTIONS[0])
        assert best == (distances[0, 0], 4, "answer 4")
        assert second == (distances[0, 1], 1, "answer 1")


def test_sparse_training_rows_find_neighbours(device):
    wide = sparse.random(150, 400, density=0.02, random_state=0, format="csr")
    unseen = sparse.random(10, 400, density=0.05, random_state=1, format="csr")
    model = nb.NearestNeighbors(n_neighbors=3, metric="cosine").fit(wide)
    distances, _ = device(model, wide).kneighbors(unseen.toarray())
    np.testing.assert_allclose(distances, model.kneighbors(unseen)[0], atol=1e-12)


def test_fewer_neighbours_may_be_asked_for(device):
    model = device(nb.NearestNeighbors(n_neighbors=5).fit(X), X)
    distances, positions = model.kneighbors(UNSEEN)
    for fewer in (1, 3, np.int64(5)):
        pair = model.kneighbors(UNSEEN, fewer)
        np.testing.assert_array_equal(pair[0], distances[:, :fewer])
        np.testing.assert_array_equal(pair[1], positions[:, :fewer])
        one = model.kneighbors_one(UNSEEN[0], n_neighbors=fewer)
        assert [n.position for n in one] == positions[0, :fewer].tolist()
        assert {n.id for n in one} == {None}
    assert model.kneighbors(UNSEEN[:0])[1].shape == (0, 5)
    for wrong in (0, -1, 6, True, 2.0, "2"):
        with pytest.raises(InputError, match="n_neighbors must be"):
            model.kneighbors(UNSEEN, wrong)
        with pytest.raises(InputError, match="n_neighbors must be"):
            model.kneighbors_one(UNSEEN[0], wrong)


def test_models_without_neighbours_say_so(device):
    model = device(LinearRegression().fit(X, signal(X)), X)
    assert not hasattr(model, "kneighbors")
    assert not hasattr(model, "kneighbors_one")
    with pytest.raises(MethodNotAvailableError, match="no kneighbors"):
        model.kneighbors(X)
    with pytest.raises(MethodNotAvailableError, match="ids="):
        _ = model.neighbors_ids


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a"], "80 rows"),
        ([1.5] * 80, r"ids\[0\] is 1.5"),
        ([True] * 80, "bool"),
        ([None] * 80, "None"),
        ("a" * 80, "found str"),
        (["long" * 10_000] * 80, "characters"),
    ],
)
def test_invalid_ids_are_refused_before_the_work(device, ids, message):
    with pytest.raises(ConversionError, match=message):
        device(nb.NearestNeighbors().fit(X), X, ids=ids)


def test_ids_need_neighbours(device):
    with pytest.raises(ConversionError, match="no kneighbors"):
        device(LinearRegression().fit(X, signal(X)), X, ids=list(range(80)))


def test_ids_of_pandas_and_numpy_are_read(device):
    for ids in (np.arange(80), pd.Series(range(80)), pd.Index([f"r{i}" for i in range(80)])):
        model = device(nb.NearestNeighbors(n_neighbors=2).fit(X), X, ids=ids)
        assert model.kneighbors_one(X[7])[0].id == list(ids)[7]


def test_a_manifest_with_one_output_of_two_is_refused(device):
    model = device(nb.NearestNeighbors().fit(X), X)
    document = model.manifest.to_json()
    document["outputs"][1]["dtype"] = "float64"
    manifest = type(model.manifest).from_bytes(json.dumps(document).encode())
    with pytest.raises(IntegrityError, match="distances and positions"):
        edge_runtime.model.Model.from_parts(b"", manifest)


@pytest.mark.parametrize("ids", [{"a": 1}, [1.5], [None], [["a"]], [True]])
def test_a_manifest_with_other_ids_is_refused(device, ids):
    manifest = device(nb.NearestNeighbors().fit(X), X).manifest
    document = {**manifest.to_json(), "neighbors_ids": ids}
    with pytest.raises(IntegrityError, match="neighbors_ids"):
        type(manifest).from_bytes(json.dumps(document).encode())


def test_a_position_without_an_id_is_an_error(device, tmp_path, capsys):
    model = device(nb.NearestNeighbors(n_neighbors=1).fit(X), X, ids=list(range(80)))
    manifest = replace(model.manifest, neighbors_ids=[0])
    content = open_bundle(str(tmp_path / "near.onnx"))
    with edge_runtime.model.Model.from_parts(content.graph, manifest) as other:
        assert other.kneighbors_one(X[0])[0].id == 0
        with pytest.raises(InferenceError, match="no id"):
            other.kneighbors_one(X[79])
    (tmp_path / "few.onnx").write_bytes(pack(content.graph, manifest))
    source = tmp_path / "rows.csv"
    pd.DataFrame(X, columns=model.schema.names).to_csv(source, index=False)
    assert main(["predict", str(tmp_path / "few.onnx"), str(source)]) == 1
    assert "no id" in capsys.readouterr().err


def test_the_command_writes_ids_and_distances(device, tmp_path, capsys):
    model = device(nb.NearestNeighbors(n_neighbors=2).fit(X), X, ids=[f"r,{i}" for i in range(80)])
    source = tmp_path / "rows.csv"
    pd.DataFrame(UNSEEN, columns=model.schema.names).to_csv(source, index=False)
    bundle = str(tmp_path / "near.onnx")
    assert main(["predict", bundle, str(source), "--method", "kneighbors"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    distances, positions = model.kneighbors(UNSEEN)
    assert [line["neighbor.1"] for line in lines] == [f"r,{i}" for i in positions[:, 1]]
    assert [float(line["distance.0"]) for line in lines] == distances[:, 0].tolist()
    assert main(["predict", bundle, str(source), "--json", "--digits", "3"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])["neighbors"][0]
    nearest = int(positions[0, 0])
    assert first == {
        "distance": round(float(distances[0, 0]), 3),
        "position": nearest,
        "id": f"r,{nearest}",
    }
