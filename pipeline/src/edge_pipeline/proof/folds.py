"""Carry out operations with numpy, where IEEE 754 or logic fixes their result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.proof.scalars import NotUnderstood

__all__ = ["FOLDS"]


def _quotient(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    if x.dtype != np.float64 or y.dtype != np.float64:
        raise NotUnderstood("a quotient of whole numbers, which the graph cuts")
    quotient: NDArray[np.float64] = np.true_divide(x, y)
    return quotient


def _whole(x: NDArray[Any]) -> NDArray[Any]:
    if x.dtype.kind == "f" and not (np.abs(x) < 2.0**63).all():
        raise NotUnderstood("a whole number of what has none")
    return x.astype(np.int64)


FOLDS: Mapping[str, Callable[..., NDArray[Any]]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _quotient,
    "equal": np.equal,
    "greater": np.greater,
    "not": np.logical_not,
    "to float": lambda x: x.astype(np.float64),
    "to int": _whole,
    "argmax": lambda *xs: np.argmax(np.stack(xs), axis=0),
}
"""Operation to its function on arrays."""
