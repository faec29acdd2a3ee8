"""Convert the text cells of a table to numbers and dates, by the rules that the device repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.reading import Reading
from edge_runtime.inputs.text_cells import number_parser

from edge_pipeline.data.date_cells import read_dates
from edge_pipeline.data.dates import holds_dates
from edge_pipeline.data.replace_columns import replace_columns
from edge_pipeline.errors import DatasetError

__all__ = ["apply_rules"]


def apply_rules(
    frame: pd.DataFrame, reading: Reading, source: str, strings: Sequence[str] = ()
) -> pd.DataFrame:
    """Convert text columns that hold numbers or dates by *reading*; others stay as they are.

    A column with a rule of its own must follow it.  Marks between thousands are removed wherever
    every cell of a column is such a number.

    Raises
    ------
    DatasetError
        A cell does not follow the rule of its column.
    """
    columns = {}
    for name in frame.columns:
        has_rule = str(name) in reading.columns
        if not (has_rule or reading.thousands) or str(name) in strings:
            continue
        column = frame[name]
        rule = reading.rule(str(name))
        if rule.date is not None and not holds_dates(column):
            columns[name], wrong = read_dates(column, rule.date)
            if wrong is not None:
                raise DatasetError(
                    f"{source}: column {name!r}: expected a date in the style {rule.date!r}, "
                    f"found {wrong!r:.60}; correct [reading.columns], or the cell"
                )
        if rule.date is not None or not _holds_text(column):
            continue
        numbers, wrong = _numbers(column, number_parser(rule))
        if wrong is None:
            columns[name] = numbers
        elif has_rule:
            raise DatasetError(
                f"{source}: column {name!r}: expected a number with the mark {rule.mark!r}, "
                f"decimal {rule.decimal!r} and thousands {rule.thousands!r}, found {wrong!r:.60}; "
                "correct [reading.columns]"
            )
    return replace_columns(frame, columns)


def _holds_text(column: pd.Series[Any]) -> bool:
    """Return whether a column has a dtype of Python objects or of texts."""
    return column.dtype == object or isinstance(column.dtype, pd.StringDtype)


def _numbers(column: pd.Series[Any], parse: Any) -> tuple[pd.Series[Any], str | None]:
    """Return the column as numbers, or the first text that is none."""
    value_of: dict[Any, Any] = {}
    for cell in column.dropna().unique():
        value = parse(cell) if isinstance(cell, str) else cell
        if isinstance(value, str):
            return column, value
        value_of[cell] = value
    values = column.map(value_of)
    present = [value for value in value_of.values() if value == value]
    is_exact = all(abs(value) < 2**53 for value in present if np.isfinite(value))
    if not is_exact:
        return values.astype(object), None
    numbers = values.astype(np.float64)
    is_whole = bool(present) and all(float(value).is_integer() for value in present)
    written_whole = is_whole and not any("." in str(cell) for cell in value_of)
    if written_whole and not column.isna().any():
        return numbers.astype(np.int64), None
    return numbers, None
