"""load_dataset: types of whole columns, missing values, the split, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.data.dataset import Dataset, load_dataset
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.data.tables import plain_columns, read_table
from edge_pipeline.errors import DatasetError, RecipeError


def load(file: Path) -> Dataset:
    return load_dataset(read_recipe(file))


def test_missing_values_and_types_of_the_penguins(root: Path) -> None:
    dataset = load(root / "models/penguins")
    X = pd.concat([dataset.X_train, dataset.X_test])
    raw = pd.read_csv(root / "models/penguins/penguins.csv")
    assert len(X) == 344
    assert dataset.strings == ("island", "sex")
    assert X["sex"].isna().sum() == raw["sex"].isna().sum() == 11
    assert X["body_mass_g"].isna().sum() == raw["body_mass_g"].isna().sum() == 2
    assert set(X.dtypes.astype(str)) == {"float64", "object"}
    assert sorted(np.unique(dataset.y_test)) == ["Adelie", "Chinstrap", "Gentoo"]


def test_a_quarter_is_test_rows_stratified_by_label(root: Path) -> None:
    dataset = load(root / "models/penguins")
    assert dataset.y_train is not None
    assert dataset.y_test is not None
    assert (len(dataset.X_train), len(dataset.X_test)) == (258, 86)
    for label in ("Adelie", "Chinstrap", "Gentoo"):
        share = [np.mean(y == label) for y in (dataset.y_train, dataset.y_test)]
        assert share[0] == pytest.approx(share[1], abs=0.01)


def test_the_seed_decides_the_split(changed: Callable[..., Path], recipe_file: Path) -> None:
    first, again = load(recipe_file), load(recipe_file)
    pd.testing.assert_frame_equal(first.X_train, again.X_train)
    reseeded = load(changed(("[estimator]\n", "[split]\nseed = 1\n[estimator]\n")))
    assert list(reseeded.X_train.index) != list(first.X_train.index)


def test_images_stay_an_array(root: Path) -> None:
    dataset = load(root / "models/digits")
    assert isinstance(dataset.X_train, np.ndarray)
    assert (dataset.rows, dataset.columns, dataset.numbers) == (1797, 64, ())


def test_types_come_from_the_whole_column(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    # Past the 262,144 bytes that pandas looks at when it may look at a part.
    lines = [f"{i},{i},{i % 2 == 0},x" for i in range(40_000)]
    lines.append("7.5,high,,")
    file.write_text("a,b,c,d\n" + "\n".join(lines) + "\n")
    table = plain_columns(read_table(file), {}, "t.csv")
    assert [str(dtype) for dtype in table.dtypes] == ["float64", "object", "float64", "object"]
    assert table["b"].map(type).unique().tolist() == [str]
    assert np.isnan(table["c"].iloc[-1])
    assert np.isnan(table["d"].iloc[-1])


def test_numbers_are_read_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(3).normal(size=2000) * 1e-3
    file = tmp_path / "t.csv"
    file.write_text("x\n" + "\n".join(map(repr, values.tolist())) + "\n")
    assert np.array_equal(read_table(file)["x"].to_numpy(), values)


def test_a_type_in_the_recipe_wins_and_007_stays_007(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("code,size\n007,1\n008,2\n")
    table = plain_columns(
        read_table(file, strings=["code"]), {"code": "string", "size": "float64"}, "t.csv"
    )
    assert table["code"].tolist() == ["007", "008"]
    assert table["size"].dtype == np.float64


@pytest.mark.parametrize(
    ("text", "types", "part"),
    [
        ("a\n1.5\n", {"a": "int64"}, "column 'a' holds 1.5 in row 0, which is no int64"),
        ("a,b\n1,2\n,2\n", {"a": "int64"}, "column 'a' has a missing value in row 1"),
        ("a\nx\n", {"a": "float64"}, "column 'a' holds strings such as 'x'"),
        ("a\n2\n", {"a": "bool"}, "which is no bool"),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_named_with_its_row(
    tmp_path: Path, text: str, types: dict[str, str], part: str
) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text)
    with pytest.raises(DatasetError) as caught:
        plain_columns(read_table(file), types, "t.csv")
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (b"", "must name the columns"),
        (b"a,a\n1,2\n", "2 columns are called 'a'"),
        (b",a\n0,2\n", "index=False"),
        (b"a,b\n1,2,3\n", "more cells than the header"),
        (b"a,b\n1,2\n3,4,5\n", "line 3"),
        (b"a,b\n\xff,2\n", "UTF-8"),
        (b'a,b\n"1,2\n', "not a table"),
    ],
)
def test_a_file_that_pandas_would_repair_is_refused(tmp_path: Path, raw: bytes, part: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(raw)
    with pytest.raises(DatasetError) as caught:
        read_table(file)
    assert part in str(caught.value)
    assert str(caught.value).startswith(str(file))


def test_parquet_gives_the_same_rows_as_csv(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    file = root / "models/penguins/penguins.csv"
    pd.read_csv(file).convert_dtypes().to_parquet(tmp_path / "p.parquet")
    there = plain_columns(read_table(tmp_path / "p.parquet"), {}, "p")
    here = plain_columns(read_table(file), {}, "p")
    pd.testing.assert_frame_equal(there, here)


def test_bytes_that_are_no_parquet_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "p.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(DatasetError, match="not a Parquet file"):
        read_table(tmp_path / "p.parquet")


@pytest.mark.parametrize("text", ["2007-11-11", "11.11.2007", "2007-11-11T10:30:00Z"])
def test_a_column_of_dates_is_refused_by_name(recipe_file: Path, text: str) -> None:
    table = recipe_file.parent / "boats.csv"
    table.write_text(table.read_text().replace("oak", text).replace("steel", text))
    with pytest.raises(DatasetError, match=r"column 'hull' holds dates.*data\.exclude"):
        load(recipe_file)


def test_dates_may_be_strings_when_the_recipe_says_so(changed: Callable[..., Path]) -> None:
    file = changed(('target = "kind"', 'target = "kind"\ntypes = { hull = "string" }'))
    table = file.parent / "boats.csv"
    table.write_text(table.read_text().replace("oak", "2007-11-11").replace("steel", "2008-01-02"))
    assert "hull" in load(file).strings


def test_a_date_type_of_parquet_stays_and_fits_no_other_type() -> None:
    frame = pd.DataFrame({"when": pd.to_datetime(["2020-01-02"])})
    pd.testing.assert_frame_equal(plain_columns(frame, {}, "t.parquet"), frame)
    with pytest.raises(DatasetError, match=r"holds datetimes such as 2020-01-02.* says float64"):
        plain_columns(frame, {"when": "float64"}, "t.parquet")


def test_boolean_labels_stay_boolean_when_one_is_missing(recipe_file: Path) -> None:
    table = recipe_file.parent / "boats.csv"
    lines = table.read_text().replace("sloop", "True").replace("ketch", "False").splitlines()
    lines[4] = lines[4].rpartition(",")[0] + ","
    table.write_text("\n".join(lines) + "\n")
    y = load(recipe_file).y_train
    assert y is not None
    assert y.dtype == bool


def test_an_empty_column_is_refused_by_name(recipe_file: Path) -> None:
    table = recipe_file.parent / "boats.csv"
    table.write_text(table.read_text().replace("oak", "").replace("steel", ""))
    with pytest.raises(DatasetError, match=r"column 'hull' is empty"):
        load(recipe_file)


def test_rows_without_a_target_are_dropped_and_counted(recipe_file: Path) -> None:
    table = recipe_file.parent / "boats.csv"
    table.write_text(table.read_text().replace("steel,sloop", "steel,"))
    dataset = load(recipe_file)
    assert dataset.dropped_rows == 4
    assert dataset.rows == 20


def test_integer_labels_stay_integers_when_one_is_missing(
    changed: Callable[..., Path], recipe_file: Path
) -> None:
    table = recipe_file.parent / "boats.csv"
    lines = table.read_text().replace("sloop", "3").replace("ketch", "5").splitlines()
    lines[4] = lines[4].rpartition(",")[0] + ","
    table.write_text("\n".join(lines) + "\n")
    y = load(recipe_file).y_train
    assert y is not None
    assert (y.dtype, set(y)) == (np.int64, {3, 5})


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("data.target", 'target = "knd"'),
        ("data.features", 'target = "kind"\nfeatures = ["lenght"]'),
        ("data.exclude", 'target = "kind"\nexclude = ["huul"]'),
        ("data.types", 'target = "kind"\ntypes = { mast = "string" }'),
    ],
)
def test_a_missing_column_is_named_with_its_key(
    changed: Callable[..., Path], key: str, line: str
) -> None:
    with pytest.raises(RecipeError, match="did you mean") as caught:
        load(changed(('target = "kind"', line)))
    assert caught.value.key == key
    assert "it has length, masts, hull, kind" in str(caught.value)


def test_features_keep_the_order_of_the_recipe(changed: Callable[..., Path]) -> None:
    file = changed(('target = "kind"', 'target = "kind"\nfeatures = ["hull", "length"]'))
    assert list(load(file).X_train.columns) == ["hull", "length"]


def test_a_wrong_task_is_refused_with_the_right_one(
    changed: Callable[..., Path],
) -> None:
    file = changed(('"classification"', '"regression"'))
    with pytest.raises(RecipeError, match=r"did you mean task = \"classification\""):
        load(file)
    file = changed(('"regression"', '"classification"'), ('"kind"', '"length"'))
    with pytest.raises(RecipeError, match=r"did you mean task = \"regression\""):
        load(file)


def test_a_label_that_occurs_once_is_not_stratified_by_default(
    changed: Callable[..., Path], recipe_file: Path
) -> None:
    table = recipe_file.parent / "boats.csv"
    table.write_text(table.read_text() + "31,3,steel,barque\n")
    assert load(recipe_file).rows == 25
    with pytest.raises(RecipeError, match="barque occurs once"):
        load(changed(("[estimator]\n", "[split]\nstratify = true\n[estimator]\n")))


def test_a_test_share_without_training_rows_is_refused(
    changed: Callable[..., Path],
) -> None:
    with pytest.raises(RecipeError, match="too few"):
        load(changed(("[estimator]\n", "[split]\ntest_share = 0.99\n[estimator]\n")))


@pytest.mark.parametrize(
    ("source", "target", "columns"),
    [
        ("return pd.DataFrame({'x': [1, 2], 'kind': ['a', 'b']})", 'target = "kind"', 1),
        ("return pd.DataFrame({'x': [1, 2]}), ['a', 'b']", "", 1),
        ("return np.zeros((2, 3)), ['a', 'b']", "", 3),
        ("return ['some text', 'more text'], ['a', 'b']", "", 1),
    ],
)
def test_a_function_beside_the_recipe_may_return_the_rows(
    changed: Callable[..., Path], source: str, target: str, columns: int
) -> None:
    split = f"{target}\n[split]\ntest_share = 0\n"
    file = changed(('file = "boats.csv"', 'function = "rows:make"'), ('target = "kind"', split))
    code = f"import numpy as np\nimport pandas as pd\n\ndef make():\n    {source}\n"
    (file.parent / "rows.py").write_text(code)
    dataset = load(file)
    assert (dataset.rows, dataset.columns) == (2, columns)
    assert dataset.y_train is not None
    assert dataset.y_train.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("raise RuntimeError('no sea')", "rows:make failed: RuntimeError: no sea"),
        ("return 7", "returned a int"),
        ("return {'x': [1]}, [1]", "returned X as builtins.dict"),
        ("return [['x']], ['a', 'b']", "1 rows and 2 targets"),
    ],
)
def test_a_function_that_returns_no_rows_is_named(
    changed: Callable[..., Path], source: str, part: str
) -> None:
    file = changed(('file = "boats.csv"', 'function = "rows:make"'), ('target = "kind"', ""))
    (file.parent / "rows.py").write_text(f"def make():\n    {source}\n")
    with pytest.raises((RecipeError, DatasetError)) as caught:
        load(file)
    assert part in str(caught.value)


def test_a_missing_table_stays_a_missing_file(recipe_file: Path) -> None:
    (recipe_file.parent / "boats.csv").unlink()
    with pytest.raises(FileNotFoundError):
        load(recipe_file)
