"""Describe how the dates of a column are written.  Pure: no I/O."""

from __future__ import annotations

from typing import Any, Literal, get_args

from edge_runtime.errors import IntegrityError
from edge_runtime.records import record

__all__ = ["DATE_STYLES", "DateRule", "DateStyle", "iso_text", "range_text"]

DateStyle = Literal["iso", "day-first", "month-first", "epoch-s", "epoch-ms", "epoch-us"]
DATE_STYLES = get_args(DateStyle)
"""How a date is written: ISO 8601, 31.12.2024, 12/31/2024, or a number since 1970."""

MAX_ZONE_NAME = 100
"""Most characters of the name of a time zone."""


@record(frozen=True, slots=True)
class DateRule:
    """How the dates of a column are written.

    Attributes
    ----------
    style
        One of :data:`DATE_STYLES`.  A text may be ISO 8601 beside any of them.
    zone
        Name of the time zone; None for times without one.  The graph gets UTC where there is one.
    """

    style: str = "iso"
    zone: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``DateRule.from_json(r.to_json()) == r``."""
        return {"style": self.style, "zone": self.zone}

    @classmethod
    def from_json(cls, value: Any) -> DateRule:
        """Read the values that :meth:`to_json` wrote; IntegrityError for any others."""
        match value:
            case {"style": str(style), "zone": zone} if (
                len(value) == 2
                and style in DATE_STYLES
                and (zone is None or (isinstance(zone, str) and 0 < len(zone) <= MAX_ZONE_NAME))
            ):
                return cls(style, zone)
        raise IntegrityError(f"manifest: not the dates of a column: {value!r:.200}")


def iso_text(microseconds: float, rule: DateRule | None = None) -> str | None:
    """Write microseconds since 1970 as ISO 8601; None for NaN."""
    from datetime import datetime, timedelta  # which few models need

    if microseconds != microseconds:
        return None
    text = (datetime(1970, 1, 1) + int(microseconds) * timedelta(microseconds=1)).isoformat()
    if rule is not None and rule.zone is not None:
        return f"{text}Z"
    return text.removesuffix("T00:00:00")


def range_text(low: float | None, high: float | None, rule: DateRule | None) -> str:
    """Write a range of numbers, or of dates where there is a rule; empty without bounds."""
    if low is None or high is None:
        return ""
    if rule is not None:
        return f"{iso_text(low, rule)} to {iso_text(high, rule)}"
    return f"{low:g} to {high:g}"
