"""skrub's steps for dates give the same numbers: tables, cycles, zones and missing dates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import convert
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.preprocessing import StandardScaler

skrub = pytest.importorskip("skrub")


def table(n: int, seed: int, zone: str | None = None, unit: str = "us") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    moments = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 10**14, n), "us")
    day = pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 9_000, n), "D")
    df = pd.DataFrame({
        "when": pd.Series(moments).astype(f"M8[{unit}]"),
        "day": pd.Series(day).mask(rng.random(n) < 0.1),
        "x": rng.normal(size=n),
        "kind": rng.choice(["a", "b", "c"], n),
    })  # fmt: skip
    if zone is not None:
        df["when"] = df["when"].dt.tz_localize("UTC").dt.tz_convert(zone)
    return df


@pytest.mark.parametrize(
    ("zone", "unit"),
    [
        (None, "us"),
        pytest.param(None, "ns", marks=pytest.mark.slow),
        ("Europe/Berlin", "s"),
    ],
)
def test_tabular_pipeline_takes_dates(zone, unit):
    X, unseen = table(100, 0, zone, unit), table(40, 1, zone, unit)
    y = X["when"].dt.month + X["x"]
    model = skrub.tabular_pipeline(HistGradientBoostingRegressor(max_iter=10))
    assert_same(model.fit(X, y), X, unseen)


@pytest.mark.parametrize("cycles", [None, "circular", "spline"])
@pytest.mark.parametrize("resolution", [None, "year", "microsecond"])
def test_every_feature_of_datetime_encoder(cycles, resolution):
    encoder = skrub.DatetimeEncoder(
        resolution=resolution, add_weekday=True, add_day_of_year=True, periodic_encoding=cycles
    )
    columns = ["when", "day"]
    X, unseen = table(60, 2)[columns], table(40, 3)[columns]
    assert_same(skrub.ApplyToCols(encoder).fit(X), X, unseen)


def test_table_vectorizer_and_cleaner():
    X, unseen = table(80, 4), table(40, 5)
    assert_same(skrub.TableVectorizer().fit(X), X, unseen)
    scaled = skrub.TableVectorizer(numeric=StandardScaler()).fit(X)
    assert_same(scaled, X, unseen)


def test_dates_written_as_text_are_refused_with_the_remedy():
    X = table(60, 6)
    X["when"] = X["when"].dt.strftime("%Y-%m-%d")
    with pytest.raises(UnsupportedEstimatorError, match=r"'%Y-%m-%d'; make the column datetime64"):
        convert(skrub.TableVectorizer().fit(X), X)


def test_a_transformer_that_returns_dates_is_refused():
    X = table(40, 7)[["when"]]
    with pytest.raises(UnsupportedEstimatorError, match="transform returns dates; end with a step"):
        convert(skrub.Cleaner().fit(X), X)
