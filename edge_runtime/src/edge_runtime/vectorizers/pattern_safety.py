r"""Refuse regular expressions on which Python's ``re`` could take for ever.

``re`` backtracks.  A pattern such as ``(a+)+b`` takes 2**n steps on a text of n letters: there are
so many ways to cut the text into parts.  Accepted are patterns where the next
character decides whether a repeat goes on: it has no character in common with what follows, up to
the next mandatory character.  ``\b\w\w+\b`` and the other patterns of scikit-learn are like that.

``re``'s own parser reads the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from edge_runtime.errors import IntegrityError

__all__ = ["MAX_PATTERN_CHARACTERS", "compile_safely"]

MAX_PATTERN_CHARACTERS = 1_000
"""Longest pattern; those of vectorizers have some tens of characters."""

_MAX_LISTED = 4_096
"""Most characters that a pattern may name, ranges included; each is tried on each class."""

_LATIN = frozenset(map(chr, range(0x250)))
r"""Characters among which any two of \w, \d, \s and their complements show whether they overlap."""

_Element = tuple[Any, Any]
_Characters = frozenset[str]

_SINGLE = frozenset({"LITERAL", "NOT_LITERAL", "IN", "ANY"})
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_GROUPS = frozenset({"SUBPATTERN", "ATOMIC_GROUP"})
_LOOKAROUNDS = frozenset({"ASSERT", "ASSERT_NOT"})


def compile_safely(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that a stranger wrote.

    Raises
    ------
    IntegrityError
        It is no regular expression of this Python, or could take for ever.
    """
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise IntegrityError(
            f"manifest: a token pattern has {len(pattern)} characters, this runtime reads up to "
            f"{MAX_PATTERN_CHARACTERS}"
        )
    try:
        compiled = re.compile(pattern)
        _PatternCheck(pattern).check()
    except _AmbiguousError as error:
        raise IntegrityError(
            f"manifest: the token pattern {pattern!r:.80} could take for ever: {error}; train with "
            "a simpler token_pattern"
        ) from error
    except (re.error, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise IntegrityError(
            f"manifest: {pattern!r:.80} is no regular expression of this Python: {error}"
        ) from error
    return compiled


class _AmbiguousError(Exception):
    """A text may match in more ways than one."""


class _PatternCheck:
    """Check one pattern.

    An *open* set of characters belongs to an earlier choice, to go on with a repeat say.  A
    mandatory character outside the set closes it.
    """

    def __init__(self, pattern: str) -> None:
        from re import _compiler, _parser  # type: ignore[attr-defined]

        self._items = _parser.parse(pattern)
        self._compile, self._new_pattern = _compiler.compile, _parser.SubPattern
        listed: set[str] = set()
        _add_named(self._items, listed)
        self._probes = _LATIN | listed
        self._n_repeats = 0  # around the present element

    def check(self) -> None:
        """Raise _AmbiguousError when the pattern may take for ever."""
        self._check_sequence(self._items, [])

    def _check_sequence(self, items: Any, opened: list[_Characters]) -> list[_Characters]:
        """Check a sequence after *opened*; give the sets that are open at its end."""
        for element in items:
            name, value = str(element[0]), element[1]
            if name in _SINGLE:
                characters = self._characters(element)
                opened = [open_set for open_set in opened if open_set & characters]
            elif name in _REPEATS:
                opened = self._check_repeat(value, opened)
            elif name == "BRANCH":
                opened = self._check_branches(value[1], opened)
            elif name in _GROUPS:
                if name == "SUBPATTERN" and (value[1] or value[2]):
                    raise _AmbiguousError("a group changes the flags")
                opened = self._check_sequence(value[-1] if name == "SUBPATTERN" else value, opened)
            elif name in _LOOKAROUNDS:
                if _varies(value[1]):
                    raise _AmbiguousError("it looks around over a repeat")
            elif name != "AT":
                raise _AmbiguousError("it refers back to a group")
        return opened

    def _check_repeat(
        self, value: tuple[int, int, Any], opened: list[_Characters]
    ) -> list[_Characters]:
        low, high, body = value
        if low == high and not _varies(body):
            return self._check_sequence(body, opened) if low else opened
        first = self._first(body)
        if first is None:
            raise _AmbiguousError("a repeated group may be empty")
        if any(open_set & first for open_set in opened):
            raise _AmbiguousError("two repeats in a row have a character in common")
        if high > 1 and _varies(body) and self._recurs(first, body):
            raise _AmbiguousError("a repeated group does not begin with a character of its own")
        self._n_repeats += high > 1
        inner = self._check_sequence(body, [])
        self._n_repeats -= high > 1
        return [*([] if low else opened), first, *inner]

    def _check_branches(self, branches: list[Any], opened: list[_Characters]) -> list[_Characters]:
        firsts = [self._first(branch) for branch in branches]
        n_empty = firsts.count(None)
        after = [
            characters
            for branch in branches
            for characters in self._check_sequence(branch, list(opened))
        ]
        sets = [first for first in firsts if first is not None]
        union = frozenset().union(*sets)
        are_disjoint = sum(map(len, sets)) == len(union)
        if are_disjoint and not n_empty:
            return after  # the next character decides which branch it is
        if self._n_repeats and not (are_disjoint and n_empty < 2):
            raise _AmbiguousError("repeated alternatives have a character in common")
        if any(open_set & union for open_set in opened):
            raise _AmbiguousError("alternatives after a repeat have a character in common with it")
        return [union, *after]

    def _first(self, items: Any) -> _Characters | None:
        """Give the characters with which a pattern begins; None when it may be empty."""
        for element in items:
            name, value = str(element[0]), element[1]
            if name in _SINGLE:
                return self._characters(element)
            if name in _GROUPS:
                return self._first(value[-1] if name == "SUBPATTERN" else value)
            if name in _REPEATS and value[0] > 0:
                return self._first(value[2])
            if name == "BRANCH":
                firsts = list(map(self._first, value[1]))
                return None if None in firsts else frozenset().union(*filter(None, firsts))
            if name != "AT" and name not in _LOOKAROUNDS:
                break
        return None

    def _recurs(self, first: _Characters, body: Any) -> bool:
        """Whether *body* begins with no mandatory character, or has it elsewhere too."""
        while str(body[0][0]) in _GROUPS:
            name, value = body[0]
            body = [*(value[-1] if str(name) == "SUBPATTERN" else value), *list(body)[1:]]
            if not body:
                return True
        if str(body[0][0]) not in _SINGLE:
            return True
        singles = list(_single_elements(body))
        return any(first & self._characters(single) for single in singles[1:])

    def _characters(self, element: _Element) -> _Characters:
        """Give the probes that an element of one character matches."""
        pattern = self._new_pattern(self._items.state, [element])
        fullmatch = self._compile(pattern, self._items.state.flags).fullmatch
        return frozenset(filter(fullmatch, self._probes))


def _inner_patterns(name: str, value: Any) -> Iterator[Any]:
    """Yield the patterns inside an element."""
    if name in _REPEATS:
        yield value[2]
    elif name in _GROUPS:
        yield value[-1] if name == "SUBPATTERN" else value
    elif name == "BRANCH":
        yield from value[1]
    elif name in _LOOKAROUNDS:
        yield value[1]


def _single_elements(items: Any) -> Iterator[_Element]:
    """Yield the elements of one character, in order."""
    for element in items:
        if str(element[0]) in _SINGLE:
            yield element
        for inner in _inner_patterns(str(element[0]), element[1]):
            yield from _single_elements(inner)


def _varies(items: Any) -> bool:
    """Whether a pattern has a repeat or alternatives."""
    return any(
        (str(name) in _REPEATS and value[0] != value[1])
        or str(name) == "BRANCH"
        or any(map(_varies, _inner_patterns(str(name), value)))
        for name, value in items
    )


def _add_named(items: Any, listed: set[str]) -> None:
    """Add the characters that a pattern names, and their neighbours."""
    for name, value in _single_elements(items):
        for kind, item in value if str(name) == "IN" else [(name, value)]:
            if str(kind) in ("LITERAL", "NOT_LITERAL", "RANGE"):
                low, high = item if str(kind) == "RANGE" else (item, item)
                if high - low + len(listed) > _MAX_LISTED:
                    raise _AmbiguousError(f"it names more than {_MAX_LISTED:,} characters")
                codes = range(max(0, low - 1), min(high + 2, 0x110000))
                listed.update(chr(code) for code in codes)
