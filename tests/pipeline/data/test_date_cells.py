"""Dates in files are recognized by the whole column, and read alike on both sides."""

from __future__ import annotations

import bz2

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline.data.date_cells import guess_date_style, read_dates
from edge_pipeline.data.date_features import DateFeatures
from edge_pipeline.errors import DatasetError, RecipeError
from edge_runtime.cli.main import main
from pipeline.conversion.estimators.parity import assert_same
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

import edge_runtime

STYLES = [
    (["2024-01-31", "2024-02-01T10:00:00.5"], "iso"),
    (["2024/01/31 10:00", "2023/02/01 11:30"], "iso"),
    (["31/01/2024", "01/02/2024"], "day-first"),
    (["01/02/2024 3:05 PM", "12/31/2024 11:00 am"], "month-first"),
    (["01.02.2024", "03.04.2024"], "day-first"),
    (["01/02/2024", "03/04/2024"], ""),
    (["31/01/2024", "01/31/2024"], ""),
    (["2024-01-31T10:00:00Z", "2024-01-31T10:00:00+05:30"], "iso"),
    (["2024-01-31T10:00:00Z", "2024-01-31T10:00:00"], ""),
    (["2024-02-30", "2024-01-01"], ""),
    (["2024-01-01", "soon"], ""),
    (["1.2.3", "4.5.6"], ""),
    (["10:30", "11:45"], ""),
    ([], ""),
]


@pytest.mark.parametrize(("words", "style"), STYLES)
def test_the_whole_column_decides_the_style(words, style):
    assert guess_date_style(words) == style


@pytest.mark.parametrize(("words", "style"), [s for s in STYLES if s[1]])
def test_texts_are_read_as_pandas_reads_them(words, style):
    column = pd.Series([*words, None], dtype=object)
    dates, wrong = read_dates(column, style)
    assert wrong is None
    has_zone = "Z" in words[0]
    expected = pd.to_datetime(
        column, format="mixed", dayfirst=style == "day-first", utc=has_zone
    ).astype("datetime64[us, UTC]" if has_zone else "datetime64[us]")
    pd.testing.assert_series_equal(dates, expected)


def test_numbers_since_1970():
    for style, factor in (("epoch-s", 1), ("epoch-ms", 1_000), ("epoch-us", 1_000_000)):
        column = pd.Series([str(1_714_564_800 * factor), None])
        assert read_dates(column, style)[0][0] == pd.Timestamp("2024-05-01 12:00")


def table(n: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sold = pd.Series(pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 10**8, n), "s"))
    sold = sold.dt.floor("min")
    opened = sold.dt.floor("D") - pd.to_timedelta(rng.integers(100, 9_000, n), unit="D")
    opened[rng.random(n) < 0.1] = pd.NaT
    size = rng.normal(100, 20, n).round(1)
    price = (size * 10 + sold.dt.month * 30 + sold.dt.hour + rng.normal(0, 5, n)).round(2)
    return pd.DataFrame({"sold": sold, "built": opened, "size": size, "price": price})


FORMATS = {
    "iso": ("%Y-%m-%d %H:%M", None),
    "day-first": ("%d.%m.%Y %H:%M", None),
    "month-first": ("%m/%d/%Y %I:%M %p", None),
    "offsets": ("%Y-%m-%dT%H:%M:%S+01:00", "UTC"),
}

RECIPE = """
name = "houses"
task = "regression"
[data]
file = "houses.csv"
target = "price"
[reading]
[reading.columns]
sold = {{ date = "{style}" }}
built = {{ date = "iso" }}
[preprocessing]
numbers = ["impute", "scale"]
[estimator]
class = "sklearn.linear_model.Ridge"
"""


@pytest.mark.parametrize("name", FORMATS)
def test_init_build_and_predict_on_the_training_file(name, tmp_path, capsys):
    date_format, zone = FORMATS[name]
    df = table()
    df["sold"], df["built"] = (
        df["sold"].dt.strftime(date_format), df["built"].dt.strftime("%Y-%m-%d")
    )  # fmt: skip
    df.to_csv(tmp_path / "houses.csv", index=False)
    style = name if zone is None else "iso"
    started = edge_pipeline.init(tmp_path / "houses.csv", tmp_path / "guess", target="price")
    assert f'"sold" = {{ date = "{style}" }}' in started.recipe.read_text()
    assert [c.kind for c in started.description.columns[:2]] == ["datetime", "datetime"]
    (tmp_path / "recipe.toml").write_text(RECIPE.format(style=style))
    result = edge_pipeline.build(tmp_path / "recipe.toml", tmp_path / "m.onnx", report=False)
    model = edge_runtime.load(result.path)
    column = model.schema.columns[0]
    assert (column.type, column.dates.style, column.dates.zone) == ("datetime", style, zone)
    packed = tmp_path / "rows.csv.bz2"
    packed.write_bytes(bz2.compress((tmp_path / "houses.csv").read_bytes()))
    assert main(["predict", str(result.path), str(packed)]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    rows = df.drop(columns="price").astype(object).where(df.notna(), None).to_dict("records")
    expected = model.predict(rows)
    assert len(lines) == len(df)
    np.testing.assert_array_equal([float(line.split(",")[1]) for line in lines], expected)
    assert [model.predict_one(row) for row in rows[:5]] == expected[:5].tolist()


def test_a_column_whose_style_is_unclear_is_left_out_with_the_remedy(tmp_path):
    df = table()
    df["sold"] = df["sold"].dt.strftime("01/%m/%Y")
    df["built"] = df["built"].dt.strftime("%Y-%m-%d")
    df.to_csv(tmp_path / "houses.csv", index=False)
    started = edge_pipeline.init(tmp_path / "houses.csv", tmp_path / "guess", target="price")
    assert "[reading.columns] how to read them" in started.description.columns[0].left_out
    recipe = RECIPE.format(style="day-first").replace('sold = { date = "day-first" }\n', "")
    (tmp_path / "recipe.toml").write_text(recipe)
    with pytest.raises(DatasetError, match=r'"sold" = \{ date = "iso" \} \(or "day-first"'):
        edge_pipeline.build(tmp_path / "recipe.toml", tmp_path / "m.onnx", report=False)
    (tmp_path / "recipe.toml").write_text(RECIPE.format(style="iso"))
    with pytest.raises(DatasetError, match="'sold': expected a date in the style 'iso', found '01"):
        edge_pipeline.build(tmp_path / "recipe.toml", tmp_path / "m.onnx", report=False)
    (tmp_path / "recipe.toml").write_text(
        RECIPE.format(style="iso").replace('"iso" }', '"iso", mark = "EUR" }', 1)
    )
    with pytest.raises(RecipeError, match="a column of dates has no mark"):
        edge_pipeline.build(tmp_path / "recipe.toml", tmp_path / "m.onnx", report=False)


def test_a_target_of_dates_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="the target 'sold' holds dates"):
        edge_pipeline.init(table(), tmp_path / "m", target="sold")


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_the_features_of_dates_are_exact_for_trees_too(zone):
    """A sine of another library differs in its last bit, at which a tree may split."""
    X, unseen = table(150, 1)[["sold", "built"]], table(60, 2)[["sold", "built"]]
    y = X["sold"].dt.day_of_year + X["sold"].dt.hour
    if zone is not None:
        X, unseen = (df.assign(sold=df["sold"].dt.tz_localize("UTC").dt.tz_convert(zone))
                     for df in (X, unseen))  # fmt: skip
    assert_same(make_pipeline(DateFeatures(), DecisionTreeRegressor()).fit(X, y), X, unseen)
    features = DateFeatures().fit(X)
    assert list(features.get_feature_names_out()) == list(features.transform(X).columns)
    assert features.with_time_ == [True, False]
    filled = X.assign(built=X["sold"])
    assert_same(make_pipeline(DateFeatures(), LinearRegression()).fit(filled, y), filled, filled)
