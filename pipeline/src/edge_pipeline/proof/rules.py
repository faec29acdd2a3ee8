"""Bound the difference of two results of an operation, from the differences of its arguments.

There is one rule for each operation.  An operation without a rule has no bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from edge_pipeline.proof.intervals import Interval, up
from edge_pipeline.proof.scalars import Expr, NotUnderstood, is_constant

__all__ = ["EXACT", "LIBRARIES", "LIBRARY", "RULES", "UNIT", "Ranges"]

UNIT = 2.0**-53
"""Largest relative error of one rounding to float64 (IEEE 754)."""

LIBRARY = 16 * UNIT
"""Largest difference of exp, pow, tanh and the logistic function between two libraries.

Relative to the result for exp and pow, relative to one for the others.  The largest measured
difference is 7 units, by tanh (tests/pipeline/proof/test_assumptions.py, onnxruntime 1.32).  The
other 9 units are room for another CPU.
"""


class Ranges(Protocol):
    """Gives the interval of an expression."""

    def interval(self, expr: Expr) -> Interval:
        """Return the interval of *expr* for rows within the ranges of the schema."""


EXACT = frozenset(
    [
        "var",
        "const",
        "map",
        "trees",
        "count",
        "take",
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "abs",
        "max",
        "min",
        "relu",
        "equal",
        "less",
        "greater",
        "less or equal",
        "greater or equal",
        "and",
        "or",
        "not",
        "where",
        "isnan",
        "sorted",
        "order",
        "select",
        "argmax",
        "to float",
        "to int",
        "to bool",
        "round to float32",
        "sum in order",
    ]
)
"""Operations whose result is fixed by IEEE 754 or by logic."""

LIBRARIES = frozenset({"exp", "pow", "tanh", "sigmoid", "softmax"})

Rule = Callable[[Ranges, Expr, Sequence[float]], float]


def _rounding(bounds: Ranges, expr: Expr) -> float:
    """Both sides round results that differ slightly."""
    return 2 * UNIT * max(map(abs, bounds.interval(expr)))


def _sum(bounds: Ranges, expr: Expr, differences: Sequence[float]) -> float:
    return up(differences[0] + differences[1] + _rounding(bounds, expr))


def _product(bounds: Ranges, expr: Expr, differences: Sequence[float]) -> float:
    x, y = (max(map(abs, bounds.interval(arg))) for arg in expr.args)
    dx, dy = differences
    # 0 * inf is NaN: a side without a difference adds none, however large the other side is.
    return up((dy and x * dy) + (dx and y * dx) + dx * dy + _rounding(bounds, expr))


def _quotient(bounds: Ranges, expr: Expr, differences: Sequence[float]) -> float:
    low, high = bounds.interval(expr.args[1])
    if differences[1] or low <= 0 <= high:
        raise NotUnderstood("a quotient by a sum")
    return up(differences[0] / min(abs(low), abs(high)) + _rounding(bounds, expr))


def _exponential(bounds: Ranges, expr: Expr, differences: Sequence[float]) -> float:
    return up(bounds.interval(expr)[1] * (math.expm1(min(differences[0], 700.0)) + LIBRARY))


def _softmax(_: Ranges, expr: Expr, differences: Sequence[float]) -> float:
    """Half of the largest change of a score bounds the change of each probability.

    The derivatives of one probability p add up to 2 p (1 - p) <= 1/2.  The sum of n exponentials
    is rounded n times.
    """
    return up(max(differences) / 2 + LIBRARY + 2 * len(differences) * UNIT)


def _power(bounds: Ranges, expr: Expr, differences: Sequence[float]) -> float:
    if any(differences):
        raise NotUnderstood("a power of a sum")
    return up(LIBRARY * bounds.interval(expr)[1])


def _where(_: Ranges, expr: Expr, differences: Sequence[float]) -> float:
    if not all(is_constant(side) for side in expr.args[1:]):
        raise NotUnderstood("a choice between numbers by a sum")
    return differences[0]


RULES: Mapping[str, Rule] = {
    "sub": _sum,
    "neg": lambda _b, _e, d: d[0],
    "relu": lambda _b, _e, d: d[0],
    "exp": _exponential,
    "pow": _power,
    "tanh": lambda _b, _e, d: up(d[0] + LIBRARY),
    "sigmoid": lambda _b, _e, d: up(d[0] / 4 + LIBRARY),
    "softmax": _softmax,
    # Of a choice: both sides agree where the operands differ by more than this margin.
    "greater": lambda _b, _e, d: d[0] + d[1],
    "argmax": lambda _b, _e, d: 2 * max(d),
    "to int": lambda _b, _e, d: d[0],
    "where": _where,
    "take": lambda _b, _e, d: d[0],
}
