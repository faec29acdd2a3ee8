"""A stream of CSV or JSON lines in, rows of cells with their line numbers out, chunk by chunk.

A broken row comes out as a :class:`BadRow` and does not end the stream.  Memory is bounded by
:data:`MAX_LINE_CHARACTERS`, :data:`MAX_ROW_LINES` and :data:`MAX_CHUNK_CELLS`, whatever the stream
holds.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TextIO

from edge_runtime.cli.csv_blocks import columns_reader
from edge_runtime.cli.csv_cells import cell_reader
from edge_runtime.cli.line_reader import MAX_LINE_CHARACTERS, Lines
from edge_runtime.cli.notes import counted
from edge_runtime.errors import InputError
from edge_runtime.inputs.rows import RowReader
from edge_runtime.inputs.tables import InputReader

__all__ = ["BadRow", "Block", "Chunk", "CsvReader", "Done", "JsonReader", "Row"]

MAX_ROW_LINES = 100
"""Most lines that one quoted CSV row may span; beyond, its quote was never closed."""

MAX_CHUNK_CELLS = 1 << 20
"""Cells read and answered at once: what a wide table leaves of the rows that were asked for."""

MIN_BLOCK_LINES = 8
"""Fewer lines are read faster one by one."""


class Row(NamedTuple):
    """Cells in the order of the schema, and the number of the row's first line, from 1."""

    line: int
    cells: list[Any]


class BadRow(NamedTuple):
    """A row that cannot be answered, and why."""

    line: int
    message: str
    column: str | None = None


class Block(NamedTuple):
    """Lines that hold one row each, and have not been read yet."""

    first_line: int
    lines: list[str]


Chunk = Block | list[Row | BadRow]


class Done(NamedTuple):
    """What became of a chunk.

    Attributes
    ----------
    text
        To be written.
    n_answered
        Rows in it.
    bad
        Rows that were refused.
    """

    text: str
    n_answered: int
    bad: list[BadRow]


class CsvReader:
    """Rows of a CSV stream whose first line names the columns, some at a time.

    Iterating gives chunks.  Nothing of the stream is needed to read a :class:`Block`, so that any
    process can.

    Raises
    ------
    InputError
        There is no header, or it lacks a column of the schema, repeats one, or has one too many.
    """

    def __init__(self, stream: TextIO, border: InputReader, chunk_rows: int) -> None:
        if border.schema.kind in ("dicts", "lists"):
            raise InputError(f"a row is one of {border.schema.kind}, not CSV; pass --format jsonl")
        self._lines = Lines(stream)
        self._names = _header(self._lines, border)
        self._border = border
        self._chunk_rows = max(1, min(chunk_rows, MAX_CHUNK_CELLS // len(self._names)))
        self._columns = columns_reader(border.schema, self._names)

    def __iter__(self) -> Iterator[Chunk]:
        lines, most = self._lines, self._chunk_rows
        careful = self._rows(lines)
        while True:
            taken = lines.take(most) if most >= MIN_BLOCK_LINES else None
            if taken and '"' not in "".join(taken[1]):
                yield Block(*taken)
                continue
            if taken:  # a row may have several lines
                lines.push_back(list(enumerate(taken[1], taken[0])))
            rows = list(islice(careful, most))
            if not rows:
                return
            yield rows

    def table(self, block: Block) -> Any:
        """The rows as ``Model.predict`` takes them; None when one by one is the only way."""
        return self._columns(block.lines)

    def rows(self, block: Block) -> list[Row | BadRow]:
        """The rows one by one."""
        return list(self._rows(Lines(block.lines, block.first_line)))

    def _rows(self, lines: Lines) -> Iterator[Row | BadRow]:
        names = self._names
        place = {name: i for i, name in enumerate(names)}
        readers = [(place[c.name], cell_reader(c)) for c in self._border.schema.columns]
        for record in _records(lines, len(names)):
            if isinstance(record, BadRow):
                yield record
                continue
            cells = record.cells
            if not cells or (len(cells) == 1 and not cells[0].strip() and len(names) > 1):
                continue  # pandas skips blank lines
            yield Row(record.line, [read(cells[i]) for i, read in readers])


class JsonReader:
    """As :class:`CsvReader`, of one JSON object, or array in the order of the schema, a line."""

    def __init__(self, stream: TextIO, border: InputReader, chunk_rows: int) -> None:
        self._lines = Lines(stream)
        self._chunk_rows = max(1, min(chunk_rows, MAX_CHUNK_CELLS // len(border.schema.columns)))
        self._order = RowReader(border).cells
        self._one_cell = border.schema.loose

    def __iter__(self) -> Iterator[Chunk]:
        lines, most = self._lines, self._chunk_rows
        careful = self._rows(lines)
        while True:
            taken = lines.take(most) if most >= MIN_BLOCK_LINES else None
            if taken:
                yield Block(*taken)
                continue
            rows = list(islice(careful, most))
            if not rows:
                return
            yield rows

    def table(self, block: Block) -> Any:
        """As :meth:`CsvReader.table`."""
        # A mark between the lines, or two of them could spell one row, and another one two.  It is
        # a constant: a text can be spelt in many ways (\u002d), a constant in one, and is counted.
        if self._one_cell:
            return None
        text = f",{_MARK},".join(block.lines)
        if text.count(_MARK) != len(block.lines) - 1:
            return None
        try:
            found = _MARKED.decode(f"[{text}]")
        except (ValueError, RecursionError):
            return None
        rows, marks = found[::2], found[1::2]
        whole = len(found) == 2 * len(block.lines) - 1 and marks.count(_BETWEEN) == len(marks)
        return rows if whole and set(map(type, rows)) in ({dict}, {list}) else None

    def rows(self, block: Block) -> list[Row | BadRow]:
        """As :meth:`CsvReader.rows`."""
        return list(self._rows(Lines(block.lines, block.first_line)))

    def _rows(self, lines: Iterable[tuple[int, str | None]]) -> Iterator[Row | BadRow]:
        for number, text in lines:
            if text is None:
                yield BadRow(number, _TOO_LONG)
            elif text.strip():
                yield _json_row(number, text, self._order)


_MARK = "-Infinity"  # which no model takes: of a block that holds it the lines are read one by one


def _header(lines: Lines, border: InputReader) -> list[str]:
    """The names in the first line that is not blank, which are those of the schema."""
    first = next(lines, None)
    if first is not None:
        lines.push_back([first])
    header = next((r for r in _records(lines, None) if isinstance(r, BadRow) or r.cells), None)
    if header is None:
        raise InputError("the input is empty: expected a header line with the column names")
    try:
        if isinstance(header, BadRow):
            raise InputError(f"line {header.line}: {header.message}")
        border.check_names(header.cells)
    except InputError as error:
        from edge_runtime.cli.hints import for_beginning, for_header

        line = (first and first[1]) or ""
        told = for_beginning(line)
        if told is not None:
            raise InputError(told) from error
        told = for_header(line, border.schema.names)
        if told is not None:
            names = ", ".join(map(repr, border.schema.names[:5]))
            raise InputError(
                f"expected the columns' names, {names}{', …' * (len(border.schema.names) > 5)}, in "
                f"the first line, found {line.strip()[:60]!r}; {told}"
            ) from error
        raise
    return header.cells


def _json_row(number: int, text: str, order: Callable[[Any], Any]) -> Row | BadRow:
    try:
        value = json.loads(text, object_pairs_hook=_unique)
        if not isinstance(value, dict | list | str):
            raise ValueError(f"expected an object or an array, found {text.strip()[:40]}")
        return Row(number, list(order(value)))
    except InputError as error:
        return BadRow(number, f"{error}{_advice(number, text)}", error.column)
    except RecursionError:
        return BadRow(number, "not a row: nested too deep")
    except json.JSONDecodeError as error:  # its own line number is always 1
        told = f"{error.msg}, at character {error.pos + 1}"
    except ValueError as error:
        # What Python says of too many digits is about its settings.
        told = "a number of thousands of digits" if "digits" in str(error) else str(error)
    return BadRow(number, f"not a JSON row: {told}{_advice(number, text)}")


def _advice(number: int, text: str) -> str:
    from edge_runtime.cli.hints import for_beginning, for_json_array

    told = for_beginning(text) if number == 1 else None
    return for_json_array(text) if told is None else f"; {told}"


class _QuoteNeverClosedError(Exception):
    """Ends csv's search for a closing quote."""


def _records(lines: Lines, width: int | None) -> Iterator[Row | BadRow]:
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
            message = f"expected {counted(width or 0, 'cell')}, found {len(cells)}"
        # Before anything is yielded: whoever asks may take lines of the stream in between.
        lines.push_back(taken[1:])
        reader = csv.reader(feed(), strict=True)  # the old one may be within a quote
        yield BadRow(taken[0][0], message)


_TOO_LONG = f"the line is longer than {MAX_LINE_CHARACTERS} characters"
_NEVER_CLOSED = "a quote is opened and not closed"


def _is_blank(cells: list[str]) -> bool:
    return len(cells) == 1 and not cells[0].strip()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a key appears twice")
    return row


_BETWEEN = object()
_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), _MARK: _BETWEEN}
_MARKED = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_CONSTANTS.__getitem__)
