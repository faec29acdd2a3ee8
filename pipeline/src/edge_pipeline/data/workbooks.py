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
from edge_pipeline.data.imports import did_you_mean, join_names
from edge_pipeline.data.json_records import value_column
from edge_pipeline.errors import DatasetError

__all__ = ["has_row_index", "is_workbook", "read_workbook"]

SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def is_workbook(file: Path) -> bool:
    """Return whether *file* is read as a workbook, by its name."""
    return file.suffix.lower() in SUFFIXES


def read_workbook(file: Path, layout: Layout, strings: Sequence[str] = ()) -> pd.DataFrame:
    """Read the sheet that *layout* names, or the only one with cells.

    The first row names the columns.  Whole numbers are integers, and the texts follow the rules
    of CSV: a sheet that is saved as CSV gives the same table.

    Parameters
    ----------
    layout
        The sheet, whether its first column numbers the rows, the markers of missing values, and
        the rules of the texts.
    strings
        Columns to keep as text.

    Raises
    ------
    DatasetError
        The file is no workbook, it is unclear which sheet is meant, or its first row names no
        columns.
    OSError
        The file cannot be read.
    """
    names, *rows = _cells(file, layout.sheet)
    start = int(layout.row_index is True)
    _check_names(file, names, start)
    reading = layout.reading()
    missing = missing_cells(reading)
    columns = {}
    for i, name in list(enumerate(names))[start:]:
        cells = [_value(row[i], missing) for row in rows]
        if str(name) in strings:
            cells = [None if cell is None else str(cell) for cell in cells]
        columns[str(name)] = value_column(cells)
    return apply_rules(pd.DataFrame(columns), reading, str(file), strings)


def has_row_index(file: Path, sheet: str | None) -> bool:
    """Return whether the first column alone has no name: pandas writes its index so.

    Raises
    ------
    DatasetError, OSError
        As :func:`read_workbook`.
    """
    names = _cells(file, sheet)[0]
    return len(names) > 1 and names[0] == "" and "" not in names[1:]


def _cells(file: Path, sheet: str | None) -> list[list[Any]]:
    """Return the rows of cells of *sheet*, or of the only sheet that has any."""
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
            names = workbook.sheet_names
            if sheet is not None:
                names = [name for name in names if name == sheet]
            sheets = {name: workbook.get_sheet_by_name(name).to_python() for name in names}
            all_names = workbook.sheet_names
    except CalamineError as error:
        raise DatasetError(
            f"{file}: not a whole workbook ({error}); save it again, or as CSV"
        ) from error
    tables = {name: rows for name, rows in sheets.items() if rows}
    if len(tables) == 1:
        return next(iter(tables.values()))
    if sheet in sheets:
        raise DatasetError(f"{file}: the sheet {sheet!r} has no cells; name another sheet")
    if sheet is not None:
        raise DatasetError(
            f"{file}: there is no sheet {sheet!r}{did_you_mean(sheet, all_names)}; it has "
            f"{join_names(all_names)}"
        )
    raise DatasetError(
        f"{file}: expected one sheet with cells, found {len(tables)}: "
        f"{join_names(list(tables)) or 'none'}; say which with sheet in [data] of the recipe "
        "(init: --sheet)"
    )


def _check_names(file: Path, names: Sequence[Any], start: int) -> None:
    for i, name in list(enumerate(names))[start:]:
        if not isinstance(name, str) or not name.strip():
            is_index = i == 0 and name == "" and all(names[1:])
            remedy = (
                "if that column is the row index that pandas wrote, add row_index = true to "
                "[reading]"
                if is_index
                else "write a name there, or remove the rows above and the column beside the table"
            )
            raise DatasetError(
                f"{file}: the first row names the columns, and cell {i + 1} of it holds {name!r}; "
                f"{remedy}"
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
