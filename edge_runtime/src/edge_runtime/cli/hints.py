"""Choose the remedy for an error, in the words of the command line.

The messages of the library name remedies in Python; this module replaces them.  It is imported only
after an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = [
    "did_you_mean",
    "file_type_hint",
    "header_hint",
    "in_words_of_the_command",
    "json_array_hint",
    "option_hint",
    "with_choice_hint",
]

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ":": "colons"}
_PIPE = "FILE | edge-runtime predict …"
_FILE_STARTS = (
    (("\x1f\udc8b",), f"the input is compressed by gzip; pipe it: gunzip -c {_PIPE}"),
    (("BZh",), f"the input is compressed by bzip2; pipe it: bunzip2 -c {_PIPE}"),
    (("\udcfd7zXZ",), f"the input is compressed by xz; pipe it: xz -dc {_PIPE}"),
    (("(\udcb5/\udcfd",), f"the input is compressed by zstd; pipe it: zstd -dc {_PIPE}"),
    (("PK\x03\x04",), "the input is a zip archive or a workbook; unzip it, or save it as CSV"),
    (("PAR1",), "the input is Parquet; write it as CSV or JSON lines"),
    (("\udcff\udcfe\0\0", "\0\0\udcfe\udcff"), "the input is UTF-32; pass --encoding utf-32"),
    (("\udcff\udcfe", "\udcfe\udcff"), "the input is UTF-16; pass --encoding utf-16"),
)
"""First characters of a file, read as UTF-8 with surrogateescape, and the hint for its type."""


def file_type_hint(text: str) -> str | None:
    """Return a hint if *text* is the start of a file that is neither CSV nor JSON lines."""
    for starts, hint in _FILE_STARTS:
        if text.startswith(starts):
            return hint
    encoding = _ZERO_PATTERNS.get("".join("0" if letter == "\0" else "x" for letter in text[:4]))
    return encoding and f"the input looks like UTF-{encoding[:2]}; pass --encoding utf-{encoding}"


_ZERO_PATTERNS = {"x0x0": "16-le", "0x0x": "16-be", "x000": "32-le", "000x": "32-be"}
"""Zero bytes in the first four of an ASCII text without a byte order mark, and its encoding."""


def header_hint(line: str, expected: Sequence[str]) -> str | None:
    """Return a remedy if the first *line* of CSV is no header at all."""
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


def json_array_hint(text: str) -> str:
    """Return the words to add about a line that begins an array of rows; empty if none begins."""
    begins_an_array = re.match(r"\s*\[\s*(\{|\[|$)", text)
    return "; write one row a line: jq -c '.[]' takes an array apart" if begins_an_array else ""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return ``did you mean …`` with the choice that *word* is nearly; empty if there is none."""
    from edge_runtime.inputs.suggestions import match_names

    pairs = match_names((word,), tuple(choices))
    return f"; did you mean {pairs[0][1]}?" if pairs else ""


def option_hint(word: str, usage: str) -> str:
    """Return ``did you mean …`` for an unknown option; *usage* names the known ones."""
    if not word.startswith("--"):
        return ""
    usage_words = usage.replace("[", " ").replace("]", " ").split()
    options = [option for option in usage_words if option.startswith("--")]
    return did_you_mean(word.partition("=")[0], options)


def with_choice_hint(message: str) -> str:
    """Add to argparse's *message* the choice that the user probably meant."""
    complaint, _, choices = message.partition(" (choose from ")
    if not choices:
        return message
    word = complaint.rpartition("invalid choice: ")[2].strip("'")
    return message + did_you_mean(word, choices.rstrip(")").replace("'", "").split(", "))


def in_words_of_the_command(message: str, stream_format: str | None = None) -> str:
    """Replace the remedies in Python by those of the command line."""
    for in_python, in_shell in _REMEDIES.items():
        message = message.replace(in_python, in_shell)
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
