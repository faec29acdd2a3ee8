"""Test which dates a column takes, and that each becomes the same microsecond."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import pytest
from edge_runtime.bundle.date_rule import DATE_STYLES, DateRule, iso_text
from edge_runtime.bundle.schema import NUMBERS, STRINGS, Column, Schema
from edge_runtime.errors import IntegrityError
from edge_runtime.inputs.flags import Flagger
from edge_runtime.inputs.single_row import RowBuffers, row_writer
from edge_runtime.inputs.tables import InputReader

from edge_runtime import InputError

NOON = 1_714_564_800_000_000.0
"""2024-05-01 12:00:00 in microseconds since 1970."""

BERLIN = datetime.timezone(datetime.timedelta(hours=2))


def schema(*, style: str = "iso", zone: str | None = None, missing: bool = True) -> Schema:
    when = Column("when", "datetime", missing, 0.0, NOON, dates=DateRule(style, zone))
    return Schema("table", (Column("x", "float64"), when, Column("s", "string")))


def as_batch(cells: Any, **rule: Any) -> np.ndarray:
    reader = InputReader(schema(**rule))
    feeds, _ = reader.feeds({"x": np.zeros(len(cells)), "when": cells, "s": ["a"] * len(cells)})
    return np.array(feeds[NUMBERS][:, 1])


def as_row(cell: Any, **rule: Any) -> float:
    described = schema(**rule)
    buffers = RowBuffers(described)
    row_writer(InputReader(described))({"x": 1.0, "when": cell, "s": "a"}, buffers)
    assert buffers.numbers[0, 0] == 1.0
    assert buffers.text[0] == "a"
    return float(buffers.numbers[0, 1])


DATES: list[tuple[Any, str, str | None]] = [
    ("2024-05-01T12:00:00", "iso", None),
    ("2024-05-01 12:00", "iso", None),
    (" 20240501 12:00:00,000 ", "iso", None),
    ("2024/05/01 12:00:00 PM", "iso", None),
    ("2024-05-01T12:00:00.000000000", "iso", None),
    ("01.05.2024 12:00", "day-first", None),
    ("1/5/2024 12:00:00", "day-first", None),
    ("2024-05-01T12:00:00", "day-first", None),
    ("05/01/2024 12:00", "month-first", None),
    ("5-1-2024 12:00 pm", "month-first", None),
    ("1714564800", "epoch-s", None),
    (1714564800, "epoch-s", None),
    (np.float64(1714564800.0), "epoch-s", None),
    ("1714564800000", "epoch-ms", None),
    (1714564800000.0, "epoch-ms", None),
    (np.int64(1714564800000000), "epoch-us", None),
    ("2024-05-01T12:00", "epoch-s", None),
    ("2024-05-01T14:00:00+02:00", "iso", "Europe/Berlin"),
    ("2024-05-01T12:00:00Z", "iso", "UTC"),
    ("2024-05-01 07:30:00-0430", "iso", "UTC"),
    (datetime.datetime(2024, 5, 1, 14, tzinfo=BERLIN), "iso", "Europe/Berlin"),
    (datetime.datetime(2024, 5, 1, 12), "iso", None),
    (np.datetime64("2024-05-01T12"), "iso", None),
    (np.datetime64("2024-05-01T12:00:00.000000000"), "iso", None),
]


@pytest.mark.parametrize(("cell", "style", "zone"), DATES)
def test_one_moment_written_in_many_ways(cell, style, zone):
    assert as_row(cell, style=style, zone=zone) == NOON
    assert as_batch([cell, None], style=style, zone=zone)[0] == NOON


@pytest.mark.parametrize("unit", ["D", "h", "m", "s", "ms", "us", "ns", "Y", "M", "W", "10s"])
def test_arrays_of_datetime64_of_every_unit(unit):
    moments = ["1969-12-31T23:59:50", "2024-05-01T12:00:00", "NaT", "1700-01-01"]
    cells = np.array(moments, dtype="M8[s]").astype(f"M8[{unit}]")
    expected = [iso_text(us) for us in as_batch(cells.astype("M8[us]"))]
    assert [iso_text(us) for us in as_batch(cells)] == expected


def test_a_day_is_midnight():
    for cell in ("2024-05-01", datetime.date(2024, 5, 1), np.datetime64("2024-05-01")):
        assert as_row(cell) == NOON - 12 * 3600e6


def test_every_form_of_a_missing_date():
    for cell in (None, float("nan"), np.datetime64("NaT"), np.timedelta64("NaT")):
        assert np.isnan(as_row(cell))
        assert np.isnan(as_batch([cell])).all()
        with pytest.raises(InputError, match="missing value, which this model does not accept"):
            as_row(cell, missing=False)
    with pytest.raises(InputError, match="row 1"):
        as_batch(np.array(["2024", "NaT"], dtype="M8[s]"), missing=False)


REFUSED = [
    ("2024-02-30", {}, "the text '2024-02-30', day is out of range"),
    ("31.12.2024", {}, "write it as 2024-12-31"),
    ("12/31/2024", {"style": "day-first"}, "month must be in 1..12; write it as 31.12.2024"),
    ("2024-13-01", {}, "month must be in"),
    ("now", {}, "the text 'now'"),
    ("today", {}, "the text 'today'"),
    ("", {}, "the text ''"),
    ("2024", {}, "the text '2024'"),
    ("2024-05-01T25:00", {}, "hour must be in"),
    ("2024-05-01 13:00 PM", {}, "clock of 12 hours"),
    ("2024-05-01T12:00:00Z", {}, "has a time zone, and this column has none"),
    ("2024-05-01T12:00:00", {"zone": "UTC"}, r"no time zone, and this column is in UTC.*\+01:00"),
    (datetime.datetime(2024, 5, 1, tzinfo=BERLIN), {}, "has a time zone"),
    (np.datetime64("2024-05-01"), {"zone": "UTC"}, "has no time zone"),
    ("2024-05-01T00:00:00.123456789", {}, "nanoseconds: round it to microseconds"),
    (np.datetime64("2024-05-01T00:00:00.123456789"), {}, "float64"),
    (1714564800, {}, "whose unit this model does not know"),
    (1714564800.5, {}, "whose unit this model does not know"),
    (True, {"style": "epoch-s"}, "True"),
    ("x", {"style": "epoch-s"}, "the seconds since 1970"),
    (1e300, {"style": "epoch-s"}, "which is no number"),
    (float("inf"), {"style": "epoch-s"}, "infinity"),
    (10**30, {"style": "epoch-us"}, "which is no number"),
    (10**18, {"style": "epoch-us"}, "not in the years 1 to 9999"),
    ("0000-01-01", {}, "year 0 is out of range"),
    ("9999-12-31T23:59:59.999999", {}, "a part of a second before 1684 or after 2255"),
    (np.datetime64("2024-01-01") + np.timedelta64(365 * 9000, "D"), {}, "a date"),
    (datetime.time(12), {}, "an object of type time"),
    (datetime.timedelta(1), {}, "type timedelta"),
    ([2024, 1, 1], {}, "a list of 3"),
]


@pytest.mark.parametrize(("cell", "rule", "message"), REFUSED)
def test_other_cells_are_refused_with_the_row(cell, rule, message):
    with pytest.raises(InputError, match=re.compile(f"expected a date, found.*{message}")):
        as_row(cell, **rule)
    cells = np.empty(2, dtype=object)
    cells[0], cells[1] = None, cell
    with pytest.raises(InputError, match=rf"row 1, column 'when': expected a date.*{message}"):
        as_batch(cells, **rule)


def test_numbers_of_an_array_are_no_dates():
    """A float64 of microseconds would be taken for any other unit in silence."""
    when = Schema("table", (Column("when", "datetime", True, dates=DateRule()),))
    reader = InputReader(when)
    with pytest.raises(InputError, match="whose unit"):
        reader.feeds(np.array([[NOON]]))
    with pytest.raises(InputError, match="whose unit"):
        row_writer(reader)([NOON], RowBuffers(when))


def test_whole_seconds_of_the_years_1_to_9999_are_exact():
    rng = np.random.default_rng(0)
    seconds = rng.integers(-62_135_596_800, 253_402_300_799, 5_000)
    whole = as_batch(seconds.astype("M8[s]")).astype(np.int64)
    np.testing.assert_array_equal(whole, seconds * 1_000_000)
    assert as_row("0001-01-01") == -62_135_596_800e6
    assert as_row("9999-12-31T23:59:59") == 253_402_300_799e6


def test_microseconds_of_1684_to_2255_are_exact():
    low, high = (int(np.datetime64(year, "us").astype(np.int64)) for year in ("1685", "2255"))
    whole = np.random.default_rng(1).integers(low, high, 5_000)
    np.testing.assert_array_equal(as_batch(whole.astype("M8[us]")).astype(np.int64), whole)


def test_a_date_outside_training_is_flagged_in_days():
    flagger = Flagger(InputReader(schema()))
    [flags] = flagger.flag_rows([{"x": 0.0, "when": "2024-05-03T12:00:00", "s": "a"}])
    flag = next(flag for flag in flags if flag.column == "when")
    assert flag.value == "2024-05-03T12:00:00"
    assert flag.amount == 2.0
    assert str(flag).startswith("when: 2024-05-03T12:00:00 lies 2 days above the training range")


@pytest.mark.parametrize("style", DATE_STYLES)
def test_the_rule_survives_the_manifest(style):
    column = Column("when", "datetime", dates=DateRule(style, "Europe/Berlin"))
    assert Column.from_json(column.to_json()) == column
    for wrong_rule in (
        {"style": "guess", "zone": None},
        {"style": "iso"},
        {"style": "iso", "zone": ""},
    ):
        with pytest.raises(IntegrityError):
            Column.from_json({**column.to_json(), "dates": wrong_rule})
    for changes in ({"type": "float64"}, {"type": "string"}):
        with pytest.raises(IntegrityError):
            Column.from_json({**column.to_json(), **changes})
    assert STRINGS not in InputReader(Schema("table", (column,))).feeds([[None]] * 0)[0]
