"""Test the calls that people type first: they work, or the error says what to type."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import polars as pl
import pytest
from edge_pipeline.errors import ConversionError, RecipeError
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import edge_runtime

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "length": RNG.normal(size=80),
        "masts": RNG.integers(1, 4, size=80),
        "sails": RNG.random(80) < 0.5,
        "hull": np.array(["oak", "steel"])[RNG.integers(0, 2, size=80)],
    }
)
LABELS = np.where(TABLE["length"] + TABLE["sails"] > 0.5, "ketch", "sloop")
ESTIMATOR = make_pipeline(
    make_column_transformer(
        (StandardScaler(), ["length", "masts"]),
        (OneHotEncoder(), ["hull"]),
        remainder="passthrough",
    ),
    LogisticRegression(),
).fit(TABLE, LABELS)
ROW = TABLE.iloc[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[edge_runtime.Model]:
    path = tmp_path_factory.mktemp("boats") / "boats.onnx"
    edge_pipeline.export(ESTIMATOR, TABLE, path, version=3)
    with edge_runtime.load(path) as loaded:
        yield loaded


@pytest.fixture
def reload(tmp_path: Path) -> Callable[..., edge_runtime.Model]:
    def export_and_load(estimator: Any, X: Any) -> edge_runtime.Model:
        edge_pipeline.export(estimator, X, tmp_path / "m.onnx")
        return edge_runtime.load(tmp_path / "m.onnx")

    return export_and_load


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ((ESTIMATOR, "x.onnx"), "needs X, .* export(estimator, X, 'x.onnx')"),
        ((ESTIMATOR,), "needs X"),
        ((ESTIMATOR, TABLE), "needs the file to write"),
        ((TABLE, ESTIMATOR, "x.onnx"), "swap them"),
        ((ESTIMATOR, "x.onnx", TABLE), "swap them"),
        (("model.pkl", TABLE, "x.onnx"), "joblib.load('model.pkl')"),
        (("model.joblib",), "joblib.load('model.joblib')"),
        (("model.skops", TABLE, "x.onnx"), "skops.io.load"),
        (("models/boats/recipe.toml", TABLE, "x.onnx"), "edge_pipeline.build"),
        ((ESTIMATOR, TABLE, LABELS), "y=y"),
        ((ESTIMATOR, TABLE, LABELS, "x.onnx"), "y=y"),
        ((ESTIMATOR, TABLE, "x.onnx", LABELS), "y=y"),
        ((ESTIMATOR, "boats.csv", "x.onnx"), "pandas.read_csv('boats.csv')"),
        ((ESTIMATOR, None, "x.onnx"), "rows of the training input"),
        ((LogisticRegression, TABLE, "x.onnx"), "is a class; expected a fitted estimator"),
        ((LogisticRegression(), TABLE, "x.onnx"), "not fitted"),
    ],
)
def test_a_slip_in_export_names_the_call_that_was_meant(
    arguments: tuple[Any, ...], remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pattern = remedy.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ConversionError, match=pattern):
        edge_pipeline.export(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_convert_explains_the_same_slips() -> None:
    with pytest.raises(ConversionError, match="swap them"):
        edge_pipeline.convert(TABLE, ESTIMATOR)
    with pytest.raises(ConversionError, match="rows of the training input"):
        edge_pipeline.convert(ESTIMATOR, "x.onnx")


@pytest.mark.parametrize(
    ("recipe", "remedy"),
    [
        (ESTIMATOR, "edge_pipeline.export"),
        (TABLE, "edge_pipeline.init"),
        ("boats.csv", r"edge_pipeline.init\('boats.csv', target="),
        (7, "expected a recipe.toml or its folder, found int"),
    ],
)
def test_build_of_something_else_names_the_right_function(recipe: Any, remedy: str) -> None:
    with pytest.raises(RecipeError, match=remedy):
        edge_pipeline.build(recipe)


def test_the_named_target_of_an_export_may_stay_in_the_table(tmp_path: Path) -> None:
    y = pd.Series(LABELS, name="kind")
    edge_pipeline.export(ESTIMATOR, TABLE, tmp_path / "m.onnx", y=y)
    with edge_runtime.load(tmp_path / "m.onnx") as loaded:
        assert loaded.predict(TABLE.assign(kind=y)).tolist() == loaded.predict(TABLE).tolist()
        assert loaded.predict_one({**ROW, "kind": "sloop"}) == loaded.predict_one(ROW)


def test_calling_the_model_predicts(model: edge_runtime.Model) -> None:
    assert model(TABLE).tolist() == ESTIMATOR.predict(TABLE).tolist()


@pytest.mark.parametrize(
    ("X", "remedy"),
    [
        (dict(ROW), "for one row use predict_one"),
        ({name: np.asarray(cell) for name, cell in ROW.items()}, "for one row use predict_one"),
        (ROW, "for one row use predict_one"),
        (list(ROW), "for one row use predict_one"),
        (ROW.to_numpy(), "for one row use predict_one"),
        (3.5, "expected a 2-d array, a data frame"),
        ("rows.csv", "pass a list of rows, or .* edge-runtime predict MODEL FILE"),
    ],
)
def test_one_row_given_to_predict_names_predict_one(
    X: Any, remedy: str, model: edge_runtime.Model
) -> None:
    with pytest.raises(edge_runtime.InputError, match=remedy):
        model.predict(X)


@pytest.mark.parametrize(
    "row",
    [
        dict(ROW),
        ROW,
        list(ROW),
        tuple(ROW),
        ROW.to_numpy(),
        ROW.to_dict(),
        {name: np.array([cell])[0] for name, cell in ROW.items()},
        pl.from_pandas(TABLE).row(0),
        pl.from_pandas(TABLE).row(0, named=True),
    ],
)
def test_one_row_of_any_kind_works(row: Any, model: edge_runtime.Model) -> None:
    expected = ESTIMATOR.predict(TABLE.head(1))[0]
    assert model.predict_one(row) == expected
    assert (
        model.predict([row] if isinstance(row, dict | list | tuple) else TABLE.head(1)) == expected
    )


@pytest.mark.parametrize(
    ("rows", "remedy"),
    [
        (TABLE.head(1), "iloc"),
        (TABLE.head(1).to_numpy(), r"pass row\[0\]"),
        (TABLE.to_numpy(), "for several rows use predict"),
        ([dict(ROW)], "pass the dict itself"),
    ],
)
def test_rows_given_to_predict_one_name_the_way_out(
    rows: Any, remedy: str, model: edge_runtime.Model
) -> None:
    with pytest.raises(edge_runtime.InputError, match=remedy):
        model.predict_one(rows)


def test_an_extra_column_is_ignored_in_one_call(model: edge_runtime.Model) -> None:
    wide = TABLE.assign(kind=LABELS)
    with pytest.raises(edge_runtime.InputError, match='extra_columns="ignore"'):
        model.predict(wide)
    assert model.predict(wide, extra_columns="ignore").tolist() == model.predict(TABLE).tolist()
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        call = getattr(model, method)
        np.testing.assert_array_equal(call(wide, extra_columns="ignore"), call(TABLE))
    assert model.check_rows(wide, extra_columns="ignore") == model.check_rows(TABLE)
    with pytest.raises(edge_runtime.InputError, match="kind"):
        model.predict(wide)  # the next call is as strict as before
    with pytest.raises(ValueError, match="one of"):
        model.predict(wide, extra_columns="drop")  # type: ignore[arg-type]


def test_a_tolerant_model_can_be_strict_in_one_call(model: edge_runtime.Model) -> None:
    assert model.origin is not None
    tolerant = edge_runtime.load(model.origin.source, extra_columns="ignore")
    wide = TABLE.assign(kind=LABELS)
    assert tolerant.predict(wide).tolist() == model.predict(TABLE).tolist()
    with pytest.raises(edge_runtime.InputError, match="kind"):
        tolerant.predict(wide, extra_columns="refuse")


def test_rows_outside_training_are_refused_with_extra_columns_too(
    model: edge_runtime.Model,
) -> None:
    assert model.origin is not None
    strict = edge_runtime.load(model.origin.source, outside="refuse")
    far = TABLE.assign(kind=LABELS, length=1e6)
    with pytest.raises(edge_runtime.InputError, match="outside"):
        strict.predict(far, extra_columns="ignore")
    with pytest.raises(edge_runtime.InputError, match="outside"):
        strict.decision_function_one(dict(TABLE.assign(length=1e6).iloc[0]))


@pytest.mark.parametrize("value", [True, 1, 1.0, np.True_, np.int64(1)])
def test_true_in_a_boolean_column(value: Any, model: edge_runtime.Model) -> None:
    expected = ESTIMATOR.predict(TABLE.head(1).assign(sails=True))[0]
    assert model.predict_one({**ROW, "sails": value}) == expected


@pytest.mark.parametrize("value", ["yes", "True", "1", 2, 0.5])
def test_no_truth_value_in_a_boolean_column(value: Any, model: edge_runtime.Model) -> None:
    for call in (
        lambda: model.predict_one({**ROW, "sails": value}),
        lambda: model.predict(TABLE.head(2).assign(sails=value)),
        lambda: model.predict([{**ROW, "sails": value}]),
    ):
        with pytest.raises(edge_runtime.InputError, match=r"'sails'.*expected true or false"):
            call()


def test_true_in_a_column_of_words_names_the_words(model: edge_runtime.Model) -> None:
    with pytest.raises(edge_runtime.InputError, match="as in training: 'oak', 'steel'"):
        model.predict_one({**ROW, "hull": True})


def test_a_model_has_the_attributes_of_the_estimator(model: edge_runtime.Model) -> None:
    assert (model.name, model.version) == ("boats", 3)
    assert model.classes_.tolist() == ESTIMATOR.classes_.tolist()
    assert model.feature_names_in_.tolist() == ESTIMATOR.feature_names_in_.tolist()
    assert model.n_features_in_ == ESTIMATOR.n_features_in_
    assert model.n_outputs_ == 1
    assert not hasattr(model, "score")


def test_attributes_that_the_estimator_lacked_are_absent(
    reload: Callable[..., edge_runtime.Model],
) -> None:
    X, Y = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 2))
    model = reload(LinearRegression().fit(X, Y), X)
    assert (model.n_features_in_, model.n_outputs_) == (3, 2)
    assert not hasattr(model, "classes_")
    assert not hasattr(model, "feature_names_in_")
    assert not hasattr(model, "predict_log_proba")
    assert not hasattr(model, "transform_one")


def test_several_targets_have_a_list_of_classes(
    reload: Callable[..., edge_runtime.Model],
) -> None:
    X = RNG.normal(size=(40, 3))
    Y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0.5]).astype(int)
    tree = DecisionTreeClassifier(max_depth=2).fit(X, Y)
    model = reload(tree, X)
    assert [labels.tolist() for labels in model.classes_] == [[0, 1], [0, 1]]
    assert model.n_outputs_ == tree.n_outputs_
    with np.errstate(divide="ignore"):
        logarithms = tree.predict_log_proba(X)
    for got, expected in zip(model.predict_log_proba(X), logarithms, strict=True):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(edge_runtime.MethodNotAvailableError, match="several arrays"):
        model.predict_log_proba_one(X[0])


MOST_CHARACTERS = 700


def test_every_repr_is_short(model: edge_runtime.Model, tmp_path: Path) -> None:
    result = edge_pipeline.export(ESTIMATOR, TABLE, tmp_path / "m.onnx", y=LABELS)
    path = result.path
    values = [
        result,
        model,
        model.manifest,
        model.manifest.golden,
        model.manifest.parity,
        model.schema,
        edge_pipeline.convert(ESTIMATOR, TABLE),
        edge_pipeline.describe_table(TABLE.assign(kind=LABELS), target="kind"),
        edge_pipeline.bench(path, largest_batch=1, seconds=0.01),
        edge_pipeline.bench_pair(path, path, largest_batch=1, seconds=0.01),
        edge_pipeline.inspect(path),
        edge_pipeline.compare(path, path, TABLE),
        edge_pipeline.draw_graph(path),
    ]
    lengths = {type(value).__name__: len(repr(value)) for value in values}
    assert {name: n for name, n in lengths.items() if n > MOST_CHARACTERS} == {}
    assert "\n" not in "".join(map(repr, values))
    assert "classification" in repr(result)
    assert "0 of" in repr(result)


def test_schema_description_and_bench_show_themselves_in_a_notebook(
    model: edge_runtime.Model,
) -> None:
    assert model.origin is not None
    path = str(model.origin.source)
    texts = [
        model.schema._repr_html_(),
        edge_pipeline.describe_table(TABLE.assign(kind=LABELS), target="kind")._repr_html_(),
        edge_pipeline.bench(path, largest_batch=1, seconds=0.01)._repr_html_(),
        edge_pipeline.bench_pair(path, path, largest_batch=1, seconds=0.01)._repr_html_(),
    ]
    assert "oak, steel" in texts[0]
    assert "such as oak, steel" in texts[1] or "such as steel, oak" in texts[1]
    assert "peak memory" in texts[2]
    assert "second / first" in texts[3]


def test_a_hostile_column_name_is_escaped_in_a_schema() -> None:
    table = pd.DataFrame({"<script>": ["<b>", "c"] * 4, "n": [1.0, 2.0] * 4})
    schema = edge_pipeline.convert(
        make_pipeline(make_column_transformer((OneHotEncoder(), ["<script>"]))).fit(table), table
    ).schema
    assert "<script>" not in schema._repr_html_()
    assert "<b>" not in schema._repr_html_()


@pytest.mark.parametrize("name", ["edge_runtime", "edge_pipeline"])
def test_help_opens_with_what_a_user_needs(name: str) -> None:
    source = f"import {name}; help({name})"
    text = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    ).stdout
    opening = "\n".join(text.splitlines()[:25])
    assert "edge_runtime.load(" in opening
    assert ("edge_pipeline.export(" in opening) == (name == "edge_pipeline")
    assert "predict_one" in opening
