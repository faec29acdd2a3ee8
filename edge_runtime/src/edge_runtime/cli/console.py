"""Print results to standard output and notes to standard error, through one filter.

Names, labels and messages come from files that strangers may have written.  Raw, they could move a
terminal's cursor, colour or reverse the text, or forge a line in a log.  No other module of the
command prints.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

__all__ = [
    "TerminalFilter",
    "any_note_lost",
    "json_text",
    "note",
    "number_of",
    "print_json",
    "print_line",
    "print_table",
    "printable",
    "progress",
]

_lost_notes = [0]


def printable(text: str) -> str:
    r"""Escape every character of *text* that is not printable, as Python's ``repr`` does.

    These are control characters (C0, C1, U+007F), line ends (also U+0085, U+2028), marks that
    reverse or hide text (bidi, zero width), surrogates and unassigned characters.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return *value* as JSON without any character that is not printable, but for line ends.

    Escapes are a spelling of the same text, so that a reader gets the very same value.
    """
    if indent is None:
        text = _encode(value)
    else:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return text if text.isprintable() else _NOT_PRINTABLE.sub(_json_escape, text)


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e\n]")


def _json_escape(match: re.Match[str]) -> str:
    character = match[0]
    return (
        character
        if character.isprintable()
        else json.dumps(character)[1:-1].replace("\x7f", "\\u007f")
    )


def note(message: str) -> None:
    """Print *message* as one line to standard error; count it as lost if that fails, and go on."""
    _write_note(f"{printable(message)}\n")


def progress(message: str | None) -> None:
    """Show *message* in place of the last one; None ends the line."""
    _write_note("\n" if message is None else f"\r{printable(message)}")


def _write_note(text: str) -> None:
    # A closed standard error is None, and print(file=None) would print among the results.
    if sys.stderr is None:
        return
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except OSError:  # its disk is full, or its reader has gone
        _lost_notes[0] += 1


def any_note_lost() -> bool:
    """Return whether a note was lost since the last call."""
    count, _lost_notes[0] = _lost_notes[0], 0
    return count > 0


def number_of(count: int, noun: str) -> str:
    """Return ``1 row``, ``1,000 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_line(text: str = "", *, flush: bool = False) -> None:
    """Print *text* as one line of the result."""
    print(printable(text), flush=flush)


def print_table(lines: Iterable[tuple[str, str]]) -> None:
    """Print pairs of a name and a value in two columns.

    On a terminal, long values continue below their column, and a verdict is green or red.
    """
    rows = [(printable(name), printable(value)) for name, value in lines]
    width = max(len(name) for name, _ in rows)
    columns = _terminal_columns()
    for name, value in rows:
        text = f"{name:<{width}}  {value}"
        if columns and len(text) > columns:
            import textwrap  # 1 ms, which a pipe need not wait for

            text = textwrap.fill(
                text, columns, subsequent_indent=" " * (width + 2), break_on_hyphens=False
            )
        print(_coloured(text, value) if columns and name in _COLOURED else text)


_COLOURED = ("verdict", "broken", "warning")
_MIN_COLUMNS = 40


def _terminal_columns() -> int:
    """Return the width of the terminal; 0 for a file, a pipe or a very narrow terminal."""
    if sys.stdout is None or not sys.stdout.isatty():
        return 0
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 0
    return columns if columns >= _MIN_COLUMNS else 0


def _coloured(text: str, value: str) -> str:
    """Colour *text* green where *value* says OK, otherwise red (no-color.org: not always)."""
    if os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{32 if value.startswith('OK') else 31}m{text}\x1b[0m"


def print_json(value: Any) -> None:
    """Print *value* as indented JSON."""
    print(json_text(value, indent=2))


class TerminalFilter:
    """Writes to a terminal: escapes what is not printable, keeps line ends.

    Files and pipes get predictions as they are; a label that a model returns is data there.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write *text*, line by line."""
        return self._stream.write("\n".join(map(printable, text.split("\n"))))

    def flush(self) -> None:
        """Flush the terminal."""
        self._stream.flush()
