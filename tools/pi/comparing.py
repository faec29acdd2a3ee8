"""Compare the predictions of two machines: labels, units in the last place, bits."""

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
"""Families with equal bits everywhere: they compare, select, and add in a fixed order."""

MOST_APART = 32 * 2.0**-52
"""Limit of all other families: 32 units in the last place of the largest output.  A CPU with other
vectors adds products in another order (worst measured difference: docs/arm.md)."""


def broken_promises(comparison: Mapping[str, Any]) -> list[str]:
    """List the promises of docs/arm.md that one model breaks; *comparison* is from `compare`."""
    lines = []
    if comparison["labels_apart"]:
        lines.append(f"{comparison['labels_apart']} labels differ")
    if comparison["family"] in EXACT and comparison["cells_apart"]:
        lines.append(
            f"{comparison['cells_apart']} of {comparison['cells']} numbers differ, expected none"
        )
    if not comparison["relative"] <= MOST_APART:
        lines.append(
            f"numbers differ by {comparison['relative']:.2e}, expected at most {MOST_APART:.2e}"
        )
    return lines


def compare(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the outputs of one model on two machines, for the same rows.

    Returns
    -------
    dict
        ``labels_apart``, ``cells``, ``cells_apart``; ``ulp``, the worst distance in units in the
        last place; ``relative``, the worst difference over the largest magnitude of its array.
    """
    comparison = {"labels_apart": 0, "cells": 0, "cells_apart": 0, "ulp": 0, "relative": 0.0}
    if ours.keys() != theirs.keys():
        raise ValueError(f"the methods differ: {sorted(ours)} and {sorted(theirs)}")
    for method, outputs in ours.items():
        for first, second in _pairs(outputs, theirs[method]):
            if "labels" in first:
                comparison["labels_apart"] += _labels_apart(first["labels"], second["labels"])
                continue
            a, b = _floats(first), _floats(second)
            if a.shape != b.shape:
                raise ValueError(f"{method} gives {a.size} numbers here and {b.size} there")
            apart = ~((a == b) | (np.isnan(a) & np.isnan(b)))
            comparison["cells"] += a.size
            comparison["cells_apart"] += int(apart.sum())
            if apart.any():
                finite = np.isfinite(a) & np.isfinite(b)
                scale = float(np.abs(a[finite]).max(initial=0.0)) or 1.0
                worst = float(np.abs(a[apart] - b[apart]).max()) / scale
                comparison["relative"] = max(comparison["relative"], worst)
                comparison["ulp"] = max(comparison["ulp"], int(ulps(a[apart], b[apart]).max()))
    return comparison


def ulps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the distance in units in the last place, cell by cell; 0 and -0 are equal."""
    return np.array(
        [abs(_order(x) - _order(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True)],
        dtype=np.uint64,
    )


def _order(number: float) -> int:
    """Return the index of *number* in the order of all floats, from its bits."""
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


def _floats(encoded: Mapping[str, str]) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(encoded["floats"]), dtype="<f8")
