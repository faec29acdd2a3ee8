"""Cut a stream of rows into chunks; the part that all row formats share.

A chunk is a :class:`Block` of lines that nobody has parsed yet, or a list of parsed rows.  A row
that cannot be parsed becomes a :class:`RefusedRow` and does not end the stream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from edge_runtime.cli.line_reader import Lines

__all__ = ["Block", "Chunk", "ChunkResult", "RefusedRow", "Row", "RowReader"]

MAX_CHUNK_CELLS = 1 << 20
"""Most cells in a chunk: of a wide table, fewer rows are read at once than the user asked for."""

MIN_BLOCK_LINES = 8
"""Fewer lines are faster to parse one by one."""


class Row(NamedTuple):
    """Cells in the order of the schema, and the number of the row's first line, from 1."""

    line: int
    cells: list[Any]


class RefusedRow(NamedTuple):
    """A row that gets no prediction, and the reason."""

    line: int
    message: str
    column: str | None = None


class Block(NamedTuple):
    """Lines that hold one row each and are not parsed yet."""

    first_line: int
    lines: list[str]
    header: tuple[str, ...] = ()


Chunk = Block | list[Row | RefusedRow]


class ChunkResult(NamedTuple):
    """The output for one chunk.

    Attributes
    ----------
    text
        The predictions, ready to be written.
    n_predicted
        Number of rows in *text*.
    refused
        The other rows.
    header
        The header above *text*, if it could not be found before; else empty.
    """

    text: str
    n_predicted: int
    refused: list[RefusedRow]
    header: str = ""


class RowReader(ABC):
    """Iterates over the chunks of a stream.

    A :class:`Block` can be parsed without the stream, so that any process can do it.  It carries
    the header that its lines follow.

    Parameters
    ----------
    lines
        The stream, after the header if it has one.
    chunk_rows
        Most rows in a chunk.
    row_cells
        Cells in a row.
    """

    def __init__(self, lines: Lines, chunk_rows: int, row_cells: int) -> None:
        self._lines = lines
        self.header: tuple[str, ...] = ()
        self._chunk_rows = max(1, min(chunk_rows, MAX_CHUNK_CELLS // row_cells))

    def __iter__(self) -> Iterator[Chunk]:
        lines, most = self._lines, self._chunk_rows
        rows = self._rows(lines)
        while True:
            block = lines.take(most) if most >= MIN_BLOCK_LINES else None
            if block and self._has_one_row_a_line(block[1]):
                yield Block(*block, self.header)
                continue
            if block:
                lines.push_back(list(enumerate(block[1], block[0])))
            chunk = list(islice(rows, most))
            if not chunk:
                return
            yield chunk

    def rows(self, block: Block) -> list[Row | RefusedRow]:
        """Parse *block* row by row."""
        return list(self._rows(Lines(block.lines, block.first_line)))

    def notes(self, last_refused: int) -> list[str]:
        """Return notes about the whole stream; *last_refused* is the last refused line."""
        return []

    @abstractmethod
    def table(self, block: Block) -> Any:
        """Parse *block* as a table for ``Model.predict``; None if it must be read row by row."""

    @abstractmethod
    def _rows(self, lines: Lines) -> Iterator[Row | RefusedRow]:
        """Parse *lines* row by row."""

    def _has_one_row_a_line(self, lines: list[str]) -> bool:
        """Return whether no row of *lines* spans several lines."""
        return True
