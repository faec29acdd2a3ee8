"""Names that are missing and names that nobody knows in, pairs that may be the same out."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

__all__ = ["likely"]

_MOST_CHARACTERS = 60
"""Of a name; difflib's time grows with the square of it."""


@lru_cache(maxsize=32)  # a stream repeats its fault in every row
def likely(missing: tuple[str, ...], unknown: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Each of *missing* with the one of *unknown* that it resembles, where there is one.

    A name that differs in letter case or in spaces round it comes before one that is misspelt.
    """
    left = {name: _plain(name) for name in unknown}
    pairs = []
    for name in missing:
        near = get_close_matches(_plain(name), left.values(), n=1)
        if near:
            found = next(other for other, plain in left.items() if plain == near[0])
            del left[found]
            pairs.append((name, found))
    return tuple(pairs)


def _plain(name: str) -> str:
    return name[:_MOST_CHARACTERS].strip("\ufeff \t").casefold()
