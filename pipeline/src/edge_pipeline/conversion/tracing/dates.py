"""Trace columns of dates, and the differences between them."""

from __future__ import annotations

import datetime
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.conversion.date_kinds import DateKind, Unit, finer, in_unit
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.calendar import (
    US_PER_DAY,
    US_PER_SECOND,
    floor_divide,
    modulo,
    whole_microseconds,
)
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import Tracer
from edge_pipeline.conversion.tracing.date_parts import DateParts, number_or_missing
from edge_pipeline.conversion.tracing.series import TracedSeries

__all__ = ["TracedDates", "TracedSpans", "series_of"]

_COMPARISONS: dict[Any, Callable[[Any, Any], Any]] = {
    np.less: operator.lt, np.less_equal: operator.le, np.greater: operator.gt,
    np.greater_equal: operator.ge, np.equal: operator.eq, np.not_equal: operator.ne,
}  # fmt: skip

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_NOT_A_TIME = np.iinfo(np.int64).min


class TracedDates(TracedSeries):
    """One symbolic column of dates: microseconds since 1970 as float64, NaN for NaT."""

    def __init__(self, tracer: Tracer, tensor: Tensor, kind: DateKind) -> None:
        super().__init__(tracer, tensor)
        self.kind = kind
        tracer.dates[tensor.name, 0] = kind

    def _same_kind(self, tensor: Tensor) -> TracedDates:
        dates = TracedDates(self._tracer, tensor, self.kind)
        dates.name = self.name
        return dates

    def _number(self, tensor: Tensor) -> Any:
        series = TracedSeries(self._tracer, tensor)
        series.name = self.name
        return series

    @property
    def dt(self) -> DateParts:
        """Return the parts of the dates."""
        return DateParts(self)

    @property
    def dtype(self) -> Any:
        """Return the dtype of pandas."""
        unit, zone = self.kind.unit, self.kind.zone
        return np.dtype(f"M8[{unit}]") if zone is None else pd.DatetimeTZDtype(unit, zone)

    def rename(self, index: Any = None, **_: Any) -> Any:
        """Give the column another name."""
        dates = self._same_kind(self._tensor)
        dates.name = index
        return dates

    def copy(self, *_: Any, **__: Any) -> Any:
        """Return the column: nothing changes it in place."""
        return self._same_kind(self._tensor)

    __copy__ = copy

    def isna(self) -> Any:
        """Return whether each date is missing."""
        return self._number(ops.isnan(self._tensor))

    isnull = isna

    def fillna(self, value: Any) -> Any:
        """Replace missing dates by a date."""
        return self._same_kind(
            ops.where(ops.isnan(self._tensor), self._replacement(value), self._tensor)
        )

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        """Return the whole numbers behind the dates, or the dates in another unit."""
        if str(dtype).startswith(("datetime64", "M8", "<M8")):
            return self.dt.as_unit(pd.api.types.pandas_dtype(dtype).unit)
        if dtype not in (int, np.int64, "int64", "int"):
            raise TypeError(f"astype({dtype!r}) of dates has no form in a graph; use .dt")
        whole = in_unit(whole_microseconds(self._tensor), self.kind.unit)
        return self._number(ops.where(ops.isnan(self._tensor), _NOT_A_TIME, whole))

    view = astype

    def apply(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """Call *func* with a stand-in for each date."""
        return self.each(lambda: func(self, *args, **kwargs))

    def map(self, arg: Any, na_action: Any = None) -> Any:
        """Call a function with a stand-in for each date."""
        if not callable(arg):
            raise TypeError("a look-up of dates has no form in a graph; look up their parts")
        return self.apply(arg)

    def __getattr__(self, name: str) -> Any:
        """Return a part, as the Timestamp has it that ``series.apply(function)`` passes."""
        if name not in _TIMESTAMP_PARTS:
            return super().__getattr__(name)
        return getattr(self.dt, name)

    def weekday(self) -> Any:
        """Return the day of the week, from 0 for Monday, as Timestamp.weekday does."""
        return self.dt.weekday

    def isoweekday(self) -> Any:
        """Return the day of the week, from 1 for Monday."""
        return self.dt.weekday + 1

    def timestamp(self) -> Any:
        """Return the seconds since 1970; without a zone, of UTC."""
        epoch = pd.Timestamp("1970-01-01", tz=None if self.kind.zone is None else "UTC")
        return (self - epoch).total_seconds()

    def _replacement(self, value: Any) -> Any:
        """Return a date, a column of dates or NaT as a float64 tensor or number."""
        if type(value) is TracedDates:
            _check_zones(self.kind, value.kind.zone)
            return value.to_tensor()
        if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
            return np.nan
        return float(_moment_us(value, self.kind))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(getattr(type(value), "is_traced_frame", False) for value in inputs):
            return NotImplemented
        if method != "__call__" or kwargs:
            raise TypeError(f"numpy.{ufunc.__name__}.{method} of dates has no form in a graph")
        if ufunc is np.isnat or ufunc is np.isnan:
            return self.isna()
        if ufunc in _COMPARISONS:
            return self._compare(ufunc, *inputs)
        if ufunc is np.subtract:
            return self._subtract(*inputs)
        if ufunc is np.add:
            dates, span = inputs if type(inputs[0]) is TracedDates else reversed(inputs)
            return dates._shifted(span, 1)
        raise TypeError(f"numpy.{ufunc.__name__} of dates has no form in a graph; use .dt")

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where and len(args) == 3:
            condition, yes, no = args
            dates = yes if type(yes) is TracedDates else no
            if type(dates) is TracedDates:
                branches = dates._replacement(yes), dates._replacement(no)
                condition = self._tracer.unwrap(condition)
                return dates._same_kind(ops.where(condition, *branches))
        raise TypeError(f"numpy.{func.__name__} of dates has no form in a graph; use .dt")

    def _compare(self, ufunc: Any, first: Any, second: Any) -> Any:
        if type(first) is not TracedDates:
            first, second, ufunc = second, first, _MIRRORED[ufunc]
        if type(second) is TracedDates:
            threshold: Any = first._replacement(second)
        else:
            whole = _moment_us(second, first.kind)
            if int(float(whole)) != whole:
                raise TypeError(
                    f"a comparison of dates with {second!r}, which is no whole microsecond that a "
                    "float64 holds; compare with a whole second"
                )
            threshold = float(whole)
        return self._number(_COMPARISONS[ufunc](first.to_tensor(), threshold))

    def _subtract(self, first: Any, second: Any) -> Any:
        if type(first) is TracedDates and not (type(second) is TracedDates or _is_moment(second)):
            return first._shifted(second, -1)
        dates = first if type(first) is TracedDates else second
        units: list[str] = []
        wholes: list[Any] = []
        missing: list[Tensor] = []
        for value in (first, second):
            if type(value) is TracedDates:
                _check_zones(dates.kind, value.kind.zone)
                units.append(value.kind.unit)
                wholes.append(whole_microseconds(value.to_tensor()))
                missing.append(ops.isnan(value.to_tensor()))
            else:
                units.append(pd.Timestamp(value).unit)
                wholes.append(_moment_us(value, dates.kind))
        is_missing = missing[0] if len(missing) == 1 else missing[0] | missing[1]
        return TracedSpans(self._tracer, wholes[0] - wholes[1], is_missing, finer(*units))

    def _shifted(self, span: Any, sign: int) -> Any:
        """Add *sign* times a span."""
        if type(span) is TracedSpans:
            whole: Any = span.whole
            missing = span.missing | ops.isnan(self._tensor)
        elif isinstance(span, datetime.timedelta | np.timedelta64):
            whole, missing = _span_us(span), ops.isnan(self._tensor)
        else:
            raise TypeError(
                f"dates plus a {type(span).__name__} have no form in a graph; add a pd.Timedelta"
            )
        microseconds = whole_microseconds(self._tensor) + whole * sign
        return self._same_kind(number_or_missing(microseconds, missing))


_MIRRORED = {
    np.less: np.greater, np.less_equal: np.greater_equal, np.greater: np.less,
    np.greater_equal: np.less_equal, np.equal: np.equal, np.not_equal: np.not_equal,
}  # fmt: skip


def series_of(tracer: Tracer, tensor: Tensor, place: tuple[Tensor, int]) -> TracedSeries:
    """Return the column at *place* of a frame as a series, of dates where it holds some."""
    kind = tracer.dates.get((place[0].name, place[1]))
    return TracedSeries(tracer, tensor) if kind is None else TracedDates(tracer, tensor, kind)


class TracedSpans(TracedSeries):
    """One symbolic column of spans of time: pandas' timedelta64.

    Parameters
    ----------
    whole
        Microseconds as int64.
    missing
        Whether each span is missing.
    unit
        The unit of pandas' whole numbers, which decides how a quotient is rounded.
    """

    def __init__(self, tracer: Tracer, whole: Tensor, missing: Tensor, unit: Unit) -> None:
        super().__init__(tracer, whole)
        self.whole, self.missing, self.unit = whole, missing, unit

    def to_tensor(self) -> Tensor:
        """Refuse: a span is no number."""
        raise TypeError(
            "a difference of dates is no number; take .dt.days or .dt.total_seconds(), or divide "
            "by a pd.Timedelta"
        )

    @property
    def dt(self) -> TracedSpans:
        """Return the spans, whose parts are attributes."""
        return self

    def _number(self, tensor: Tensor) -> Any:
        return TracedSeries(self._tracer, number_or_missing(tensor, self.missing))

    @property
    def days(self) -> Any:
        """Return the whole days, rounded down."""
        return self._number(floor_divide(self.whole, US_PER_DAY))

    @property
    def seconds(self) -> Any:
        """Return the seconds of the last day."""
        return self._number(modulo(floor_divide(self.whole, US_PER_SECOND), 86_400))

    @property
    def microseconds(self) -> Any:
        """Return the microseconds of the last second."""
        return self._number(modulo(self.whole, US_PER_SECOND))

    def total_seconds(self) -> Any:
        """Return the seconds with their fraction, rounded as pandas does."""
        whole, per_second = in_unit(self.whole, self.unit), _PER_SECOND[self.unit]
        fraction = modulo(whole, per_second).astype(np.float64) / float(per_second)
        numbers = floor_divide(whole, per_second).astype(np.float64) + fraction
        return TracedSeries(self._tracer, ops.where(self.missing, np.nan, numbers))

    def isna(self) -> Any:
        """Return whether each span is missing."""
        return TracedSeries(self._tracer, self.missing)

    isnull = isna

    def abs(self) -> Any:
        """Return the length of each span."""
        return self._with(abs(self.whole))

    def fillna(self, value: Any) -> Any:
        """Replace missing spans by a span."""
        whole = ops.where(self.missing, _span_us(value), self.whole)
        return TracedSpans(self._tracer, whole, self.missing & ~self.missing, self.unit)

    def _with(self, whole: Tensor) -> TracedSpans:
        return TracedSpans(self._tracer, whole, self.missing, self.unit)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs:
            if ufunc in (np.absolute, np.negative):
                return self._with(abs(self.whole) if ufunc is np.absolute else -self.whole)
            if len(inputs) == 2 and any(type(value) is TracedDates for value in inputs):
                dates = next(value for value in inputs if type(value) is TracedDates)
                return TracedDates.__array_ufunc__(dates, ufunc, method, *inputs)
            if len(inputs) == 2:
                return self._binary(ufunc, *inputs)
        raise TypeError(
            f"numpy.{ufunc.__name__} of spans of time has no form in a graph; take .dt.days or "
            ".dt.total_seconds()"
        )

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.to_tensor()

    def _operand(self, value: Any) -> tuple[Any, Tensor, Unit]:
        """Return microseconds, what is missing in either operand, and pandas' unit."""
        if type(value) is TracedSpans:
            return value.whole, self.missing | value.missing, finer(self.unit, value.unit)
        if isinstance(value, datetime.timedelta | np.timedelta64):
            return _span_us(value), self.missing, finer(self.unit, pd.Timedelta(value).unit)
        raise TypeError(f"spans of time beside a {type(value).__name__} have no form in a graph")

    def _binary(self, ufunc: Any, first: Any, second: Any) -> Any:
        is_first = type(first) is TracedSpans
        spans, operand = (first, second) if is_first else (second, first)
        if ufunc is np.multiply and isinstance(operand, int | np.integer):
            return spans._with(spans.whole * int(operand))
        whole, missing, unit = spans._operand(operand)
        a, b = (spans.whole, whole) if is_first else (whole, spans.whole)
        if ufunc in _COMPARISONS:
            is_true = _COMPARISONS[ufunc](a, b)
            return TracedSeries(
                self._tracer, is_true | missing if ufunc is np.not_equal else is_true & ~missing
            )
        if ufunc in (np.add, np.subtract):
            result = a + b if ufunc is np.add else a - b
            return TracedSpans(self._tracer, result, missing, unit)
        if ufunc is np.floor_divide and is_first and isinstance(b, int):
            return TracedSeries(self._tracer, number_or_missing(floor_divide(a, b), missing))
        if ufunc is np.divide:
            quotient = _float_in(a, unit) / _float_in(b, unit)
            return TracedSeries(self._tracer, ops.where(missing, np.nan, quotient))
        raise TypeError(f"numpy.{ufunc.__name__} of spans of time has no form in a graph")


_TIMESTAMP_PARTS = frozenset({
    "year", "month", "day", "hour", "minute", "second", "microsecond", "quarter", "dayofweek",
    "day_of_week", "dayofyear", "day_of_year", "days_in_month", "daysinmonth", "is_leap_year",
    "is_month_start", "is_month_end", "is_quarter_start", "is_quarter_end", "is_year_start",
    "is_year_end", "strftime", "day_name", "month_name",
})  # fmt: skip


def _moment_us(value: Any, kind: DateKind) -> int:
    """Return the microseconds since 1970 of one date.

    Raises
    ------
    TypeError
        It is no date, has nanoseconds, or has a time zone where the column has none.
    """
    if isinstance(value, bool | int | float | np.number):
        raise TypeError(f"dates beside the number {value!r}: pandas refuses that too")
    moment = pd.Timestamp(value)
    _check_zones(kind, moment.tz)
    if moment.nanosecond:
        raise TypeError(f"{value!r} has nanoseconds; use whole microseconds")
    return int(moment.as_unit("us").asm8.astype(np.int64))


def _check_zones(kind: DateKind, zone: Any) -> None:
    if (kind.zone is None) != (zone is None):
        raise TypeError("dates with a time zone beside dates without one: pandas refuses that too")


def _is_moment(value: Any) -> bool:
    return isinstance(value, str | datetime.date | np.datetime64)


def _span_us(value: Any) -> int:
    span = pd.Timedelta(value)
    if span.nanoseconds:
        raise TypeError(f"{value!r} has nanoseconds; use whole microseconds")
    return int(span.as_unit("us").asm8.astype(np.int64))


def _float_in(whole: Any, unit: Unit) -> Any:
    if isinstance(whole, Tensor):
        return in_unit(whole, unit).astype(np.float64)
    return float(whole * _PER_SECOND[unit] // US_PER_SECOND)
