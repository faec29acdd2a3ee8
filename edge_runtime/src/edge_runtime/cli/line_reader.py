"""A stream of text in, its lines with their numbers out, none of them without bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import TextIO

__all__ = ["MAX_LINE_CHARACTERS", "Lines"]

MAX_LINE_CHARACTERS = 1024 * 1024
"""Longest line read; of a longer one only its number is told."""

PIECE_CHARACTERS = 64 * 1024
"""What is asked of the stream at once.  When many lines are taken, each may be as long."""


class Lines:
    """Numbered lines; None stands for one that is too long.  Lines can be pushed back.

    Parameters
    ----------
    source
        A stream of text that tells line ends as they are, or whole lines.
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
        self._again: deque[tuple[int, str | None]] = deque()

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> tuple[int, str | None]:
        if self._again:
            return self._again.popleft()
        text = self._line()
        if text == "":
            raise StopIteration
        self._number += 1
        return self._number, text

    def take(self, most: int) -> tuple[int, list[str]] | None:
        """The number of the next line, and up to *most* lines; None when they need care.

        They do when lines were pushed back, when there are none, or when one may be too long.
        """
        if self._again or self._pieces:
            return None
        pieces = list(islice(iter(self._next_piece, ""), most))
        if not pieces:
            return None
        if max(map(len, pieces)) >= PIECE_CHARACTERS:
            self._pieces.extend(pieces)
            return None
        first = self._number + 1
        self._number += len(pieces)
        return first, pieces

    def push_back(self, lines: list[tuple[int, str | None]]) -> None:
        """Give *lines*, which were the last that came out, once more."""
        self._again.extendleft(reversed(lines))

    def _line(self) -> str | None:
        """A whole line; "" at the end of the stream, None for one that is too long."""
        text = piece = self._piece()
        too_long = False
        # A piece of full length may end within a line, or between the two signs of its end.
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
