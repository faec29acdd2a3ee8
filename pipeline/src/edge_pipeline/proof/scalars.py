"""Define expressions of one scalar, tables of values, and the keys by which they are compared.

Two expressions with the same ``key`` do the same float64 operations on the same inputs in the same
order.  The sign of a zero may differ.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SELF",
    "Cell",
    "Expr",
    "NotUnderstood",
    "Table",
    "array_of",
    "bytes_of",
    "constant",
    "is_constant",
    "item_of",
    "make",
    "token_of",
    "value_of",
    "variable",
]


class NotUnderstood(Exception):  # noqa: N818 - no fault: the output is then probed
    """No rule of this package describes a part of the graph or of the estimator."""


@dataclass(frozen=True, eq=False)
class Expr:
    """A scalar as a function of one row.

    Attributes
    ----------
    op
        ``const``, ``var``, ``map``, ``trees``, ``count`` or the name of an operation.
    args
        Arguments of the operation.
    value
        A constant, or the table, coefficients or trees that belong to the operation.
    key
        Digest of the other attributes.
    """

    op: str
    args: tuple[Expr, ...]
    value: Any
    key: bytes


class _Self:
    def __repr__(self) -> str:
        return "SELF"


SELF: Any = _Self()
"""Default of a :class:`Table` that leaves other values as they are."""


@dataclass(frozen=True, eq=False)
class Table:
    """A function listed value by value: *values* at *tokens*, *default* elsewhere."""

    tokens: tuple[Any, ...]
    values: NDArray[Any]
    default: Any

    def at(self, token: Any) -> Any:
        """Return the value at *token*."""
        position = self._positions.get(token)
        if position is not None:
            return self.values[position]
        return value_of(token) if self.default is SELF else self.default

    _positions: Mapping[Any, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_positions", {token: i for i, token in enumerate(self.tokens)})


def make(op: str, args: Iterable[Expr] = (), value: Any = None, *parts: bytes) -> Expr:
    """Build an expression without simplifying it.

    Parameters
    ----------
    parts
        The contents of *value*, as bytes for the key.
    """
    args = tuple(args)
    digest = hashlib.blake2b(op.encode() + b"\0", digest_size=16)
    for part in (*(arg.key for arg in args), *parts):
        digest.update(len(part).to_bytes(8, "little") + part)
    return Expr(op, args, value, digest.digest())


@dataclass(frozen=True)
class Cell:
    """The cell of the row that a variable stands for.

    Attributes
    ----------
    block, position
        Input of the graph, and column in this input.
    textual
        Whether the cell holds text.
    missing_marker
        What scikit-learn gets for a missing value: ``NaN`` or ``None``.  Empty where no value may
        be missing; there the device refuses missing values.
    """

    block: str
    position: int
    textual: bool
    missing_marker: str


def variable(
    block: str, position: int, *, textual: bool = False, missing_marker: str = "NaN"
) -> Expr:
    """Build the expression of one cell of the row."""
    cell = Cell(block, position, textual, missing_marker)
    return make("var", (), cell, f"{block}:{position}".encode())


def constant(value: Any) -> Expr:
    """Build the expression of a number, a boolean or a text."""
    value = _plain(value)
    return make("const", (), value, repr(token_of(value)).encode())


def is_constant(expr: Expr) -> bool:
    """Return whether *expr* is the same for every row."""
    return expr.op == "const"


def token_of(value: Any) -> tuple[str, Any]:
    """Return *value* as a key of a table.

    All NaN are one key, and so are both zeros; floats, integers and booleans have different keys.
    """
    value = _plain(value)
    if isinstance(value, float):
        return ("number", "nan" if math.isnan(value) else value + 0.0)
    if isinstance(value, bool | int):
        return (type(value).__name__, value)
    if isinstance(value, str):
        return ("text", value)
    raise NotUnderstood(f"a constant of type {type(value).__name__}")


def array_of(values: Any) -> NDArray[Any]:
    """Return *values* as an array of float64, int64, booleans or objects."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fib":
        widest = {"f": np.float64, "i": np.int64, "b": np.bool_}[values.dtype.kind]
        return values.astype(widest, copy=False)
    plain = [_plain(value) for value in values]
    kinds = {type(value) for value in plain}
    if len(kinds) == 1 and kinds <= {float, int, bool}:
        return np.array(
            plain, dtype={float: np.float64, int: np.int64, bool: np.bool_}[kinds.pop()]
        )
    array = np.empty(len(plain), dtype=object)
    array[:] = plain
    return array


def bytes_of(values: NDArray[Any]) -> bytes:
    """Return *values* as bytes for a key; both zeros are the same, and all NaN."""
    if values.dtype == object:
        return repr([token_of(value) for value in values]).encode()
    if values.dtype == np.float64:
        values = np.where(np.isnan(values), np.nan, values + 0.0)
    return values.dtype.str.encode() + values.tobytes()


def item_of(value: Any) -> Any:
    """Return *value* as a Python object."""
    return value.item() if isinstance(value, np.generic) else value


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else item_of(value)


def value_of(token: Any) -> Any:
    """Return a value with this token; the inverse of :func:`token_of`."""
    return math.nan if token[1] == "nan" and token[0] == "number" else token[1]
