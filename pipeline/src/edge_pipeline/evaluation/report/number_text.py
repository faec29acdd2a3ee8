"""Write numbers for readers of a page: few digits, and powers of ten only where they help."""

from __future__ import annotations

__all__ = ["number_text"]

LARGEST_IN_FULL = 1e7


def number_text(value: float, digits: int = 4) -> str:
    """Write *value* with *digits* digits; a large number in full, with commas."""
    if 10**digits <= abs(value) < LARGEST_IN_FULL:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"
