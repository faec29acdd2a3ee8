"""Guess which unknown column name stands for which missing one."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

__all__ = ["match_names"]

_MOST_CHARACTERS = 60
"""Longest prefix of a name that is compared: difflib's time grows with the square of it."""

_MOST_COMPARED = 50
"""Names that difflib compares with each missing one: 0.1 ms each at worst (measured)."""


@lru_cache(maxsize=8)  # a stream repeats its fault in every row
def match_names(missing: tuple[str, ...], unknown: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pair each missing name with the unknown name that resembles it, if there is one.

    A name that differs only in letter case or outer spaces is preferred to a misspelt one.
    """
    unpaired = {_normalized(name): name for name in reversed(unknown)}
    matches = {
        name: unpaired.pop(_normalized(name)) for name in missing if _normalized(name) in unpaired
    }
    for name in missing:
        if name not in matches:
            close = get_close_matches(_normalized(name), list(unpaired)[-_MOST_COMPARED:], n=1)
            if close:
                matches[name] = unpaired.pop(close[0])
    return tuple((name, matches[name]) for name in missing if name in matches)


def _normalized(name: str) -> str:
    return name[:_MOST_CHARACTERS].strip("\ufeff \t").casefold()
