"""Split lines of CSV into records, so that one broken record does not cost the others."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator

from edge_runtime.cli.line_reader import LINE_TOO_LONG, Lines
from edge_runtime.cli.row_chunks import RefusedRow, Row

__all__ = ["is_blank", "records"]

MAX_ROW_LINES = 100
"""Most lines that one quoted row may span.  A longer one has a quote that nobody closed."""

_QUOTE_NOT_CLOSED = "a quote is opened and not closed"


class _QuoteNotClosedError(Exception):
    """Ends csv's search for a closing quote."""


def records(
    lines: Lines, fault: Callable[[list[str]], str | None], separator: str = ","
) -> Iterator[Row | RefusedRow]:
    """Split *lines* into records; *fault* returns why the cells of one are no row.

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

    def new_reader() -> Iterator[list[str]]:
        return csv.reader(feed(), strict=True, delimiter=separator)

    reader = new_reader()
    while True:
        record_lines.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _QuoteNotClosedError:
            message: str | None = LINE_TOO_LONG if record_lines[0][1] is None else _QUOTE_NOT_CLOSED
        except csv.Error as error:
            message = _QUOTE_NOT_CLOSED if "unexpected end" in str(error) else f"not CSV: {error}"
        else:
            message = fault(cells)
            if message is None:
                yield Row(record_lines[0][0], cells)
                continue
        # Before the yield: the caller may take lines of the stream in between.
        lines.push_back(record_lines[1:])
        reader = csv.reader(
            feed(), strict=True, delimiter=separator
        )  # the old one may be within a quote
        yield RefusedRow(record_lines[0][0], message or "")


def is_blank(cells: list[str]) -> bool:
    """Return whether a record is a line of spaces."""
    return len(cells) == 1 and not cells[0].strip()
