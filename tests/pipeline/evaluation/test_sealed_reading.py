"""Test that the commands about a sealed file read its rows as the file says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import build, init
from edge_pipeline.data.csv import Layout, layout_of_reading
from edge_pipeline.data.estimator_function import estimator_and_sample
from edge_pipeline.data.tables import read_table
from edge_pipeline.errors import DatasetError
from edge_pipeline.evaluation.predictions import read_rows
from edge_runtime.cli.main import main

import edge_runtime

ROWS = 60
PRICES = np.random.default_rng(0).uniform(1, 5000, ROWS).round(2)
WIDTHS = np.random.default_rng(1).integers(1, 90, ROWS) / 2


@pytest.fixture(scope="module")
def sealed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of a file with semicolons, decimal commas, euros and cp1252."""
    folder = tmp_path_factory.mktemp("sealed")
    table = pd.DataFrame(
        {
            "größe": [f"{width:.1f}".replace(".", ",") for width in WIDTHS],
            "preis": [f"{price:.2f} €".replace(".", ",") for price in PRICES],
            "ziel": np.where(PRICES + WIDTHS > 2500, "teuer", "billig"),
        }
    )
    table.to_csv(folder / "t.csv", sep=";", index=False, encoding="cp1252")
    recipe = init(folder / "t.csv", folder / "m", target="ziel").recipe
    text = recipe.read_text("utf-8").partition("[search]")[0]
    tree = "[estimator]\nclass = 'sklearn.tree.DecisionTreeClassifier'"
    recipe.write_text(text.replace('estimator = "auto"', tree), encoding="utf-8")
    return build(recipe, folder / "m.onnx").path


def test_rows_of_a_file_are_read_by_the_sealed_reading(sealed_file: Path, tmp_path: Path) -> None:
    """Two rows tell nothing about marks and encoding; the sealed file knows them."""
    file = tmp_path / "rows.csv"
    text = "größe;preis;ziel\n12,5;1000,50 €;teuer\n3,5;7,25 €;billig\n"
    file.write_bytes(text.encode("cp1252"))
    with pytest.raises(DatasetError, match="not UTF-8"):
        read_rows(file)
    with edge_runtime.load(sealed_file) as model:
        rows = read_rows(file, model.manifest)
    assert rows["größe"].tolist() == [12.5, 3.5]
    assert rows["preis"].tolist() == [1000.5, 7.25]
    assert rows["ziel"].tolist() == ["teuer", "billig"]


def test_verify_reads_the_sample_by_the_sealed_reading(sealed_file: Path, tmp_path: Path) -> None:
    with edge_runtime.load(sealed_file) as model:
        reading = model.manifest.reading
    (tmp_path / "train.py").write_text(
        "from sklearn.dummy import DummyClassifier\nimport pandas as pd\n"
        "def fitted():\n"
        "    X = pd.DataFrame({'größe': [1.0, 2.0], 'preis': [1.0, 2.0]})\n"
        "    return DummyClassifier().fit(X, ['a', 'b'])\n",
        encoding="utf-8",
    )
    table = sealed_file.parent / "t.csv"
    train = f"{tmp_path / 'train.py'}:fitted"
    X = estimator_and_sample(train, table, reading=reading).sample
    assert X["preis"].tolist() == PRICES.tolist()
    assert X["größe"].tolist() == WIDTHS.tolist()


def test_the_layout_has_all_of_the_reading(sealed_file: Path) -> None:
    with edge_runtime.load(sealed_file) as model:
        reading = model.manifest.reading
    assert reading is not None
    assert layout_of_reading(reading).reading() == reading
    assert len(read_table(sealed_file.parent / "t.csv", layout_of_reading(reading))) == ROWS
    assert Layout().reading() != reading


@pytest.mark.parametrize("name", ["", "number"], ids=["unnamed", "named"])
def test_the_training_table_with_its_row_index_is_a_valid_input(tmp_path: Path, name: str) -> None:
    """Commands, device and both ways of reading it in Python know the column of row numbers."""
    table = pd.DataFrame({"a": WIDTHS, "b": PRICES, "y": np.where(PRICES > 2500, "up", "down")})
    table.to_csv(tmp_path / "t.csv", index_label=name)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        "name = 'm'\ntask = 'classification'\n[data]\nfile = 't.csv'\ntarget = 'y'\n"
        "[reading]\nrow_index = true\n"
        "[estimator]\nclass = 'sklearn.tree.DecisionTreeClassifier'\n",
        encoding="utf-8",
    )
    path = build(recipe, tmp_path / "m.onnx").path
    assert main(["predict", str(path), str(tmp_path / "t.csv"), "-o", str(tmp_path / "p.csv")]) == 0
    predictions = pd.read_csv(tmp_path / "p.csv")["prediction"]
    with edge_runtime.load(path) as model:
        rows = read_rows(tmp_path / "t.csv", model.manifest)
        assert [*rows][-3:] == ["a", "b", "y"]
        assert model.predict(pd.read_csv(tmp_path / "t.csv")).tolist() == predictions.tolist()
        assert model.predict(table[["a", "b"]]).tolist() == predictions.tolist()


def test_an_index_that_training_did_not_have_is_left_out_here(tmp_path: Path) -> None:
    """The build machine reads a table that pandas wrote; a file without an index stays whole."""
    table = pd.DataFrame({"a": [1.5, 2.5], "b": [3, 4]})
    table.to_csv(tmp_path / "index.csv")
    table.to_csv(tmp_path / "plain.csv", index=False)
    for name in ("index.csv", "plain.csv"):
        assert read_rows(tmp_path / name).to_dict("list") == table.to_dict("list")
