"""Bytes in, plain JSON values out: strict enough for text that a stranger wrote.

Refused before a value exists: nesting that could exhaust the stack, a key given twice, numbers
that no float64 or 64-bit integer holds, text that is no Unicode.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from edge_runtime.errors import IntegrityError

__all__ = ["MAX_DEPTH", "read_json"]

MAX_DEPTH = 64
"""Lists and objects inside one another; a manifest has eight, a row of nested lists some more."""

MAX_DIGITS = 20
"""Of a whole number: what 64 bits take, and a sign."""

_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_DEPTH_OF = np.zeros(256, dtype=np.int8)
_DEPTH_OF[list(b"[{")] = 1
_DEPTH_OF[list(b"]}")] = -1
# Of numbers, what tells how large they are.
_AS_ZEROS = bytes.maketrans(b"E123456789", b"e000000000")
# A float of 17 digits has up to three zeros before them.
_MANY_DIGITS = b"0" * (MAX_DIGITS + 1)


def read_json(raw: bytes, *, what: str) -> Any:
    """The value that *raw* spells in canonical JSON; *what* names it in errors.

    Raises
    ------
    IntegrityError
        It is no such text, or one that goes beyond the limits of this module.
    """
    # Without an escape, every other piece between quotes is a string: five times as fast.
    bare = _without_strings(raw, what) if b"\\" in raw else b"".join(raw.split(b'"')[::2])
    brackets = np.frombuffer(bare.translate(None, _NO_BRACKET), np.uint8)
    depth = int(np.cumsum(_DEPTH_OF[brackets], dtype=np.int64).max(initial=0))
    if depth > MAX_DEPTH:
        raise IntegrityError(f"{what} is nested {depth} deep, this runtime reads {MAX_DEPTH}")
    zeros = bare.translate(_AS_ZEROS)
    # Whatever could be too large a number: 1e999, or many digits.  A call for every number takes
    # three times as long as all the rest.
    are_large = any(part in zeros for part in (_MANY_DIGITS, b"e000", b"e+000"))
    try:
        return _value(raw.decode("utf-8"), are_large)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{what} is not canonical JSON: {error}") from error


def _without_strings(raw: bytes, what: str) -> bytes:
    # Canonical JSON escapes control characters alone: \u00XX.  Others may be halves of a pair,
    # which make a text that nothing can print or encode.
    if re.search(rb"(?<!\\)(?:\\\\)*+\\u(?!00)", raw):
        raise IntegrityError(f"{what} is not canonical JSON: an escape that it does not need")
    return re.sub(rb'"(?:[^"\\]|\\.)*+"', b"", raw, flags=re.DOTALL)


class _Rules:
    """What the scanner is to do, under the names that it asks for."""

    strict = True
    object_hook = None

    def __init__(self, *, are_large: bool) -> None:
        self.object_pairs_hook = _unique
        self.parse_constant = _no_constant
        self.parse_float = _finite if are_large else float
        self.parse_int = _whole if are_large else int


def _value(text: str, are_large: bool) -> Any:
    """The value of a whole text, by json's own scanner, without the 1 ms of importing json.

    The scanner is a detail of CPython.  Where it is missing, asks for a rule that is not there, or
    refuses the text, json itself has the last word.
    """
    rules: Any = _Rules(are_large=are_large)
    try:
        from _json import make_scanner

        value, end = make_scanner(rules)(text, 0)
        if end == len(text):
            return value
    except (ImportError, AttributeError, StopIteration, ValueError):
        pass
    import json

    return json.loads(
        text,
        object_pairs_hook=rules.object_pairs_hook,
        parse_constant=rules.parse_constant,
        parse_float=rules.parse_float,
        parse_int=rules.parse_int,
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key appears twice")
    return result


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    # "1e999" reads as infinity, which canonical JSON spells as a string.
    if not abs(value) <= 1.7976931348623157e308:
        raise ValueError(f"{text[:40]} is no finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"{text[:MAX_DIGITS]}… has too many digits")
    return int(text)
