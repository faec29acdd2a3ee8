"""Two machines' answers in, how far they are apart out: labels, units in the last place, bits."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT = frozenset(
    {
        *("trees", "forests", "gradient boosting", "histogram boosting", "encoders"),
        "casts to whole numbers",
    }
)
"""Families that answer the same bits everywhere: they compare, choose, and add in a fixed order."""

MOST_APART = 32 * 2.0**-52
"""For all others, relative to an answer's largest magnitude: 32 units in its last place.  Products
are added in another order on a CPU with other vectors (worst measured: docs/arm.md)."""


def broken(told: Mapping[str, Any]) -> list[str]:
    """Which promises of docs/arm.md one model's answers break; *told* is as `compared` gives."""
    lines = []
    if told["labels_apart"]:
        lines.append(f"{told['labels_apart']} labels differ")
    if told["family"] in EXACT and told["cells_apart"]:
        lines.append(f"{told['cells_apart']} of {told['cells']} numbers differ, expected none")
    if not told["relative"] <= MOST_APART:
        lines.append(f"numbers differ by {told['relative']:.2e}, expected at most {MOST_APART:.2e}")
    return lines


def compared(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """How two models' answers to the same questions differ.

    Returns
    -------
    dict
        ``labels_apart``, ``cells``, ``cells_apart``; ``ulp``, the worst distance in units in the
        last place; ``relative``, the worst difference over the largest magnitude of its array.
    """
    told = {"labels_apart": 0, "cells": 0, "cells_apart": 0, "ulp": 0, "relative": 0.0}
    if ours.keys() != theirs.keys():
        raise ValueError(f"other questions: {sorted(ours)} and {sorted(theirs)}")
    for method, answer in ours.items():
        for one, other in _pairs(answer, theirs[method]):
            if "labels" in one:
                told["labels_apart"] += _labels_apart(one["labels"], other["labels"])
                continue
            a, b = _floats(one), _floats(other)
            if a.shape != b.shape:
                raise ValueError(f"{method} gives {a.size} numbers here and {b.size} there")
            apart = ~((a == b) | (np.isnan(a) & np.isnan(b)))
            told["cells"] += a.size
            told["cells_apart"] += int(apart.sum())
            if apart.any():
                finite = np.isfinite(a) & np.isfinite(b)
                scale = float(np.abs(a[finite]).max(initial=0.0)) or 1.0
                worst = float(np.abs(a[apart] - b[apart]).max()) / scale
                told["relative"] = max(told["relative"], worst)
                told["ulp"] = max(told["ulp"], int(ulps(a[apart], b[apart]).max()))
    return told


def ulps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.uint64]:
    """How many float64 lie between two of them, cell by cell; 0 and -0 are the same."""
    return np.array(
        [abs(_place(x) - _place(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True)],
        dtype=np.uint64,
    )


def _place(number: float) -> int:
    """Its place in the order of all floats.  Their bits, but for the sign, are in that order."""
    bits = int(np.float64(abs(number)).view(np.int64))
    return -bits if number < 0 else bits


def _labels_apart(ours: list[Any], theirs: list[Any]) -> int:
    if len(ours) != len(theirs):
        return max(len(ours), len(theirs))
    return sum(a != b for a, b in zip(ours, theirs, strict=True))


def _pairs(ours: Any, theirs: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(ours, list):
        yield from zip(ours, theirs, strict=True)
    else:
        yield ours, theirs


def _floats(written: Mapping[str, str]) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(written["floats"]), dtype="<f8")
