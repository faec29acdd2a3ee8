"""Read rows from a CSV stream.

Memory is bounded by :data:`MAX_LINE_CHARACTERS`, :data:`MAX_ROW_LINES` and
:data:`MAX_CHUNK_CELLS`, whatever the stream holds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from edge_runtime.bundle.reading import PLAIN, Reading
from edge_runtime.cli.console import number_of
from edge_runtime.cli.csv_blocks import block_parser
from edge_runtime.cli.csv_records import is_blank, records
from edge_runtime.cli.line_reader import Lines
from edge_runtime.cli.row_chunks import Block, RefusedRow, Row, RowReader
from edge_runtime.errors import InputError
from edge_runtime.inputs.tables import InputReader
from edge_runtime.inputs.text_cells import cell_parser, is_number, missing_cells

__all__ = ["CsvReader"]

BYTE_ORDER_MARK = "\ufeff"


class CsvReader(RowReader):
    """Reads a CSV stream whose first line names the columns.

    The header may come again, as in files that were appended to each other.  If its columns have
    another order, the rows after it are read in that order.

    Parameters
    ----------
    stream, input_reader, chunk_rows
        The text, the validation of its columns, and most rows in a chunk.
    is_parallel
        Whether other processes parse the blocks, so that no block may hold a header.
    reading
        The format of the text.

    Raises
    ------
    InputError
        There is no header, or it lacks a column of the schema, repeats one, or has one too many.
    """

    def __init__(
        self,
        stream: TextIO,
        input_reader: InputReader,
        chunk_rows: int,
        *,
        is_parallel: bool = False,
        reading: Reading = PLAIN,
    ) -> None:
        schema = input_reader.schema
        if schema.kind == "tensor":
            raise InputError(
                f"a row is a tensor, {schema.columns[0].tensor}, not CSV; pass --format jsonl "
                "with a nested list a line, or predict in Python"
            )
        if schema.kind in ("dicts", "lists"):
            raise InputError(f"a row is one of {schema.kind}, not CSV; pass --format jsonl")
        lines = Lines(stream)
        self._input_reader = input_reader
        self._reading = reading
        self._header_line, header = _read_header(lines, input_reader, reading)
        super().__init__(lines, chunk_rows, len(header))
        self._names = frozenset(schema.names)
        # A header in a numeric column is no number: its block is refused, and then read row by row.
        self._searches_blocks = (
            is_parallel
            or not schema.numeric
            or any(_may_be_a_number(name, reading) for name in schema.names)
        )
        self._search_terms = sorted(schema.names, key=len, reverse=True)
        self._names_are_numbers = all(map(is_number, schema.names))
        self._header_fault: str | None = None
        self._layouts: dict[Sequence[str], _Layout] = {}
        self._n_repeated_headers = 0
        self._set_header(header)

    def table(self, block: Block) -> Any:
        """Parse *block* as a table for ``Model.predict``; None if it must be read row by row."""
        return self._layout(block.header).parse_block(block.lines)

    def rows(self, block: Block) -> list[Row | RefusedRow]:
        """Parse *block* row by row."""
        if block.header != self.header:  # in another process
            self._set_header(block.header)
        return list(self._rows(Lines(block.lines, block.first_line)))

    def notes(self, last_refused: int) -> list[str]:
        """Return notes about the whole stream; *last_refused* is the last refused line."""
        notes = []
        if self._n_repeated_headers:
            times = number_of(self._n_repeated_headers, "line")
            verb = "repeats" if self._n_repeated_headers == 1 else "repeat"
            notes.append(f"{times} {verb} the header, and got no prediction")
        number = self._lines.unterminated_line
        if number is not None and number > max(self._header_line, last_refused):
            notes.append(
                f"line {number}, the last, has no line end; if the file was cut off there, "
                "do not use its prediction"
            )
        return notes

    def _set_header(self, header: tuple[str, ...]) -> None:
        self.header = header
        self._current = self._layout(header)

    def _layout(self, header: tuple[str, ...]) -> _Layout:
        layout = self._layouts.get(header)
        if layout is None:
            layout = self._layouts[header] = _Layout(self._input_reader, header, self._reading)
        return layout

    def _has_one_row_a_line(self, lines: list[str]) -> bool:
        text = "".join(lines)
        if self._header_fault is not None or '"' in text:
            return False
        return not (self._searches_blocks and self._has_header(text, lines))

    def _has_header(self, text: str, lines: list[str]) -> bool:
        """Return whether one of *lines* is a header; fast where most names are not in *text*."""
        n_absent = 0
        for name in self._search_terms:
            n_absent += name not in text
            if 2 * n_absent >= len(self._search_terms):
                return False
        separator = self._reading.separator
        records = (line.rstrip("\r\n").split(separator) for line in lines)
        return any(self._is_header(cells) or self._glued_header(cells) for cells in records)

    def _is_header(self, cells: list[str]) -> bool:
        """Return whether most column names are among *cells*."""
        cells = _without_byte_order_mark(cells)
        if self._names_are_numbers:  # then a header in another order looks like a row
            return tuple(cells) == self.header
        return 2 * len(self._names.intersection(cells)) > len(self._names)

    def _glued_header(self, cells: list[str]) -> list[str] | None:
        """Return the header at the end of *cells* if it follows a row without a line end."""
        width = len(self.header)
        if width == 1:  # a text may end with the name of its column
            return None
        tail = cells[width:]
        absent = set(self.header).difference(tail)
        if len(cells) != 2 * width - 1 or len(absent) != 1 or self._names_are_numbers:
            return None
        [name] = absent
        return [name, *tail] if cells[width - 1].endswith(name) else None

    def _fault(self, cells: list[str]) -> str | None:
        if self._glued_header(cells) or self._is_header(cells):
            return None
        return self._current.fault(cells)

    def _rows(self, lines: Lines) -> Iterator[Row | RefusedRow]:
        for record in records(lines, self._fault, self._reading.separator):
            if isinstance(record, RefusedRow):
                yield record
            elif glued := self._glued_header(record.cells):
                self._change_header(Row(record.line, glued))
                yield RefusedRow(record.line, _GLUED_HEADER)
            elif self._is_header(record.cells):
                fault = self._change_header(record)
                if fault is not None:
                    yield RefusedRow(record.line, fault)
            elif self._current.is_blank(record.cells):
                continue  # as pandas
            elif self._header_fault is not None:
                yield RefusedRow(record.line, self._header_fault)
            else:
                yield self._current.row(record)

    def _change_header(self, record: Row) -> str | None:
        """Read the following rows by the header in *record*; return a message if it is refused."""
        if self._names_are_numbers:
            return "the line equals the header, and could be a row too; leave it out"
        cells = _without_byte_order_mark(record.cells)
        try:
            self._input_reader.check_names(cells)
        except InputError as error:
            self._header_fault = f"the header in line {record.line} does not fit the model"
            return f"the line is a header that does not fit the model: {error}"
        self._header_fault = None
        self._n_repeated_headers += 1
        self._set_header(tuple(cells))
        return None


class _Layout:
    """Parses rows whose cells have the order of *header*."""

    def __init__(
        self, input_reader: InputReader, header: tuple[str, ...], reading: Reading
    ) -> None:
        schema = input_reader.schema
        positions = {name: i for i, name in enumerate(header)}
        self._header = header
        self._parsers = [(positions[c.name], cell_parser(c, reading)) for c in schema.columns]
        self._numeric = {positions[schema.columns[i].name] for i in schema.numeric}
        self.parse_block = block_parser(schema, header, reading)

    def fault(self, cells: list[str]) -> str | None:
        """Return why *cells* are no row; None if they are one, or blank."""
        width = len(self._header)
        if len(cells) in (0, width) or is_blank(cells):
            return None
        return f"expected {number_of(width, 'cell')}, found {len(cells)}"

    def is_blank(self, cells: list[str]) -> bool:
        """Return whether *cells* are a line that pandas skips."""
        return not cells or (len(self._header) > 1 and is_blank(cells))

    def row(self, record: Row) -> Row | RefusedRow:
        """Parse the cells of a record."""
        cells = record.cells
        if "\0" in "".join(cells):
            for i, cell in enumerate(cells):
                if "\0" in cell and i not in self._numeric:
                    name = self._header[i]
                    return RefusedRow(record.line, f"column {name!r}: {_NUL_IN_TEXT}", name)
        return Row(record.line, [parse(cells[i]) for i, parse in self._parsers])


_GLUED_HEADER = (
    "a row and a header are on one line: the first of two appended files has no line end; put one "
    "between them"
)
_NUL_IN_TEXT = (
    "expected text, found a NUL character; the file is damaged there, as after a power cut"
)


def _may_be_a_number(name: str, reading: Reading) -> bool:
    """Return whether a numeric column may take *name* as a cell."""
    return is_number(name) or name in missing_cells(reading) or name.lower() in ("true", "false")


def _without_byte_order_mark(cells: list[str]) -> list[str]:
    """Remove the mark that a file has at its start, also if it was appended to another."""
    return [cells[0].removeprefix(BYTE_ORDER_MARK), *cells[1:]] if cells else cells


def _read_header(
    lines: Lines, input_reader: InputReader, reading: Reading
) -> tuple[int, tuple[str, ...]]:
    """Read the column names from the first line that is not blank, and check them.

    A file without a header has the names of the reading, or those of the schema alone.
    """
    first = next(lines, None)
    if first is not None and not _is_separator_line(first[1], reading.separator):
        lines.push_back([first])
    if first is not None and reading.names:
        names = _names_without_header(first[1] or "", input_reader, reading)
        if names is not None:
            return 0, names
    header = next(
        (
            r
            for r in records(lines, lambda cells: None, reading.separator)
            if isinstance(r, RefusedRow) or r.cells
        ),
        None,
    )
    if header is None:
        raise InputError("the input is empty: expected a header line with the column names")
    try:
        if isinstance(header, RefusedRow):
            raise InputError(f"line {header.line}: {header.message}")
        input_reader.check_names(header.cells)
    except InputError as error:
        _raise_with_hint(error, (first and first[1]) or "", input_reader.schema.names, reading)
        raise
    return header.line, tuple(header.cells)


def _names_without_header(
    line: str, input_reader: InputReader, reading: Reading
) -> tuple[str, ...] | None:
    """Return the columns of a file that begins with *line*, a row; None if it is a header."""
    cells = next(csv.reader([line], delimiter=reading.separator), [])
    if set(input_reader.schema.names) <= set(cells):
        return None
    for names in (reading.names, input_reader.schema.names):
        if len(names) == len(cells):
            return names
    n_read = len(input_reader.schema.names)
    expected = " or ".join(map(str, dict.fromkeys((len(reading.names), n_read))))
    raise InputError(
        f"expected rows of {expected} cells and no header, as in training, found {len(cells)} "
        "cells in the first line"
    )


def _is_separator_line(line: str | None, separator: str) -> bool:
    """Return whether *line* is ``sep=,``, which Excel writes above the header."""
    return line is not None and line.strip(" \r\n").strip('"').lower() == f"sep={separator}"


def _raise_with_hint(
    error: InputError, line: str, names: tuple[str, ...], reading: Reading
) -> None:
    """Raise an error with a remedy, if the first *line* shows why the header is refused."""
    from edge_runtime.cli.hints import file_type_hint, header_hint

    hint = file_type_hint(line)
    if hint is not None:
        raise InputError(hint) from error
    hint = header_hint(line, names, reading.separator)
    if hint is not None:
        listed = ", ".join(map(repr, names[:5])) + ", …" * (len(names) > 5)
        raise InputError(
            f"expected the columns' names, {listed}, in "
            f"the first line, found {line.strip()[:60]!r}; {hint}"
        ) from error
