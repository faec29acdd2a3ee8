"""What a person is to be told beside the results: to standard error, or to nobody."""

from __future__ import annotations

import sys

__all__ = ["counted", "note", "some_were_lost"]

_lost = [0]


def note(message: str = "", *, end: str = "\n") -> None:
    """Print *message* to standard error; what cannot be printed is counted, and costs no result.

    Where that is closed nobody listens: ``print(file=None)`` would print among the results.
    """
    if sys.stderr is None:
        return
    try:
        print(message, end=end, file=sys.stderr, flush=True)
    except OSError:  # its disk is full, or its reader has gone
        _lost[0] += 1


def counted(number: int, noun: str) -> str:
    """``1 row``, ``1,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some_were_lost() -> bool:
    """Whether a note could not be printed since this was asked last."""
    lost, _lost[0] = _lost[0], 0
    return lost > 0
