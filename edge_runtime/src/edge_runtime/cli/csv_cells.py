"""One CSV cell in, the value that pandas.read_csv would have given training out.

The build machine reads CSV with ``pandas.read_csv`` and its defaults, so the same cell must mean
the same here: docs/cli-edge-runtime.md lists the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from edge_runtime.bundle.schema import Column

__all__ = ["MISSING_CELLS", "cell_reader"]

MISSING_CELLS = frozenset(
    (
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
        *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    )
)
"""``na_values`` of pandas.read_csv (its documentation; pandas 3.0), for columns of every type."""

# float() alone would take 1_000 and digits of every script, which pandas does not.
_NUMBER = re.compile(
    r"\s*[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|inf|infinity)\s*",
    re.IGNORECASE | re.ASCII,
)
_DIGITS_ALWAYS_EXACT = 15
_FLAGS = {
    **dict.fromkeys(("True", "TRUE", "true"), True),
    **dict.fromkeys(("False", "FALSE", "false"), False),
}


def cell_reader(column: Column) -> Callable[[str], Any]:
    """The function from a cell's text to the value that the border checks.

    What is no number, in a numeric column, comes back as the text: the border refuses it.
    """
    if column.is_string:
        return _text
    return _flag if column.type == "bool" else _number


def _text(cell: str) -> str | None:
    return None if cell in MISSING_CELLS else cell


def _flag(cell: str) -> Any:
    found = _FLAGS.get(cell)
    return _number(cell) if found is None else found


def _number(cell: str) -> Any:
    if cell in MISSING_CELLS:
        return _NAN
    if not _NUMBER.fullmatch(cell):
        return cell
    text = cell.strip()
    if len(text) > _DIGITS_ALWAYS_EXACT and text.lstrip("+-").isdigit():
        try:
            return int(text)  # so that the border sees whether float64 can hold it
        except ValueError:  # more digits than Python converts
            return cell
    return float(text)


_NAN = float("nan")
