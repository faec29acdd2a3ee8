"""Read JSON from an untrusted file.

The reader refuses before it creates any value: nesting that could exhaust the stack, and more
values than a board of 512 MB could hold.  It also refuses a repeated key, numbers beyond float64 or
64-bit integers, and text that is not Unicode.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from edge_runtime.errors import IntegrityError

__all__ = ["MAX_CONTAINERS", "MAX_DEPTH", "MAX_VALUES", "read_json"]

MAX_DEPTH = 64
"""Deepest nesting of lists and objects; a manifest has eight levels, nested rows a few more."""

MAX_VALUES = 1_000_000
"""Most commas.  A table of 60,000 columns has 900,000.  The worst million of values, names and
numbers in one object, makes the process grow to 290 MB (test_manifest_limits.py)."""

MAX_CONTAINERS = 250_000
"""Most lists and objects: each takes 64 to 232 bytes, for two characters of the text."""

MAX_STRINGS = 1_500_000
"""Most strings, names of fields included: a column's description has ten."""

MAX_DIGITS = 20
"""Most digits of a whole number: 64 bits need 20, with the sign."""

_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_DEPTH_OF = np.zeros(256, dtype=np.int8)
_DEPTH_OF[list(b"[{")] = 1
_DEPTH_OF[list(b"]}")] = -1
# Every digit becomes a zero, so that one search finds a long number or a large exponent.
_AS_ZEROS = bytes.maketrans(b"E123456789", b"e000000000")
# A float of 17 digits has up to three zeros before them, which make no more than 20.
_MANY_DIGITS = b"0" * (MAX_DIGITS + 1)


def read_json(raw: bytes, *, name: str, any_escape: bool = False) -> Any:
    """Parse canonical JSON; *name* stands for the text in errors.

    With *any_escape*, escapes that canonical JSON does not need are read too.  Then the caller
    must refuse half surrogate pairs, which no encoding can write.

    Raises
    ------
    IntegrityError
        *raw* is not canonical JSON, or exceeds the limits of this module.
    """
    _check_count(name, "strings", raw.count(b'"') // 2, MAX_STRINGS)
    # Without an escape, every second piece between quotes is a string: five times as fast.
    skeleton = (
        _without_strings(raw, name, any_escape) if b"\\" in raw else b"".join(raw.split(b'"')[::2])
    )
    brackets = np.frombuffer(skeleton.translate(None, _NO_BRACKET), np.uint8)
    _check_count(name, "lists and objects", len(brackets) // 2, MAX_CONTAINERS)
    _check_count(name, "values", skeleton.count(b","), MAX_VALUES)
    depth = int(np.cumsum(_DEPTH_OF[brackets], dtype=np.int64).max(initial=0))
    if depth > MAX_DEPTH:
        raise IntegrityError(f"{name} is nested {depth} deep, this runtime reads {MAX_DEPTH}")
    zeros = skeleton.translate(_AS_ZEROS)
    # Numbers that may be too large (1e999, or many digits) are checked one by one.  A Python call
    # for every number would make the whole function four times as slow.
    are_large = any(part in zeros for part in (_MANY_DIGITS, b"e000", b"e+000"))
    try:
        return _parse(raw.decode("utf-8"), are_large)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{name} is not canonical JSON: {error}") from error


def _check_count(name: str, noun: str, count: int, limit: int) -> None:
    if count > limit:
        raise IntegrityError(f"{name} has {count:,} {noun}, this runtime reads up to {limit:,}")


def _without_strings(raw: bytes, name: str, any_escape: bool) -> bytes:
    # Canonical JSON escapes only control characters: \u00XX.  Any other escape may be half of a
    # surrogate pair, which no encoding can write.
    if not any_escape and re.search(rb"(?<!\\)(?:\\\\)*+\\u(?!00)", raw):
        raise IntegrityError(f"{name} is not canonical JSON: an escape that it does not need")
    return re.sub(rb'"(?:[^"\\]|\\.)*+"', b"", raw, flags=re.DOTALL)


class _ScannerOptions:
    """The options of json's scanner, under the attribute names that it reads."""

    strict = True
    object_hook = None

    def __init__(self, *, are_large: bool) -> None:
        self.object_pairs_hook = _object_with_unique_keys
        self.parse_constant = _refuse_constant
        self.parse_float = _finite_float if are_large else float
        self.parse_int = _short_int if are_large else int


def _parse(text: str, are_large: bool) -> Any:
    """Parse with json's C scanner, which saves the 1 ms of importing json.

    The scanner is a detail of CPython.  If it is missing, needs another option or refuses the
    text, json itself decides.
    """
    options: Any = _ScannerOptions(are_large=are_large)
    try:
        from _json import make_scanner

        value, end = make_scanner(options)(text, 0)
        if end == len(text):
            return value
    except (ImportError, AttributeError, StopIteration, ValueError):
        pass
    import json

    return json.loads(
        text,
        object_pairs_hook=options.object_pairs_hook,
        parse_constant=options.parse_constant,
        parse_float=options.parse_float,
        parse_int=options.parse_int,
    )


def _object_with_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key appears twice")
    return result


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    # "1e999" reads as infinity, which canonical JSON spells as a string.
    if not abs(value) <= 1.7976931348623157e308:
        raise ValueError(f"{text[:40]} is no finite number")
    return value


def _short_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"{text[:MAX_DIGITS]}… has too many digits")
    return int(text)
