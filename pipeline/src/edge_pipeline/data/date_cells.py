"""Read the dates of text cells by a rule of the reading, and guess that rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.date_rule import DateRule
from edge_runtime.inputs.dates import date_text

from edge_pipeline.data.dates import as_dates

__all__ = ["guess_date_style", "looks_like_dates", "read_dates"]

_DATE = re.compile(
    r"\s*(?:\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?([-/.])\d\d?\1\d{4})"
    r"(?:[T ]+\d\d?:\d\d\S*(?: ?[AaPp][Mm])?(?: ?(?:UTC|[+-]\d\d:?\d\d))?)?\s*",
    re.ASCII,
)
_ZONE = re.compile(r".*\d(?: ?[AaPp][Mm])? ?(?:Z|z|UTC|:\d\d\S*[+-]\d\d(?::?\d\d)?)\s*")


def looks_like_dates(words: Sequence[Any]) -> bool:
    """Return whether all *words* are texts of digits in the places of a date."""
    return len(words) > 0 and all(isinstance(w, str) and _DATE.fullmatch(w) for w in words)


def guess_date_style(words: Sequence[str]) -> str:
    """Return the style in which all *words* are dates; empty where none or two fit.

    The day comes first where points separate: 01.02.2024.  With other marks, some day beyond 12
    has to tell.
    """
    if not looks_like_dates(words):
        return ""
    zone = _zone_of(words)
    styles = [
        style
        for style in ("iso", "day-first", "month-first")
        if _first_wrong(words, DateRule(style, zone)) is None
    ]
    if len(styles) > 1 and styles[0] != "iso":
        return "day-first" if all("." in word.split(":")[0] for word in words) else ""
    return styles[0] if styles else ""


def read_dates(column: pd.Series[Any], style: str) -> tuple[pd.Series[Any], Any]:
    """Return the column as dates, of UTC where texts have offsets; or the first cell that is none.

    Parameters
    ----------
    style
        One of :data:`~edge_runtime.bundle.date_rule.DATE_STYLES`.
    """
    cells = column.dropna().unique().tolist()
    rule = DateRule(style, _zone_of([cell for cell in cells if isinstance(cell, str)]))
    microseconds: dict[Any, float] = {}
    for cell in cells:
        try:
            microseconds[cell] = date_text(_as_text(cell), rule)
        except ValueError:
            return column, cell
    dtype = np.dtype("M8[us]") if rule.zone is None else pd.DatetimeTZDtype("us", "UTC")
    return as_dates(column.map(microseconds).astype(np.float64), dtype), None


def _as_text(cell: Any) -> str:
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)


def _zone_of(words: Sequence[str]) -> str | None:
    """Return UTC where the first text has an offset: then all must have one."""
    return "UTC" if words and _ZONE.fullmatch(words[0]) else None


def _first_wrong(words: Sequence[str], rule: DateRule) -> str | None:
    for word in words:
        try:
            date_text(word, rule)
        except ValueError:
            return word
    return None
