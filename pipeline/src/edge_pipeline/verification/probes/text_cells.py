"""Make cells for columns of text, dicts and lists that are unlike any of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["LONG", "unusual_cells"]

LONG = "very long"
"""Name of the group whose cells are too long for the manifest."""

LONG_TEXT_CHARACTERS = 20_000
LONG_ITEMS = 2_000
RECOMBINED_CELLS = 50

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


def unusual_cells(
    cells: pd.Series, column_type: str, rng: np.random.Generator
) -> Iterator[tuple[str, list[Any]]]:
    """Yield groups of cells, each with a name that says why they are unusual.

    Parameters
    ----------
    cells
        The sample's cells of the column.
    column_type
        ``string``, ``dict`` or ``list``.
    """
    yield from _CELLS_OF_TYPE[column_type](cells.tolist(), rng)


def _text_groups(texts: list[Any], rng: np.random.Generator) -> Iterator[tuple[str, list[Any]]]:
    yield "strange texts", list(_STRANGE_TEXTS)
    words = [word for text in texts[:200] for word in str(text).split()] or [""]
    yield "words of the sample, recombined", _recombined(words, rng, " ".join)
    yield "words of the sample, in upper case", [str(text).upper() for text in texts[:20]]
    text = " ".join(words)
    yield LONG, [(text * (LONG_TEXT_CHARACTERS // max(len(text), 1) + 1))[:LONG_TEXT_CHARACTERS]]


def _dict_groups(dicts: list[Any], rng: np.random.Generator) -> Iterator[tuple[str, list[Any]]]:
    yield "no entry", [{}]
    entries = [entry for cell in dicts[:200] for entry in cell.items()]
    yield "entries of the sample, recombined", _recombined(entries, rng, dict)
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


def _list_groups(lists: list[Any], rng: np.random.Generator) -> Iterator[tuple[str, list[Any]]]:
    yield "no item", [[]]
    items = [item for cell in lists[:200] for item in cell]
    if not items:
        return
    yield "items of the sample, recombined", _recombined(items, rng, list)
    yield "an item twice", [[item, item] for item in items[:5]]
    if all(isinstance(item, str) for item in items):
        yield "unknown items", [["never seen in training ☂", items[0]], [""]]
    yield LONG, [(items * (LONG_ITEMS // len(items) + 1))[:LONG_ITEMS]]


def _recombined(
    pool: list[Any], rng: np.random.Generator, join: Callable[[list[Any]], Any]
) -> list[Any]:
    """Join up to eleven members of *pool*, drawn with repetition, into each cell."""
    return [
        join([pool[i] for i in rng.integers(0, len(pool), size=rng.integers(1, 12))])
        for _ in range(RECOMBINED_CELLS if pool else 0)
    ]


_CELLS_OF_TYPE: Mapping[
    str, Callable[[list[Any], np.random.Generator], Iterator[tuple[str, list[Any]]]]
] = {"string": _text_groups, "dict": _dict_groups, "list": _list_groups}
