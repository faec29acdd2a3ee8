"""Cells to ask of columns that are counted: texts, dicts and lists unlike any of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["LONG", "counted_cells"]

LONG = "very long"
"""The group that is too long for the manifest."""

LONG_TEXT_CHARACTERS = 20_000
LONG_ITEMS = 2_000
RECOMBINED = 50

_STRANGE_TEXTS = (
    "",
    " \t\n ",
    "never seen in training ☂",
    "ÀÉÎÕÜ straße ẞ ﬁne ǅ İstanbul ΌΣΟΣ",  # upper case whose lower case is longer, or two
    "cafe\u0301 naïve Ångström",  # decomposed and composed
    "東京 ไทย हिन्दी العربية",
    "don't sea_ice x1 3.14 42 a b c",
    "e-mail@host.example #tag 🐧🐧 \u200d",
    "two  spaces\u00a0and\u2003others",
)


def counted_cells(
    cells: pd.Series, kind: str, rng: np.random.Generator
) -> Iterator[tuple[str, list[Any]]]:
    """Groups of cells, each with what is unusual about it.

    Parameters
    ----------
    cells
        Those of the sample.
    kind
        Type of the column: ``string``, ``dict`` or ``list``.
    """
    yield from _MAKERS[kind](cells.tolist(), rng)


def _texts(texts: list[Any], rng: np.random.Generator) -> Iterator[tuple[str, list[Any]]]:
    yield "strange texts", list(_STRANGE_TEXTS)
    words = [word for text in texts[:200] for word in str(text).split()] or [""]
    yield "words of the sample, recombined", _drawn(words, rng, " ".join)
    yield "words of the sample, in upper case", [str(text).upper() for text in texts[:20]]
    text = " ".join(words)
    yield LONG, [(text * (LONG_TEXT_CHARACTERS // max(len(text), 1) + 1))[:LONG_TEXT_CHARACTERS]]


def _dicts(dicts: list[Any], rng: np.random.Generator) -> Iterator[tuple[str, list[Any]]]:
    yield "no entry", [{}]
    entries = [entry for each in dicts[:200] for entry in each.items()]
    yield "entries of the sample, recombined", _drawn(entries, rng, dict)
    yield (
        "unknown keys and values",
        [
            {"never seen in training ☂": 1.5},
            {"never seen in training ☂": "ä"},
            *({key: "never seen ☂"} for key, _ in entries[:10]),
            *({key: -2.5} for key, _ in entries[:10]),
            *({key: True, "": 0} for key, _ in entries[:10]),
        ],
    )
    yield LONG, [{f"unknown {i}": i for i in range(LONG_ITEMS)}]


def _lists(lists: list[Any], rng: np.random.Generator) -> Iterator[tuple[str, list[Any]]]:
    yield "no item", [[]]
    items = [item for each in lists[:200] for item in each]
    if not items:
        return
    yield "items of the sample, recombined", _drawn(items, rng, list)
    yield "an item twice", [[item, item] for item in items[:5]]
    if all(isinstance(item, str) for item in items):
        yield "unknown items", [["never seen in training ☂", items[0]], [""]]
    yield LONG, [(items * (LONG_ITEMS // len(items) + 1))[:LONG_ITEMS]]


def _drawn(
    pool: list[Any], rng: np.random.Generator, join: Callable[[list[Any]], Any]
) -> list[Any]:
    """Cells of up to a dozen members of *pool*, any of them any number of times."""
    return [
        join([pool[i] for i in rng.integers(0, len(pool), size=rng.integers(1, 12))])
        for _ in range(RECOMBINED if pool else 0)
    ]


_MAKERS: Mapping[
    str, Callable[[list[Any], np.random.Generator], Iterator[tuple[str, list[Any]]]]
] = {"string": _texts, "dict": _dicts, "list": _lists}
