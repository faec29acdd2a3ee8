"""Translate regular expressions of Python to those of RE2, which onnxruntime has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

__all__ = ["re2_pattern"]


def re2_pattern(pattern: Any, flags: int = 0, *, regex: bool = True, whole: bool = False) -> str:
    """Return a group in RE2's syntax that matches exactly what *pattern* matches.

    Parameters
    ----------
    flags
        Those of ``re``; IGNORECASE alone is supported.
    regex
        Whether *pattern* is a regular expression, and not a plain text.
    whole
        Whether nothing may follow the match, as in ``fullmatch``.

    Raises
    ------
    TypeError
        RE2 lacks a part of the pattern, or matches other texts with it.
    """
    if not isinstance(pattern, str):
        flags, pattern = pattern.flags & ~re.UNICODE, pattern.pattern
    tree = parser.parse(pattern if regex else re.escape(pattern), flags)
    flags = tree.state.flags & ~re.UNICODE
    if flags & ~re.IGNORECASE or (flags and not pattern.isascii()):
        raise TypeError(
            f"the regular expression {pattern!r} has flags, or letters beyond ASCII without case, "
            "that have no form in a graph; write it without them"
        )
    return _Translation(pattern, ignores_case=bool(flags), whole=whole).sequence(tree)


class _Translation:
    """Write the items of one parsed pattern in RE2's syntax."""

    def __init__(self, pattern: str, *, ignores_case: bool, whole: bool) -> None:
        self._pattern = pattern
        self._ignores_case = ignores_case
        self._whole = whole

    def sequence(self, items: Iterable[Any]) -> str:
        """Translate items that follow each other."""
        return "(?:" + "".join(self._item(op, argument) for op, argument in items) + ")"

    def _item(self, op: Any, argument: Any) -> str:
        translate: Callable[[_Translation, Any], str] | None = _ITEMS.get(op)
        if translate is None:
            raise self._refusal(op)
        return translate(self, argument)

    def _refusal(self, op: Any) -> TypeError:
        return TypeError(
            f"{str(op).lower()} in the regular expression {self._pattern!r} has no form in a "
            "graph; use a plain text (regex=False), a simpler pattern, or compute it before the "
            "pipeline"
        )

    def _literal(self, code: int) -> str:
        return f"[{self._characters(code, code)}]"

    def _not_literal(self, code: int) -> str:
        return f"[^{self._characters(code, code)}]"

    def _any(self, _: Any) -> str:
        return "[^\\x{a}]"

    def _characters(self, first: int, last: int) -> str:
        """Return a range of characters, with those of the other case."""
        variants = _variants(first, last) if self._ignores_case else ""
        return f"{_escape(first)}-{_escape(last)}" + "".join(_escape(ord(c)) for c in variants)

    def _class(self, items: Iterable[Any]) -> str:
        return "[" + "".join(self._class_item(op, argument) for op, argument in items) + "]"

    def _class_item(self, op: Any, argument: Any) -> str:
        if op is codes.NEGATE:
            return "^"
        if op is codes.LITERAL:
            return self._characters(argument, argument)
        if op is codes.RANGE:
            return self._characters(*argument)
        if op is codes.CATEGORY and argument in _CATEGORIES:
            return _CATEGORIES[argument]
        raise self._refusal(argument)

    def _branch(self, argument: Any) -> str:
        return "(?:" + "|".join(self.sequence(items) for items in argument[1]) + ")"

    def _group(self, argument: Any) -> str:
        _, added_flags, removed_flags, items = argument
        if added_flags or removed_flags:
            raise self._refusal("flags of a group")
        return self.sequence(items)

    def _repeat(self, argument: Any) -> str:
        low, high, items = argument
        bounds = [count for count in (low, high) if count is not codes.MAXREPEAT]
        if max(bounds) > _MOST_REPEATS:
            raise self._refusal(f"more than {_MOST_REPEATS} repeats")
        upper = "" if high is codes.MAXREPEAT else high
        return f"{self.sequence(items)}{{{low},{upper}}}"

    def _at(self, position: Any) -> str:
        if position in (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING):
            return "\\A"
        if position is codes.AT_END and not self._whole:
            return "(?:\\x{a}?\\z)"  # Python's $ matches before a last line break, too
        if position in (codes.AT_END, codes.AT_END_STRING):
            return "\\z"
        raise self._refusal(position)


_MOST_REPEATS = 1000
"""RE2 refuses more."""

_ITEMS: Mapping[Any, Callable[[_Translation, Any], str]] = {
    codes.LITERAL: _Translation._literal,
    codes.NOT_LITERAL: _Translation._not_literal,
    codes.ANY: _Translation._any,
    codes.IN: _Translation._class,
    codes.BRANCH: _Translation._branch,
    codes.SUBPATTERN: _Translation._group,
    codes.MAX_REPEAT: _Translation._repeat,
    codes.MIN_REPEAT: _Translation._repeat,
    codes.AT: _Translation._at,
}


def _escape(code: int) -> str:
    return f"\\x{{{code:x}}}"


_SPACES = "".join(_escape(code) for code in range(0x3001) if chr(code).isspace())
"""The characters of Python's \\s; RE2's has only those of ASCII."""

_CATEGORIES = {
    codes.CATEGORY_DIGIT: "\\p{Nd}",
    codes.CATEGORY_NOT_DIGIT: "\\P{Nd}",
    codes.CATEGORY_SPACE: _SPACES,
}

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\u0130\u0131\u017f\u212a"
"""The letters of ASCII, and those that Python's re takes for one of them without case."""


def _variants(first: int, last: int) -> str:
    """Return the letters that match one from *first* to *last*, all of ASCII, without case."""
    pattern = re.compile(f"[\\x{first:02x}-\\x{last:02x}]", re.IGNORECASE)
    return "".join(c for c in _LETTERS if pattern.match(c))
