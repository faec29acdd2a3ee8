"""Test that the build reads JSON records as the device does, and names a wrong one."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import build, init
from edge_pipeline.data.csv import Layout
from edge_pipeline.data.json_records import read_json_chunks
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.data.tables import plain_columns, read_table
from edge_pipeline.errors import DatasetError, RecipeError
from edge_runtime.cli.main import main

import edge_runtime

ROWS = 60
RANDOM = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "size": np.where(np.arange(ROWS) % 9 == 4, np.nan, RANDOM.normal(size=ROWS)),
        "count": RANDOM.integers(0, 9, ROWS),
        "price": [f"${price:,.2f}" for price in RANDOM.uniform(1, 9000, ROWS)],
        "word": RANDOM.choice(["a", "NA", "größe"], ROWS),
        "flag": RANDOM.random(ROWS) > 0.5,
    }
)
TABLE["label"] = np.where(TABLE["count"] > 4, "much", "little")

STEPS = """
[preprocessing]
numbers = ["impute"]
strings = ["one-hot"]

[estimator]
class = "sklearn.tree.DecisionTreeClassifier"
"""


def write(path: Path) -> Path:
    """Write the table in the format of its name."""
    lines = ".jsonl" in path.name or ".ndjson" in path.name
    TABLE.to_json(path, orient="records", lines=lines, double_precision=15)
    return path


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson.gz", "t.json", "t.json.xz"])
def test_init_build_and_predict_read_one_file(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A text with a mark is a number on both sides, and "NA" in JSON is a text."""
    file = write(tmp_path / name)
    result = init(file, tmp_path / "m", target="label")
    kinds = {column.name: column.kind for column in result.description.columns}
    types = {"size": "float64", "count": "int64", "price": "float64", "word": "string"}
    assert kinds == {**types, "flag": "bool", "label": "string"}
    text = result.recipe.read_text("utf-8").replace('estimator = "auto"', STEPS)
    result.recipe.write_text(text.partition("[search]")[0], encoding="utf-8")
    assert list(read_recipe(result.recipe).reading.rules) == ["price"]
    built = build(result.recipe, tmp_path / "m.onnx")
    assert main(["predict", str(built.path), str(file)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    prices = TABLE["price"].str.replace("[$,]", "", regex=True).astype(float)
    with edge_runtime.load(built.path) as model:
        inputs = TABLE.assign(price=prices)[list(model.schema.names)]
        expected = model.predict(inputs.astype({"word": object}))
    assert [row["prediction"] for row in rows] == expected.tolist()
    assert set(expected) == {"much", "little"}


@pytest.mark.parametrize("name", ["t.jsonl", "t.json"])
def test_the_chunks_are_the_table(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / name)
    whole = read_table(file)
    chunks = list(read_json_chunks(file, Layout(",", "."), 25))
    assert [len(chunk) for chunk in chunks] == [25, 25, 10]
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), whole)
    pd.testing.assert_frame_equal(whole, TABLE, check_dtype=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": 2\n', "record 2: not JSON"),
        ('[{"a": 1}, {"a": }]', "record 2: not JSON"),
        ('[{"a": 1}, {"a": 2}', "record 3: not JSON"),
        ('{"a": 1}\n\n{}\n', "record 3: an empty object"),
        ('{"a": {"b": 1}}\n', "record 1: column 'a' holds an object"),
        ('{"a": 1, "a": 2}\n', "record 1: a key appears twice"),
        ('{"a": "x\\u0000"}\n', "record 1: column 'a' holds a NUL"),
        ('{"a": "\\ud800"}\n', "record 1: column 'a' holds a NUL character or half"),
        ("[[1, 2], [3, 4]]", "record 1: expected an object"),
        ('{"": 1}\n', "record 1: a column has no name"),
        ("{}\n", "record 1: an empty object"),
        ('{"a": 1' + "0" * 5000 + "}\n", "record 1: a number of thousands of digits"),
        ('{"a": "' + "x" * 1_100_000 + '"}\n', "record 1: longer than"),
        ("[" * 100_000, "record 1: "),
        ("[]", "there is no record"),
        ("", "there is no record"),
    ],
)
def test_a_wrong_record_is_named_by_its_number(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "t.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=message):
        read_table(file)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None], [1.0, np.nan]),
        ([True, None], [1.0, np.nan]),
        ([1, 2.5], [1.0, 2.5]),
        (["007", None], ["007", np.nan]),
        ([2**60, 1], "beyond 2\\*\\*53"),
        ([2**60, None], "beyond 2\\*\\*53"),
        ([1, "a"], "mixed"),
    ],
)
def test_values_have_the_type_of_the_column(
    tmp_path: Path, values: list[Any], expected: list[Any] | str
) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text("".join(f"{json.dumps({'a': value})}\n" for value in values))
    if isinstance(expected, str):
        with pytest.raises(DatasetError, match=expected):
            plain_columns(read_table(file), {}, "t")
        return
    column = plain_columns(read_table(file), {}, "t")["a"]
    pd.testing.assert_series_equal(column, pd.Series(expected, name="a"), check_dtype=False)


def test_a_damaged_archive_and_another_encoding_are_errors(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl.gz")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DatasetError, match=r"t\.jsonl\.gz"):
        read_table(file)
    other = tmp_path / "t.jsonl.gz"
    other.write_bytes(gzip.compress('{"a": "größe"}\n'.encode("cp1252")))
    with pytest.raises(DatasetError, match="not UTF-8 text"):
        read_table(other)
    assert read_table(other, Layout(encoding="cp1252"))["a"].tolist() == ["größe"]


def test_the_keys_of_csv_are_refused_for_json(tmp_path: Path) -> None:
    write(tmp_path / "t.json")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'name = "t"\ntask = "classification"\nestimator = "auto"\n'
        '[data]\nfile = "t.json"\ntarget = "label"\n[reading]\nthousands = ","\n'
    )
    with pytest.raises(RecipeError, match="JSON and databases have values instead of cells"):
        build(recipe)


def test_a_record_may_leave_out_the_keys_of_missing_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "t.jsonl"
    rows = TABLE.drop(columns="price").to_dict("records")
    records = [{k: v for k, v in row.items() if v == v} for row in rows]
    records[0].pop("flag"), records[3].pop("word")
    text = "\n".join(map(json.dumps, records))
    (tmp_path / name).write_text(text, encoding="utf-8")
    frame = read_table(tmp_path / name)
    assert sorted(frame.columns) == sorted(TABLE.columns.drop("price"))
    assert int(frame["size"].isna().sum()) == int(TABLE["size"].isna().sum())
    chunks = list(read_json_chunks(tmp_path / name, Layout(",", "."), 7))
    assert all(list(chunk.columns) == list(frame.columns) for chunk in chunks)
    recipe = init(tmp_path / name, tmp_path / "m", target="label").recipe
    steps = STEPS.replace('["one-hot"]', '["impute", "one-hot"]')
    recipe.write_text(
        recipe.read_text("utf-8").replace('estimator = "auto"', steps).partition("[search]")[0],
        encoding="utf-8",
    )
    bundle = str(build(recipe, tmp_path / "m.onnx").path)
    outputs = []
    complete = "\n".join(json.dumps({**dict.fromkeys(frame.columns), **r}) for r in records)
    (tmp_path / "complete.jsonl").write_text(complete, encoding="utf-8")
    for file in (tmp_path / name, tmp_path / "complete.jsonl"):
        assert main(["predict", bundle, str(file)]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) == ROWS
    odd = tmp_path / "odd.jsonl"
    odd.write_text('{"Size": 1, "flag": true}\n{}\n{"count": 2}\n{"flag": true}\n', "utf-8")
    assert main(["predict", bundle, str(odd), "--extra-columns", "ignore"]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert "'Size'" in captured.err
