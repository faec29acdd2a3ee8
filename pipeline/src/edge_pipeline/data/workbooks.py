"""Read the table in a workbook of Excel or LibreOffice, through python-calamine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from edge_runtime.inputs.text_cells import missing_cells

from edge_pipeline.data.cell_rules import apply_rules
from edge_pipeline.data.csv import MAX_EXACT_INTEGER, Layout
from edge_pipeline.data.json_records import value_column
from edge_pipeline.errors import DatasetError

__all__ = ["is_workbook", "read_workbook"]

SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def is_workbook(file: Path) -> bool:
    """Return whether *file* is read as a workbook, by its name."""
    return file.suffix.lower() in SUFFIXES


def read_workbook(file: Path, layout: Layout, strings: Sequence[str] = ()) -> pd.DataFrame:
    """Read the only sheet with cells; its first row names the columns.

    Whole numbers are integers, and the texts follow the rules of CSV: a sheet that is saved as
    CSV gives the same table.

    Parameters
    ----------
    layout
        The markers of missing values, and the rules of the texts.
    strings
        Columns to keep as text.

    Raises
    ------
    DatasetError
        The file is no workbook, has several sheets with cells, or its first row names no columns.
    OSError
        The file cannot be read.
    """
    names, *rows = _cells(file)
    _check_names(file, names)
    reading = layout.reading()
    missing = missing_cells(reading)
    columns = {}
    for i, name in enumerate(names):
        cells = [_value(row[i], missing) for row in rows]
        if str(name) in strings:
            cells = [None if cell is None else str(cell) for cell in cells]
        columns[str(name)] = value_column(cells)
    return apply_rules(pd.DataFrame(columns), reading, str(file), strings)


def _cells(file: Path) -> list[list[Any]]:
    """Return the rows of cells of the only sheet that has any."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise DatasetError(
            f"{file}: reading a workbook needs python-calamine; pip install 'edge-pipeline[excel]'"
        ) from error
    with file.open("rb"):
        pass  # a file that is absent is an OSError, as for every other format
    try:
        with CalamineWorkbook.from_path(str(file)) as workbook:
            sheets = {
                name: workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names
            }
    except CalamineError as error:
        raise DatasetError(
            f"{file}: not a whole workbook ({error}); save it again, or as CSV"
        ) from error
    tables = {name: rows for name, rows in sheets.items() if rows}
    if len(tables) != 1:
        raise DatasetError(
            f"{file}: expected one sheet with cells, found {len(tables)}: "
            f"{', '.join(map(repr, list(tables)[:12])) or 'none'}; save the sheet with the table "
            "as a workbook of its own, or as CSV"
        )
    return next(iter(tables.values()))


def _check_names(file: Path, names: Sequence[Any]) -> None:
    for i, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise DatasetError(
                f"{file}: the first row names the columns, and cell {i + 1} of it holds {name!r}; "
                "write a name there, or remove the rows above and the column beside the table"
            )
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DatasetError(f"{file}: {count} columns are called {name!r}; rename them")


def _value(cell: Any, missing: frozenset[str]) -> Any:
    if isinstance(cell, str):
        return None if cell in missing else cell
    # Excel has no integers; pandas reads 5 from a file of CSV as one.
    if type(cell) is float and cell.is_integer() and abs(cell) <= MAX_EXACT_INTEGER:
        return int(cell)
    return cell
