"""Where a value may be missing: as the estimator accepts it, unless the user is stricter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline.errors import ConversionError
from edge_runtime.errors import InputError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import edge_runtime

N_ROWS = 200
RECIPE = """\
name = "gap"
task = "classification"
[data]
file = "gap.csv"
target = "class"
[preprocessing]
numbers = ["impute", "scale"]
strings = ["impute", "one-hot"]
[estimator]
class = "sklearn.linear_model.LogisticRegression"
"""


def write_table(folder: Path, row: int, column: str) -> Path:
    """Write a recipe and 200 rows with one empty cell."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": random.normal(size=N_ROWS),
            "b": random.normal(size=N_ROWS),
            "c": random.choice(["x", "y", "z"], N_ROWS),
        }
    )
    frame["class"] = np.where(frame["a"] + frame["b"] > 0, "yes", "no")
    frame.loc[row, column] = None
    frame.to_csv(folder / "gap.csv", index=False)
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return folder / "recipe.toml"


@pytest.mark.slow
@pytest.mark.parametrize("column", ["a", "c"])
@pytest.mark.parametrize("row", range(5, N_ROWS, 39))
def test_one_empty_cell_builds_wherever_it_falls(tmp_path: Path, row: int, column: str) -> None:
    """The test rows hold a quarter of the cells, the training rows the others."""
    recipe = write_table(tmp_path, row, column)
    edge_pipeline.build(recipe, tmp_path / "gap.onnx")
    oracle = edge_pipeline.train(
        edge_pipeline.read_recipe(recipe),
        edge_pipeline.load_dataset(edge_pipeline.read_recipe(recipe)),
    ).estimator
    X = pd.read_csv(tmp_path / "gap.csv")[["a", "b", "c"]]
    with edge_runtime.load(tmp_path / "gap.onnx") as model:
        np.testing.assert_allclose(
            model.predict_proba(X), oracle.predict_proba(X), rtol=1e-9, atol=1e-12
        )
        flags = model.check_rows(X)
        described = model.schema.columns[list(X.columns).index(column)]
        is_flagged = any(flag.kind == "missing_value" for flag in flags[row])
        assert is_flagged == (not described.missing_in_training)


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["as-trained", "refuse"])
def test_a_strict_recipe_builds_wherever_the_cell_falls(tmp_path: Path, missing: str) -> None:
    for row in (5, 44, 108, 199):
        recipe = write_table(tmp_path, row, "a")
        recipe.write_text(
            f"{RECIPE}[input]\nmissing = '{missing}'\n[limits]\nmax_latency_us = 1e9\n"
        )
        result = edge_pipeline.build(recipe, tmp_path / "gap.onnx", report=True)
        column = result.manifest.schema.columns[0]
        assert column.missing == (missing == "as-trained" and column.missing_in_training)
        if not column.missing:
            assert any(
                "rows of X" in note and "could not be compared" in note for note in result.notes
            )
            with edge_runtime.load(result.path) as model, pytest.raises(InputError, match="'a'"):
                model.predict_one({"a": None, "b": 0.0, "c": "x"})


def fitted(X: Any) -> Any:
    return make_pipeline(SimpleImputer(), LogisticRegression()).fit(X, X[:, 1] > 0)


def test_rows_that_the_device_refuses_are_not_compared(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X, X_test = random.normal(size=(50, 3)), random.normal(size=(30, 3))
    estimator = fitted(X)
    X[3, 0] = X_test[7, 1] = np.nan
    result = edge_pipeline.export(estimator, X, tmp_path / "m", X_test=X_test, missing="refuse")
    assert [note.partition(" lacks")[0] for note in result.notes[:2]] == [
        "1 of 50 rows of X",
        "1 of 30 rows of X_test",
    ]
    assert not any(column.missing for column in result.manifest.schema.columns)


def test_a_sample_without_complete_rows_needs_another_choice(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(50, 3))
    estimator = fitted(X)
    X[:, 2] = np.nan
    with pytest.raises(ConversionError, match=r'every row of X lacks.*missing="as-estimator"'):
        edge_pipeline.export(estimator, X, tmp_path / "m", missing="refuse")


def test_a_recipe_chooses_by_column(changed: Callable[..., Path], tmp_path: Path) -> None:
    file = changed(("[estimator]\n", "[input.missing]\nlength = 'refuse'\n\n[estimator]\n"))
    columns = edge_pipeline.build(file, tmp_path / "boats.onnx").manifest.schema.columns
    assert {column.name: column.missing for column in columns} == {
        "length": False,
        "masts": True,
        "hull": True,
    }
