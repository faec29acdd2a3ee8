"""What went wrong in, what to do about it out; imported only when something has.

The messages of the library speak to who writes Python; here are the same remedies for who types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = [
    "for_beginning",
    "for_choice",
    "for_header",
    "for_json_array",
    "for_option",
    "in_words_of_the_command",
    "with_choice",
]

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ":": "colons"}
_PIPE = "FILE | edge-runtime predict …"
_BEGINNINGS = (
    (("\x1f\udc8b",), f"the input is compressed by gzip; pipe it: gunzip -c {_PIPE}"),
    (("BZh",), f"the input is compressed by bzip2; pipe it: bunzip2 -c {_PIPE}"),
    (("\udcfd7zXZ",), f"the input is compressed by xz; pipe it: xz -dc {_PIPE}"),
    (("(\udcb5/\udcfd",), f"the input is compressed by zstd; pipe it: zstd -dc {_PIPE}"),
    (("PK\x03\x04",), "the input is a zip archive or a workbook; unzip it, or save it as CSV"),
    (("PAR1",), "the input is Parquet; write it as CSV or JSON lines"),
    (("\udcff\udcfe\0\0", "\0\0\udcfe\udcff"), "the input is UTF-32; pass --encoding utf-32"),
    (("\udcff\udcfe", "\udcfe\udcff"), "the input is UTF-16; pass --encoding utf-16"),
)
"""What a stream begins with, read as UTF-8 with surrogateescape."""


def for_beginning(text: str) -> str | None:
    """What the stream is that begins with *text*, when that is neither CSV nor JSON lines."""
    for beginnings, told in _BEGINNINGS:
        if text.startswith(beginnings):
            return told
    kind = _UNMARKED.get("".join("0" if letter == "\0" else "x" for letter in text[:4]))
    return kind and f"the input looks like UTF-{kind[:2]}; pass --encoding utf-{kind}"


_UNMARKED = {"x0x0": "16-le", "0x0x": "16-be", "x000": "32-le", "000x": "32-be"}
"""Where the zeros are in four bytes of ASCII without a byte order mark."""


def for_header(line: str, expected: Sequence[str]) -> str | None:
    """What to do about the first *line* of CSV, when it is no header at all."""
    if line.lstrip().startswith(("{", "[")):
        return "the input looks like JSON; for an object or an array a line pass --format jsonl"
    if "," not in line:
        for separator, plural in _SEPARATORS.items():
            if separator in line and set(expected).intersection(_cells(line, separator)):
                return (
                    f"the cells seem to be separated by {plural}; write commas between them, and "
                    "points in numbers"
                )
    if all(map(_NUMBER.fullmatch, _cells(line, ","))):
        return "the first line seems to hold a row; put one with the columns' names above it"
    return None


def for_json_array(text: str) -> str:
    """What to add about a line that is no row, when an array of rows begins there."""
    begins_an_array = re.match(r"\s*\[\s*(\{|\[|$)", text)
    return "; write one row a line: jq -c '.[]' takes an array apart" if begins_an_array else ""


def for_choice(found: str, known: Iterable[str]) -> str:
    """``did you mean …`` for the one of *known* that *found* nearly is; empty when none is."""
    from edge_runtime.inputs.suggestions import match_names

    pairs = match_names((found,), tuple(known))
    return f"; did you mean {pairs[0][1]}?" if pairs else ""


def for_option(word: str, usage: str) -> str:
    """As :func:`for_choice`, for an option, by the *usage* that names those there are."""
    known = usage.replace("[", " ").replace("]", " ").split()
    if not word.startswith("--"):
        return ""
    return for_choice(word.partition("=")[0], [name for name in known if name.startswith("--")])


def with_choice(message: str) -> str:
    """Argparse's *message*, and which of the choices in it was meant."""
    found, _, choices = message.partition(" (choose from ")
    if not choices:
        return message
    known = choices.rstrip(")").replace("'", "").split(", ")
    return message + for_choice(found.rpartition("invalid choice: ")[2].strip("'"), known)


def in_words_of_the_command(message: str, stream_format: str | None = None) -> str:
    """*message* with the remedies of the command line in place of Python's."""
    for ours, told in _REMEDIES.items():
        message = message.replace(ours, told)
    if stream_format == "jsonl":
        message = message.replace("; pass it as float or int", "; write it as a number")
        return message.replace("; pass it as str", "; write it as a text")
    if stream_format is None:
        return message
    message = message.replace("; pass it as float or int", "; correct it, or leave the row out")
    comma = re.search(r"found the text '\s*([+-]?\d+),(\d+)\s*'", message)
    if comma:
        message += f" (with a decimal point: {comma[1]}.{comma[2]})"
    elif "\\udc" in message:
        message += "; if that should be a letter, name the stream's --encoding"
    return message


_REMEDIES = {
    '(extra_columns="ignore")': "(--extra-columns ignore)",
    'extra_columns="ignore"': "--extra-columns ignore",
}
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def _cells(text: str, separator: str) -> list[str]:
    return [cell.strip().strip('"') for cell in text.split(separator)]
