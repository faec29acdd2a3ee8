"""Tables: every file format gives the same rows, and unsuitable columns are refused by name."""

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.data.csv import Layout
from edge_pipeline.data.dataset import Dataset, load_dataset
from edge_pipeline.data.profile import describe_table
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.data.tables import as_frame, plain_columns, read_table
from edge_pipeline.errors import DatasetError, RecipeError

TABLE = 'name = "t"\ntask = "{task}"\nestimator = "auto"\n[data]\n{data}\n'


def load(folder: Path, data: str, task: str = "classification", tables: str = "") -> Dataset:
    file = folder / "recipe.toml"
    file.write_text(TABLE.format(task=task, data=data) + tables, encoding="utf-8")
    return load_dataset(read_recipe(file))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_detected(tmp_path: Path, separator: str) -> None:
    file = tmp_path / "t.csv"
    rows = [["a", "b c", "d"], ["1", "x, y; z" if separator == "|" else "x y", "2.5"]] * 1
    file.write_text("\n".join(separator.join(row) for row in rows) + "\n", encoding="utf-8")
    assert list(read_table(file).columns) == ["a", "b c", "d"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a;b\n1,5;x\n-2;y\n", [1.5, -2.0]),
        ("a;b\n1,030;x\n-0,126;y\n", [1.03, -0.126]),
        ("a;b\n1.5;x\n2;y\n", [1.5, 2.0]),
        ('a,b\n"1.5",x\n2,y\n', [1.5, 2.0]),
    ],
)
def test_a_decimal_comma_is_detected(tmp_path: Path, text: str, values: list[float]) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert plain_columns(read_table(tmp_path / "t.csv"), {}, "t")["a"].tolist() == values


def test_thousands_separators_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n"1,000",x\n"1,234,567.5",y\n12,z\n', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"column 'a' .*'1,000'; say thousands = \",\""):
        plain_columns(read_table(tmp_path / "t.csv"), {}, "t")
    read = read_table(tmp_path / "t.csv", Layout(thousands=","))
    assert read["a"].tolist() == [1000.0, 1234567.5, 12.0]


@pytest.mark.parametrize(
    "words", [["12 345 main street", "1,2", "x"], ["0,126", "-0,030", "1,500"]]
)
def test_text_with_commas_and_spaces_is_no_number(words: list[str]) -> None:
    assert plain_columns(pd.DataFrame({"a": words}), {}, "t")["a"].tolist() == words


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", None)],
)
def test_a_compressed_table_is_read_as_the_plain_one(
    root: Path, tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes] | None
) -> None:
    plain = root / "models/penguins/penguins.csv"
    if pack is None:
        pack = pytest.importorskip("zstandard").compress
    packed = tmp_path / f"penguins.csv{suffix}"
    packed.write_bytes(pack(plain.read_bytes()))
    pd.testing.assert_frame_equal(read_table(packed), read_table(plain))
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(DatasetError, match="is not whole"):
        read_table(packed)
    packed.write_bytes(plain.read_bytes())  # the content counts, not the name
    pd.testing.assert_frame_equal(read_table(packed), read_table(plain))


def test_a_zip_holds_one_table_or_is_refused(root: Path, tmp_path: Path) -> None:
    plain = root / "models/penguins/penguins.csv"
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as packed:
        packed.write(plain, "penguins.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.zip"), read_table(plain))
    with zipfile.ZipFile(tmp_path / "t.zip", "a") as packed:
        packed.writestr("other.csv", "a\n1\n")
    with pytest.raises(DatasetError, match="holds 2 files"):
        read_table(tmp_path / "t.zip")


def test_another_encoding_is_refused_unless_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("größe,art\n1,Bär\n".encode("cp1252"))
    with pytest.raises(DatasetError, match=r"encoding = \"cp1252\""):
        read_table(tmp_path / "t.csv")
    assert list(read_table(tmp_path / "t.csv", Layout(encoding="cp1252"))) == ["größe", "art"]
    with pytest.raises(DatasetError, match="no encoding 'cp9'"):
        read_table(tmp_path / "t.csv", Layout(encoding="cp9"))


def test_a_row_index_is_dropped_when_the_recipe_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",a\n0,5\n1,6\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="row_index = true"):
        read_table(tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv", Layout(row_index=True)).to_dict("list") == {"a": [5, 6]}


@pytest.mark.parametrize("form", ["file", "stream", "feather", "parquet"])
def test_arrow_and_parquet_give_the_same_rows_as_csv(root: Path, tmp_path: Path, form: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    here = read_table(root / "models/penguins/penguins.csv")
    table = pyarrow.Table.from_pandas(here, preserve_index=False)
    path = tmp_path / {"feather": "t.feather", "parquet": "t.parquet"}.get(form, "t.arrow")
    if form == "parquet":
        pytest.importorskip("pyarrow.parquet").write_table(table, path)
    elif form == "feather":
        pytest.importorskip("pyarrow.feather").write_feather(table, path)
    else:
        ipc = pytest.importorskip("pyarrow.ipc")
        writer = ipc.new_file if form == "file" else ipc.new_stream
        with writer(path, table.schema) as out:
            out.write_table(table)
    expected = plain_columns(here, {}, "t")
    pd.testing.assert_frame_equal(plain_columns(read_table(path), {}, "t"), expected)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DatasetError, match=r"not an? (Arrow|Parquet) file"):
        read_table(path)


def test_arrays_of_an_npz_file_are_features_and_target(tmp_path: Path) -> None:
    X, y = np.arange(24.0).reshape(12, 2), np.array(["a", "b", "c"] * 4)
    np.savez(tmp_path / "t.npz", X=X, labels=y, extra=np.zeros(3))
    dataset = load(tmp_path, 'file = "t.npz"\ntarget = "labels"')
    assert isinstance(dataset.X_train, np.ndarray)
    assert (dataset.rows, dataset.columns) == (12, 2)
    assert set(dataset.y_train if dataset.y_train is not None else ()) == {"a", "b", "c"}
    with pytest.raises(DatasetError, match="no array is called 'label'; there are X, labels, ext"):
        load(tmp_path, 'file = "t.npz"\ntarget = "label"')
    np.savez(tmp_path / "t.npz", a=X, b=X)
    with pytest.raises(DatasetError, match="expected the arrays X and y"):
        load(tmp_path, 'file = "t.npz"')
    np.savez(tmp_path / "t.npz", X=X.reshape(12, 2, 1), y=y)
    with pytest.raises(DatasetError, match="3 dimension"):
        load(tmp_path, 'file = "t.npz"')
    np.savez(tmp_path / "t.npz", X=np.array([{}], dtype=object))
    with pytest.raises(DatasetError, match="plain arrays"):
        load(tmp_path, 'file = "t.npz"')


def test_the_data_sets_of_scikit_learn_are_read_by_name(tmp_path: Path) -> None:
    iris = load(tmp_path, 'dataset = "iris"')
    assert (iris.rows, iris.numbers[0]) == (150, "sepal length (cm)")
    linnerud = load(tmp_path, 'dataset = "linnerud"', task="regression")
    assert linnerud.y_train is not None
    assert linnerud.y_train.shape == (15, 3)
    with pytest.raises(RecipeError, match=r"no 'irirs'.*; did you mean 'iris'\?"):
        load(tmp_path, 'dataset = "irirs"')
    with pytest.raises(RecipeError, match="have to download"):
        load(tmp_path, 'dataset = "california_housing"')


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "dict"])
def test_a_frame_takes_the_place_of_the_file(recipe_file: Path, library: str) -> None:
    recipe = read_recipe(recipe_file)
    read = pd.read_csv(recipe_file.parent / "boats.csv")
    frame = {"pandas": read, "dict": read.to_dict("list")}.get(library)
    if library == "polars":
        frame = pytest.importorskip("polars").from_dict(read.to_dict("list"), strict=False)
    if library == "pyarrow":
        frame = pytest.importorskip("pyarrow").Table.from_pandas(read)
    (recipe_file.parent / "boats.csv").unlink()
    dataset = load_dataset(recipe, frame)
    assert (dataset.rows, dataset.numbers, dataset.strings) == (24, ("length", "masts"), ("hull",))
    with pytest.raises(DatasetError, match=r"found a builtins\.int"):
        as_frame(7)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n9007199254740993,1\n5,2\n",
        "a,b\n9007199254740993,1\n,2\n",
        "a,b\n123456789012345678901234,1\n5123456789012345,2\n",
    ],
)
def test_integers_beyond_float64_are_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"'a' holds whole numbers beyond 2\*\*53.*string"):
        plain_columns(read_table(file), {}, str(file))
    as_text = plain_columns(read_table(file, strings=["a"]), {"a": "string"}, str(file))
    assert as_text["a"].iloc[0] == text.split("\n")[1].split(",")[0]


def test_a_rounded_column_may_be_excluded(tmp_path: Path) -> None:
    """The remedy of the message works, and ``init`` writes it into the recipe."""
    rows = [f"{2**53 + 1 + i if i % 2 else i},{i / 7},{'uv'[i % 2]}" for i in range(40)]
    rows[0] = ",0.5,u"
    (tmp_path / "t.csv").write_text("id,x,y\n" + "\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"'id' holds whole numbers beyond 2\*\*53"):
        load(tmp_path, 'file = "t.csv"\ntarget = "y"')
    assert load(tmp_path, 'file = "t.csv"\ntarget = "y"\nexclude = ["id"]').numbers == ("x",)
    description = describe_table(tmp_path / "t.csv", target="y")
    assert description.columns[0].left_out.startswith("holds whole numbers beyond 2**53")


def test_a_workbook_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.csv", "w") as workbook:
        workbook.writestr("[Content_Types].xml", "")
        workbook.writestr("xl/workbook.xml", "")
    for read in (read_table, describe_table):
        with pytest.raises(DatasetError, match="is a workbook of Excel; save the sheet as CSV"):
            read(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"PAR1", "a Parquet file"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x80\x04\x95", "a pickle, which is never read"),
        (b"%PDF-1.7", "a PDF"),
        (b"<!DOCTYPE html>", "a web page"),
    ],
)
def test_a_wrong_kind_of_file_is_named(tmp_path: Path, start: bytes, words: str) -> None:
    (tmp_path / "t.csv").write_bytes(start + b"\0\xff\xfe" * 9)
    for read in (read_table, describe_table):
        with pytest.raises(DatasetError, match=words):
            read(tmp_path / "t.csv")


def test_large_numbers_that_are_floats_stay_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("mass\n5.97e24\n7.35e22\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv")["mass"].tolist() == [5.97e24, 7.35e22]


def test_decimals_categories_and_dates_convert_and_spans_are_refused() -> None:
    import datetime
    import decimal

    frame = pd.DataFrame(
        {
            "price": [decimal.Decimal("1.5"), decimal.Decimal("2")],
            "size": pd.Categorical(["s", "m"]),
            "open": pd.array([True, None], dtype="boolean"),
            "day": pd.Series([datetime.date(2024, 1, 2), None], dtype=object),
        }
    )
    plain = plain_columns(frame, {}, "t")
    assert [str(kind) for kind in plain.dtypes] == [
        *("float64", "object", "float64"),
        str(pd.to_datetime(frame["day"]).dtype),
    ]
    for value in (datetime.time(12, 30), pd.Period("2024-01"), pd.Timedelta(1)):
        with pytest.raises(DatasetError, match="column 'when' holds values of type"):
            plain_columns(pd.DataFrame({"when": pd.Series([value], dtype=object)}), {}, "t")


def test_several_targets_are_a_multilabel_indicator(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "x,wet,cold\n" + "\n".join(f"{i},{i % 2},{str(i % 3 == 0).lower()}" for i in range(12))
    )
    data = 'file = "t.csv"\ntarget = ["wet", "cold"]'
    y = load(tmp_path, data).y_train
    assert y is not None
    assert (y.shape, y.dtype, set(y.flat)) == ((9, 2), np.dtype(np.int64), {0, 1})
    text = (tmp_path / "t.csv").read_text().replace("3,1,true", "3,2,true")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RecipeError, match=r"0 and 1.*build a model for each"):
        load(tmp_path, data)
    assert load(tmp_path, data, task="regression").rows == 12


def test_groups_stay_together_and_time_keeps_its_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=60), "y": np.arange(60) % 2})
    frame["who"] = [f"p{i // 5}" for i in range(60)]
    frame["when"] = pd.date_range("2024-01-01", periods=60).astype(str)[::-1]
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = 'file = "t.csv"\ntarget = "y"\nexclude = ["{}"]\n[split]\n{}'
    by_group = load(tmp_path, data.format("when", 'groups = "who"'))
    assert by_group.numbers == ("x",)
    assert by_group.groups_train is not None
    groups = frame["who"]
    train, test = set(groups[by_group.X_train.index]), set(groups[by_group.X_test.index])
    assert train
    assert test
    assert not train & test
    by_time = load(tmp_path, data.format("who", 'time = "when"'))
    assert list(by_time.X_train.index) == list(range(59, 14, -1))
    assert list(by_time.X_test.index) == list(range(14, -1, -1))
    with pytest.raises(DatasetError, match="holds 'p0'; an order in time needs"):
        load(tmp_path, data.format("when", 'time = "who"'))
    with pytest.raises(RecipeError, match="did you mean 'who'"):
        load(tmp_path, data.format("when", 'groups = "whom"'))
    with pytest.raises(RecipeError, match="one of groups, time"):
        load(tmp_path, data.format("when", 'groups = "who"\ntime = "when"'))
