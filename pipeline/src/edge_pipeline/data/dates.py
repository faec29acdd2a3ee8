"""Convert columns of dates to microseconds since 1970, and back to the user's dtype."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.date_rule import DateRule
from edge_runtime.bundle.schema import Column
from edge_runtime.inputs.dates import FIRST_US, LAST_US, date_column
from numpy.typing import NDArray

from edge_pipeline.errors import ConversionError

__all__ = ["as_dates", "date_rule", "holds_dates", "microseconds", "possible_dates", "zone_name"]

NANOSECOND_RANGE_US = 2**63 // 1000 - 1
"""Times beyond +-292 years from 1970 do not fit into datetime64[ns]."""


def holds_dates(column: pd.Series) -> bool:
    """Return whether a column has a dtype of dates, or holds Python's dates alone."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return True
    if column.dtype != object:
        return False
    present = column[column.notna()]
    return len(present) > 0 and all(isinstance(item, datetime.date) for item in present)


def date_rule(column: pd.Series) -> DateRule:
    """Return the rule of a column for which :func:`holds_dates` is true."""
    if column.dtype != object:
        return DateRule(zone=zone_name(column.dtype))
    if any(getattr(item, "tzinfo", None) is not None for item in column[column.notna()]):
        raise ConversionError(
            f"column {column.name!r} holds Python's datetimes with time zones; convert it before "
            "training: pd.to_datetime(column, utc=True)"
        )
    return DateRule()


def zone_name(dtype: Any) -> str | None:
    """Return the name of the time zone of a dtype; None where it has none."""
    zone = getattr(dtype, "tz", None) or getattr(getattr(dtype, "pyarrow_dtype", None), "tz", None)
    return None if zone is None else str(zone)


def microseconds(name: str, column: pd.Series) -> NDArray[np.float64]:
    """Return the microseconds since 1970 of each cell; NaN for a missing one.

    Raises
    ------
    ConversionError
        A float64 does not hold a time exactly, or a time has nanoseconds.
    """
    rule = date_rule(column)
    if rule.zone is not None and column.dtype != object:
        column, rule = column.dt.tz_convert("UTC").dt.tz_localize(None), DateRule()
    is_plain = isinstance(column.dtype, np.dtype) and column.dtype != object
    cells = column.to_numpy() if is_plain else np.array(column.tolist(), dtype=object)
    try:
        return date_column(cells, Column(name, "datetime", missing=True, dates=rule))
    except ValueError as error:  # InputError is one
        raise ConversionError(
            f"column {name!r} holds a time that a float64 cannot hold in microseconds: {error}; "
            'round it before training: column.dt.floor("us"), or "s" outside 1684 to 2255'
        ) from error


def as_dates(values: pd.Series, dtype: Any) -> pd.Series:
    """Convert microseconds since 1970 to *dtype*; Python's own dates for object."""
    moments = pd.Series(values.to_numpy().astype(np.float64), index=values.index)
    whole = moments.fillna(0).astype(np.int64).to_numpy().astype("M8[us]")
    dates = pd.Series(whole, index=values.index).mask(moments.isna())
    if getattr(dtype, "hasobject", False):
        return dates.astype(object).where(dates.notna(), None)
    zone = zone_name(dtype)
    if zone is None:
        return dates.astype(dtype)
    return dates.dt.tz_localize("UTC").dt.tz_convert(zone).astype(dtype)


def possible_dates(numbers: NDArray[np.float64], dtype: Any) -> NDArray[np.float64]:
    """Return the nearest microseconds since 1970 that the device and *dtype* both can hold."""
    plain = getattr(dtype, "pyarrow_dtype", dtype)
    is_object = getattr(plain, "hasobject", False)
    unit = "us" if is_object else getattr(plain, "unit", None) or np.datetime_data(plain)[0]
    low, high = float(FIRST_US), float(LAST_US // 1_000_000 * 1_000_000)
    if unit == "ns":
        low, high = -float(NANOSECOND_RANGE_US), float(NANOSECOND_RANGE_US)
    clipped = np.clip(numbers, low, high)
    whole: NDArray[np.float64] = np.where(
        np.abs(clipped) < 2.0**53 - 1, np.rint(clipped), np.rint(clipped / 1e6) * 1e6
    )
    step = {"s": 1e6, "ms": 1e3}.get(str(unit), 1.0)
    return np.clip(np.floor(whole / step) * step, low, high)
