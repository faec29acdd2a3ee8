"""Count the features of a text, dict or list cell, by column of a derived block.

The counts equal scikit-learn's, because both use Python's own ``re``, ``str.lower`` and
``unicodedata``.  They may differ for characters that a later version of Unicode added, where the
device and the build machine run different versions of Python.
"""

from __future__ import annotations

import math
import re
import struct
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import lru_cache
from numbers import Number
from typing import Any

from edge_runtime.bundle.schema import MISSING_STRING
from edge_runtime.errors import IntegrityError
from edge_runtime.vectorizers.pattern_safety import compile_safely
from edge_runtime.vectorizers.specification import (
    Characters,
    Derived,
    Entries,
    Hashing,
    Norm,
    Pairs,
    Vocabulary,
    Words,
)

__all__ = [
    "MAX_ITEMS",
    "MAX_TEXT_CHARACTERS",
    "Counter",
    "UnreadableError",
    "counter",
    "murmur3_32",
]

MAX_TEXT_CHARACTERS = 1_000_000
"""Longest text that is read (a thousand pages): it bounds the work for one cell."""

MAX_ITEMS = 1_000_000
"""Most entries of a dict, or items of a list, that are read."""

CACHED_HASHES = 1 << 16
"""Hashes that are cached: one takes 2 us to compute in Python, and words repeat."""

Counter = Callable[[Any], Mapping[int, float]]
"""A function from a cell to its counts by column; raises UnreadableError."""

_Features = Iterable[tuple[Any, float]]


class UnreadableError(ValueError):
    """A cell cannot be read.  Input validation adds row and column, in an InputError."""


def counter(derived: Derived) -> Counter:
    """Return the function that counts the features of a cell, as *derived* describes.

    Raises
    ------
    IntegrityError
        The pattern is not a regular expression of this Python.
    """
    read = _reader(derived)
    place = _placer(derived.placing)
    binary, scale = derived.binary, _SCALES[derived.norm]
    hashed_columns = derived.placing.kept if isinstance(derived.placing, Hashing) else ()
    position_of = {column: position for position, column in enumerate(hashed_columns)}

    def count(cell: Any) -> dict[int, float]:
        counts: dict[int, float] = {}
        try:
            for feature, value in read(cell):
                column, sign = place(feature)
                if column >= 0:
                    counts[column] = counts.get(column, 0.0) + sign * value
        except (UnicodeEncodeError, OverflowError) as error:
            raise UnreadableError(str(error)) from error
        if binary:
            counts = dict.fromkeys(counts, 1.0)
        if scale:
            counts = scale(counts)
        if not position_of:
            return counts
        return {
            position_of[column]: value for column, value in counts.items() if column in position_of
        }

    return count


def _by_sum(counts: dict[int, float]) -> dict[int, float]:
    return _divided(counts, sum(map(abs, counts.values())))


def _by_length(counts: dict[int, float]) -> dict[int, float]:
    return _divided(counts, math.sqrt(sum(value * value for value in counts.values())))


def _divided(counts: dict[int, float], size: float) -> dict[int, float]:
    return {column: value / size for column, value in counts.items()} if size else counts


_SCALES: Mapping[Norm, Callable[[dict[int, float]], dict[int, float]] | None] = {
    "none": None,
    "l1": _by_sum,
    "l2": _by_length,
}


def _reader(derived: Derived) -> Callable[[Any], _Features]:
    reading = derived.reading
    if isinstance(reading, Words):
        split: Callable[[str], Iterable[str]] = _word_splitter(reading)
    elif isinstance(reading, Characters):
        split = _character_splitter(reading)
    elif isinstance(reading, Entries):
        return lambda cell: _entries(_dict(cell).items(), reading.separator, reading.lenient)
    elif isinstance(reading, Pairs):
        return lambda cell: _entries(map(_pair, _list(cell)), reading.separator, False)
    else:
        hashed = isinstance(derived.placing, Hashing)
        return lambda cell: ((_item(item, hashed), 1.0) for item in _list(cell))
    clean = _cleaner(reading)
    return lambda cell: ((token, 1.0) for token in split(clean(_text(cell))))


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise UnreadableError(f"expected a text, found {type(cell).__name__}")
    if cell == MISSING_STRING:
        raise UnreadableError("expected a text, found a missing value; leave the row out")
    if len(cell) > MAX_TEXT_CHARACTERS:
        raise UnreadableError(
            f"expected a text of at most {MAX_TEXT_CHARACTERS} characters, found {len(cell)}; "
            "cut it"
        )
    return cell


def _cleaner(reading: Words | Characters) -> Callable[[str], str]:
    """Convert to lower case, then strip accents (CountVectorizer.build_preprocessor)."""
    strip = {"keep": None, "ascii": _to_ascii, "unicode": _without_marks}[reading.accents]
    if not reading.lowercase:
        return strip or (lambda text: text)
    if strip is None:
        return str.lower
    return lambda text: strip(text.lower())


def _to_ascii(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def _without_marks(text: str) -> str:
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _word_splitter(reading: Words) -> Callable[[str], Sequence[str]]:
    pattern = compile_safely(reading.pattern)
    if pattern.groups > 1:
        raise IntegrityError(f"manifest: {reading.pattern!r} has more than one group")
    find, stop_words = pattern.findall, frozenset(reading.stop_words)
    low, high = reading.ngram_range

    def split(text: str) -> Sequence[str]:
        tokens: list[str] = find(text)
        if stop_words:
            tokens = [token for token in tokens if token not in stop_words]
        if high == 1:
            return tokens
        return [
            " ".join(tokens[start : start + size])
            for size in range(low, min(high, len(tokens)) + 1)
            for start in range(len(tokens) - size + 1)
        ]

    return split


_SPACES = re.compile(r"\s\s+")


def _character_splitter(reading: Characters) -> Callable[[str], Iterable[str]]:
    low, high = reading.ngram_range

    def runs(text: str) -> Iterator[str]:
        for size in range(low, min(high, len(text)) + 1):
            for start in range(len(text) - size + 1):
                yield text[start : start + size]

    def runs_of_words(text: str) -> Iterator[str]:
        for word in text.split():
            padded = f" {word} "
            for size in range(low, high + 1):
                if size >= len(padded):
                    yield padded  # a short word counts once
                    break
                yield from (padded[i : i + size] for i in range(len(padded) - size + 1))

    split = runs_of_words if reading.within_words else runs
    return lambda text: split(_SPACES.sub(" ", text))


def _dict(cell: Any) -> Mapping[Any, Any]:
    if not isinstance(cell, Mapping):
        raise UnreadableError(f"expected a dict, found {type(cell).__name__}")
    _check_size(cell)
    return cell


def _list(cell: Any) -> Any:
    """Return a list, tuple, set or array as a Python container; text is refused."""
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if not isinstance(cell, list | tuple | set | frozenset):
        raise UnreadableError(f"expected a list, found {type(cell).__name__}")
    _check_size(cell)
    return cell


def _check_size(cell: Sized) -> None:
    if len(cell) > MAX_ITEMS:
        raise UnreadableError(f"expected at most {MAX_ITEMS} items, found {len(cell)}")


def _pair(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, list | tuple) or len(item) != 2:
        raise UnreadableError(f"expected (name, value) pairs, found {_excerpt(item)}")
    return item[0], item[1]


def _item(item: Any, hashed: bool) -> Any:
    if isinstance(item, str) or (not hashed and isinstance(item, int | float)):
        return item
    expected = "str" if hashed else "labels"
    raise UnreadableError(f"expected a list of {expected}, found {_excerpt(item)} in it")


def _excerpt(value: Any) -> str:
    return repr(value)[:60]


def _entries(pairs: Iterable[tuple[Any, Any]], separator: str, lenient: bool) -> _Features:
    for key, value in pairs:
        if hasattr(value, "tolist"):  # a numpy scalar or array
            value = value.tolist()
        if not isinstance(key, str):
            raise UnreadableError(f"expected names that are str, found {_excerpt(key)}")
        if isinstance(value, str):
            yield f"{key}{separator}{value}", 1.0
        elif isinstance(value, Number) and not isinstance(value, complex):
            yield key, float(value)  # type: ignore[arg-type]
        elif lenient and value is None:
            yield key, math.nan
        elif lenient and isinstance(value, list | tuple | set | frozenset):
            for item in value:
                if not isinstance(item, str):
                    raise UnreadableError(
                        f"{_excerpt(key)}: expected a list of str, found {_excerpt(item)} in it"
                    )
                yield f"{key}{separator}{item}", 1.0
        else:
            raise UnreadableError(
                f"{_excerpt(key)}: expected a number or a str, found {type(value).__name__}"
            )


def _placer(placing: Vocabulary | Hashing) -> Callable[[Any], tuple[int, float]]:
    """Return a function from a feature to its column (-1 for none) and its sign."""
    if isinstance(placing, Vocabulary):
        place_of = {term: (column, 1.0) for column, term in enumerate(placing.terms)}
        no_place = (-1, 1.0)
        return lambda feature: place_of.get(feature, no_place)
    width, alternate_sign = placing.width, placing.alternate_sign

    @lru_cache(CACHED_HASHES)
    def place(feature: str) -> tuple[int, float]:
        hashed = murmur3_32(feature.encode("utf-8"))
        # -2**31 has no absolute value in 32 bits; FeatureHasher computes its column like this.
        column = (2**31 - width if hashed == -(2**31) else abs(hashed)) % width
        return column, -1.0 if alternate_sign and hashed < 0 else 1.0

    return place


def murmur3_32(message: bytes, seed: int = 0) -> int:
    """Compute MurmurHash3_x86_32 (Austin Appleby, public domain), signed."""
    state = seed
    blocks_end = len(message) & ~3
    for (block,) in struct.iter_unpack("<I", message[:blocks_end]):
        state ^= _scrambled(block)
        state = (state << 13 | state >> 19) & _32_BITS
        state = (state * 5 + 0xE6546B64) & _32_BITS
    if len(message) > blocks_end:
        state ^= _scrambled(int.from_bytes(message[blocks_end:], "little"))
    state ^= len(message)
    state = ((state ^ state >> 16) * 0x85EBCA6B) & _32_BITS
    state = ((state ^ state >> 13) * 0xC2B2AE35) & _32_BITS
    state ^= state >> 16
    return state - (1 << 32) if state >> 31 else state


_32_BITS = 0xFFFFFFFF


def _scrambled(block: int) -> int:
    block = (block * 0xCC9E2D51) & _32_BITS
    block = (block << 15 | block >> 17) & _32_BITS
    return (block * 0x1B873593) & _32_BITS
