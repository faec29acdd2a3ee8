"""Describe how the cells of a text file become values: sealed at the build, used on both sides.

Pure: no I/O.  A reading is absent from a manifest where it is the default, :data:`PLAIN`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_runtime.bundle.date_rule import DATE_STYLES
from edge_runtime.errors import IntegrityError
from edge_runtime.records import field, record

__all__ = ["PLAIN", "THOUSANDS", "CellRule", "Reading"]

THOUSANDS = ",.'\u2019 \u00a0\u202f_"
"""Marks that may stand between groups of three digits."""

MAX_TEXT = 100
"""Most characters of an encoding, a marker or a unit."""

MAX_MARKERS = 100
"""Most markers of missing values."""


@record(frozen=True, slots=True)
class CellRule:
    """How the cells of one column become values, where that differs from the other columns.

    Attributes
    ----------
    mark
        A currency, a unit or a percent sign before or after the number: ``$``, ``EUR``, ``kg``.
    decimal, thousands
        The marks within the number; those of the whole file when None.  An empty ``thousands``
        means that there is no such mark.
    date
        One of :data:`DATE_STYLES`; None for a column without dates.
    """

    mark: str = ""
    decimal: str | None = None
    thousands: str | None = None
    date: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``CellRule.from_json(r.to_json()) == r``."""
        return {
            "mark": self.mark,
            "decimal": self.decimal,
            "thousands": self.thousands,
            "date": self.date,
        }

    @classmethod
    def from_json(cls, value: Any) -> CellRule:
        """Read the values that :meth:`to_json` wrote; IntegrityError for any others."""
        match value:
            case {"mark": str(mark), "decimal": decimal, "thousands": thousands, "date": date} if (
                len(value) == 4
                and len(mark) <= MAX_TEXT
                and decimal in (None, ".", ",")
                and (thousands in (None, "") or _is_thousands(thousands))
                and (date is None or date in DATE_STYLES)
            ):
                return cls(mark, decimal, thousands, date)
        raise IntegrityError(f"manifest: not the reading of a column: {value!r:.200}")


@record(frozen=True)
class Reading:
    """How the text of a training table became values.

    Attributes
    ----------
    separator
        The character between two cells of a CSV file.
    decimal
        The decimal mark: ``.`` or ``,``.
    thousands
        The mark between groups of three digits, one of :data:`THOUSANDS`; empty for none.
    encoding
        The encoding of the text.
    missing
        Markers of a missing value, besides those of pandas.
    names
        The columns of a file without a header line, in order; empty where a header names them.
    columns
        Column name to its own rule.
    """

    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    columns: Mapping[str, CellRule] = field(default_factory=dict)

    def rule(self, name: str) -> CellRule:
        """Return the rule of the column *name*, with the marks of the file filled in."""
        rule = self.columns.get(name, _NO_RULE)
        return CellRule(
            rule.mark,
            self.decimal if rule.decimal is None else rule.decimal,
            self.thousands if rule.thousands is None else rule.thousands,
            rule.date,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``Reading.from_json(r.to_json()) == r``."""
        return {
            "separator": self.separator,
            "decimal": self.decimal,
            "thousands": self.thousands,
            "encoding": self.encoding,
            "missing": list(self.missing),
            "names": list(self.names),
            "columns": {name: rule.to_json() for name, rule in self.columns.items()},
        }

    @classmethod
    def from_json(cls, value: Any) -> Reading:
        """Read the values that :meth:`to_json` wrote; IntegrityError for any others."""
        match value:
            case {
                "separator": str(separator),
                "decimal": "." | "," as decimal,
                "thousands": thousands,
                "encoding": str(encoding),
                "missing": [*missing],
                "names": [*names],
                "columns": dict(columns),
            } if len(value) == 7:
                reading = cls(
                    separator,
                    decimal,
                    thousands,
                    encoding,
                    _texts(missing, MAX_TEXT),
                    _texts(names, None),
                    {name: CellRule.from_json(rule) for name, rule in columns.items()},
                )
                if fault := reading.fault():
                    raise IntegrityError(f"manifest: {fault}")
                return reading
        raise IntegrityError(f"manifest: not a reading: {value!r:.200}")

    def fault(self) -> str:
        """Describe why no file can be read like this; empty when the reading is consistent."""
        if len(self.separator) != 1 or self.separator in '"\r\n\0' or self.separator.isalnum():
            return f"a separator is one character between cells, found {self.separator!r:.20}"
        if self.thousands and not _is_thousands(self.thousands):
            return f"thousands must be one of {THOUSANDS!r}, found {self.thousands!r:.20}"
        if not 0 < len(self.encoding) <= MAX_TEXT or not self.encoding.isascii():
            return f"not an encoding: {self.encoding!r:.80}"
        if len(self.missing) > MAX_MARKERS:
            return f"expected up to {MAX_MARKERS} markers of missing values"
        if len(set(self.names)) != len(self.names):
            return "two columns of a file without a header have one name"
        for name in ("", *self.columns):
            rule = self.rule(name)
            if rule.decimal == rule.thousands:
                where = f" of column {name!r}" if name else ""
                return f"decimal and thousands{where} are both {rule.decimal!r}"
        return ""


def _is_thousands(mark: Any) -> bool:
    return isinstance(mark, str) and len(mark) == 1 and mark in THOUSANDS


def _texts(values: list[Any], longest: int | None) -> tuple[str, ...]:
    for text in values:
        if not isinstance(text, str) or (longest is not None and len(text) > longest):
            raise IntegrityError(f"manifest: not a text of a reading: {text!r:.80}")
    return tuple(values)


_NO_RULE = CellRule()

PLAIN = Reading()
"""Comma-separated UTF-8 with a header line and decimal points."""
