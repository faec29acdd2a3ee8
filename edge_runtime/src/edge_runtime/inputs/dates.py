"""Convert dates to microseconds since 1970, or refuse them with an InputError.

A float64 holds each microsecond of the years 1684 to 2255, and each whole second of the years 1 to
9999: a second is 2**6 * 15625 microseconds, and below 2**58 neighbours are at most 2**5 apart.
Other times are refused, never rounded (docs/adr/0018-dates-are-columns.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.date_rule import DateRule
from edge_runtime.bundle.schema import Column
from edge_runtime.errors import InputError
from edge_runtime.inputs.cells import describe_error, describe_value, is_missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FIRST_US", "LAST_US", "date_cell", "date_column", "date_text"]

FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999 in microseconds since 1970."""

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_NAT = np.iinfo(np.int64).min
_EPOCH_UNITS_US = {"epoch-s": 1_000_000, "epoch-ms": 1_000, "epoch-us": 1}
# numpy's units, and how many microseconds they have or how many make one.
_LONG_UNITS_US = {"W": 604_800_000_000, "D": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000,
                  "s": 1_000_000, "ms": 1_000, "us": 1}  # fmt: skip
_SHORT_UNITS = {"ns": 1_000, "ps": 1_000_000, "fs": 1_000_000_000, "as": 1_000_000_000_000}

_CLOCK = (
    r"(?:[T ]+(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r" ?(?P<half>[AaPp][Mm])?(?P<zone> ?(?:Z|z|UTC|[+-]\d\d(?::?\d\d)?))?)?"
)
_ISO = re.compile(r"(?P<year>\d{4})([-/.]?)(?P<month>\d\d)\2(?P<day>\d\d)" + _CLOCK, re.ASCII)
_YEAR_LAST = r"(?P<{}>\d\d?)([-/.])(?P<{}>\d\d?)\2(?P<year>\d{{4}})"
_PATTERNS = {
    "iso": (_ISO,),
    "day-first": (_ISO, re.compile(_YEAR_LAST.format("day", "month") + _CLOCK, re.ASCII)),
    "month-first": (_ISO, re.compile(_YEAR_LAST.format("month", "day") + _CLOCK, re.ASCII)),
}
_EXAMPLES = {
    "iso": "2024-12-31 or 2024-12-31T23:59:59",
    "day-first": "31.12.2024 or 2024-12-31",
    "month-first": "12/31/2024 or 2024-12-31",
    "epoch-s": "the seconds since 1970, such as 1735689599",
    "epoch-ms": "the milliseconds since 1970, such as 1735689599000",
    "epoch-us": "the microseconds since 1970, such as 1735689599000000",
}


def date_cell(value: Any, column: Column, row: int | None = None) -> float:
    """Return the microseconds since 1970 of *value*, or NaN for a missing value.

    Raises
    ------
    InputError
        *value* is no date as the column has them, or missing where that is not allowed.
    """
    rule = column.dates or DateRule()
    fault = ""
    try:
        number = _microseconds(value, rule)
    except (ValueError, OverflowError) as error:
        number, fault = None, f", {error}"
    except MemoryError:
        raise
    except Exception as error:  # the methods of a foreign class may raise anything
        number, fault = None, f", which cannot be read: {describe_error(error)}"
    if number is None:
        zone = " with its offset from UTC (+01:00 or Z)" if rule.zone else ""
        raise InputError(
            f"expected a date, found {describe_value(value)}{fault}; write it as "
            f"{_EXAMPLES[rule.style]}{zone}, or pass a datetime",
            row=row,
            column=column.name,
        )
    if number == number or column.missing:
        return number
    raise InputError(
        "expected a date, found a missing value, which this model does not accept here; leave the "
        "row out or fill it in",
        row=row,
        column=column.name,
    )


def date_column(cells: NDArray[Any] | Sequence[Any], column: Column) -> NDArray[np.float64]:
    """Convert *cells* as :func:`date_cell` does; an array of datetime64 without a loop.

    Raises
    ------
    InputError
        For the first cell that :func:`date_cell` refuses.
    """
    is_utc = column.dates is not None and column.dates.zone is not None
    numbers = None if is_utc else _without_loop(cells)
    if numbers is not None and (column.missing or not np.isnan(numbers).any()):
        return numbers
    return np.array(
        [date_cell(cell, column, row) for row, cell in enumerate(cells)], dtype=np.float64
    )


def _without_loop(cells: NDArray[Any] | Sequence[Any]) -> NDArray[np.float64] | None:
    """Convert datetime64, or plain texts; None where a cell needs :func:`date_cell`."""
    if not isinstance(cells, np.ndarray):
        return _from_iso_texts(cells)
    return _from_datetime64(cells) if cells.dtype.kind == "M" else None


def date_text(text: str, rule: DateRule) -> float:
    """Return the microseconds since 1970 of a text that is not missing.

    Raises
    ------
    ValueError
        The text is no date in this style.
    """
    text = text.strip()
    unit = _EPOCH_UNITS_US.get(rule.style)
    if unit is not None and _NUMBER.fullmatch(text):
        return _from_number(text, unit)
    for pattern in _PATTERNS.get(rule.style, (_ISO,)):
        if match := pattern.fullmatch(text):
            return _exact(_from_match(match.groupdict(), rule))
    raise ValueError("which is no such text")


def _microseconds(value: Any, rule: DateRule) -> float | None:
    """Convert one cell; None where it is of no kind that has a date."""
    kind = type(value)
    if issubclass(kind, str):
        return date_text(str.__str__(value), rule)
    if is_missing(value):  # first: pandas.NaT is a datetime
        return np.nan
    if issubclass(kind, datetime):
        if getattr(value, "nanosecond", 0):
            raise ValueError("which has nanoseconds: round it to microseconds")
        offset = value.utcoffset()
        _check_zone(offset is not None, rule)
        # Field by field: datetime.replace of a pandas Timestamp ends the process (pandas 3.1).
        moment = datetime(value.year, value.month, value.day, value.hour, value.minute)
        moment += timedelta(seconds=value.second, microseconds=value.microsecond)
        return _exact((moment - _EPOCH - (offset or timedelta())) // _MICROSECOND)
    if issubclass(kind, date):
        _check_zone(False, rule)
        return _exact((datetime(value.year, value.month, value.day) - _EPOCH) // _MICROSECOND)
    if issubclass(kind, np.datetime64):
        _check_zone(False, rule)
        numbers = _from_datetime64(np.array([value]))
        if numbers is None:
            raise ValueError("a time that float64 does not hold to the microsecond")
        return float(numbers[0])
    unit = _EPOCH_UNITS_US.get(rule.style)
    if issubclass(kind, int | float | np.integer | np.floating) and not issubclass(kind, bool):
        if unit is not None:
            number = value.item() if isinstance(value, np.generic) else value
            return _from_number(str(int(number)) if number == int(number) else repr(number), unit)
        raise ValueError("whose unit this model does not know")
    return None


def _check_zone(has_zone: bool, rule: DateRule) -> None:
    if has_zone and rule.zone is None:
        raise ValueError("which has a time zone, and this column has none: pass the local time")
    if rule.zone is not None and not has_zone:
        raise ValueError(f"which has no time zone, and this column is in {rule.zone}")


def _from_match(parts: dict[str, str | None], rule: DateRule) -> int:
    zone = (parts["zone"] or "").strip()
    _check_zone(bool(zone), rule)
    fraction = (parts["fraction"] or "").ljust(9, "0")
    if fraction[6:].strip("0"):
        raise ValueError("which has nanoseconds: round it to microseconds")
    hour = int(parts["hour"] or 0)
    if parts["half"] is not None:
        if not 1 <= hour <= 12:
            raise ValueError("whose hour is not on a clock of 12 hours")
        hour = hour % 12 + 12 * (parts["half"].lower() == "pm")
    year, month, day = (int(parts[name] or 0) for name in ("year", "month", "day"))
    clock = hour, int(parts["minute"] or 0), int(parts["second"] or 0), int(fraction[:6] or 0)
    moment = datetime(year, month, day, *clock)
    microseconds = (moment - _EPOCH) // _MICROSECOND
    if len(zone) > 1 and zone[0] in "+-":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        offset = int(digits[:2]) * 60 + int(digits[2:])
        microseconds += (offset if zone[0] == "-" else -offset) * 60_000_000
    return microseconds


def _from_number(text: str, unit: int) -> float:
    """Convert a number of *unit* microseconds exactly; ValueError for a part of a microsecond."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("which is no number")
    sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
    scale = 10 ** len(fraction)
    value = int(whole + fraction) * unit
    if value % scale:
        raise ValueError("which has a part of a microsecond")
    return _exact(-(value // scale) if sign == "-" else value // scale)


_NUMBER = re.compile(r"([+-]?)(\d{1,20})(?:\.(\d{0,20}))?", re.ASCII)


def _exact(microseconds: int) -> float:
    number = float(microseconds)
    if not FIRST_US <= microseconds <= LAST_US:
        raise ValueError("which is not in the years 1 to 9999")
    if int(number) != microseconds:
        raise ValueError("a part of a second before 1684 or after 2255: round it to seconds")
    return number


def _from_iso_texts(cells: Sequence[Any]) -> NDArray[np.float64] | None:
    """Convert plain texts of ISO 8601, and None; None where a cell needs :func:`date_cell`.

    numpy also reads "now", "2024" and offsets: other letters and lengths are left to the slow way.
    """
    if not set(map(type, cells)) <= {str, type(None)}:
        return None
    texts = [cell for cell in cells if cell is not None]
    if not _ISO_LENGTHS.issuperset(map(len, texts)) or any(text[4] != "-" for text in texts):
        return None
    if "".join(texts).translate(_WITHOUT_ISO_LETTERS):
        return None
    try:
        moments = np.array(["NaT" if cell is None else cell for cell in cells], dtype="M8[us]")
    except ValueError:
        return None
    return _from_datetime64(moments)


_ISO_LENGTHS = frozenset((10, 16, 19, *range(21, 27)))
_WITHOUT_ISO_LETTERS = str.maketrans("", "", "0123456789-T:.")


def _from_datetime64(cells: NDArray[Any]) -> NDArray[np.float64] | None:
    """Convert datetime64; None where a cell is not exactly a float64, or no date of 1 to 9999."""
    unit, step = np.datetime_data(cells.dtype)
    if step != 1:
        cells = cells.astype(f"M8[{unit}]")
    if unit in ("Y", "M"):
        cells, unit = cells.astype("M8[D]"), "D"
    whole = cells.astype(np.int64)
    is_missing_cell = whole == _NAT
    present = np.where(is_missing_cell, 0, whole)
    if unit in _SHORT_UNITS:
        parts = _SHORT_UNITS[unit]
        if (present % parts).any():
            return None
        microseconds = present // parts
    else:
        factor = _LONG_UNITS_US.get(unit)
        if factor is None or (present > LAST_US // factor).any() or (
            present < -(-FIRST_US // factor)
        ).any():  # fmt: skip
            return None
        microseconds = present * factor
    numbers = microseconds.astype(np.float64)
    if (numbers.astype(np.int64) != microseconds).any():
        return None
    numbers[is_missing_cell] = np.nan
    return numbers
