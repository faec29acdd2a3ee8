"""Trace ``series.dt``: the parts of dates, their names and texts."""

from __future__ import annotations

import calendar
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.date_kinds import DateKind, Unit, local_calendar
from edge_pipeline.conversion.graph import ops, text_ops
from edge_pipeline.conversion.graph.calendar import Calendar, floor_divide, modulo
from edge_pipeline.conversion.graph.tensor import Tensor

if TYPE_CHECKING:
    from edge_pipeline.conversion.tracing.dates import TracedDates

__all__ = ["DateParts", "number_or_missing"]

_PARTS: dict[str, Callable[[Calendar], Tensor]] = {
    "year": lambda c: c.year,
    "month": lambda c: c.month,
    "day": lambda c: c.day,
    "hour": lambda c: c.hour,
    "minute": lambda c: c.minute,
    "second": lambda c: c.second,
    "microsecond": lambda c: c.microsecond,
    "nanosecond": lambda c: modulo(c.microsecond, 1),
    "quarter": lambda c: c.quarter,
    **dict.fromkeys(("weekday", "dayofweek", "day_of_week"), lambda c: c.weekday),
    **dict.fromkeys(("dayofyear", "day_of_year"), lambda c: c.day_of_year),
    **dict.fromkeys(("days_in_month", "daysinmonth"), lambda c: c.days_in_month),
}

_TESTS: dict[str, Callable[[Calendar], Tensor]] = {
    "is_leap_year": lambda c: c.is_leap_year,
    "is_month_start": lambda c: c.day == 1,
    "is_month_end": lambda c: c.day == c.days_in_month,
    "is_quarter_start": lambda c: (c.day == 1) & (modulo(c.month, 3) == 1),
    "is_quarter_end": lambda c: (c.day == c.days_in_month) & (modulo(c.month, 3) == 0),
    "is_year_start": lambda c: (c.day == 1) & (c.month == 1),
    "is_year_end": lambda c: (c.day == 31) & (c.month == 12),
}

_FREQUENCIES_US = {
    "D": 86_400_000_000, "h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000,
    "us": 1,
}  # fmt: skip


def number_or_missing(part: Tensor, missing: Tensor) -> Tensor:
    """Return whole numbers as float64, NaN where they are missing, as pandas does."""
    return ops.where(missing, np.nan, part.astype(np.float64))


class DateParts:
    """The value of ``series.dt`` of dates."""

    def __init__(self, dates: TracedDates) -> None:
        self._dates = dates
        self._missing = ops.isnan(dates.to_tensor())

    @functools.cached_property
    def _calendar(self) -> Calendar:
        return local_calendar(self._dates.to_tensor(), self._dates.kind)

    def _number(self, part: Tensor) -> Any:
        return self._dates._number(number_or_missing(part, self._missing))

    def __getattr__(self, name: str) -> Any:
        if name in _PARTS:
            return self._number(_PARTS[name](self._calendar))
        if name in _TESTS:
            return self._dates._number(_TESTS[name](self._calendar) & ~self._missing)
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"pandas.Series.dt.{name} has no form in a graph; docs/dates.md lists the parts that "
            "are traced"
        )

    @property
    def tz(self) -> Any:
        """Return the time zone."""
        return self._dates.kind.zone

    @property
    def unit(self) -> Unit:
        """Return the unit of pandas' whole numbers."""
        return self._dates.kind.unit

    def isocalendar(self) -> Any:
        """Return a frame of ISO year, week and day."""
        parts = self._calendar
        return self._dates._tracer.frame({
            "year": self._number(parts.iso_year), "week": self._number(parts.iso_week),
            "day": self._number(parts.weekday + 1),
        })  # fmt: skip

    def day_name(self, locale: Any = None) -> Any:
        """Return the English names of the days of the week."""
        return self._name(list(calendar.day_name), self._calendar.weekday, locale)

    def month_name(self, locale: Any = None) -> Any:
        """Return the English names of the months."""
        return self._name(list(calendar.month_name)[1:], self._calendar.month - 1, locale)

    def _name(self, names: list[str], position: Tensor, locale: Any) -> Any:
        if locale is not None:
            raise TypeError("names of days and months in another language")
        return self._text(ops.take(np.array(names, dtype=object), position))

    def _text(self, text: Tensor) -> Any:
        return self._dates._number(ops.where(self._missing, MISSING_STRING, text))

    def strftime(self, date_format: str) -> Any:
        """Write the dates by a format of fields of a fixed width, such as ``%Y-%m``."""
        c = self._calendar
        fields: dict[str, Callable[[], Tensor]] = {
            "m": lambda: _digits(c.month, 2), "d": lambda: _digits(c.day, 2),
            "H": lambda: _digits(c.hour, 2), "M": lambda: _digits(c.minute, 2),
            "S": lambda: _digits(c.second, 2), "y": lambda: _digits(modulo(c.year, 100), 2),
            "j": lambda: _digits(c.day_of_year, 3), "V": lambda: _digits(c.iso_week, 2),
            "Y": lambda: _year(c.year), "G": lambda: _year(c.iso_year),
            "u": lambda: _digits(c.weekday + 1, 1),
            "w": lambda: _digits(modulo(c.weekday + 1, 7), 1),
            "a": lambda: ops.take(np.array(calendar.day_abbr, dtype=object), c.weekday),
            "A": lambda: ops.take(np.array(calendar.day_name, dtype=object), c.weekday),
            "b": lambda: ops.take(np.array(calendar.month_abbr, dtype=object), c.month),
            "B": lambda: ops.take(np.array(calendar.month_name, dtype=object), c.month),
        }  # fmt: skip
        expanded = date_format.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S")
        literal, *pieces = expanded.split("%")
        parts: list[Any] = [literal] if literal else []
        for piece in pieces:
            if not piece or piece[0] not in fields:
                raise TypeError(f"strftime({date_format!r}): %{piece[:1]} has no form in a graph")
            parts.append(fields[piece[0]]())
            parts += [piece[1:]] if piece[1:] else []
        text: Any = ops.full_rows(self._missing, np.array("", dtype=object))
        for part in parts:
            part = part if isinstance(part, Tensor) else np.array([part], dtype=object)
            text = text_ops.concat(text, part)
        return self._text(text)

    def normalize(self) -> Any:
        """Return midnight of each date."""
        return self.floor("D")

    def floor(self, freq: str, *_: Any, **__: Any) -> Any:
        """Round down to a whole number of days, hours, minutes, seconds or milliseconds."""
        step = self._step(freq)
        whole = self._calendar.microseconds
        return self._from_local(whole - modulo(whole, step))

    def ceil(self, freq: str, *_: Any, **__: Any) -> Any:
        """Round up to a whole number of days, hours, minutes, seconds or milliseconds."""
        step = self._step(freq)
        whole = self._calendar.microseconds
        return self._from_local(whole + modulo(-whole, step))

    def _step(self, freq: str) -> int:
        if self._dates.kind.zone is not None:
            raise TypeError("rounding dates with a time zone; convert them: .dt.tz_localize(None)")
        offset = pd.tseries.frequencies.to_offset(freq)
        name = getattr(offset, "rule_code", "")
        if offset is None or name not in _FREQUENCIES_US:
            raise TypeError(f"rounding dates to {freq!r} has no form in a graph")
        return int(offset.n) * _FREQUENCIES_US[name]

    def _from_local(self, whole: Tensor) -> Any:
        return self._dates._same_kind(number_or_missing(whole, self._missing))

    def _in_kind(self, tensor: Tensor, kind: DateKind) -> Any:
        dates = type(self._dates)(self._dates._tracer, tensor, kind)
        dates.name = self._dates.name
        return dates

    def as_unit(self, unit: Any, *_: Any, **__: Any) -> Any:
        """Hold the dates in another unit."""
        whole = self._dates.to_tensor()
        if unit in ("s", "ms"):
            step = _FREQUENCIES_US[unit]
            utc = ops.where(self._missing, 0.0, whole).astype(np.int64)
            whole = number_or_missing(floor_divide(utc, step) * step, self._missing)
        return self._in_kind(whole, DateKind(unit, self._dates.kind.zone))

    def tz_convert(self, tz: Any) -> Any:
        """Show the same moments in another zone; None means UTC without a zone."""
        if self._dates.kind.zone is None:
            raise TypeError("tz_convert of dates without a zone: pandas refuses that too")
        zone = None if tz is None else pd.Timestamp(0, tz=tz).tz
        return self._in_kind(self._dates.to_tensor(), DateKind(self.unit, zone))

    def tz_localize(self, tz: Any, *_: Any, **__: Any) -> Any:
        """Drop the zone and keep the local time, or name local times as those of UTC."""
        kind = self._dates.kind
        if tz is None:
            local = number_or_missing(self._calendar.microseconds, self._missing)
            return self._in_kind(local, DateKind(kind.unit, None))
        zone = pd.Timestamp(0, tz=tz).tz
        if kind.zone is not None or str(zone) not in ("UTC", "tzutc()"):
            raise TypeError(
                "tz_localize is traced for UTC and None; an hour of other zones comes twice"
            )
        return self._in_kind(self._dates.to_tensor(), DateKind(kind.unit, zone))

    def to_numpy(self, *_: Any, **__: Any) -> Any:
        """Refuse: an array of dates has no form."""
        raise TypeError("an array of dates has no form in a graph; take parts by .dt")


def _digits(x: Tensor, width: int) -> Tensor:
    texts = np.array([f"{number:0{width}d}" for number in range(10**width)], dtype=object)
    return ops.take(texts, x)


def _year(year: Tensor) -> Tensor:
    return text_ops.concat(_digits(floor_divide(year, 100), 2), _digits(modulo(year, 100), 2))
