"""Parts, differences and comparisons of dates are those of pandas, or are refused by name."""

from __future__ import annotations

import datetime

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from edge_pipeline import convert
from edge_pipeline.errors import ConversionError, UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore:Series.dt")  # pandas 4 drops dt.weekday

ULP = 4.5e-16
"""pandas moves the last bit of some seconds beyond 285 years, depending on the whole column."""

MOMENTS = [
    "1969-12-31 23:59:59.999999", "1970-01-01", "2000-02-29 12:00", "1900-02-28 23:59:59",
    "2023-12-31 23:00:01.5", "2024-01-01", "2020-12-31 06:07:08.000009", "2021-01-03",
    "1700-03-01 00:00:00.000001", "2250-07-04 15:16:17.181920", "2024-07-01", "2024-06-30 12:34:56",
    None,
]  # fmt: skip


def dates(unit: str = "us", zone: str | None = None) -> pd.Series:
    moments = [text for text in MOMENTS if unit != "ns" or text is None or "195" < text < "22"]
    column = pd.Series(pd.to_datetime(moments, format="ISO8601")).astype(f"M8[{unit}]")
    return column if zone is None else column.dt.tz_localize("UTC").dt.tz_convert(zone)


def frame(unit: str = "us", zone: str | None = None) -> pd.DataFrame:
    column = dates(unit, zone)
    return pd.DataFrame({"d": column, "e": column.iloc[::-1].to_numpy()}) if zone is None else (
        pd.DataFrame({"d": column, "e": column.sample(frac=1, random_state=0).array})
    )  # fmt: skip


PARTS = {
    name: lambda df, name=name: getattr(df["d"].dt, name)
    for name in (
        "year", "month", "day", "hour", "minute", "second", "microsecond", "nanosecond", "quarter",
        "day_of_week", "weekday", "dayofyear", "day_of_year", "days_in_month", "is_leap_year",
        "is_month_start", "is_month_end", "is_quarter_start", "is_quarter_end", "is_year_start",
        "is_year_end",
    )
}  # fmt: skip

FORMULAS = {
    "iso week": lambda df: df.d.dt.isocalendar().week.astype(float),
    "iso year and day": lambda df: df.d.dt.isocalendar()[["year", "day"]].astype(float).sum(axis=1),
    "weekend": lambda df: df.d.dt.weekday >= 5,
    "cyclic": lambda df: np.sin(2 * np.pi * df.d.dt.hour / 24),
    "one number": lambda df: df.d.dt.year * 10_000 + df.d.dt.month * 100 + df.d.dt.day,
    "days between": lambda df: (df.e - df.d).dt.days,
    "seconds between": lambda df: (df.e - df.d).dt.total_seconds(),
    "rest of the day": lambda df: (df.e - df.d).dt.seconds + (df.e - df.d).dt.microseconds / 1e6,
    "hours between": lambda df: (df.e - df.d) / pd.Timedelta(hours=1),
    "numpy hours": lambda df: (df.e - df.d) / np.timedelta64(1, "h"),
    "whole weeks": lambda df: (df.d - df.e) // pd.Timedelta(days=7),
    "since": lambda df: (df.d - pd.Timestamp("2020-05-17 01:02:03")).dt.total_seconds(),
    "until": lambda df: (pd.Timestamp("2030-01-01") - df.d).dt.days,
    "since a datetime": lambda df: (df.d - datetime.datetime(2020, 5, 17)).dt.days,
    "longer than a week": lambda df: (df.e - df.d) > pd.Timedelta("7D"),
    "length": lambda df: (df.e - df.d).abs().dt.days,
    "sum of spans": lambda df: ((df.e - df.d) + (df.d - df.e)).dt.total_seconds(),
    "next day": lambda df: (df.d + pd.Timedelta(days=1)).dt.day,
    "an hour before": lambda df: (df.d - datetime.timedelta(hours=1)).dt.hour,
    "back and forth": lambda df: (df.d + (df.e - df.d)).dt.microsecond,
    "before a timestamp": lambda df: df.d < pd.Timestamp("2000-02-29 12:00"),
    "at a text": lambda df: df.d == "2024-01-01",
    "not at a date": lambda df: df.d != pd.Timestamp(2024, 1, 1),
    "up to another": lambda df: df.d <= df.e,
    "within": lambda df: df.d.between(pd.Timestamp("1970-01-01"), pd.Timestamp("2023-12-31")),
    "missing": lambda df: df.d.isna(),
    "filled": lambda df: df.d.fillna(pd.Timestamp("2001-09-09")).dt.year,
    "where": lambda df: df.d.where(df.d > "2000-01-01", pd.Timestamp("2000-01-01")).dt.year,
    "numpy where": lambda df: np.where(df.d > df.e, df.d.dt.year, df.e.dt.year),
    "apply": lambda df: df.d.apply(lambda d: d.month),
    "map a function": lambda df: df["d"].map(lambda d: d.hour * 60 + d.minute),
    "floor to hours": lambda df: df.d.dt.floor("h").dt.minute + df.d.dt.floor("6h").dt.hour,
    "ceiling": lambda df: df.d.dt.ceil("D").dt.day,
    "normalized": lambda df: (df.d - df.d.dt.normalize()).dt.total_seconds(),
    "to_datetime of dates": lambda df: pd.to_datetime(df["d"]).dt.day,
    "assigned": lambda df: df.assign(c=df.d).c.dt.year,
    "concatenated": lambda df: pd.concat([df[["e"]], df[["d"]]], axis=1)["d"].dt.year,
    "dtypes": lambda df: df.select_dtypes("datetime").iloc[:, 0].dt.day,
}

TEXTS = {
    "day_name": lambda df: df.d.dt.day_name(),
    "month_name": lambda df: df.d.dt.month_name(),
    "strftime": lambda df: df.d.dt.strftime("%Y-%m"),
    "all fields": lambda df: df.d.dt.strftime("%d/%m/%y %H:%M:%S week %V of %G, %j %u %w %a %b."),
    "date": lambda df: df.d.dt.strftime("%F") + "T" + df.d.dt.strftime("%T"),
}


def run(function, df: pd.DataFrame) -> np.ndarray:
    """Run the graph of ``out = function(df)`` on the rows of *df*."""
    transformer = FunctionTransformer(lambda X: pd.DataFrame({"out": function(X)}))
    model = convert(transformer.fit(df), df)
    session = onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])
    blocks = np.column_stack([
        pd.to_numeric(df[name].astype("M8[us]") if df[name].dt.tz is None else
                      df[name].dt.tz_convert(None).astype("M8[us]"))
        for name in df
    ]).astype(np.float64)  # fmt: skip
    blocks[df.isna().to_numpy()] = np.nan
    return session.run(None, {"numbers": blocks[:, : session.get_inputs()[0].shape[1]]})[0][:, 0]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_that_of_pandas(name):
    expected = PARTS[name](frame()).astype(float)
    np.testing.assert_array_equal(run(PARTS[name], frame()), expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_that_of_pandas(name):
    expected = np.asarray(FORMULAS[name](frame()), dtype=float)
    np.testing.assert_allclose(run(FORMULAS[name], frame()), expected, rtol=ULP, atol=ULP)


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
@pytest.mark.parametrize("name", ["seconds between", "hours between", "one number", "since"])
def test_other_units_of_pandas(name, unit):
    """The unit decides how pandas rounds a quotient."""
    expected = np.asarray(FORMULAS[name](frame(unit)), dtype=float)
    np.testing.assert_allclose(run(FORMULAS[name], frame(unit)), expected, rtol=ULP)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_whole_numbers_behind_dates(unit):
    df = frame(unit).dropna()
    np.testing.assert_array_equal(
        run(lambda df: df.d.astype("int64") // 1000, df), df.d.astype("int64") // 1000
    )


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "-03:30"])
def test_dates_with_a_time_zone(zone):
    df = frame(zone=zone)
    for function in (
        lambda df: df.d.dt.hour * 100 + df.d.dt.minute,
        lambda df: (df.d - df.e).dt.total_seconds(),
        lambda df: df.d.dt.tz_convert("America/New_York").dt.day,
        lambda df: df.d.dt.tz_localize(None).dt.floor("D").dt.day_of_year,
        lambda df: df.d > pd.Timestamp("2000-02-29", tz="Asia/Tokyo"),
        lambda df: df.d.dt.is_month_end,
    ):
        expected = np.asarray(function(df), dtype=float)
        np.testing.assert_allclose(run(function, df), expected, rtol=ULP)


@pytest.mark.parametrize("name", TEXTS)
def test_texts_made_from_dates(name):
    df = frame().dropna()
    assert run(TEXTS[name], df).tolist() == TEXTS[name](df).tolist()


REFUSED = {
    "a period": (lambda df: df.d.dt.to_period("M"), "dt.to_period has no form"),
    "a span": (lambda df: df.d - df.e, "a difference of dates is no number"),
    "rounding": (lambda df: df.d.dt.round("h").dt.day, "dt.round has no form"),
    "to_datetime of texts": (
        lambda df: pd.to_datetime(df.d.dt.strftime("%Y-%m-%d")).dt.day,
        "call it before the pipel",
    ),
    "astype": (lambda df: df.d.astype(str), "astype"),
    "an array of dates": (lambda df: df.to_numpy()[:, 0], "a column of dates beside"),
    "the numbers of a position": (lambda df: df.d.rank(), "rank has no form"),
    "nanoseconds": (lambda df: df.d > pd.Timestamp("2020-01-01 00:00:00.000000001"), "nanosec"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_functions_of_dates_are_refused(name):
    function, message = REFUSED[name]
    transformer = FunctionTransformer(lambda X: X.assign(out=function(X))[["out"]]).fit(frame())
    with pytest.raises(UnsupportedEstimatorError, match=message):
        convert(transformer, frame())


def table(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2019-03-01")
    df = pd.DataFrame({
        "sold": start + pd.to_timedelta(rng.integers(0, 5 * 365 * 86_400, n), unit="s"),
        "born": start - pd.to_timedelta(rng.integers(0, 80 * 365, n), unit="D"),
        "price": rng.normal(size=n),
    })  # fmt: skip
    df.loc[rng.random(n) < 0.1, "born"] = pd.NaT
    return df


def parts(df):
    out = pd.DataFrame({"price": df["price"]})
    for name in ("sold", "born"):
        out[name + "_year"] = df[name].dt.year
        out[name + "_month"] = df[name].dt.month
        out[name + "_week"] = df[name].dt.isocalendar().week.astype(float)
    out["age"] = (df["sold"] - df["born"]).dt.days / 365.25
    return out


def test_models_of_dates_predict_as_trained():
    X, unseen = table(200, 0), table(60, 1)
    y = X["sold"].dt.month + X["price"] + X["born"].isna()
    pipeline = make_pipeline(FunctionTransformer(parts), HistGradientBoostingRegressor(max_iter=20))
    assert_same(pipeline.fit(X, y), X, unseen)
    columns = ColumnTransformer(
        [
            ("sold", FunctionTransformer(lambda df: df[["sold"]].apply(lambda s: s.dt.hour)),
             ["sold"]),
            ("price", StandardScaler(), ["price"]),
        ]
    )  # fmt: skip
    forest = RandomForestClassifier(10, random_state=0)
    assert_same(make_pipeline(columns, forest).fit(X, y > 6), X, unseen)


class DatesToParts:
    """A transformer that a user wrote, which learns the first date."""

    def fit(self, X, y=None):
        self.first_ = X["sold"].min()
        return self

    def transform(self, X):
        days = (X["sold"] - self.first_) / pd.Timedelta(days=1)
        return np.column_stack([days, X["sold"].dt.hour, X["price"]])

    def fit_transform(self, X, y=None):
        return self.fit(X).transform(X)


def test_a_transformer_of_ones_own_takes_dates():
    X, unseen = table(120, 2), table(40, 3)
    pipeline = make_pipeline(DatesToParts(), LinearRegression()).fit(X, X["price"])
    assert_same(pipeline, X, unseen)


def test_an_estimator_that_takes_no_dates_names_the_remedy():
    X = table(50, 4)[["sold"]]
    trees = HistGradientBoostingRegressor(max_iter=2).fit(X, np.arange(50))
    with pytest.raises(UnsupportedEstimatorError, match="a column holds dates; put a step before"):
        convert(trees, X)


def test_python_dates_and_arrow_dtypes():
    X, unseen = table(80, 5)[["sold", "price"]], table(30, 6)[["sold", "price"]]
    pipeline = make_pipeline(
        FunctionTransformer(lambda df: pd.DataFrame({
            "month": pd.to_datetime(df["sold"]).dt.month.astype(float), "price": df["price"],
        })),
        LinearRegression(),
    )  # fmt: skip
    for convert_dates in (
        lambda df: df.assign(sold=df["sold"].dt.date),
        lambda df: df.astype({"sold": "timestamp[us][pyarrow]"}),
    ):
        sample, rows = convert_dates(X), convert_dates(unseen)
        assert_same(pipeline.fit(sample, X["price"]), sample, rows)
    aware = X.assign(sold=X["sold"].dt.tz_localize("UTC").astype(object))
    with pytest.raises(ConversionError, match=r"pd.to_datetime\(column, utc=True\)"):
        convert(pipeline, aware)


def test_an_encoder_of_dates_names_the_remedy():
    X = table(60, 7)[["born"]].fillna(pd.Timestamp("1950-01-01"))
    encoder = OneHotEncoder(handle_unknown="ignore").fit(X)
    with pytest.raises(UnsupportedEstimatorError, match=r"categories are dates.*dt\.month"):
        convert(encoder, X)
