"""Build sealed files from recipes, and from functions that train."""

from collections.abc import Callable
from pathlib import Path

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline.build_from_recipe import build, export_function
from edge_pipeline.data.dataset import load_dataset
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.errors import DatasetError, ParityError, RecipeError, TrainingError
from edge_pipeline.progress import ProgressListener
from edge_pipeline.training.fit import train

import edge_runtime

TRAIN = """\
import pandas as pd
from sklearn.linear_model import LinearRegression

X = pd.DataFrame({"b": [1.0, 2.0, 4.0], "a": [0.0, 1.0, 1.0]})

def fitted():
    return LinearRegression().fit(X, [1, 2, 3])

def with_sample():
    return fitted(), X

def on_array():
    return LinearRegression().fit(X.to_numpy(), [1, 2, 3])

def nothing():
    return "a model"

def broken():
    raise RuntimeError("out of paper")
"""


@pytest.fixture
def train_py(tmp_path: Path) -> Path:
    file = tmp_path / "train.py"
    file.write_text(TRAIN, encoding="utf-8")
    (tmp_path / "rows.csv").write_text("a,target,b\n0,1,1\n1,2,2\n1,3,4\n", encoding="utf-8")
    return file


class Stages(ProgressListener):
    def __init__(self) -> None:
        self.names: list[str] = []

    def stage(self, name: str) -> None:
        self.names.append(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "penguins", "digits", "fuel"])
def test_every_model_of_the_repository_predicts_unseen_rows(
    root: Path, tmp_path: Path, name: str
) -> None:
    recipe = read_recipe(root / "models" / name)
    report = build(recipe, tmp_path / f"{name}.onnx")
    dataset = load_dataset(recipe)
    oracle = train(recipe, dataset).estimator
    X = dataset.X_train if dataset.X_test is None else dataset.X_test
    with edge_runtime.load(report.path) as model:
        predictions, expected = model.predict(X), oracle.predict(X)
        assert predictions.dtype == expected.dtype
        if recipe.task == "classification":
            assert np.array_equal(predictions, expected)
            expected = oracle.predict_proba(X)
            assert np.allclose(model.predict_proba(X), expected, rtol=1e-9, atol=1e-12)
        else:
            assert np.allclose(predictions, expected, rtol=1e-9)


def test_the_line_predicts_12_14_and_16_for_6_7_and_8(root: Path, tmp_path: Path) -> None:
    report = build(root / "models/linear/recipe.toml", output=tmp_path / "linear.onnx")
    with edge_runtime.load(report.path) as model:
        assert model.predict(np.array([[6], [7], [8]])).tolist() == [12.0, 14.0, 16.0]
        assert model.predict_one({"x": 7}) == 14.0


@pytest.mark.slow
def test_building_twice_gives_the_same_bytes(recipe_file: Path, tmp_path: Path) -> None:
    first = build(recipe_file, tmp_path / "first.onnx").path.read_bytes()
    assert build(recipe_file, tmp_path / "second.onnx").path.read_bytes() == first


def test_the_manifest_matches_the_recipe(changed: Callable[..., Path]) -> None:
    file = changed(
        ('name = "boats"', 'name = "boats"\nversion = 4'),
        ("C = 2.0", 'C = 2.0\n[export]\ntolerance = 1e-7\nmetrics = ["accuracy"]'),
    )
    report = build(file, file.parent / "new" / "folder" / "model.onnx")
    manifest = report.manifest
    assert (manifest.name, manifest.version, manifest.task) == ("boats", 4, "classification")
    assert manifest.parity.tolerance == 1e-7
    assert manifest.metrics["accuracy"] == 1.0
    assert manifest.schema.names == ("length", "masts", "hull")
    columns = manifest.schema.columns
    assert [column.missing_in_training for column in columns] == [False, False, True]
    assert [column.missing for column in columns] == [True, True, True], "every column is imputed"


def test_the_default_folder_is_dist(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert build(recipe_file.name).path == Path("dist/boats.onnx")
    assert (tmp_path / "dist" / "boats.onnx").is_file()


def test_the_watcher_receives_the_stages_in_order(recipe_file: Path, tmp_path: Path) -> None:
    stages = Stages()
    report = build(recipe_file, tmp_path / "m.onnx", watcher=stages)
    assert stages.names == ["read", "train", "convert", "verify", "seal"]
    assert list(report.seconds) == stages.names


@pytest.mark.parametrize("mark", [None, float("nan"), pd.NA], ids=["None", "NaN", "NA"])
def test_a_missing_string_keeps_the_users_marker(tmp_path: Path, mark: object) -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    X = pd.DataFrame({"hull": pd.Series(["oak", mark, "steel", "oak"], dtype=object)})
    imputer = SimpleImputer(strategy="most_frequent", missing_values=mark)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    pipeline = make_pipeline(imputer, encoder).fit(X)
    report = edge_pipeline.export(pipeline, X, tmp_path / "m.onnx")
    with edge_runtime.load(report.path) as model:
        assert np.array_equal(model.transform(X), pipeline.transform(X))


def test_a_recipe_that_fails_leaves_no_file(changed: Callable[..., Path]) -> None:
    file = changed(("C = 2.0", 'C = 2.0\n[export]\nmetrics = ["neg_log_los"]'))
    with pytest.raises(RecipeError):
        build(file, file.parent / "m.onnx")
    assert not (file.parent / "m.onnx").exists()


def test_an_unmet_tolerance_keeps_the_old_file(
    changed: Callable[..., Path],
) -> None:
    file = changed(("C = 2.0", "C = 2.0\n[export]\ntolerance = 1e-300"))
    output = file.parent / "m.onnx"
    output.write_bytes(b"the old one")
    with pytest.raises(ParityError):
        build(file, output)
    assert output.read_bytes() == b"the old one"


def test_a_function_with_a_table_exports_its_fitted_columns(train_py: Path) -> None:
    folder = train_py.parent
    report = export_function(
        f"{train_py}:fitted", folder / "m.onnx", table=folder / "rows.csv", name="mine"
    )
    assert report.name == "mine"
    with edge_runtime.load(report.path) as model:
        assert model.schema.names == ("b", "a")
        assert model.predict([{"a": 1.0, "b": 4.0}])[0] == pytest.approx(3.0)


def test_a_function_may_return_its_own_sample(
    train_py: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(train_py.parent)
    report = export_function("train:with_sample")
    assert (report.name, report.path) == ("with_sample", Path("dist/with_sample.onnx"))


@pytest.mark.parametrize(
    ("function", "table", "kind", "part"),
    [
        ("fitted", None, DatasetError, "returned no sample"),
        ("on_array", "rows.csv", DatasetError, "3 columns, the estimator was fitted on 2"),
        ("nothing", "rows.csv", TrainingError, "returned a str"),
        ("broken", None, TrainingError, "RuntimeError: out of paper"),
        ("fited", None, TrainingError, "did you mean 'train:fitted'?"),
        ("fitted", "other.csv", DatasetError, "column 'b' is missing"),
    ],
)
def test_a_function_without_a_model_is_named(
    train_py: Path, function: str, table: str | None, kind: type[Exception], part: str
) -> None:
    folder = train_py.parent
    (folder / "other.csv").write_text("a\n1\n")
    with pytest.raises(kind) as caught:
        export_function(
            f"{train_py}:{function}", folder / "m.onnx", table=folder / table if table else None
        )
    assert part in str(caught.value)
    assert not (folder / "m.onnx").exists()
