"""Take a JSON array of rows apart, one row a line, without holding it in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edge_runtime.cli.line_reader import MAX_LINE_CHARACTERS

__all__ = ["array_rows", "begins_array"]

_ARRAY_START = re.compile(r"\s*\[\s*(?=[{\[\]]|$)")
_MARKS = re.compile(r'["\[\]{},]')
_STRING_END = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)

TOO_LONG = '"longer than a row may be'
"""Stands for a row of more than :data:`MAX_LINE_CHARACTERS`: no JSON, so it is refused."""


def begins_array(text: str) -> bool:
    """Return whether *text* is the start of an array of objects or arrays, or of an empty one."""
    return _ARRAY_START.match(text) is not None


def array_rows(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the elements of the array in *pieces* as lines, whatever they are.

    Text after the array's end comes as a line of its own, so that nothing is lost in silence.
    """
    scanner = _Scanner()
    for piece in pieces:
        yield from scanner.add(piece)
    yield from scanner.end()


class _Scanner:
    """Finds the commas and brackets of the outermost array."""

    def __init__(self) -> None:
        self._row: list[str] = []
        self._length = 0
        self._depth = 0
        self._is_in_string = False
        self._ends_in_escape = False

    def add(self, text: str) -> Iterator[str]:
        start = position = 0
        while position < len(text):
            if self._is_in_string:
                position = self._after_string(text, position)
                continue
            match = _MARKS.search(text, position)
            if match is None:
                break
            position, mark = match.end(), match[0]
            if mark == '"':
                self._is_in_string = True
            elif mark in "[{":
                self._depth += 1
                if self._depth == 1:
                    self._add(text[start : match.start()])
                    start = position
            elif mark in "]}":
                self._depth -= 1
            if (mark == "," and self._depth == 1) or (mark in "]}" and self._depth == 0):
                self._add(text[start : match.start()])
                start = position
                yield from self._line()
        self._add(text[start:])

    def end(self) -> Iterator[str]:
        yield from self._line()
        # A file may be cut off after a whole row.  Within a row, that row is no JSON.
        if self._depth == 1:
            self._add("the array has no end")
            yield from self._line()

    def _after_string(self, text: str, position: int) -> int:
        """Return the position after the string's end, or that of the text's end."""
        if self._ends_in_escape:
            self._ends_in_escape = False
            position += 1
        match = _STRING_END.match(text, position)
        if match is not None:
            self._is_in_string = False
            return match.end()
        tail = text[position:]
        self._ends_in_escape = (len(tail) - len(tail.rstrip("\\"))) % 2 == 1
        return len(text)

    def _add(self, text: str) -> None:
        self._length += len(text)
        if self._length <= MAX_LINE_CHARACTERS:
            self._row.append(text)

    def _line(self) -> Iterator[str]:
        text = "".join(self._row) if self._length <= MAX_LINE_CHARACTERS else TOO_LONG
        self._row, self._length = [], 0
        # A line end within a row stands between its tokens: JSON escapes those in strings.
        text = re.sub(r"[\r\n]+", " ", text).strip()
        if text:
            yield text + "\n"
