"""The calendar of a graph is that of pandas, in both engines, and so are the zones."""

from __future__ import annotations

import zoneinfo
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from edge_pipeline.conversion.date_kinds import DateKind, local_calendar
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.calendar import Calendar, days_from_civil, whole_microseconds
from edge_runtime.engine.numpy_engine.session import NumpySession
from edge_runtime.inputs.dates import FIRST_US, LAST_US

PARTS = {
    "year": lambda d: d.year,
    "month": lambda d: d.month,
    "day": lambda d: d.day,
    "hour": lambda d: d.hour,
    "minute": lambda d: d.minute,
    "second": lambda d: d.second,
    "microsecond": lambda d: d.microsecond,
    "weekday": lambda d: d.day_of_week,
    "quarter": lambda d: d.quarter,
    "day_of_year": lambda d: d.day_of_year,
    "days_in_month": lambda d: d.days_in_month,
    "is_leap_year": lambda d: d.is_leap_year,
    "iso_year": lambda d: d.isocalendar()["year"].to_numpy(),
    "iso_week": lambda d: d.isocalendar()["week"].to_numpy(),
}


def graph_of_parts() -> bytes:
    graph = Graph()
    calendar = Calendar(whole_microseconds(graph.input("us", np.float64, (None,))))
    for name in PARTS:
        graph.output(name, getattr(calendar, name))
    graph.output("days", days_from_civil(calendar.year, calendar.month, calendar.day))
    model: bytes = graph.to_model("test").SerializeToString()
    return model


ENGINES: dict[str, Any] = {"onnxruntime": onnxruntime.InferenceSession, "numpy": NumpySession}


@pytest.fixture(scope="module", params=list(ENGINES))
def session(request: pytest.FixtureRequest) -> Any:
    return ENGINES[request.param](graph_of_parts())


def assert_parts(session: Any, whole: np.ndarray) -> None:
    numbers = whole.astype(np.float64)
    assert (numbers.astype(np.int64) == whole).all(), "not exactly a float64"
    dates = pd.DatetimeIndex(whole.view("M8[us]"))
    names = [*PARTS, "days"]
    outputs = dict(zip(names, session.run(names, {"us": numbers}), strict=True))
    for name, expected in PARTS.items():
        np.testing.assert_array_equal(outputs[name], np.asarray(expected(dates)), err_msg=name)
    np.testing.assert_array_equal(outputs["days"], whole // 86_400_000_000)


def test_every_day_of_400_years(session):
    """The calendar repeats after 400 years, so that these days are all there are."""
    days = np.arange(-55_000, -55_000 + 146_097)
    rng = np.random.default_rng(0)
    assert_parts(session, days * 86_400_000_000 + rng.integers(0, 86_400_000_000, len(days)))


def test_the_years_1_to_9999(session):
    """Any whole second of these years is a float64, and so are its parts."""
    rng = np.random.default_rng(1)
    seconds = rng.integers(FIRST_US // 10**6, LAST_US // 10**6, 20_000)
    ends = [FIRST_US // 10**6, LAST_US // 10**6, -1, 0, 86_399, 86_400, -86_400, -86_401]
    assert_parts(session, np.concatenate([ends, seconds]) * 10**6)


def test_microseconds_beside_1970(session):
    assert_parts(session, np.array([-1, 0, 1, -86_400_000_001, -(2**53) + 1, 2**53 - 1]))


ZONES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC",
    "America/St_Johns", "Africa/Casablanca", "Pacific/Apia",
]  # fmt: skip


@pytest.mark.parametrize("name", [*ZONES[:3], *(pytest.param(z, marks=pytest.mark.slow)
                                                for z in ZONES[3:])])  # fmt: skip
def test_local_times_of_a_zone(name):
    """Before, at and after each switch of the clock, and in years far away, as pandas has it."""
    zone = zoneinfo.ZoneInfo(name)
    graph = Graph()
    us = graph.input("us", np.float64, (None,))
    calendar = local_calendar(us, DateKind("us", zone))
    graph.output("local", calendar.microseconds)
    graph.output("missing", ops.isnan(us))
    session = onnxruntime.InferenceSession(graph.to_model("test").SerializeToString())
    rng = np.random.default_rng(2)
    hours = np.arange(pd.Timestamp("1880").value, pd.Timestamp("2060").value, 7 * 3600 * 10**9)
    near = (hours // 10**9 + rng.integers(-3600, 3600, len(hours)))[:: 1 if name == ZONES[0] else 9]
    switches = [
        pd.Timestamp(text, tz="UTC").value // 10**9
        for text in ("2024-03-31 01:00", "2024-10-27 01:00", "2024-03-10 07:00", "1945-08-14 23:00")
    ]
    around = [second + step for second in switches for step in (-3601, -1, 0, 1, 3599, 3600)]
    far = rng.integers(-60_000_000_000, 250_000_000_000, 400)
    seconds = np.concatenate([near, around, far])
    local = session.run(["local"], {"us": seconds * 1e6})[0]
    moments = pd.Series((seconds * 10**6).view("M8[us]")).dt.tz_localize("UTC")
    expected = moments.dt.tz_convert(zone).dt.tz_localize(None)
    np.testing.assert_array_equal(local, expected.to_numpy().view(np.int64))
