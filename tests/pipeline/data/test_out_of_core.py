"""Tables read in chunks: every pass sees the same rows, and training equals partial_fit."""

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.build_from_recipe import build
from edge_pipeline.data import out_of_core
from edge_pipeline.data.dataset import Dataset, load_dataset
from edge_pipeline.data.recipe import Recipe, read_recipe
from edge_pipeline.errors import DatasetError, RecipeError, TrainingError
from edge_pipeline.progress import ProgressListener
from edge_pipeline.training.fit import train
from sklearn.linear_model import SGDClassifier, SGDRegressor

import edge_runtime

ROWS = 1700
RECIPE = """\
name = "wells"
task = "{task}"
[data]
file = "{file}"
target = "{target}"
chunk_rows = 250
{data}
[preprocessing]
numbers = ["impute", "scale"]
strings = ["impute", "one-hot"]
[estimator]
class = "sklearn.linear_model.{name}"
{tables}
"""


def wells() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(ROWS, 3)), columns=["a", "b", "c"])
    frame["rock"] = rng.choice(["clay", "sand", "lime"], ROWS)
    frame["count"] = rng.integers(0, 9, ROWS)
    frame["yield"] = 2 * frame.a - frame.b + (frame.rock == "clay")
    frame["water"] = np.where(frame["yield"] > 0, "yes", "no")
    frame.loc[::17, "a"] = np.nan
    return frame


@pytest.fixture(params=["csv", "csv.gz", "parquet", "arrow"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"wells.{request.param}"
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
        wells().to_parquet(path, row_group_size=400)
    elif request.param == "arrow":
        pyarrow = pytest.importorskip("pyarrow")
        ipc = pytest.importorskip("pyarrow.ipc")
        table = pyarrow.Table.from_pandas(wells(), preserve_index=False)
        with ipc.new_file(path, table.schema) as out:
            out.write_table(table, max_chunksize=600)
    else:
        wells().to_csv(path, index=False)
    return path


def recipe_for(
    file: Path,
    *,
    task: str = "classification",
    name: str = "SGDClassifier",
    target: str = "water",
    data: str = 'exclude = ["yield"]',
    tables: str = "",
) -> Recipe:
    options = {"task": task, "name": name, "target": target, "data": data, "tables": tables}
    text = RECIPE.format(file=file.name, **options)
    (file.parent / "recipe.toml").write_text(text, encoding="utf-8")
    return read_recipe(file.parent)


def rows_of(dataset: Dataset) -> pd.DataFrame:
    return pd.concat([X for X, _ in dataset.parts.training_chunks()], ignore_index=True)


def test_each_pass_divides_the_rows_in_the_same_way(file: Path) -> None:
    dataset = load_dataset(recipe_for(file))
    train_rows = rows_of(dataset)
    pd.testing.assert_frame_equal(train_rows, rows_of(dataset))
    assert len(train_rows) == dataset.train_rows
    assert dataset.rows == ROWS
    assert 0.2 < len(dataset.X_test) / ROWS < 0.3
    everything = pd.concat([train_rows, dataset.X_test])["b"]
    assert sorted(everything) == sorted(wells()["b"])
    # Fewer than are kept: the sample is all of them, in their order.
    pd.testing.assert_frame_equal(dataset.X_train, train_rows)
    assert (dataset.numbers, dataset.strings) == (("a", "b", "c", "count"), ("rock",))


@pytest.mark.slow
def test_training_equals_partial_fit_by_hand(file: Path) -> None:
    recipe = recipe_for(file, tables="[training]\nepochs = 3")
    dataset = load_dataset(recipe)
    fitted = train(recipe, dataset)
    before = fitted.estimator[:-1]
    by_hand = SGDClassifier(random_state=0)
    for _ in range(3):
        for X, y in dataset.parts.training_chunks():
            by_hand.partial_fit(before.transform(X), y, classes=["no", "yes"])
    assert np.array_equal(fitted.estimator[-1].coef_, by_hand.coef_)
    assert fitted.metrics["accuracy"] > 0.9


class RecordingListener(ProgressListener):
    def __init__(self, *, stop_at: int = 0) -> None:
        self.parts: list[tuple[int, int]] = []
        self.losses: list[float] = []
        self.stop_at = stop_at

    def part(self, done: int, total: int) -> None:
        self.parts.append((done, total))
        if len(self.parts) == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    def epoch(self, number: int, loss: float) -> None:
        self.losses.append(loss)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    wells().to_csv(tmp_path / "wells.csv", index=False)
    return tmp_path / "wells.csv"


def test_the_listener_gets_each_chunk_and_each_loss(table: Path) -> None:
    options = {"task": "regression", "name": "SGDRegressor", "target": "yield"}
    tables = "[training]\nepochs = 4"
    recipe = recipe_for(table, data='exclude = ["water"]', tables=tables, **options)
    dataset, listener = load_dataset(recipe), RecordingListener()
    fitted = train(recipe, dataset, watcher=listener)
    total = dataset.train_rows
    assert listener.parts[-1] == (total, total)
    assert len(listener.parts) == 4 * len(list(dataset.parts.training_chunks()))
    assert tuple(listener.losses) == fitted.loss_curve
    assert len(listener.losses) == 4
    assert listener.losses[-1] < listener.losses[0] < np.var(dataset.y_train)
    assert isinstance(fitted.estimator[-1], SGDRegressor)
    assert fitted.metrics["r2"] > 0.9


def test_a_model_from_chunks_predicts_the_same_when_sealed(table: Path) -> None:
    recipe = recipe_for(table)
    report, dataset = build(recipe, table.parent / "wells.onnx"), load_dataset(recipe)
    oracle = train(recipe, dataset).estimator
    with edge_runtime.load(report.path) as model:
        assert np.array_equal(model.predict(dataset.X_test), oracle.predict(dataset.X_test))


def test_patience_stops_training_and_keeps_the_best_epoch(table: Path) -> None:
    # Steps so long that it only gets worse.
    parameters = 'parameters = { learning_rate = "constant", eta0 = 0.4 }'
    options = {"task": "regression", "name": "SGDRegressor", "target": "yield"}
    recipe = recipe_for(
        table,
        data='exclude = ["water"]',
        tables=f"{parameters}\n[training]\nepochs = 50\npatience = 2",
        **options,
    )
    dataset, listener = load_dataset(recipe), RecordingListener()
    fitted = train(recipe, dataset, watcher=listener)
    assert len(listener.losses) < 50
    assert min(listener.losses[-2:]) >= min(listener.losses[:-2])
    X, y = dataset.parts.features_and_target(dataset.parts.validation)
    assert len(X) > 40
    error = np.mean((fitted.estimator.predict(X) - y) ** 2)
    assert error == pytest.approx(min(listener.losses), rel=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c_raises")
def test_ctrl_c_keeps_the_partly_trained_model(table: Path) -> None:
    recipe = recipe_for(table, tables="[training]\nepochs = 100")
    dataset, listener = load_dataset(recipe), RecordingListener(stop_at=9)
    fitted = train(recipe, dataset, watcher=listener)
    assert fitted.warnings[0].startswith("interrupted; SGDClassifier learnt from ")
    assert fitted.metrics["accuracy"] > 0.8


def test_a_word_in_a_late_chunk_makes_a_column_text(table: Path) -> None:
    frame = wells().astype({"count": object})
    frame.loc[ROWS - 3, "count"] = "many"
    frame.to_csv(table, index=False)
    dataset = load_dataset(recipe_for(table))
    assert dataset.strings == ("rock", "count")
    assert {"7", "many"} <= set(rows_of(dataset)["count"]) | set(dataset.X_test["count"])


def test_a_missing_value_in_a_late_chunk_makes_integers_floats(table: Path) -> None:
    frame = wells().astype({"count": object})
    frame.loc[ROWS - 3, "count"] = None
    frame.to_csv(table, index=False)
    for X, _ in load_dataset(recipe_for(table)).parts.training_chunks():
        assert X["count"].dtype == np.float64


def test_the_samples_come_from_the_whole_table(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_of_core, "SAMPLE_ROWS", 100)
    monkeypatch.setattr(out_of_core, "MAX_EVALUATION_ROWS", 60)
    dataset = load_dataset(recipe_for(table))
    assert (len(dataset.X_train), len(dataset.X_test)) == (100, 60)
    assert dataset.train_rows > 1000
    places = [list(wells()["b"]).index(value) for value in dataset.X_train["b"]]
    assert places == sorted(places)
    assert places[0] < 200
    assert places[-1] > ROWS - 200


@pytest.mark.parametrize(
    ("data", "tables", "key", "part"),
    [
        ("", "[search]\nparameters = { alpha = [1.0] }", "search", "not possible"),
        ("[split]\nstratify = true", "", "split.stratify", "not possible"),
        ('exclude = ["yeild"]', "", "data.exclude", "did you mean 'yield'?"),
    ],
)
def test_keys_that_need_the_whole_table_are_refused(
    table: Path, data: str, tables: str, key: str, part: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_dataset(recipe_for(table, data=data, tables=tables))
    assert caught.value.key == key
    assert part in str(caught.value)


def test_an_estimator_without_partial_fit_is_refused_with_others(
    table: Path,
) -> None:
    recipe = recipe_for(table, name="LogisticRegression")
    with pytest.raises(RecipeError, match=r"needs the whole table; .*SGDClassifier"):
        train(recipe, load_dataset(recipe))


def test_dates_and_large_integers_are_refused_in_chunks_too(table: Path) -> None:
    frame = wells()
    frame["day"] = "2024-01-02"
    frame.to_csv(table, index=False)
    with pytest.raises(DatasetError, match="'day' holds dates"):
        load_dataset(recipe_for(table))
    frame["day"] = 2**60 + np.arange(ROWS)
    frame.to_csv(table, index=False)
    with pytest.raises(DatasetError, match=r"'day' holds whole numbers beyond 2\*\*53"):
        load_dataset(recipe_for(table))


def test_an_estimator_that_refuses_a_chunk_is_named(table: Path) -> None:
    recipe = recipe_for(table, tables='parameters = { loss = "hing" }')
    with pytest.raises(TrainingError, match=r"SGDClassifier refused the training rows: .*loss"):
        train(recipe, load_dataset(recipe))


def test_the_training_table_needs_chunk_rows(table: Path) -> None:
    text = (table.parent / "recipe.toml").write_text
    text(
        'name = "w"\ntask = "regression"\nestimator = "auto"\n[data]\nfile = "wells.csv"\n'
        'target = "yield"\n[training]\nepochs = 2\n'
    )
    with pytest.raises(RecipeError, match=r"give data\.chunk_rows"):
        read_recipe(table.parent)
