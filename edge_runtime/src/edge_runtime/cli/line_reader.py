"""Read numbered lines from a stream of text, each with a bound on its length."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import TextIO

__all__ = ["LINE_TOO_LONG", "MAX_LINE_CHARACTERS", "Lines"]

MAX_LINE_CHARACTERS = 1024 * 1024
"""Longest line that is read; a longer one keeps only its number."""

LINE_TOO_LONG = f"the line is longer than {MAX_LINE_CHARACTERS} characters"
"""Why such a row is refused."""

PIECE_CHARACTERS = 64 * 1024
"""Characters read from the stream at once.  Each line of a block may have as many."""


class Lines:
    """Iterates over numbered lines; the text of one that is too long is None.

    Parameters
    ----------
    source
        A stream of text that keeps line ends as they are, or whole lines.
    first
        Number of the first line.
    """

    def __init__(self, source: TextIO | Iterable[str], first: int = 1) -> None:
        self._next_piece: Callable[[], str]
        if hasattr(source, "readline"):
            self._next_piece = partial(source.readline, PIECE_CHARACTERS)
        else:
            self._next_piece = partial(next, iter(source), "")
        self._number = first - 1
        self._pieces: deque[str] = deque()
        self._pushed_back: deque[tuple[int, str | None]] = deque()
        self._last: str | None = "\n"

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> tuple[int, str | None]:
        if self._pushed_back:
            return self._pushed_back.popleft()
        text = self._line()
        if text == "":
            raise StopIteration
        self._last = text
        self._number += 1
        return self._number, text

    def take(self, most: int) -> tuple[int, list[str]] | None:
        """Take up to *most* lines at once; return the number of the first, and the lines.

        None means that they must be read one by one: lines were pushed back, there are none, or
        one may be too long.
        """
        if self._pushed_back or self._pieces:
            return None
        pieces = list(islice(iter(self._next_piece, ""), most))
        if not pieces:
            return None
        if max(map(len, pieces)) >= PIECE_CHARACTERS:
            self._pieces.extend(pieces)
            return None
        first = self._number + 1
        self._number += len(pieces)
        self._last = pieces[-1]
        return first, pieces

    @property
    def unterminated_line(self) -> int | None:
        """The number of the last line that was read, if it may be cut off: it has no end.

        A quote at its end shows that it is whole.
        """
        is_whole = self._last is None or not self._last.strip() or self._last[-1] in '\r\n"'
        return None if is_whole else self._number

    def push_back(self, lines: list[tuple[int, str | None]]) -> None:
        """Put *lines*, the last that were read, in front of the stream again."""
        self._pushed_back.extendleft(reversed(lines))

    def _line(self) -> str | None:
        """Read a whole line: "" at the end of the stream, None if it is too long."""
        text = piece = self._piece()
        too_long = False
        # A piece of full length may end within a line, or between \r and \n.
        while len(piece) == PIECE_CHARACTERS and not piece.endswith("\n"):
            piece = self._piece()
            if text.endswith("\r") and piece != "\n":
                self._pieces.appendleft(piece)
                break
            if len(text) + len(piece) > MAX_LINE_CHARACTERS:
                too_long, text = True, piece
            else:
                text += piece
        return None if too_long else text

    def _piece(self) -> str:
        return self._pieces.popleft() if self._pieces else self._next_piece()
