"""Parse a CSV cell as pandas.read_csv does on the build machine.

The build machine reads CSV with the defaults of ``pandas.read_csv``, so the same cell must have the
same value here.  docs/cli-edge-runtime.md lists the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from edge_runtime.bundle.schema import Column

__all__ = ["MISSING_CELLS", "cell_parser", "is_number"]

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


def cell_parser(column: Column) -> Callable[[str], Any]:
    """Return the function from a cell's text to its value.

    In a numeric column, a text that is no number stays a text: the input validation refuses it.
    """
    if column.is_string:
        return _parse_text
    return _parse_flag if column.type == "bool" else _parse_number


def is_number(cell: str) -> bool:
    """Return whether pandas reads *cell* as a number."""
    return _NUMBER.fullmatch(cell) is not None


def _parse_text(cell: str) -> str | None:
    return None if cell in MISSING_CELLS else cell


def _parse_flag(cell: str) -> Any:
    flag = _FLAGS.get(cell)
    return _parse_number(cell) if flag is None else flag


def _parse_number(cell: str) -> Any:
    if cell in MISSING_CELLS:
        return _NAN
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
