"""A stream of CSV or JSON lines in, rows of cells with their line numbers out.

A broken row comes out as a :class:`BadRow` and does not end the stream.  Memory is bounded by
:data:`MAX_LINE_CHARACTERS` and :data:`MAX_ROW_LINES`, whatever the stream holds.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TextIO

from edge_runtime.border import Border
from edge_runtime.border.rows import cells_of_row
from edge_runtime.cli.cells import cell_reader
from edge_runtime.errors import InputError

__all__ = ["BadRow", "Row", "read_csv", "read_json_lines"]

MAX_LINE_CHARACTERS = 1024 * 1024
"""Longest line read; a longer one is a bad row."""

MAX_ROW_LINES = 100
"""Most lines that one quoted CSV row may span; beyond, its quote was never closed."""


class Row(NamedTuple):
    """Cells in the order of the schema, and the number of the row's first line, from 1."""

    line: int
    cells: list[Any]


class BadRow(NamedTuple):
    """A row that cannot be answered, and why."""

    line: int
    message: str
    column: str | None = None


def read_csv(stream: TextIO, border: Border) -> Iterator[Row | BadRow]:
    """Rows of a CSV stream whose first line names the columns.

    Raises
    ------
    InputError
        There is no header, or it lacks a column of the schema, repeats one, or has one too many.
    """
    if border.schema.kind in ("dicts", "lists"):
        raise InputError(f"a row is one of {border.schema.kind}, not CSV; pass --format jsonl")
    lines = _Lines(stream)
    header = next((r for r in _records(lines, None) if isinstance(r, BadRow) or r.cells), None)
    if header is None:
        raise InputError("the input is empty: expected a header line with the column names")
    if isinstance(header, BadRow):
        raise InputError(f"line {header.line}: {header.message}")
    names = header.cells
    if names[0].startswith(_UTF_16_READ_AS_UTF_8):
        raise InputError("the input is UTF-16; pass --encoding utf-16")
    border.check_names(names)
    readers = [(names.index(c.name), cell_reader(c)) for c in border.schema.columns]
    for record in _records(lines, len(names)):
        if isinstance(record, BadRow):
            yield record
            continue
        cells = record.cells
        if not cells or (len(cells) == 1 and not cells[0].strip() and len(names) > 1):
            continue  # pandas skips blank lines
        yield Row(record.line, [read(cells[i]) for i, read in readers])


def read_json_lines(stream: TextIO, border: Border) -> Iterator[Row | BadRow]:
    """Rows of a stream with one JSON object, or array in the order of the schema, a line."""
    order = cells_of_row(border)
    for number, text in _Lines(stream):
        if text is None:
            yield BadRow(number, _TOO_LONG)
        elif text.strip():
            yield _json_row(number, text, order)


def _json_row(number: int, text: str, order: Callable[[Any], Any]) -> Row | BadRow:
    try:
        value = json.loads(text, object_pairs_hook=_unique)
        if not isinstance(value, dict | list | str):
            raise ValueError(f"expected an object or an array, found {text.strip()[:40]}")
        return Row(number, list(order(value)))
    except InputError as error:
        return BadRow(number, str(error), error.column)
    except RecursionError:
        return BadRow(number, "not a row: nested too deep")
    except ValueError as error:
        return BadRow(number, f"not a JSON row: {error}")


class _Lines:
    """Numbered lines; None stands for one that is too long.  Lines can be pushed back."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._number = 0
        self._again: deque[tuple[int, str | None]] = deque()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> tuple[int, str | None]:
        if self._again:
            return self._again.popleft()
        text = self._stream.readline(MAX_LINE_CHARACTERS)
        if not text:
            raise StopIteration
        self._number += 1
        if len(text) == MAX_LINE_CHARACTERS and not text.endswith(("\n", "\r")):
            while text and not text.endswith(("\n", "\r")):
                text = self._stream.readline(MAX_LINE_CHARACTERS)
            return self._number, None
        return self._number, text

    def push_back(self, lines: list[tuple[int, str | None]]) -> None:
        self._again.extendleft(reversed(lines))


class _QuoteNeverClosedError(Exception):
    """Ends csv's search for a closing quote."""


def _records(lines: _Lines, width: int | None) -> Iterator[Row | BadRow]:
    """CSV records of *width* cells, or of any when None; blank ones have no cells.

    When a record of several lines is broken, its first line alone is reported, and the others are
    read again: one stray quote must not swallow the rows after it.
    """
    taken: list[tuple[int, str | None]] = []

    def feed() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            if len(taken) > MAX_ROW_LINES or line[1] is None:
                raise _QuoteNeverClosedError
            yield line[1]

    reader = csv.reader(feed(), strict=True)
    while True:
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _QuoteNeverClosedError:
            message = _TOO_LONG if taken[0][1] is None else _NEVER_CLOSED
        except csv.Error as error:
            message = _NEVER_CLOSED if "unexpected end" in str(error) else f"not CSV: {error}"
        else:
            if width is None or len(cells) in (0, width) or _is_blank(cells):
                yield Row(taken[0][0], cells)
                continue
            message = f"expected {width} cells, found {len(cells)}"
        yield BadRow(taken[0][0], message)
        lines.push_back(taken[1:])
        reader = csv.reader(feed(), strict=True)  # the old one may be within a quote


_TOO_LONG = f"the line is longer than {MAX_LINE_CHARACTERS} characters"
_UTF_16_READ_AS_UTF_8 = ("\udcff\udcfe", "\udcfe\udcff")
_NEVER_CLOSED = "a quote is opened and not closed"


def _is_blank(cells: list[str]) -> bool:
    return len(cells) == 1 and not cells[0].strip()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a key appears twice")
    return row
