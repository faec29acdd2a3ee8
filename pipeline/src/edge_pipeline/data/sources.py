"""Read the table that a user names for ``init``: a file, a frame or a data set of scikit-learn."""

from __future__ import annotations

import csv
import importlib
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from edge_runtime.bundle.reading import CellRule

from edge_pipeline.data.csv import (
    DETECTION_LINES,
    SEPARATORS,
    Layout,
    detect_layout,
    first_line_is_a_row,
    open_text,
    read_csv,
)
from edge_pipeline.data.databases import check_url, is_url, read_query
from edge_pipeline.data.dates import holds_dates
from edge_pipeline.data.guess_rules import guess_json_rules, guess_rules
from edge_pipeline.data.json_records import apply_layout, is_json, read_json
from edge_pipeline.data.recipe import BUNDLED_DATASETS
from edge_pipeline.data.tables import (
    ARROW,
    PARQUET,
    as_frame,
    read_arrays,
    read_table,
)
from edge_pipeline.data.workbooks import has_row_index, is_workbook
from edge_pipeline.errors import DatasetError

__all__ = ["TableSource", "read_source"]


@dataclass(frozen=True)
class TableSource:
    """A table, and what a recipe would write to name it.

    Attributes
    ----------
    name
        The table's name in messages.
    frame
        The rows; a separate target becomes a column.
    file, dataset
        The path, or scikit-learn's name of the data set; both None for a frame.
    targets
        The columns made from a separate target.
    layout
        The format of a CSV or JSON file, or of a workbook.
    database, query
        The URL of a database, and the query that gave the rows.
    texts
        A frame as it was before the rules of ``layout`` made numbers of its texts.
    """

    name: str
    frame: pd.DataFrame
    file: Path | None = None
    dataset: str | None = None
    targets: tuple[str, ...] = ()
    layout: Layout | None = None
    database: str | None = None
    query: str | None = None
    texts: pd.DataFrame | None = None


def read_source(table: Any, *, sheet: str | None = None, query: str | None = None) -> TableSource:
    """Read a file, a frame, a query of a database, or a data set that scikit-learn ships.

    Parameters
    ----------
    sheet
        The sheet of a workbook with several.
    query
        The query, where *table* is the URL of a database.

    Raises
    ------
    DatasetError
        *table* is none of these, or cannot be read.
    OSError
        The file cannot be read.
    """
    if sheet is not None and not (isinstance(table, str | Path) and is_workbook(Path(table))):
        raise DatasetError(f"a sheet is a part of a workbook, found {sheet!r} for another table")
    if query is not None or (isinstance(table, str) and is_url(table)):
        return _run_query(table, query)
    if not isinstance(table, str | Path):
        frame = as_frame(table)
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
        layout = guess_json_rules(frame, Layout(",", "."))
        # The rows go to a CSV file, in which dates are ISO 8601.
        dates = {str(name): CellRule(date="iso") for name in frame if holds_dates(frame[name])}
        layout = replace(layout, columns={**layout.columns, **dates})
        if not layout.columns:
            return TableSource("the frame", frame)
        numbers = apply_layout(frame, "the frame", layout, ())
        return TableSource("the frame", numbers, layout=layout, texts=frame)
    file = Path(table)
    if str(table) in BUNDLED_DATASETS and not file.exists():
        return _load_sklearn_dataset(str(table))
    if file.suffix == ".npz":
        X, y = read_arrays(file, None)
        frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
        return _append_targets(TableSource(str(file), frame, file=file), y)
    if file.suffix in (*PARQUET, *ARROW):
        return TableSource(str(file), read_table(file), file=file)
    if is_json(file):
        layout = Layout(",", ".", encoding=_guess_encoding(file))
        layout = guess_json_rules(read_json(file, layout), layout)
        return TableSource(str(file), read_json(file, layout), file=file, layout=layout)
    if is_workbook(file):
        layout = Layout(",", ".", sheet=sheet, row_index=has_row_index(file, sheet))
        layout = guess_rules(read_table(file, layout), layout)
        return TableSource(str(file), read_table(file, layout), file=file, layout=layout)
    layout = _guess_layout(file)
    frame = read_csv(file, layout)
    with_rules = guess_rules(frame, layout)
    if with_rules != layout:
        layout, frame = with_rules, read_csv(file, with_rules)
    return TableSource(str(file), frame, file=file, layout=layout)


def _run_query(table: Any, query: str | None) -> TableSource:
    if not (isinstance(table, str) and is_url(table)):
        raise DatasetError(
            f"a query needs the URL of a database, such as sqlite:///shop.db, found {table!r:.80}"
        )
    if fault := check_url(table):
        raise DatasetError(f"the URL of the database {fault}")
    if query is None:
        raise DatasetError(
            f"{table}: no query says which rows; give one, as --query 'SELECT * FROM sales'"
        )
    layout = Layout(",", ".")
    layout = guess_json_rules(read_query(table, query, Path(), layout), layout)
    frame = read_query(table, query, Path(), layout)
    return TableSource(table, frame, layout=layout, database=table, query=query)


def _load_sklearn_dataset(name: str) -> TableSource:
    load = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")
    X, y = load(return_X_y=True, as_frame=True)
    source = TableSource(f"scikit-learn's {name}", X, dataset=name)
    return _append_targets(source, y)


def _append_targets(source: TableSource, y: Any) -> TableSource:
    if y is None:
        return source
    columns = pd.DataFrame(y)
    names = ["target" if columns.shape[1] == 1 else f"target {name}" for name in columns.columns]
    columns.columns = pd.Index(names)
    frame = pd.concat([source.frame, columns.set_index(source.frame.index)], axis=1)
    return replace(source, frame=frame, targets=tuple(names))


def _guess_layout(file: Path) -> Layout:
    """Guess the layout of a CSV file, including its encoding and a leading row index."""
    layout = Layout(encoding=_guess_encoding(file))
    with open_text(file, layout.encoding) as text:
        header = list(itertools.islice(text, 1))
    for separator in SEPARATORS:
        names = next(csv.reader(header, delimiter=separator), [])
        if len(names) > 1 and not names[0] and all(names[1:]):
            layout = replace(layout, row_index=True)
    detected = detect_layout(file, replace(layout, header=True))
    with open_text(file, layout.encoding) as text:
        rows = list(
            csv.reader(itertools.islice(text, DETECTION_LINES), delimiter=detected.separator or ",")
        )
    if first_line_is_a_row(rows, detected):
        return detect_layout(file, replace(layout, header=False))
    return replace(detected, header=None)


def _guess_encoding(file: Path) -> str:
    """Guess UTF-8, then UTF-16 (by its byte order mark), then cp1252, which Windows writes."""
    try:
        with open_text(file, "utf-8") as text:
            for _ in text:
                pass
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    for encoding in ("utf-16", "cp1252"):
        try:
            with open_text(file, encoding) as text:
                head = text.read(2000)
        except UnicodeError:
            continue
        if encoding == "cp1252" or "\x00" not in head:
            return encoding
    raise DatasetError(f"{file}: no text in UTF-8, UTF-16 or cp1252; save it as UTF-8")
