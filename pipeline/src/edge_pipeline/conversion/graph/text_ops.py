"""Operations on texts that are exact for every Unicode text.

ONNX has no operator that looks inside a text, except a few for whole texts.  onnxruntime's
``Tokenizer`` cuts texts into characters.  The operations here compute with that matrix of
characters, and join it again by ``StringConcat``.  Texts are vectors, shape (n_samples,).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor, graph_of, squeeze
from edge_pipeline.conversion.graph.types import STRING

__all__ = [
    "MAX_CHARACTERS",
    "character",
    "characters",
    "concat",
    "is_character",
    "join",
    "keep_characters",
    "lengths",
    "less_than",
    "literal_pattern",
    "map_characters",
    "matches",
    "members",
    "positions",
    "split",
    "stop_where",
    "token",
]  # fmt: skip

MAX_CHARACTERS = 65_536
"""Longest text that is joined from its characters; a longer one stops the graph."""

_ROUNDS = 16  # 2 ** 16 characters
_PAD = "\ufdd1"
"""A noncharacter of Unicode, after the last character of a text."""

_UNCHANGED = "\ufdd2"


def concat(x: Any, y: Any) -> Tensor:
    """Join the texts of *x* and *y*, elementwise."""
    graph = graph_of(x, y)
    a, b = (graph.tensor(v) for v in (x, y))
    shape = a.shape if a.ndim >= b.ndim else b.shape
    return graph.node("StringConcat", a, b, dtype=STRING, shape=shape)


def matches(x: Tensor, pattern: str) -> Tensor:
    """Return where the whole text matches *pattern*, in the syntax of RE2."""
    return x.graph.node("RegexFullMatch", x, pattern=pattern, dtype=np.bool_, shape=x.shape)


def characters(x: Tensor) -> Tensor:
    """Cut each text into characters: shape (n_samples, longest), padded."""
    padded = x.graph.node(
        "Tokenizer",
        _with_one_more(x),
        domain="com.microsoft",
        separators=[""],
        mark=0,
        mincharnum=1,
        pad_value=_PAD,
        dtype=STRING,
        shape=(None, None),
    )
    return _without_last_row(padded)


def _with_one_more(x: Tensor) -> Tensor:
    """Append the text "a" to the batch; :func:`_without_last_row` drops its row.

    For no rows onnxruntime drops an axis, and for empty texts it makes no column.
    """
    return x.graph.node("Concat", x, np.array(["a"]), axis=0, dtype=STRING, shape=(None,))


def _without_last_row(x: Tensor) -> Tensor:
    bounds = [np.array([value], dtype=np.int64) for value in (0, -1, 0)]
    return x.graph.node("Slice", x, *bounds, dtype=x.dtype, shape=x.shape)


def is_character(chars: Tensor) -> Tensor:
    """Return where there is a character, and not padding."""
    return ~(chars == _PAD)


def positions(chars: Tensor) -> Tensor:
    """Return the position of each character in its text."""
    return ops.cumsum(is_character(chars).astype(np.int64), 1) - 1


def lengths(chars: Tensor) -> Tensor:
    """Return the number of characters of each text, int64."""
    return ops.sum_(is_character(chars), 1)


def keep_characters(chars: Tensor, keep: Tensor | None = None) -> Tensor:
    """Join the characters where *keep*; shape (n_samples,)."""
    present = is_character(chars)
    return join(ops.where(present if keep is None else present & keep, chars, ""))


def join(texts: Tensor) -> Tensor:
    """Concatenate the texts of each row; shape (n_samples,)."""
    graph = texts.graph
    for _ in range(_ROUNDS):
        padded = graph.node(
            "Concat", texts, ops.full_rows(texts, np.array([""], dtype=object)),
            axis=1, dtype=STRING, shape=(None, None),
        )  # fmt: skip
        texts = concat(_every_second(texts, 0), _every_second(padded, 1))
    return squeeze(texts, 1)


def _every_second(x: Tensor, start: int) -> Tensor:
    last = np.iinfo(np.int64).max
    bounds = [np.array([value], dtype=np.int64) for value in (start, last, 1, 2)]
    return x.graph.node("Slice", x, *bounds, dtype=x.dtype, shape=x.shape)


def map_characters(chars: Tensor, function: Callable[[str], str]) -> Tensor:
    """Replace each character by ``function(character)``; the padding stays.

    Raises
    ------
    TypeError
        Too many characters change, to different ones.
    """
    keys, values, default = _changes(function)
    mapped = ops.lookup(
        chars, np.array(keys, dtype=object), np.array(values, dtype=object), default
    )
    return ops.where(mapped == _UNCHANGED, chars, mapped)


_MAX_KEYS = 20_000

_NONCHARACTERS = range(0xFDD0, 0xFDF0)
_SURROGATES = range(0xD800, 0xE000)


@cache
def _every_character() -> tuple[str, ...]:
    codes = range(sys.maxunicode + 1)
    return tuple(chr(c) for c in codes if c not in _SURROGATES and c not in _NONCHARACTERS)


@lru_cache(maxsize=64)
def _changes(function: Callable[[str], str]) -> tuple[list[str], list[str], str]:
    """Return the table of *function*: keys, values, and the value of any other character.

    Where most characters change to the same text, the keys are those that stay.
    """
    every = _every_character()
    images = list(map(function, every))
    changed = [i for i, c in enumerate(every) if images[i] != c]
    if len(changed) <= _MAX_KEYS:
        return [every[i] for i in changed] or ["a"], [images[i] for i in changed] or ["a"], (
            _UNCHANGED)  # fmt: skip
    stays = [c for c, image in zip(every, images, strict=True) if image == c]
    if len(stays) > _MAX_KEYS or len({images[i] for i in changed}) > 1:
        raise TypeError("too many characters change; list fewer of them")
    stays += [_PAD]
    return stays, [_UNCHANGED] * len(stays), images[changed[0]]


@lru_cache(maxsize=64)
def _members(predicate: Callable[[str], bool]) -> list[str]:
    return [c for c in _every_character() if predicate(c)]


def members(chars: Tensor, characters_or_predicate: Any) -> Tensor:
    """Return where a character is one of a text, or fulfils a predicate of few characters."""
    if callable(characters_or_predicate):
        keys = _members(characters_or_predicate)
    else:
        keys = sorted(set(characters_or_predicate))
    is_listed = np.ones(len(keys), dtype=np.int64)
    return ops.lookup(chars, np.array(keys, dtype=object), is_listed, 0) > 0


def character(chars: Tensor, position: int, otherwise: str) -> Tensor:
    """Return the character at *position*, counted from the end if negative."""
    return token(chars, lengths(chars), position, otherwise)


def split(x: Tensor, delimiter: str) -> tuple[Tensor, Tensor]:
    """Split each text as ``str.split(delimiter)``: parts (n_samples, most), and their number."""
    parts, counts = x.graph.nodes(
        "StringSplit", [_with_one_more(x)], [(STRING, (None, None)), (np.int64, (None,))],
        delimiter=delimiter or None,
    )  # fmt: skip
    parts, counts = _without_last_row(parts), _without_last_row(counts)
    # An empty text has one empty part for str.split(","), and none for onnxruntime.
    return parts, counts if not delimiter else ops.maximum(counts, 1)


def token(parts: Tensor, counts: Tensor, position: int, otherwise: str) -> Tensor:
    """Return the part at *position* of each row, *otherwise* where there are fewer."""
    graph = parts.graph
    size = position + 1 if position >= 0 else -position
    padding = ops.full_rows(parts, np.array([""] * size, dtype=object))
    padded = graph.node("Concat", parts, padding, axis=1, dtype=STRING, shape=(None, None))
    if position >= 0:
        index = ops.full_rows(counts, np.int64(position))
    else:
        index = ops.maximum(counts + position, 0)
    part = ops.squeeze(ops.gather_elements(padded, ops.expand_dims(index, 1), 1), 1)
    return ops.where(counts >= size, part, otherwise)


def less_than(x: Tensor, text: str) -> Tensor:
    """Return where a text comes before *text* in the order of code points."""
    pattern = ""
    for c in reversed(text):
        alternatives = [f"\\x{{{ord(c):x}}}{pattern}"] if pattern else []
        if ord(c):
            alternatives.append(f"[\\x{{0}}-\\x{{{ord(c) - 1:x}}}].*")
        pattern = f"(?:{'|'.join(alternatives)})?"  # a proper prefix comes before, too
    return matches(x, f"(?s){pattern}")


def literal_pattern(text: str) -> str:
    """Return a pattern of RE2 that matches *text* alone."""
    return "".join(f"\\x{{{ord(c):x}}}" for c in text)


def stop_where(condition: Tensor, x: Tensor) -> Tensor:
    """Return *x*; where *condition* is true in a row, the graph stops with an error.

    A graph cannot raise an error, but Gather fails for position 1 of an array of length 1.
    """
    never = ops.take(np.zeros(1, dtype=np.bool_), condition.astype(np.int64))
    return ops.where(never, "" if x.is_string else 0, x)
