"""Describe the blocks of numbers that the runtime computes from text, dicts and lists.

A graph cannot split text as Python's ``re`` does, so it receives counts.  A :class:`Derived` names
the column, the way to read a cell into features (*reading*), and the column that counts each
feature (*placing*).  ``Derived.from_json(d.to_json()) == d``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edge_runtime.errors import IntegrityError

__all__ = [
    "MAX_WIDTH",
    "Accents",
    "Characters",
    "Derived",
    "Entries",
    "Hashing",
    "Items",
    "Norm",
    "Pairs",
    "Placing",
    "Reading",
    "Term",
    "Vocabulary",
    "Words",
]

MAX_NGRAM = 1000
"""Longest run of tokens or characters: far beyond use, it bounds the work for one text."""

MAX_WIDTH = 1 << 24
"""Most columns of one block: 128 MiB a row."""

Accents = Literal["keep", "ascii", "unicode"]
"""``strip_accents`` of scikit-learn's vectorizers; ``keep`` for its None."""

Norm = Literal["none", "l1", "l2"]
"""Divisor of a row's counts: none, the sum of their magnitudes, or their Euclidean length."""

Term = str | int | float
"""Name of a feature, or a label."""


@dataclass(frozen=True, slots=True)
class Words:
    """Reads a text's tokens, and runs of them joined by one space (CountVectorizer, "word").

    Attributes
    ----------
    pattern
        Python regular expression: ``findall`` returns the tokens.
    stop_words
        Tokens that are removed before runs are formed.
    """

    pattern: str
    lowercase: bool
    accents: Accents
    ngram_range: tuple[int, int]
    stop_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Characters:
    """Reads runs of a text's characters (analyzer="char"), or of each word's ("char_wb")."""

    within_words: bool
    lowercase: bool
    accents: Accents
    ngram_range: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entries:
    """Reads a dict's entries: a number counts for its key, a str is the feature ``key=value``.

    Attributes
    ----------
    separator
        Text between key and value.
    lenient
        Whether a value may also be None (read as NaN) or a list of str, each a feature of its own.
        DictVectorizer allows both, FeatureHasher neither.
    """

    separator: str
    lenient: bool


@dataclass(frozen=True, slots=True)
class Pairs:
    """Reads a list's (key, value) pairs like :class:`Entries`; a key may repeat."""

    separator: str


@dataclass(frozen=True, slots=True)
class Items:
    """Reads a list's items, each a feature."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One column for each of *terms*, in their order; other features are ignored."""

    terms: tuple[Term, ...]

    @property
    def n_columns(self) -> int:
        """Number of columns of the block."""
        return len(self.terms)


@dataclass(frozen=True, slots=True)
class Hashing:
    """One column for each value of the 32-bit MurmurHash3 modulo *width* (FeatureHasher).

    Attributes
    ----------
    alternate_sign
        Whether a feature with a negative hash counts as -1.
    kept
        The hashed columns that the block contains, ascending; empty for all of them.  A graph may
        read only a few hundred of a million.  The norm of a row covers all hashed columns.
    """

    width: int
    alternate_sign: bool
    kept: tuple[int, ...] = ()

    @property
    def n_columns(self) -> int:
        """Number of columns of the block."""
        return len(self.kept) or self.width


Reading = Words | Characters | Entries | Pairs | Items
Placing = Vocabulary | Hashing


@dataclass(frozen=True, slots=True)
class Derived:
    """One block of columns, appended to the graph input ``numbers``.

    Attributes
    ----------
    column
        Name of the schema's column that is read.
    reading, placing
        The way from a cell to its features, and from a feature to its column.
    binary
        Whether a column holds 1 for any count, instead of the sum.
    norm
        Applied last; a row without counts is not divided.
    """

    column: str
    reading: Reading
    placing: Placing
    binary: bool = False
    norm: Norm = "none"

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.placing.n_columns

    @property
    def reads(self) -> Literal["string", "dict", "list"]:
        """Type of the column that the block reads."""
        if isinstance(self.reading, Words | Characters):
            return "string"
        return "dict" if isinstance(self.reading, Entries) else "list"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "column": self.column,
            "reading": {"kind": _KINDS[type(self.reading)], **asdict(self.reading)},
            "placing": {"kind": _KINDS[type(self.placing)], **_without_empty(self.placing)},
            "binary": self.binary,
            "norm": self.norm,
        }

    @classmethod
    def from_json(cls, value: Any) -> Derived:
        """Read the values that :meth:`to_json` wrote; IntegrityError for any others."""
        match value:
            case {
                "column": str(column),
                "reading": {"kind": str(reading_kind)} as reading,
                "placing": {"kind": str(placing_kind)} as placing,
                "binary": bool(binary),
                "norm": "none" | "l1" | "l2" as norm,
            } if len(value) == 5 and reading_kind in _READINGS and placing_kind in _PLACINGS:
                return cls(
                    column,
                    _READINGS[reading_kind](_fields(reading)),
                    _PLACINGS[placing_kind](_fields(placing)),
                    binary,
                    norm,
                )
        raise _not_a("derived block", value)


_KINDS: Mapping[type, str] = {
    Words: "words",
    Characters: "characters",
    Entries: "entries",
    Pairs: "pairs",
    Items: "items",
    Vocabulary: "vocabulary",
    Hashing: "hashing",
}


def _without_empty(placing: Placing) -> dict[str, Any]:
    """Leave out an empty *kept*, which older runtimes do not know."""
    return {key: item for key, item in asdict(placing).items() if (key, item) != ("kept", ())}


def _fields(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != "kind"}


def _words(value: Any) -> Words:
    match value:
        case {
            "pattern": str(pattern),
            "lowercase": bool(lowercase),
            "accents": "keep" | "ascii" | "unicode" as accents,
            "ngram_range": [int(low), int(high)],
            "stop_words": [*stop_words],
        } if len(value) == 5 and _are_ngrams(low, high) and _are_strings(stop_words):
            return Words(pattern, lowercase, accents, (low, high), tuple(stop_words))
    raise _not_a("word reading", value)


def _characters(value: Any) -> Characters:
    match value:
        case {
            "within_words": bool(within_words),
            "lowercase": bool(lowercase),
            "accents": "keep" | "ascii" | "unicode" as accents,
            "ngram_range": [int(low), int(high)],
        } if len(value) == 4 and _are_ngrams(low, high):
            return Characters(within_words, lowercase, accents, (low, high))
    raise _not_a("character reading", value)


def _entries(value: Any) -> Entries:
    match value:
        case {"separator": str(separator), "lenient": bool(lenient)} if len(value) == 2:
            return Entries(separator, lenient)
    raise _not_a("entry reading", value)


def _pairs(value: Any) -> Pairs:
    match value:
        case {"separator": str(separator)} if len(value) == 1:
            return Pairs(separator)
    raise _not_a("pair reading", value)


def _items(value: Any) -> Items:
    if value:
        raise _not_a("item reading", value)
    return Items()


def _vocabulary(value: Any) -> Vocabulary:
    match value:
        case {"terms": [*terms]} if len(value) == 1 and 0 < len(terms) <= MAX_WIDTH:
            if all(isinstance(term, str | int | float) for term in terms):
                if len(set(terms)) != len(terms):
                    raise IntegrityError("manifest: a vocabulary repeats a term")
                return Vocabulary(tuple(terms))
    raise _not_a("vocabulary", value)


def _hashing(value: Any) -> Hashing:
    match value:
        case {"width": int(width), "alternate_sign": bool(alternate_sign)} if (
            value.keys() <= {"width", "alternate_sign", "kept"}
            and type(width) is int
            and 0 < width <= MAX_WIDTH
            and _are_places(value.get("kept", []), width)
        ):
            return Hashing(width, alternate_sign, tuple(value.get("kept", [])))
    raise _not_a("hashing", value)


_READINGS: Mapping[str, Callable[[Any], Reading]] = {
    "words": _words,
    "characters": _characters,
    "entries": _entries,
    "pairs": _pairs,
    "items": _items,
}
_PLACINGS: Mapping[str, Callable[[Any], Placing]] = {
    "vocabulary": _vocabulary,
    "hashing": _hashing,
}


def _are_ngrams(low: int, high: int) -> bool:
    return type(low) is int and type(high) is int and 1 <= low <= high <= MAX_NGRAM


def _are_places(values: Any, width: int) -> bool:
    """Test whether *values* are ascending columns below *width*."""
    if not isinstance(values, list | tuple) or not all(type(value) is int for value in values):
        return False
    return all(a < b for a, b in zip([-1, *values], [*values, width], strict=True))


def _are_strings(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _not_a(noun: str, value: Any) -> IntegrityError:
    return IntegrityError(f"manifest: not a {noun}: {value!r:.200}")
