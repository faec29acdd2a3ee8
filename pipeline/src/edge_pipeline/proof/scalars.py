"""Scalars and constants: what every expression is made of.

Two expressions with the same ``key`` do the same float64 operations on the same inputs in the same
order, up to the sign of a zero.
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


class NotUnderstood(Exception):  # noqa: N818 - no fault: the answer is then probed
    """A graph or an estimator has something that no rule here describes."""


@dataclass(frozen=True, eq=False)
class Expr:
    """One scalar.

    Attributes
    ----------
    op
        ``const``, ``var``, ``map``, ``trees``, ``count`` or an operation's name.
    args
        What it is computed from.
    value
        A constant, or the table, coefficients or trees that belong to the operation.
    key
        Digest of all of it.
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
    """A function given value by value: *values* at *tokens*, *default* elsewhere."""

    tokens: tuple[Any, ...]
    values: NDArray[Any]
    default: Any

    def at(self, token: Any) -> Any:
        """The value at *token*."""
        found = self._place.get(token)
        if found is not None:
            return self.values[found]
        return value_of(token) if self.default is SELF else self.default

    _place: Mapping[Any, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", {token: i for i, token in enumerate(self.tokens)})


def make(op: str, args: Iterable[Expr] = (), value: Any = None, *parts: bytes) -> Expr:
    """An expression as it is given; *parts* are what its key needs of *value*."""
    args = tuple(args)
    digest = hashlib.blake2b(op.encode() + b"\0", digest_size=16)
    for part in (*(arg.key for arg in args), *parts):
        digest.update(len(part).to_bytes(8, "little") + part)
    return Expr(op, args, value, digest.digest())


@dataclass(frozen=True)
class Cell:
    """Which cell of the row a variable is.

    Attributes
    ----------
    block, position
        The input of the graph, and the column of it.
    textual
        Whether it holds text.
    gap
        What scikit-learn is given where a value is missing: ``NaN``, ``None``, or "" where none may
        be missing, which the device sees to.
    """

    block: str
    position: int
    textual: bool
    gap: str


def variable(block: str, position: int, *, textual: bool = False, gap: str = "NaN") -> Expr:
    """A cell of the row."""
    cell = Cell(block, position, textual, gap)
    return make("var", (), cell, f"{block}:{position}".encode())


def constant(value: Any) -> Expr:
    """A number, a truth value or a text."""
    value = _plain(value)
    return make("const", (), value, repr(token_of(value)).encode())


def is_constant(expr: Expr) -> bool:
    """Whether *expr* is the same for every row."""
    return expr.op == "const"


def token_of(value: Any) -> tuple[str, Any]:
    """*value* as a key of a table: one NaN, one zero, and numbers apart from truth values."""
    value = _plain(value)
    if isinstance(value, float):
        return ("number", "nan" if math.isnan(value) else value + 0.0)
    if isinstance(value, bool | int):
        return (type(value).__name__, value)
    if isinstance(value, str):
        return ("text", value)
    raise NotUnderstood(f"a constant of type {type(value).__name__}")


def array_of(values: Any) -> NDArray[Any]:
    """*values* as float64, int64, booleans, or objects."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fib":
        wide = {"f": np.float64, "i": np.int64, "b": np.bool_}[values.dtype.kind]
        return values.astype(wide, copy=False)
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
    """What a key needs of *values*; zeros of either sign are one, and all NaN."""
    if values.dtype == object:
        return repr([token_of(value) for value in values]).encode()
    if values.dtype == np.float64:
        values = np.where(np.isnan(values), np.nan, values + 0.0)
    return values.dtype.str.encode() + values.tobytes()


def item_of(value: Any) -> Any:
    """*value* as a Python object."""
    return value.item() if isinstance(value, np.generic) else value


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else item_of(value)


def value_of(token: Any) -> Any:
    """What :func:`token_of` made a key of."""
    return math.nan if token[1] == "nan" and token[0] == "number" else token[1]
