"""``init``: the profile of a table, and a recipe that builds without a change."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from edge_pipeline import DatasetError, RecipeError, TableDescription, describe_table, init
from edge_pipeline.cli.main import cli

ROWS = 60


def boats() -> pd.DataFrame:
    """A table with one of everything that should be description."""
    rng = np.random.default_rng(0)
    kind = np.where(np.arange(ROWS) % 3 == 0, "sloop", "ketch")
    return pd.DataFrame(
        {
            "number": np.arange(ROWS) + 7,
            "name": [f"ship {i}" for i in range(ROWS)],
            "boat_id": rng.permutation(9 * np.arange(ROWS)),
            "harbour": ["Kiel"] * ROWS,
            "launched": pd.date_range("2001-01-01", periods=ROWS).astype(str),
            "length": np.where(np.arange(ROWS) % 9 == 4, np.nan, rng.normal(9, 2, ROWS)),
            "hull": rng.choice(["oak", "steel"], ROWS),
            "fast": rng.random(ROWS) < 0.5,
            "code": np.where(kind == "sloop", "S", "K"),
            "report": [" ".join(rng.permutation(list("abcdefgh"))) for _ in range(ROWS)],
            "nothing": [np.nan] * ROWS,
            "kind": kind,
        }
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    boats().to_csv(tmp_path / "boats.csv", index=False)
    return tmp_path / "boats.csv"


def left_out(description: TableDescription) -> dict[str, str]:
    return {column.name: column.left_out for column in description.columns if column.left_out}


def test_columns_are_excluded_with_their_reason(table: Path) -> None:
    description = describe_table(table, target="kind")
    assert left_out(description) == {
        "number": "numbers the rows",
        "name": "is different in every row",
        "boat_id": "identifies the rows",
        "harbour": "has one value only",
        "code": "leaks the target: alone it scores 1.000; put it back if it is known before "
        "the target is",
        "report": "is different in every row",
        "nothing": "has no value",
    }
    assert [column.name for column in description.features] == [
        *("launched", "length", "hull", "fast"),
    ]
    length = next(column for column in description.columns if column.name == "length")
    assert (length.kind, length.missing, length.distinct) == ("float64", 7, 53)
    assert (description.task, description.rows) == ("classification", ROWS)
    assert description.balance == {"ketch": 40, "sloop": 20}
    assert not description.is_unbalanced


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_has_the_profile_of_its_file(table: Path, library: str) -> None:
    frame = boats()
    if library == "polars":
        frame = pytest.importorskip("polars").from_dict(frame.to_dict("list"), strict=False)
    description = describe_table(frame, target="kind")
    assert left_out(description) == left_out(describe_table(table, target="kind"))


@pytest.mark.parametrize(
    ("target", "task"),
    [
        ([1.5, 2.5, 3.0] * 20, "regression"),
        (range(60), "regression"),
        ([1, 2, 3] * 20, "classification"),
        ([1.0, 2.0, np.nan] * 20, "classification"),
        ([True, False, True] * 20, "classification"),
        (["a", "b", None] * 20, "classification"),
    ],
)
def test_the_task_is_guessed_from_the_target(target: object, task: str) -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=60), "y": target})
    assert describe_table(frame, target="y").task == task
    if task == "classification" and frame.y.dtype.kind == "i":
        assert describe_table(frame, target="y", task="regression").task == "regression"


def test_a_rare_label_is_noted_and_scored_by_balanced_accuracy(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=100)})
    frame["y"] = np.where(np.arange(100) < 95, "well", "ill")
    start = init(frame, tmp_path / "m", target="y")
    assert start.description.is_unbalanced
    assert any("'ill' is rare: 5 of 100" in note for note in start.description.notes)
    recipe = edge_pipeline.read_recipe(start.recipe)
    assert recipe.search is not None
    assert recipe.search.scoring == "balanced_accuracy"


def test_a_good_feature_is_no_leak_nor_is_the_only_one() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    frame = pd.DataFrame({"x": y + rng.normal(scale=0.3, size=400), "y": y})
    assert left_out(describe_table(frame, target="y")) == {}
    frame["x"] = 2 * y
    # It is all there is: better a model of it than none.
    assert left_out(describe_table(frame, target="y")) == {}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({}, "nothing says what to learn"),
        ({"target": "knd"}, "; did you mean 'kind'?"),
        ({"target": "name"}, "60 different texts in 60 rows"),
        ({"target": "launched", "task": None}, "holds dates, which no model learns"),
        ({"target": "kind", "task": "anomaly"}, "learns no target"),
        ({"target": "nothing"}, "no row has a value"),
    ],
)
def test_an_unsuitable_target_is_refused_with_the_reason(
    table: Path, arguments: dict[str, str], part: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        describe_table(table, **arguments)  # type: ignore[arg-type]
    assert part in str(caught.value)


def test_a_table_without_features_is_refused_with_each_reason() -> None:
    frame = pd.DataFrame({"n": range(30), "c": [1] * 30, "y": ["a", "b"] * 15})
    with pytest.raises(DatasetError, match="n: numbers the rows, c: has one value only"):
        describe_table(frame, target="y")


def test_the_recipe_reads_back_and_its_comments_build(table: Path, tmp_path: Path) -> None:
    start = init(table, tmp_path / "models" / "boats", target="kind")
    text = start.recipe.read_text(encoding="utf-8")
    recipe = edge_pipeline.read_recipe(start.recipe)
    assert (recipe.name, recipe.task) == ("boats", "classification")
    assert set(recipe.data.exclude) == set(left_out(start.description))
    assert "# 2 labels: ketch 40, sloop 20" in text
    assert '# time = "launched"' in text
    dataset = edge_pipeline.load_dataset(recipe)
    assert dataset.rows == ROWS
    # The lines that are comments build too, once they are not.
    for line in ('time = "launched"', "score_tolerance = 0.01", "max_seconds = 300"):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    start.recipe.write_text(text, encoding="utf-8")
    assert edge_pipeline.load_dataset(edge_pipeline.read_recipe(start.recipe)).rows == ROWS


def test_texts_are_no_target_of_a_regression(table: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'kind' holds no numbers, which task 'regression'"):
        init(table, tmp_path / "m", target="kind", task="regression")
    assert not (tmp_path / "m").exists()


def test_a_recipe_that_exists_is_not_written_over(table: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(RecipeError, match="exists already, and is not written over"):
        init(table, tmp_path, target="kind")
    assert (tmp_path / "recipe.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "encoding", "line"),
    [
        ("a;y\n1,5;u\n2,5;v\n", "utf-8", 'separator = ";"\ndecimal = ","'),
        ("a;y\n1.5;ü\n2.5;v\n", "cp1252", 'encoding = "cp1252"'),
        ("a;y\n1.5;ü\n2.5;v\n", "utf-16", 'encoding = "utf-16"'),
        ('"",a,y\n"1",1.5,u\n"2",2.5,v\n', "utf-8", "row_index = true"),
        ('a,y\n"1,000",u\n"2,500,000",v\n', "utf-8", 'thousands = ","'),
    ],
)
def test_the_layout_of_the_file_goes_into_the_recipe(
    tmp_path: Path, text: str, encoding: str, line: str
) -> None:
    head, *rows = text.splitlines()
    (tmp_path / "t.csv").write_text("\n".join([head, *(rows * 20)]) + "\n", encoding=encoding)
    start = init(tmp_path / "t.csv", tmp_path / "m", target="y")
    assert line in start.recipe.read_text(encoding="utf-8")
    dataset = edge_pipeline.load_dataset(edge_pipeline.read_recipe(start.recipe))
    assert (dataset.numbers, dataset.rows) == (("a",), 40)


def test_names_that_need_quotes_read_back_unchanged(tmp_path: Path) -> None:
    odd = ['sa"y', "back\\slash", "new\nline", "tab\t", "ünï", "a # b", "\x7f", "]"]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: [7.0] * 40 for name in odd})
    frame["x = 1"], frame["y"] = rng.normal(size=40), [0.5, 1.5] * 20
    start = init(frame, tmp_path / "m", target="y")
    assert tomllib.loads(start.recipe.read_text("utf-8"))["data"]["exclude"] == odd
    dataset = edge_pipeline.load_dataset(edge_pipeline.read_recipe(start.recipe))
    assert dataset.numbers == ("x = 1",)


@pytest.mark.parametrize("name", ["iris", "diabetes", "linnerud"])
def test_the_data_sets_of_scikit_learn_start_by_name(tmp_path: Path, name: str) -> None:
    start = init(name, tmp_path / name)
    dataset = edge_pipeline.load_dataset(edge_pipeline.read_recipe(start.recipe))
    assert start.description.rows == dataset.rows
    assert start.description.task == ("classification" if name == "iris" else "regression")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


def test_the_command_prints_the_profile_and_the_recipe_path(table: Path, tmp_path: Path) -> None:
    result = run("init", table, "--target", "kind", "-o", tmp_path / "m")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any(line.startswith("boat_id") and "identifies the rows" in line for line in lines)
    assert any(line.startswith("length") and " 7 " in line for line in lines)
    assert str(tmp_path / "m" / "recipe.toml") in result.stdout
    assert f"edge-pipeline build {tmp_path / 'm'}" in result.stderr
    again = run("init", table, "--target", "kind", "-o", tmp_path / "m")
    assert again.exit_code == 1
    assert "not written over" in again.stderr


def test_the_command_gives_json_of_the_same(table: Path, tmp_path: Path) -> None:
    result = run("init", table, "-t", "kind", "-o", tmp_path / "m", "--json")
    output = json.loads(result.stdout)
    assert output["recipe"] == str(tmp_path / "m" / "recipe.toml")
    assert output["balance"] == {"ketch": 40, "sloop": 20}
    assert {c["name"]: c["left_out"] for c in output["columns"]}["number"] == "numbers the rows"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "file", "target", "without"),
    [
        ("palmerpenguins", "data/penguins-raw.csv", "Species", {"Region", "Stage"}),
        ("gapminder", "gapminder.csv", "lifeExp", set()),
        ("vega_datasets", "_data/seattle-weather.csv", "weather", set()),
    ],
)
def test_a_public_table_builds_without_any_option(
    tmp_path: Path,
    in_new_process: Callable[..., str],
    package: str,
    file: str,
    target: str,
    without: set[str],
) -> None:
    from importlib.util import find_spec

    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip(f"{package} is not installed")
    table = Path(spec.submodule_search_locations[0], file)
    start = init(table, tmp_path / "m", target=target)
    assert without <= set(left_out(start.description))
    report = edge_pipeline.build(start.recipe, tmp_path / "m.onnx")
    assert report.search is not None
    assert report.search.baseline is not None
    assert report.search.chosen.score > report.search.baseline
    name = "balanced_accuracy" if start.description.task == "classification" else "r2"
    labels = max(1, len(start.description.balance))
    dummy = 1 / labels if name == "balanced_accuracy" else 0.0
    assert report.manifest.metrics[name] > dummy + 0.1
    # The device reads the stranger's own file.
    source = (
        "import csv, sys, edge_runtime\n"
        "model = edge_runtime.load(sys.argv[1])\n"
        "rows = list(csv.DictReader(open(sys.argv[2], encoding='utf-8')))[:50]\n"
        "read = lambda c, v: v if c.dates or c.is_string else float(v)\n"
        "cell = lambda c, v: None if v in ('', 'NA') else read(c, v)\n"
        "rows = [{c.name: cell(c, r[c.name]) for c in model.schema.columns} for r in rows]\n"
        "print(len(model.predict(rows)))\n"
    )
    assert in_new_process(source, report.path, table).strip() == "50"


def visits(n_patients: int = 60) -> pd.DataFrame:
    """Five visits of each patient; the label is the patient's."""
    rng = np.random.default_rng(0)
    patients = np.repeat(rng.permutation(n_patients) + 1000, 5)
    n_rows = len(patients)
    return pd.DataFrame(
        {
            "patient_id": patients,
            "pulse": rng.integers(50, 120, n_rows),
            "pump_fault": np.where(np.arange(n_rows) < 3, 1, 0),
            "note": [None] * (n_rows - 2) + ["x", "y"],
            "place": 2 * np.arange(n_rows) - np.arange(n_rows) // 3,
            "state": np.where(patients % 2, "ill", "well"),
        }
    )


def test_rows_of_one_patient_stay_together_by_default(tmp_path: Path) -> None:
    start = init(visits(), tmp_path / "m", target="state")
    recipe = edge_pipeline.read_recipe(start.recipe)
    assert recipe.split.groups == "patient_id"
    dataset = edge_pipeline.load_dataset(recipe)
    assert dataset.numbers == ("pulse",)
    few = init(visits(22), tmp_path / "few", target="state").recipe.read_text("utf-8")
    assert '# groups = "patient_id"' in few


def test_columns_that_hardly_vary_are_left_out() -> None:
    columns = describe_table(visits(), target="state").columns
    assert {column.name: column.left_out for column in columns if column.left_out} == {
        "patient_id": "identifies something by its name; split.groups keeps its rows together",
        "pump_fault": "has one value in all but 3 rows",
        "note": "has a value in 2 of 300 rows only",
        "place": "numbers the rows, some of which are absent",
    }


def test_a_leak_of_a_rare_label_is_noticed() -> None:
    rng = np.random.default_rng(0)
    fraud = rng.random(5000) < 0.01
    table = pd.DataFrame(
        {
            "amount": rng.normal(size=5000),
            "refunded": np.where(fraud, rng.uniform(1, 9, 5000), 0.0),
            "fraud": fraud,
        }
    )
    [reason] = [c.left_out for c in describe_table(table, target="fraud").columns if c.left_out]
    assert reason.startswith("leaks the target: alone it scores 1.000")


def test_no_column_name_is_reserved(tmp_path: Path) -> None:
    names = ["self", "index", "columns", "name", "0", "T", "frame", "class", "None"]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=60) for name in names})
    frame["price"] = [f"${value:.2f}" for value in rng.uniform(1, 9, 60)]
    frame["label"] = rng.choice(["a", "b"], 60)
    recipe = init(frame, tmp_path / "m", target="label").recipe
    steps = "[estimator]\nclass = 'sklearn.tree.DecisionTreeClassifier'"
    text = recipe.read_text("utf-8").replace('estimator = "auto"', steps).partition("[search]")[0]
    recipe.write_text(text, encoding="utf-8")
    result = edge_pipeline.build(recipe, tmp_path / "m.onnx")
    assert result.manifest.schema.names == (*names, "price")
