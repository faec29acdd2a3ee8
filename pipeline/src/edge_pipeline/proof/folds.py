"""Carry out operations with numpy, where IEEE 754 or logic fixes their result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.proof.scalars import NotUnderstood

__all__ = ["FOLDS"]


def _float32(x: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return x.astype(np.float32).astype(np.float64)


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
    "neg": np.negative,
    "abs": np.absolute,
    "equal": np.equal,
    "less": np.less,
    "less or equal": np.less_equal,
    "greater": np.greater,
    "greater or equal": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "where": np.where,
    "isnan": np.isnan,
    "to float": lambda x: x.astype(np.float64),
    "to int": _whole,
    "to bool": lambda x: x.astype(np.bool_),
    "round to float32": _float32,
    "argmax": lambda *xs: np.argmax(np.stack(xs), axis=0),
}
"""Operation to its function on arrays."""
