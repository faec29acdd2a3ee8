"""How far apart two results of an operation are, of arguments that are some way apart.

One rule an operation; what has none has no bound.
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
"""exp, pow, tanh and the logistic function of two libraries: this much apart, relative for exp and
pow, of one for the others.  The most measured is 7 units, by tanh
(tests/pipeline/proof/test_assumptions.py, onnxruntime 1.32); the rest is room for another CPU."""


class Ranges(Protocol):
    """Knows between which numbers an expression lies."""

    def interval(self, expr: Expr) -> Interval:
        """For rows within the ranges of the schema."""


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
"""Operations whose result IEEE 754 or plain logic leaves no choice of."""

LIBRARIES = frozenset({"exp", "pow", "tanh", "sigmoid", "softmax"})

Rule = Callable[[Ranges, Expr, Sequence[float]], float]


def _rounding(bounds: Ranges, expr: Expr) -> float:
    """Both machines round a result that is not quite the same."""
    return 2 * UNIT * max(map(abs, bounds.interval(expr)))


def _product(bounds: Ranges, expr: Expr, gaps: Sequence[float]) -> float:
    x, y = (max(map(abs, bounds.interval(arg))) for arg in expr.args)
    apart = (gaps[1] and x * gaps[1]) + (gaps[0] and y * gaps[0]) + gaps[0] * gaps[1]
    return up(apart + _rounding(bounds, expr))


def _quotient(bounds: Ranges, expr: Expr, gaps: Sequence[float]) -> float:
    low, high = bounds.interval(expr.args[1])
    if gaps[1] or low <= 0 <= high:
        raise NotUnderstood("a quotient by a sum")
    return up(gaps[0] / min(abs(low), abs(high)) + _rounding(bounds, expr))


def _exponential(bounds: Ranges, expr: Expr, gaps: Sequence[float]) -> float:
    return up(bounds.interval(expr)[1] * (math.expm1(min(gaps[0], 700.0)) + LIBRARY))


def _softmax_gap(_: Ranges, expr: Expr, gaps: Sequence[float]) -> float:
    """Each probability moves by at most half of the largest change of a score.

    The derivatives of one probability p add up to 2 p (1 - p) <= 1/2.  The sum of n exponentials
    is rounded n times.
    """
    return up(max(gaps) / 2 + LIBRARY + 2 * len(gaps) * UNIT)


RULES: Mapping[str, Rule] = {
    "add": lambda b, e, g: up(g[0] + g[1] + _rounding(b, e)),
    "sub": lambda b, e, g: up(g[0] + g[1] + _rounding(b, e)),
    "mul": _product,
    "div": _quotient,
    "neg": lambda b, e, g: g[0],
    "abs": lambda b, e, g: g[0],
    "relu": lambda b, e, g: g[0],
    "max": lambda b, e, g: max(g),
    "min": lambda b, e, g: max(g),
    "to float": lambda b, e, g: g[0],
    "exp": _exponential,
    "pow": lambda b, e, g: _pow_gap(b, e, g),
    "tanh": lambda b, e, g: up(g[0] + LIBRARY),
    "sigmoid": lambda b, e, g: up(g[0] / 4 + LIBRARY),
    "softmax": _softmax_gap,
    # Of a choice, the margin beyond which it is equal.
    "less": lambda b, e, g: g[0] + g[1],
    "greater": lambda b, e, g: g[0] + g[1],
    "less or equal": lambda b, e, g: g[0] + g[1],
    "greater or equal": lambda b, e, g: g[0] + g[1],
    "argmax": lambda b, e, g: 2 * max(g),
    "to int": lambda b, e, g: g[0],
    "where": lambda b, e, g: _where_gap(e, g),
    "take": lambda b, e, g: g[0],
}


def _pow_gap(bounds: Ranges, expr: Expr, gaps: Sequence[float]) -> float:
    if any(gaps):
        raise NotUnderstood("a power of a sum")
    return up(LIBRARY * bounds.interval(expr)[1])


def _where_gap(expr: Expr, gaps: Sequence[float]) -> float:
    if not all(is_constant(side) for side in expr.args[1:]):
        raise NotUnderstood("a choice between numbers by a sum")
    return gaps[0]
