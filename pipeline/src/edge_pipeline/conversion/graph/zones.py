"""Convert UTC to the local time of a zone: its offsets are a table in the graph."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.calendar import US_PER_DAY, US_PER_SECOND
from edge_pipeline.conversion.graph.searchsorted import searchsorted
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["zone_offset"]

FIRST_YEAR, LAST_YEAR = 1800, 2500
"""Zones have one offset before the first; from the last on, their rules repeat with the calendar.

The files of zones list changes up to 2087, and rules of months and weekdays from then on.  The
calendar repeats every 400 years to the weekday.
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CYCLE_US = 146_097 * US_PER_DAY
_LAST_US = int((datetime(LAST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * US_PER_SECOND


def zone_offset(utc: Tensor, zone: tzinfo) -> Tensor:
    """Return the offset of *zone* from UTC, in microseconds as int64.

    Parameters
    ----------
    utc
        Microseconds since 1970 as int64, a vector.
    """
    times, offsets = _changes(zone)
    if len(offsets) == 1:
        return ops.full_rows(utc, offsets[0])
    later = ops.where(utc >= _LAST_US, utc - _LAST_US, 0)
    divisor = utc.graph.constant(_CYCLE_US, np.int64)
    cycles = utc.graph.node("Div", later, divisor, dtype=np.int64, shape=utc.shape)
    folded = utc - (cycles + (utc >= _LAST_US).astype(np.int64)) * _CYCLE_US
    column = ops.expand_dims(folded.astype(np.float64), 1)
    position = searchsorted([times.astype(np.float64)], column, side="right")
    return ops.take(offsets, ops.squeeze(position.astype(np.int64), 1))


@functools.lru_cache(maxsize=32)
def _changes(zone: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the times at which the offset changes, and the offset before each and after all."""
    start, stop = (datetime(year, 1, 1, tzinfo=UTC) for year in (FIRST_YEAR, LAST_YEAR))
    times: list[int] = []
    offsets = [_offset(start, zone)]
    moment = start
    while moment < stop:
        following = moment + timedelta(days=1)
        if _offset(following, zone) != offsets[-1]:
            low, high = moment, following
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                if _offset(middle, zone) == offsets[-1]:
                    low = middle
                else:
                    high = middle
            times.append(int((high - _EPOCH).total_seconds()))
            offsets.append(_offset(high, zone))
        moment = following
    scale = US_PER_SECOND
    return np.array(times, dtype=np.int64) * scale, np.array(offsets, dtype=np.int64) * scale


def _offset(moment: datetime, zone: tzinfo) -> int:
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    return int(offset.total_seconds())
