"""Choose the remedy for an error, in the words of the command line.

The messages of the library name remedies in Python; this module replaces them.  It is imported only
after an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from edge_runtime.cli.console import json_text
from edge_runtime.errors import NotABundleError

__all__ = [
    "did_you_mean",
    "file_type_hint",
    "header_hint",
    "in_words_of_the_command",
    "json_array_hint",
    "json_line_hint",
    "nested_row_hint",
    "option_hint",
    "swapped_arguments_hint",
    "with_choice_hint",
]

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", ":": "colons"}
_FILE_STARTS = (
    (("PAR1",), "the input is Parquet; name the file, or write it as CSV or JSON lines"),
    (("\udcd0\udccf\x11",), "the input is an old Excel workbook; save it as CSV"),
    (("SQLite format 3",), "the input is an SQLite database; export the table as CSV"),
    (("\udc93NUMPY",), "the input is a numpy array; write it as CSV with the columns' names"),
    (("%PDF",), "the input is a PDF; write the table as CSV"),
    (
        ("<!DOCTYPE", "<!doctype", "<html", "<HTML"),
        "the input is a web page, perhaps a login or an error; download the table itself",
    ),
    (("<?xml",), "the input is XML; write it as CSV or JSON lines"),
    (("\x08",), "the input is an ONNX file; name the model first: edge-runtime predict MODEL ROWS"),
    (
        ("\udc80\x02", "\udc80\x03", "\udc80\x04", "\udc80\x05"),
        "the input is a pickle, which is never read; write it as CSV or JSON lines",
    ),
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


def header_hint(line: str, expected: Sequence[str], separator: str = ",") -> str | None:
    """Return a remedy if the first *line* of CSV is no header at all."""
    if line.lstrip().startswith(("{", "[")):
        return "the input looks like JSON; for an object or an array a line pass --format jsonl"
    separator_line = re.fullmatch(r'"?sep=(.)"?', line.strip(" \r\n"), re.IGNORECASE)
    if separator_line:
        return _separator_hint("are", separator_line[1], separator)
    if line.lstrip().startswith("#"):
        return "remove the lines above the one with the columns' names"
    if separator not in line:
        for mark in _SEPARATORS:
            if mark in line and set(expected).intersection(_cells(line, mark)):
                return _separator_hint("seem to be", mark, separator)
    if "" in _cells(line, separator) and set(expected).intersection(_cells(line, separator)):
        return (
            "a column has no name, as the index that pandas writes without index=False; leave it "
            "out, or pass --extra-columns ignore"
        )
    if all(map(_NUMBER.fullmatch, _cells(line, separator))):
        return (
            "the first line seems to hold a row; put one with the columns' names above it, or "
            "pass --no-header if the cells have the order of training"
        )
    return None


def _separator_hint(verb: str, mark: str, sealed: str) -> str:
    plural = _SEPARATORS.get(mark, repr(mark))
    word = "tab" if mark == "\t" else f"'{mark}'"
    in_training = _SEPARATORS.get(sealed, repr(sealed))
    return (
        f"the cells {verb} separated by {plural}, in training by {in_training}; "
        f"pass --separator {word}, and --decimal ',' if the numbers have a decimal comma"
    )


def swapped_arguments_hint(error: Exception, argv: Sequence[str] | None) -> str:
    """Return the words to add if the rows were named before the model."""
    words = sys.argv[1:] if argv is None else argv
    names = [word for word in words if not word.startswith("-")]
    is_swapped = len(names) > 2 and names[0] == "predict" and names[2].endswith(".onnx")
    if not (is_swapped and isinstance(error, NotABundleError)):
        return ""
    return "; name the model first: edge-runtime predict MODEL ROWS"


def json_line_hint(text: str, *, is_first: bool) -> str:
    """Return the words to add about a line that is no JSON; empty if nothing helps."""
    if is_first and re.match(r"\s*\{\s*$", text):
        return "; an object begins here that spans several lines: jq -c . writes it on one"
    if is_first and re.match(r"""\s*["\w][^{[]*,""", text):
        return "; the input looks like CSV: pass --format csv"
    if re.match(r"\s*[{\[].*'", text):
        return "; JSON has double quotes, as json.dumps writes them"
    return json_array_hint(text)


def nested_row_hint(row: dict[str, Any], expected: Sequence[str]) -> str:
    """Return the words to add about an object whose rows are inside one of its values."""
    if {"columns", "data"} <= row.keys():
        return "; pandas writes rows with to_json(orient='records', lines=True)"
    for key, value in row.items():
        path = f".{key}" if key.isidentifier() else f".[{json_text(key)}]"
        if isinstance(value, dict) and set(expected).intersection(value):
            return f"; the row is inside {key!r}: jq -c {path!r} takes it out"
        if isinstance(value, list) and value and isinstance(value[0], dict | list):
            return f"; the rows are inside {key!r}: jq -c {path + '[]'!r} takes them out"
    return ""


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
