"""Names that are missing and names that nobody knows in, pairs that may be the same out."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

__all__ = ["match_names"]

_MOST_CHARACTERS = 60
"""Of a name; difflib's time grows with the square of it."""

_MOST_COMPARED = 50
"""Names that difflib sees for each missing one: 0.1 ms each at worst (measured)."""


@lru_cache(maxsize=8)  # a stream repeats its fault in every row
def match_names(missing: tuple[str, ...], unknown: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Each of *missing* with the one of *unknown* that it resembles, where there is one.

    A name that differs in letter case or in spaces round it comes before one that is misspelt.
    """
    left = {_plain(name): name for name in reversed(unknown)}
    found = {name: left.pop(_plain(name)) for name in missing if _plain(name) in left}
    for name in missing:
        if name not in found:
            near = get_close_matches(_plain(name), list(left)[-_MOST_COMPARED:], n=1)
            if near:
                found[name] = left.pop(near[0])
    return tuple((name, found[name]) for name in missing if name in found)


def _plain(name: str) -> str:
    return name[:_MOST_CHARACTERS].strip("\ufeff \t").casefold()
