"""Test that a workbook gives the table of its CSV, and that an unclear one is refused."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import build, init, load_dataset
from edge_pipeline.data.csv import Layout
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.data.tables import plain_columns, read_table
from edge_pipeline.errors import DatasetError
from edge_runtime.cli.main import main

ROWS = 60
RANDOM = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "size": np.where(np.arange(ROWS) % 9 == 4, np.nan, RANDOM.normal(size=ROWS)),
        "count": RANDOM.integers(0, 9, ROWS),
        "price": [f"${price:,.2f}" for price in RANDOM.uniform(1, 9000, ROWS)],
        "word": RANDOM.choice(["a", "größe"], ROWS),
        "flag": RANDOM.random(ROWS) > 0.5,
        "label": RANDOM.choice(["much", "little"], ROWS),
    }
)


def test_a_workbook_is_read_as_its_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TABLE.to_excel(tmp_path / "t.xlsx", index=False)
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    there, here = (read_table(tmp_path / name) for name in ("t.xlsx", "t.csv"))
    pd.testing.assert_frame_equal(plain_columns(there, {}, "t"), plain_columns(here, {}, "t"))
    recipe = init(tmp_path / "t.xlsx", tmp_path / "m", target="label").recipe
    assert list(read_recipe(recipe).reading.rules) == ["price"]
    steps = (
        "[preprocessing]\nnumbers = ['impute']\nstrings = ['one-hot']\n"
        "[estimator]\nclass = 'sklearn.tree.DecisionTreeClassifier'"
    )
    text = recipe.read_text("utf-8").replace('estimator = "auto"', steps)
    recipe.write_text(text.partition("[search]")[0], encoding="utf-8")
    built = build(recipe, tmp_path / "m.onnx")
    assert main(["predict", str(built.path), str(tmp_path / "t.csv")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == ROWS + 1


def test_an_unclear_workbook_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.xlsx"
    with pd.ExcelWriter(file) as writer:
        TABLE.to_excel(writer, sheet_name="one", index=False)
        TABLE.to_excel(writer, sheet_name="two", index=False)
    with pytest.raises(DatasetError, match="found 2: one, two; say which with sheet"):
        read_table(file)
    with pytest.raises(DatasetError, match="no sheet 'tow'; did you mean 'two'"):
        read_table(file, Layout(sheet="tow"))
    TABLE.to_excel(file)
    with pytest.raises(DatasetError, match=r"cell 1 of it holds ''; .* add row_index = true"):
        read_table(file)
    TABLE.iloc[:, [0, 0]].to_excel(file, index=False)
    with pytest.raises(DatasetError, match="2 columns are called 'size'"):
        read_table(file)
    file.write_bytes(b"PK no workbook")
    with pytest.raises(DatasetError, match="not a whole workbook"):
        read_table(file)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "absent.xlsx")


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(DatasetError, match=r"pip install 'edge-pipeline\[excel\]'"):
        read_table(tmp_path / "t.xlsx")


def test_init_takes_one_sheet_and_drops_the_row_index(tmp_path: Path) -> None:
    file = tmp_path / "t.xlsx"
    with pd.ExcelWriter(file) as writer:
        TABLE.to_excel(writer, sheet_name="rows of 2024")
        TABLE.head(5).to_excel(writer, sheet_name="notes")
    with pytest.raises(DatasetError, match="init: --sheet"):
        init(file, tmp_path / "m", target="label")
    start = init(file, tmp_path / "m", target="label", sheet="rows of 2024")
    dataset = load_dataset(read_recipe(start.recipe))
    assert (dataset.rows, dataset.columns) == (ROWS, TABLE.shape[1] - 1)
    with pytest.raises(DatasetError, match="a sheet is a part of a workbook"):
        init(tmp_path / "t.csv", tmp_path / "n", target="label", sheet="notes")
