"""Print results to standard output, and notes to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

__all__ = ["any_note_lost", "note", "number_of", "print_json", "print_table"]

_lost_notes = [0]


def note(message: str = "", *, end: str = "\n") -> None:
    """Print *message* to standard error; count it as lost if that fails, and go on.

    A closed standard error is skipped: ``print(file=None)`` would print among the results.
    """
    if sys.stderr is None:
        return
    try:
        print(message, end=end, file=sys.stderr, flush=True)
    except OSError:  # its disk is full, or its reader has gone
        _lost_notes[0] += 1


def any_note_lost() -> bool:
    """Return whether a note was lost since the last call."""
    count, _lost_notes[0] = _lost_notes[0], 0
    return count > 0


def number_of(count: int, noun: str) -> str:
    """Return ``1 row``, ``1,000 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_table(lines: Iterable[tuple[str, str]]) -> None:
    """Print pairs of a name and a value in two columns."""
    rows = list(lines)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        line = f"{name:<{width}}  {value}"
        # A name in the file may hold anything, also the control sequences of a terminal.
        print("".join(letter if letter.isprintable() else "\ufffd" for letter in line))


def print_json(value: Any) -> None:
    """Print *value* as indented JSON."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2))
