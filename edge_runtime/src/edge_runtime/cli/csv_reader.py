"""Read rows from a CSV stream.

Memory is bounded by :data:`MAX_LINE_CHARACTERS`, :data:`MAX_ROW_LINES` and
:data:`MAX_CHUNK_CELLS`, whatever the stream holds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, TextIO

from edge_runtime.cli.console import number_of
from edge_runtime.cli.csv_blocks import block_parser
from edge_runtime.cli.csv_cells import cell_parser
from edge_runtime.cli.line_reader import LINE_TOO_LONG, Lines
from edge_runtime.cli.row_chunks import Block, RefusedRow, Row, RowReader
from edge_runtime.errors import InputError
from edge_runtime.inputs.tables import InputReader

__all__ = ["CsvReader"]

MAX_ROW_LINES = 100
"""Most lines that one quoted row may span.  A longer one has a quote that nobody closed."""

_QUOTE_NOT_CLOSED = "a quote is opened and not closed"


class CsvReader(RowReader):
    """Reads a CSV stream whose first line names the columns.

    Raises
    ------
    InputError
        There is no header, or it lacks a column of the schema, repeats one, or has one too many.
    """

    def __init__(self, stream: TextIO, input_reader: InputReader, chunk_rows: int) -> None:
        schema = input_reader.schema
        if schema.kind in ("dicts", "lists"):
            raise InputError(f"a row is one of {schema.kind}, not CSV; pass --format jsonl")
        lines = Lines(stream)
        self._header = _read_header(lines, input_reader)
        super().__init__(lines, chunk_rows, len(self._header))
        self._schema = schema
        self._parse_block = block_parser(schema, self._header)

    def table(self, block: Block) -> Any:
        """Parse *block* as a table for ``Model.predict``; None if it must be read row by row."""
        return self._parse_block(block.lines)

    def _has_one_row_a_line(self, lines: list[str]) -> bool:
        return '"' not in "".join(lines)

    def _rows(self, lines: Lines) -> Iterator[Row | RefusedRow]:
        width = len(self._header)
        positions = {name: i for i, name in enumerate(self._header)}
        parsers = [(positions[c.name], cell_parser(c)) for c in self._schema.columns]
        for record in _records(lines, width):
            if isinstance(record, RefusedRow):
                yield record
                continue
            cells = record.cells
            if not cells or (width > 1 and _is_blank(cells)):
                continue  # pandas skips blank lines
            yield Row(record.line, [parse(cells[i]) for i, parse in parsers])


def _read_header(lines: Lines, input_reader: InputReader) -> list[str]:
    """Read the column names from the first line that is not blank, and check them."""
    first = next(lines, None)
    if first is not None:
        lines.push_back([first])
    records = _records(lines, None)
    header = next((r for r in records if isinstance(r, RefusedRow) or r.cells), None)
    if header is None:
        raise InputError("the input is empty: expected a header line with the column names")
    try:
        if isinstance(header, RefusedRow):
            raise InputError(f"line {header.line}: {header.message}")
        input_reader.check_names(header.cells)
    except InputError as error:
        _raise_with_hint(error, (first and first[1]) or "", input_reader.schema.names)
        raise
    return header.cells


def _raise_with_hint(error: InputError, line: str, names: tuple[str, ...]) -> None:
    """Raise an error with a remedy, if the first *line* shows why the header is refused."""
    from edge_runtime.cli.hints import file_type_hint, header_hint

    hint = file_type_hint(line)
    if hint is not None:
        raise InputError(hint) from error
    hint = header_hint(line, names)
    if hint is not None:
        listed = ", ".join(map(repr, names[:5])) + ", …" * (len(names) > 5)
        raise InputError(
            f"expected the columns' names, {listed}, in "
            f"the first line, found {line.strip()[:60]!r}; {hint}"
        ) from error


class _QuoteNotClosedError(Exception):
    """Ends csv's search for a closing quote."""


def _records(lines: Lines, width: int | None) -> Iterator[Row | RefusedRow]:
    """Split *lines* into records of *width* cells, or of any number if None.

    Blank lines give records without cells.  If a record of several lines is broken, its first line
    alone is refused and the others are read again: one stray quote must not swallow the rows
    after it.
    """
    record_lines: list[tuple[int, str | None]] = []

    def feed() -> Iterator[str]:
        for line in lines:
            record_lines.append(line)
            if len(record_lines) > MAX_ROW_LINES or line[1] is None:
                raise _QuoteNotClosedError
            yield line[1]

    reader = csv.reader(feed(), strict=True)
    while True:
        record_lines.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _QuoteNotClosedError:
            message = LINE_TOO_LONG if record_lines[0][1] is None else _QUOTE_NOT_CLOSED
        except csv.Error as error:
            message = _QUOTE_NOT_CLOSED if "unexpected end" in str(error) else f"not CSV: {error}"
        else:
            if width is None or len(cells) in (0, width) or _is_blank(cells):
                yield Row(record_lines[0][0], cells)
                continue
            message = f"expected {number_of(width or 0, 'cell')}, found {len(cells)}"
        # Before the yield: the caller may take lines of the stream in between.
        lines.push_back(record_lines[1:])
        reader = csv.reader(feed(), strict=True)  # the old one may be within a quote
        yield RefusedRow(record_lines[0][0], message)


def _is_blank(cells: list[str]) -> bool:
    return len(cells) == 1 and not cells[0].strip()
