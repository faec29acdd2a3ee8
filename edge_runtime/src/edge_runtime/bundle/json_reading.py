"""Bytes in, plain JSON values out: strict enough for text that a stranger wrote.

Refused before a value exists: nesting that could exhaust the stack, a key given twice, numbers
that no float64 or 64-bit integer holds, text that is no Unicode.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from edge_runtime.errors import IntegrityError

__all__ = ["MAX_DEPTH", "read_json"]

MAX_DEPTH = 64
"""Lists and objects inside one another; a manifest has eight, a row of nested lists some more."""

MAX_DIGITS = 20
"""Of a whole number: what 64 bits take, and a sign."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
# Canonical JSON escapes control characters alone: \u00XX.  Others may be halves of a pair, which
# make a text that nothing can print or encode.
_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*+\\u(?!00)")
# Whatever could be too large a number: 1e999, or many digits.
_LARGE = re.compile(rb"[0-9]{20}|[eE]\+?[0-9]{3}")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_DEPTH_OF = np.zeros(256, dtype=np.int8)
_DEPTH_OF[list(b"[{")] = 1
_DEPTH_OF[list(b"]}")] = -1


def read_json(raw: bytes, *, what: str) -> Any:
    """The value that *raw* spells in canonical JSON; *what* names it in errors.

    Raises
    ------
    IntegrityError
        It is no such text, or one that goes beyond the limits of this module.
    """
    escapes = b"\\" in raw
    # Without an escape, every other piece between quotes is a string: five times as fast.
    bare = _STRINGS.sub(b"", raw) if escapes else b"".join(raw.split(b'"')[::2])
    brackets = np.frombuffer(bare.translate(None, _NO_BRACKET), np.uint8)
    depth = int(np.cumsum(_DEPTH_OF[brackets], dtype=np.int64).max(initial=0))
    if depth > MAX_DEPTH:
        raise IntegrityError(f"{what} is nested {depth} deep, this runtime reads {MAX_DEPTH}")
    if escapes and _ESCAPE.search(raw):
        raise IntegrityError(f"{what} is not canonical JSON: an escape that it does not need")
    checks: dict[str, Any] = {"object_pairs_hook": _unique, "parse_constant": _no_constant}
    # A call for every number takes three times as long as all the rest.
    if _LARGE.search(bare):
        checks |= {"parse_float": _finite, "parse_int": _whole}
    try:
        return json.loads(raw.decode("utf-8"), **checks)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{what} is not canonical JSON: {error}") from error


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
