"""Hard limits of columns: sealed by an export or a recipe, and enforced on the device."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline.errors import ConversionError, RecipeError
from edge_pipeline.evaluation.schema_changes import schema_changes
from edge_runtime.bundle.schema import InputLimits
from edge_runtime.errors import InputError
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

import edge_runtime

LIMITS = {"temperature": {"min": 40, "max": 125}, "gear": {"values": [2, 1]}}


def readings(n_rows: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "temperature": random.uniform(50, 60, n_rows),
            "gear": random.choice([1, 2], n_rows),
            "load": random.uniform(size=n_rows),
        }
    )


def fitted(X: pd.DataFrame) -> Any:
    return RandomForestClassifier(3, random_state=0).fit(X, X["load"] > 0.5)


def test_limits_are_sealed_and_refused_on_the_device(tmp_path: Path) -> None:
    X, path = readings(), tmp_path / "limited.onnx"
    estimator = fitted(X)
    result = edge_pipeline.export(
        estimator, X, path, input_limits=LIMITS, limits={"max_latency_us": 1e9}
    )
    plain = edge_pipeline.export(estimator, X, tmp_path / "plain.onnx")
    limits = [column.limits for column in result.manifest.schema.columns]
    assert limits == [InputLimits(40.0, 125.0), InputLimits(values=(1.0, 2.0)), None]
    assert schema_changes(plain.manifest, result.manifest) == [
        "column 'temperature' has new limits: from 40.0 to 125.0",
        "column 'gear' has new limits: one of 1.0, 2.0",
    ]
    with edge_runtime.load(path, isolate=True) as model:
        model.warm_up()
        assert model.predict(X).tolist() == estimator.predict(X).tolist()
        far = X.iloc[:3].assign(temperature=[55.0, 124.0, 400.0])
        assert model.predict(far.iloc[:2]).tolist() == estimator.predict(far.iloc[:2]).tolist()
        with pytest.raises(InputError, match=r"row 2, column 'temperature'.* 40.0 to 125.0"):
            model.predict(far)
        with pytest.raises(InputError, match=r"column 'gear': .*one of 1.0, 2.0.*found 3.0"):
            model.predict_one({"temperature": 55.0, "gear": 3, "load": 0.5})


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"speed": {"min": 1}}, "does not read; it reads 'temperature', 'gear', 'load'"),
        ({"load": {}}, "need a minimum, a maximum or values"),
        ({"load": {"min": "low"}}, "has 'low'.*finite numbers"),
        ({"load": {"max": float("inf")}}, "has inf"),
        ({"load": {"min": 2, "max": 1}}, "2.0 of a column exceeds its maximum 1.0"),
        ({"load": {"values": []}}, "allow no value"),
        ({"load": {"values": 3}}, "expected a list"),
        ({"load": {"min": 0, "values": [1]}}, "a range or values, not both"),
        ({"load": {"least": 0}}, "expected a dict of min and max"),
        ({"load": [0, 1]}, "expected a dict of min and max"),
    ],
)
def test_limits_that_cannot_be_meant_are_refused(tmp_path: Path, limits: Any, words: str) -> None:
    X = readings()
    with pytest.raises(ConversionError, match=words):
        edge_pipeline.export(fitted(X), X, tmp_path / "m.onnx", input_limits=limits)


def test_training_rows_beyond_the_limits_are_named_by_their_index(tmp_path: Path) -> None:
    X = readings()
    X.index = [f"day {i}" for i in range(len(X))]
    estimator = fitted(X)
    X.loc["day 17", "temperature"] = 400.0
    for rows in ({"X": X}, {"X": X.drop(index="day 17"), "X_test": X}):
        table = list(rows)[-1]
        with pytest.raises(ConversionError, match=f"row day 17 of {table}, column 'temp.*400.0"):
            edge_pipeline.export(estimator, path=tmp_path / "m", input_limits=LIMITS, **rows)


def test_a_missing_value_is_within_all_limits(tmp_path: Path) -> None:
    X = readings()
    X.loc[3, "temperature"] = np.nan
    estimator = make_pipeline(SimpleImputer(), fitted(readings())).fit(X, X["load"] > 0.5)
    edge_pipeline.export(estimator, X, tmp_path / "m.onnx", input_limits=LIMITS)
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        assert model.predict(X).tolist() == estimator.predict(X).tolist()


RECIPE_LIMITS = """
[input.limits]
length = { min = 0, max = 100 }
hull = { values = ["wood", "steel", "plastic"] }

[estimator]
"""


def test_a_recipe_seals_limits(changed: Callable[..., Path], tmp_path: Path) -> None:
    file = changed(("[estimator]\n", RECIPE_LIMITS))
    hulls = pd.read_csv(file.parent / "boats.csv")["hull"].dropna().unique().tolist()
    changed(('["wood", "steel", "plastic"]', str(hulls).replace("'", '"')))
    result = edge_pipeline.build(file, tmp_path / "boats.onnx")
    columns = {column.name: column.limits for column in result.manifest.schema.columns}
    assert columns["length"] == InputLimits(0.0, 100.0)
    assert columns["hull"] == InputLimits(values=tuple(sorted(hulls)))
    with edge_runtime.load(result.path) as model, pytest.raises(InputError, match="'length'"):
        model.predict_one({"length": 101.0, "masts": 1, "hull": hulls[0]})


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ("[input.limits]\nlength = { mn = 1 }\n", "input.limits.length.mn", "did you mean 'min'"),
        ("[input.limits]\nsails = { min = 1 }\n", "input.limits.sails", "learns from no such"),
        ("[input.limits]\nlength = { min = 9, max = 1 }\n", "input.limits", "exceeds"),
        ("[input.limits]\nlength = { max = 0 }\n", "input.limits", "row 0 of .*boats.csv"),
        ("[input]\nmissing = 'never'\n", "input.missing", "expected one of 'as-estimator'"),
        ("[input.missing]\nsails = 'refuse'\n", "input.missing.sails", "learns from no such"),
    ],
)
def test_a_recipe_names_the_faulty_key(
    changed: Callable[..., Path], tmp_path: Path, table: str, key: str, words: str
) -> None:
    file = changed(("[estimator]\n", f"{table}\n[estimator]\n"))
    with pytest.raises(RecipeError, match=words) as caught:
        edge_pipeline.build(file, tmp_path / "boats.onnx")
    assert caught.value.key == key


def test_a_row_is_named_by_its_number_in_the_file(
    changed: Callable[..., Path], tmp_path: Path
) -> None:
    """The split shuffles the rows; the message counts them as the file does."""
    file = changed(("[estimator]\n", "[input.limits]\nlength = { max = 500 }\n\n[estimator]\n"))
    frame = pd.read_csv(file.parent / "boats.csv")
    for row in (2, 9, 20):
        frame.assign(length=frame["length"].where(frame.index != row, 999)).to_csv(
            file.parent / "boats.csv", index=False
        )
        with pytest.raises(RecipeError, match=f"row {row} of .*999"):
            edge_pipeline.build(file, tmp_path / "boats.onnx")
