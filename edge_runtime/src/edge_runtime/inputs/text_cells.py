"""Convert the text of a cell to its value, by the sealed reading: the same rules on both sides.

Without a reading, these are the defaults of ``pandas.read_csv``, which reads CSV on the build
machine.  docs/reading.md lists the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from edge_runtime.bundle.reading import PLAIN, CellRule, Reading
from edge_runtime.bundle.schema import Column

__all__ = ["MISSING_CELLS", "cell_parser", "is_number", "missing_cells", "number_parser"]

MISSING_CELLS = frozenset(
    (
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
        *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    )
)
"""``na_values`` of pandas.read_csv (documentation of pandas 3.0), for columns of every type."""

# float() alone would also read 1_000 and the digits of every script; pandas does not.
_NUMBER = re.compile(
    r"\s*[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|inf|infinity)\s*",
    re.IGNORECASE | re.ASCII,
)
_DIGITS_ALWAYS_EXACT = 15
_FLAGS = {
    **dict.fromkeys(("True", "TRUE", "true"), True),
    **dict.fromkeys(("False", "FALSE", "false"), False),
}


def cell_parser(column: Column, reading: Reading = PLAIN) -> Callable[[str], Any]:
    """Return the function from a cell's text to its value.

    In a numeric column, a text that is no number stays a text: the input validation refuses it.
    """
    missing = missing_cells(reading)
    if column.is_string or column.type == "datetime":  # the input validation reads dates
        return lambda cell: None if cell in missing else cell
    parse_number = number_parser(reading.rule(column.name))
    flags = _FLAGS if column.type == "bool" else {}

    def parse(cell: str) -> Any:
        if cell in missing:
            return _NAN
        flag = flags.get(cell)
        return parse_number(cell) if flag is None else flag

    return parse


def missing_cells(reading: Reading) -> frozenset[str]:
    """Return the texts that mark a missing value."""
    return MISSING_CELLS.union(reading.missing) if reading.missing else MISSING_CELLS


def is_number(cell: str) -> bool:
    """Return whether pandas reads *cell* as a number."""
    return _NUMBER.fullmatch(cell) is not None


def number_parser(rule: CellRule) -> Callable[[str], Any]:
    """Return the function from a text to a number; another text stays as it is.

    A mark may stand before or after the number, or be absent.  With a mark, parentheses mean a
    negative number, as accountants write it.
    """
    if rule.decimal in (None, ".") and not rule.thousands and not rule.mark:
        return _parse_number
    decimal_mark, thousands = rule.decimal or ".", rule.thousands or ""
    decimal = re.escape(decimal_mark)
    groups = f"[1-9][0-9]{{0,2}}(?:{re.escape(thousands)}[0-9]{{3}})+|" * bool(thousands)
    number = rf"(?:{groups}[0-9]+)(?:{decimal}[0-9]*)?|{decimal}[0-9]+"
    pattern = re.compile(rf"([+-]?)({number})([eE][+-]?[0-9]+)?|([+-]?)(inf|infinity)", re.I | re.A)
    mark = rule.mark

    def parse(cell: str) -> Any:
        text = cell.strip()
        sign = ""
        if mark:
            text, sign = _without_mark(text, mark)
        match = pattern.fullmatch(text)
        if match is None or (sign and text[0] in "+-"):
            return cell
        text = text.replace(thousands, "") if thousands else text
        return _parse_number(sign + text.replace(decimal_mark, "."))

    return parse


def _without_mark(text: str, mark: str) -> tuple[str, str]:
    """Return *text* without its mark and its sign, and the sign if it stood before the mark."""
    sign = ""
    if text.startswith("(") and text.endswith(")"):
        sign, text = "-", text[1:-1].strip()
    elif text[:1] in ("-", "+", "\u2212"):
        sign, text = text[0].replace("\u2212", "-"), text[1:].lstrip()
    if text.startswith(mark):
        text = text[len(mark) :].lstrip()
    elif text.endswith(mark):
        text = text[: -len(mark)].rstrip()
    return text, sign


def _parse_number(cell: str) -> Any:
    if not is_number(cell):
        return cell
    text = cell.strip()
    if len(text) > _DIGITS_ALWAYS_EXACT and text.lstrip("+-").isdigit():
        try:
            return int(text)  # the input validation sees whether float64 can hold it
        except ValueError:  # more digits than Python converts
            return cell
    return float(text)


_NAN = float("nan")
