"""Read a table of JSON records: an object a line, or one array of objects, as the device reads it.

A key that a record leaves out is a missing value, on the device as well.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.cli.json_lines_reader import json_lines, object_without_duplicates
from edge_runtime.cli.line_reader import MAX_LINE_CHARACTERS
from edge_runtime.cli.reading_options import format_of
from edge_runtime.inputs.text_cells import missing_cells

from edge_pipeline.data.cell_rules import apply_rules
from edge_pipeline.data.csv import MAX_EXACT_INTEGER, Layout, open_text, translate_errors
from edge_pipeline.errors import DatasetError

__all__ = ["apply_layout", "is_json", "read_json", "read_json_chunks", "value_column"]


def is_json(file: Path) -> bool:
    """Return whether *file* is read as JSON, by its name: ``.jsonl``, ``.json.gz`` and the like."""
    return format_of(file.name) == "jsonl"


def read_json(file: Path, layout: Layout, strings: Sequence[str] = ()) -> pd.DataFrame:
    """Read a whole file of records; each type is that of the JSON values of the whole column.

    Integers that float64 would round are Python integers in the frame.

    Parameters
    ----------
    layout
        The encoding, and the rules of single columns.  The other keys are about CSV.
    strings
        Columns to keep as text.

    Raises
    ------
    DatasetError
        The file is no table of records; the message has the number of the first wrong record.
    OSError
        The file cannot be read.
    """
    frames = list(read_json_chunks(file, layout, None, strings))
    return frames[0]


def read_json_chunks(
    file: Path, layout: Layout, rows: int | None, strings: Sequence[str] = ()
) -> Iterator[pd.DataFrame]:
    """Read *rows* records at a time, or all of them at once.

    Raises
    ------
    DatasetError, OSError
        As :func:`read_json`.
    """
    with translate_errors(file, layout), open_text(file, layout.encoding) as text:
        lines = json_lines(text)
        records = _records(file, lines)
        names = None if rows is None else _all_names(file, layout)
        while chunk := list(itertools.islice(records, rows)):
            if names is None:
                names = dict.fromkeys(name for record in chunk for name in record)
            columns = {name: value_column([r.get(name) for r in chunk]) for name in names}
            yield apply_layout(pd.DataFrame(columns), str(file), layout, strings)


def apply_layout(
    frame: pd.DataFrame, source: str, layout: Layout, strings: Sequence[str]
) -> pd.DataFrame:
    """Convert the texts of the columns that have a rule in *layout*, as the device does."""
    reading = layout.reading()
    missing = missing_cells(reading)
    for name in set(reading.columns) & set(frame.columns) - set(strings):
        if frame[name].dtype == object:
            frame[name] = frame[name].where(~frame[name].isin(missing), np.nan)
    return apply_rules(frame, reading, source, strings)


def _all_names(file: Path, layout: Layout) -> dict[str, None]:
    """Return the keys of all records, in the order in which they come."""
    with open_text(file, layout.encoding) as text:
        records = _records(file, json_lines(text))
        return dict.fromkeys(name for record in records for name in record)


def _records(file: Path, lines: Any) -> Iterator[dict[str, Any]]:
    """Yield the records; a key that one of them leaves out is a missing value."""
    is_empty = True
    for number, text in lines:
        if text is not None and not text.strip():
            continue
        try:
            record = _parse_record(text)
        except ValueError as error:
            raise DatasetError(f"{file}: record {number}: {error}") from error
        is_empty = False
        yield record
    if is_empty:
        raise DatasetError(f"{file}: there is no record; expected objects, one a line")


def _parse_record(text: str | None) -> dict[str, Any]:
    """Return the record in *text*; a ValueError says why it is none."""
    if text is None:
        raise ValueError(f"longer than {MAX_LINE_CHARACTERS} characters, which is no row")
    try:
        record = json.loads(text, object_pairs_hook=object_without_duplicates)
    except json.JSONDecodeError as error:  # its own line number is always 1
        raise ValueError(
            f"not JSON: {error.msg}, at character {error.pos + 1} of {text.strip()[:60]!r}; a file "
            "has an object a line, or one array of objects"
        ) from error
    except ValueError as error:
        # Python's own message about too many digits speaks of its settings.
        is_long = "digits" in str(error)
        raise ValueError("a number of thousands of digits" if is_long else str(error)) from error
    except RecursionError as error:
        raise ValueError("nested too deep; write one value a column") from error
    if not isinstance(record, dict):
        raise ValueError(
            f"expected an object with the columns as keys, found {text.strip()[:60]}; in pandas, "
            "to_json(orient='records', lines=True) writes them"
        )
    if not record:
        raise ValueError("an empty object has no column")
    if "" in record:
        raise ValueError("a column has no name; every key names one")
    for name, value in record.items():
        if isinstance(value, dict | list):
            kind = "an object" if isinstance(value, dict) else "an array"
            raise ValueError(f"column {name!r} holds {kind}; write one value a column")
        if isinstance(value, str) and not _is_plain(value):
            raise ValueError(f"column {name!r} holds a NUL character or half a character")
    return record


def _is_plain(text: str) -> bool:
    """Return whether the device takes *text*: no NUL, and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def value_column(values: list[Any]) -> pd.Series[Any]:
    """Return a column of one type, or of objects where the values have several."""
    present = [value for value in values if value is not None]
    kinds = set(map(type, present))
    if kinds and kinds <= {int, float}:
        if not any(type(value) is int and abs(value) > MAX_EXACT_INTEGER for value in present):
            is_whole = kinds == {int} and len(present) == len(values)
            return pd.Series(values, dtype=np.int64 if is_whole else np.float64)
    elif kinds == {bool} and len(present) == len(values):
        return pd.Series(values, dtype=bool)
    return pd.Series([np.nan if value is None else value for value in values], dtype=object)
