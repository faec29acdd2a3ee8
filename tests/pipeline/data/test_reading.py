"""Test what init recognizes in a file, and that the device reads the file alike."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import build, init
from edge_pipeline.data.csv import Layout
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.data.tables import read_table
from edge_pipeline.errors import DatasetError, RecipeError
from edge_runtime.bundle.reading import CellRule
from edge_runtime.cli.main import main

import edge_runtime

ROWS = 60
NUMBERS = np.random.default_rng(0).uniform(1, 5000, ROWS).round(2)
WEIGHTS = np.random.default_rng(1).integers(1, 90, ROWS)
LABELS = np.where(NUMBERS > 2500, "groß", "klein")


def german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


@pytest.fixture
def german_file(tmp_path: Path) -> Path:
    table = pd.DataFrame(
        {
            "id": range(ROWS),
            "preis": [german(number) + " EUR" for number in NUMBERS],
            "gewicht": [f"{weight} kg" for weight in WEIGHTS],
            "stand": ["?" if i % 7 == 0 else str(i % 5) for i in range(ROWS)],
            "ziel": LABELS,
        }
    )
    table.to_csv(tmp_path / "t.csv", sep=";", index=False, encoding="cp1252")
    return tmp_path / "t.csv"


def test_init_writes_the_reading_and_the_device_repeats_it(
    german_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table that a model was trained on is read on the device without a switch."""
    result = init(german_file, tmp_path / "m", target="ziel")
    recipe = read_recipe(result.recipe)
    assert (
        recipe.reading.rules
        == {
            "preis": CellRule("EUR", ",", "."),
            "gewicht": CellRule("kg", ",", ""),
        }
        or recipe.reading.rules["gewicht"].mark == "kg"
    )
    assert recipe.reading.missing == ("?",)
    kinds = {column.name: column.kind for column in result.description.columns}
    assert kinds == {
        "id": "int64",
        "preis": "float64",
        "gewicht": "int64",
        "stand": "float64",
        "ziel": "string",
    }
    text = result.recipe.read_text("utf-8").replace(
        'estimator = "auto"',
        "[estimator]\nclass = 'sklearn.tree.DecisionTreeClassifier'",
    )
    result.recipe.write_text(text.partition("[search]")[0], encoding="utf-8")
    bundle = build(result.recipe, tmp_path / "m.onnx").path
    assert main(["predict", str(bundle), str(german_file)]) == 0
    predictions = [line.split(",")[1] for line in capsys.readouterr().out.splitlines()[1:]]
    stand = [float("nan") if i % 7 == 0 else i % 5 for i in range(ROWS)]
    rows = pd.DataFrame({"preis": NUMBERS, "gewicht": WEIGHTS, "stand": stand})
    with edge_runtime.load(bundle) as model:
        assert predictions == model.predict(rows).tolist()
    assert set(predictions) == set(LABELS)


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        (["$1,250.00", "$7", "-$3.5"], CellRule("$", ".", ",")),
        (["89%", "12.5 %", "7"], CellRule("%", ".", "")),
        (["12,5 km/h", "3 km/h", "4,25 km/h"], CellRule("km/h", ",", "")),
        (["EUR 1.250,00", "EUR 3", "EUR 4"], CellRule("EUR", ",", ".")),
        (["12 kg", "7 lb", "8 kg"], None),
        (["007 kg", "008 kg", "009 kg"], None),
        (["A12", "B7", "C9"], None),
        (["red", "blue", "3 kg"], None),
    ],
)
def test_one_mark_beside_all_numbers_is_a_rule(
    tmp_path: Path, cells: list[str], rule: CellRule | None
) -> None:
    table = pd.DataFrame({"a": cells * 20, "b": range(60), "y": ["u", "v", "w"] * 20})
    table.to_csv(tmp_path / "t.csv", index=False)
    recipe = read_recipe(init(tmp_path / "t.csv", tmp_path / "m", target="y").recipe)
    assert recipe.reading.rules.get("a") == rule


def test_a_missing_header_is_recognized_by_init_and_refused_by_build(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("".join(f"{i * 0.7},{i % 3}\n" for i in range(50)), encoding="utf-8")
    with pytest.raises(DatasetError, match="looks like a row; say header = false"):
        read_table(file)
    assert len(read_table(file, Layout(header=False))) == 50
    result = init(file, tmp_path / "m", target="x1")
    assert result.description.rows == 50
    assert any("looks like a row" in note for note in result.description.notes)


def test_years_and_pixels_are_a_header(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("1990,1991,1992\n1,2,3\n4,5,6\n", encoding="utf-8")
    assert list(read_table(file).columns) == ["1990", "1991", "1992"]


def test_a_cell_beyond_its_rule_is_refused_by_the_build(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n$5,1\n5 EUR,2\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"column 'a'.*mark '\$'.*found '5 EUR'"):
        read_table(tmp_path / "t.csv", Layout(columns={"a": CellRule("$")}))


@pytest.mark.parametrize(
    "reading",
    ["names = ['a']", "thousands = 'x'", "decimal = ','\nthousands = ','", "unknown = 1"],
)
def test_a_contradictory_reading_is_refused(tmp_path: Path, reading: str) -> None:
    (tmp_path / "recipe.toml").write_text(
        "name = 'm'\ntask = 'regression'\nestimator = 'auto'\n"
        f"[data]\nfile = 't.csv'\ntarget = 'y'\n[reading]\n{reading}\n",
        encoding="utf-8",
    )
    with pytest.raises(RecipeError, match="reading"):
        read_recipe(tmp_path)


def test_older_recipes_say_the_reading_in_data(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(
        "name = 'm'\ntask = 'regression'\nestimator = 'auto'\n"
        "[data]\nfile = 't.csv'\ntarget = 'y'\nseparator = ';'\nencoding = 'cp1252'\n",
        encoding="utf-8",
    )
    reading = read_recipe(tmp_path).reading
    assert (reading.separator, reading.encoding) == (";", "cp1252")


@pytest.mark.parametrize(
    ("labels", "words"),
    [(["u"] * 60, "every row has the label 'u'"), ([i // 2 for i in range(500)], "250 labels")],
)
def test_init_refuses_labels_that_build_cannot_learn(
    tmp_path: Path, labels: list[object], words: str
) -> None:
    table = pd.DataFrame({"a": np.sin(range(len(labels))), "y": labels})
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DatasetError, match=words):
        init(tmp_path / "t.csv", tmp_path / "m", target="y", task="classification")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("index_name", ["", "Unnamed: 0"])
def test_the_row_index_of_a_training_table_is_ignored_on_the_device(
    tmp_path: Path, index_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file itself, and the frame that pandas reads from it, are valid input."""
    table = pd.DataFrame({"a": NUMBERS, "b": WEIGHTS, "y": np.roll(LABELS, 1)})
    table.index = table.index + 1
    file = tmp_path / "t.csv"
    table.to_csv(file, index_label=index_name)
    recipe = init(file, tmp_path / "m", target="y").recipe
    text = recipe.read_text("utf-8").replace(
        'estimator = "auto"', "[estimator]\nclass = 'sklearn.tree.DecisionTreeClassifier'"
    )
    recipe.write_text(text.partition("[search]")[0], encoding="utf-8")
    bundle = build(recipe, tmp_path / "m.onnx").path
    assert main(["predict", str(bundle), str(file)]) == 0
    predictions = [line.split(",")[1] for line in capsys.readouterr().out.splitlines()[1:]]
    with edge_runtime.load(bundle) as model:
        assert model.schema.names == ("a", "b")
        assert model.predict(pd.read_csv(file)).tolist() == predictions
