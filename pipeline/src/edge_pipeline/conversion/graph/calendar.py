"""Compute the Gregorian calendar from microseconds since 1970, in whole numbers.

The formulas of days and months are those of H. Hinnant, "chrono-Compatible Low-Level Date
Algorithms" (civil_from_days).  They count from 0000-03-01, so that the leap day ends a year.
"""

from __future__ import annotations

import functools

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = [
    "US_PER_DAY", "US_PER_SECOND", "Calendar", "days_from_civil", "floor_divide", "modulo",
    "whole_microseconds",
]  # fmt: skip

US_PER_SECOND = 1_000_000
US_PER_DAY = 86_400 * US_PER_SECOND

_DAYS_TO_1970 = 719_468
"""Days from 0000-03-01 to 1970-01-01."""

_DAYS_PER_ERA = 146_097
"""Days of 400 years."""


def whole_microseconds(times: Tensor) -> Tensor:
    """Convert float64 to int64, a missing time to 1970-01-01."""
    return ops.where(ops.isnan(times), 0.0, times).astype(np.int64)


def modulo(x: Tensor, divisor: int) -> Tensor:
    """Remainder of whole numbers, with the sign of the divisor."""
    by = x.graph.constant(divisor, np.int64)
    return x.graph.node("Mod", x, by, dtype=np.int64, shape=x.shape)


def floor_divide(x: Tensor, divisor: int) -> Tensor:
    """Quotient of whole numbers, rounded down; ONNX's Div rounds towards zero."""
    return _divide(x - modulo(x, divisor), divisor)


def _divide(x: Tensor, divisor: int) -> Tensor:
    """Divide whole numbers that are not negative, or multiples of *divisor*."""
    by = x.graph.constant(divisor, np.int64)
    return x.graph.node("Div", x, by, dtype=np.int64, shape=x.shape)


class Calendar:
    """The parts of times, each an int64 tensor.

    Parameters
    ----------
    microseconds
        int64, without missing times: see :func:`whole_microseconds`.
    """

    def __init__(self, microseconds: Tensor) -> None:
        self.microseconds = microseconds

    @functools.cached_property
    def days(self) -> Tensor:
        """Return the days since 1970."""
        return floor_divide(self.microseconds, US_PER_DAY)

    @functools.cached_property
    def microsecond_of_day(self) -> Tensor:
        """Return the microseconds since midnight."""
        return modulo(self.microseconds, US_PER_DAY)

    @functools.cached_property
    def _era(self) -> Tensor:
        return floor_divide(self.days + _DAYS_TO_1970, _DAYS_PER_ERA)

    @functools.cached_property
    def _day_of_era(self) -> Tensor:
        return modulo(self.days + _DAYS_TO_1970, _DAYS_PER_ERA)

    @functools.cached_property
    def _year_of_era(self) -> Tensor:
        day = self._day_of_era
        leap_days = _divide(day, 1460) - _divide(day, 36_524) + _divide(day, 146_096)
        return _divide(day - leap_days, 365)

    @functools.cached_property
    def _day_from_march(self) -> Tensor:
        year = self._year_of_era
        return self._day_of_era - (365 * year + _divide(year, 4) - _divide(year, 100))

    @functools.cached_property
    def _month_from_march(self) -> Tensor:
        return _divide(5 * self._day_from_march + 2, 153)

    @functools.cached_property
    def month(self) -> Tensor:
        """Return the month, 1 to 12."""
        return modulo(self._month_from_march + 2, 12) + 1

    @functools.cached_property
    def day(self) -> Tensor:
        """Return the day of the month."""
        return self._day_from_march - _divide(153 * self._month_from_march + 2, 5) + 1

    @functools.cached_property
    def year(self) -> Tensor:
        """Return the year."""
        is_next = (self.month <= 2).astype(np.int64)
        return self._year_of_era + self._era * 400 + is_next

    @functools.cached_property
    def weekday(self) -> Tensor:
        """Return the day of the week, from 0 for Monday."""
        return modulo(self.days + 3, 7)

    @functools.cached_property
    def quarter(self) -> Tensor:
        """Return the quarter, 1 to 4."""
        return _divide(self.month + 2, 3)

    @functools.cached_property
    def is_leap_year(self) -> Tensor:
        """Return whether the year has 366 days."""
        year = self.year
        is_fourth = modulo(year, 4) == 0
        return (is_fourth & ~(modulo(year, 100) == 0)) | (modulo(year, 400) == 0)

    @functools.cached_property
    def day_of_year(self) -> Tensor:
        """Return the day of the year, from 1."""
        before = ops.take(_DAYS_BEFORE_MONTH, self.month - 1)
        leap_day = self.is_leap_year & (self.month > 2)
        return before + self.day + leap_day.astype(np.int64)

    @functools.cached_property
    def days_in_month(self) -> Tensor:
        """Return the number of days of the month."""
        leap_day = self.is_leap_year & (self.month == 2)
        return ops.take(_DAYS_IN_MONTH, self.month - 1) + leap_day.astype(np.int64)

    @functools.cached_property
    def hour(self) -> Tensor:
        """Return the hour, 0 to 23."""
        return _divide(self.microsecond_of_day, 3600 * US_PER_SECOND)

    @functools.cached_property
    def minute(self) -> Tensor:
        """Return the minute of the hour."""
        return modulo(_divide(self.microsecond_of_day, 60 * US_PER_SECOND), 60)

    @functools.cached_property
    def second(self) -> Tensor:
        """Return the second of the minute."""
        return modulo(_divide(self.microsecond_of_day, US_PER_SECOND), 60)

    @functools.cached_property
    def microsecond(self) -> Tensor:
        """Return the microsecond of the second."""
        return modulo(self.microsecond_of_day, US_PER_SECOND)

    @functools.cached_property
    def _thursday(self) -> Calendar:
        """Return the Thursday of the same week: it has the ISO year and week."""
        return Calendar((self.days - self.weekday + 3) * US_PER_DAY)

    @property
    def iso_year(self) -> Tensor:
        """Return the year of the ISO week."""
        return self._thursday.year

    @property
    def iso_week(self) -> Tensor:
        """Return the ISO week, 1 to 53."""
        return _divide(self._thursday.day_of_year + 6, 7)


def days_from_civil(year: Tensor, month: Tensor, day: Tensor) -> Tensor:
    """Return the days since 1970 of a date of the calendar (Hinnant, days_from_civil)."""
    is_before_march = (month <= 2).astype(np.int64)
    year = year - is_before_march
    era, year_of_era = floor_divide(year, 400), modulo(year, 400)
    from_march = modulo(month + 9, 12)
    day_of_year = _divide(153 * from_march + 2, 5) + day - 1
    day_of_era = year_of_era * 365 + _divide(year_of_era, 4) - _divide(year_of_era, 100)
    return era * _DAYS_PER_ERA + day_of_era + day_of_year - _DAYS_TO_1970


_DAYS_IN_MONTH = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_DAYS_BEFORE_MONTH = np.concatenate([[0], np.cumsum(_DAYS_IN_MONTH)[:-1]])
