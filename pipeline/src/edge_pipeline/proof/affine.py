"""Sums of multiples: which expressions are one, and their coefficients in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from edge_pipeline.proof.scalars import Expr, Table

__all__ = [
    "Affine",
    "combined",
    "direct",
    "has_dot",
    "is_affine",
    "is_rest_of_one",
    "is_shift",
    "other_numbers",
    "without_tables",
]


@dataclass(frozen=True)
class Affine:
    """``sum(coefficients[x] * x) + bias`` in exact arithmetic, and what computing it costs.

    Attributes
    ----------
    error
        Largest rounding error of computing it within the ranges.
    """

    atoms: Mapping[bytes, tuple[Expr, Fraction]]
    bias: Fraction
    error: float


def combined(parts: Sequence[tuple[Affine, Fraction]], bias: Fraction, error: float) -> Affine:
    """Multiples of sums, added to *bias*; *error* is that of adding them."""
    atoms: dict[bytes, tuple[Expr, Fraction]] = {}
    for part, weight in parts:
        bias += part.bias * weight
        error += part.error * abs(float(weight))
        for key, (x, c) in part.atoms.items():
            atoms[key] = (x, c * weight + (atoms[key][1] if key in atoms else 0))
    atoms = {key: (x, c) for key, (x, c) in atoms.items() if c}
    return Affine(atoms, bias, error)


def without_tables(
    found: Affine, expected: Affine, *, roundings: Fraction
) -> tuple[Affine, Affine, Fraction, Fraction]:
    """Both without what is looked up from a category, where that adds up to the same.

    A weight of every category is the sum of the weights times ones and zeros that tell categories;
    a scaler that comes after the table, or is folded into the weights, shifts and stretches it.
    What a table adds to every category alike becomes part of the bias.

    Parameters
    ----------
    roundings
        Largest difference that is one of rounding, relative to the sizes of what is added.

    Returns
    -------
    found, expected
        What is left of them.
    gap, size
        Largest difference of what left, and the sizes that were added up in it.
    """
    tables = [_tables(each) for each in (found, expected)]
    sums, gap, size = [found, expected], Fraction(0), Fraction(0)
    for source in tables[0].keys() & tables[1].keys():
        pair = [told[source] for told in tables]
        tokens = [OTHERS, *{token for each in pair for token in each.values}]
        room = max(sum(each.size(token) for each in pair) for token in tokens)
        apart = max(abs(pair[0].moved(token) - pair[1].moved(token)) for token in tokens)
        if apart <= roundings * room:
            gap, size = gap + apart, size + room
            sums = [_without(affine, each) for affine, each in zip(sums, pair, strict=True)]
    return sums[0], sums[1], gap, size


def _without(affine: Affine, told: _Sum) -> Affine:
    kept = {key: atom for key, atom in affine.atoms.items() if key not in told.atoms}
    return replace(affine, atoms=kept, bias=affine.bias + told.values[OTHERS][0])


OTHERS: Any = ("others", None)
"""Stands for every category that a table does not list."""


@dataclass(frozen=True)
class _Sum:
    """What several tables of one category add up to.

    Attributes
    ----------
    values
        Of a category: the sum, and that of the magnitudes.
    """

    values: Mapping[Any, tuple[Fraction, Fraction]]
    atoms: frozenset[bytes]

    def moved(self, token: Any) -> Fraction:
        """The sum for a category without what every category has."""
        return self.values.get(token, self.values[OTHERS])[0] - self.values[OTHERS][0]

    def size(self, token: Any) -> Fraction:
        """Sum of the magnitudes that make :meth:`moved`."""
        return self.values.get(token, self.values[OTHERS])[1] + self.values[OTHERS][1]


def _tables(affine: Affine) -> dict[bytes, _Sum]:
    groups: dict[bytes, dict[bytes, tuple[Expr, Fraction]]] = {}
    for key, (x, c) in affine.atoms.items():
        if x.op == "map" and _is_finite(x.value):
            groups.setdefault(x.args[0].key, {})[key] = x, c
    sums = {}
    for source, group in groups.items():
        tokens = {token for x, _ in group.values() for token in x.value.tokens}
        values = {
            token: [
                c * Fraction(x.value.default if token == OTHERS else x.value.at(token))
                for x, c in group.values()
            ]
            for token in (OTHERS, *tokens)
        }
        told = {t: (sum(v, Fraction(0)), sum(map(abs, v), Fraction(0))) for t, v in values.items()}
        sums[source] = _Sum(told, frozenset(group))
    return sums


def _is_finite(table: Table) -> bool:
    values = [*table.values, table.default]
    return all(isinstance(value, float) and math.isfinite(value) for value in values)


def is_shift(expr: Expr) -> bool:
    """Whether *expr* adds a constant to something, or multiplies it by one."""
    return (
        expr.op in ("add", "sub", "mul", "div")
        and expr.args[1].op == "const"
        and isinstance(expr.args[1].value, float)
        and math.isfinite(expr.args[1].value)
        and not (expr.op == "div" and expr.args[1].value == 0)
    )


def is_affine(expr: Expr) -> bool:
    """Whether *expr* is a product with constants, a number, or a shift of something."""
    is_number = expr.op == "const" and isinstance(expr.value, float) and math.isfinite(expr.value)
    return expr.op == "dot" or is_number or is_shift(expr)


def is_rest_of_one(expr: Expr) -> bool:
    """Whether *expr* is one minus something."""
    return expr.op == "sub" and expr.args[0].op == "const" and expr.args[0].value == 1.0


def has_dot(*exprs: Expr) -> bool:
    """Whether a product is in one of *exprs*, below shifts."""
    for expr in exprs:
        while is_shift(expr):
            expr = expr.args[0]
        if expr.op == "dot":
            return True
    return False


def direct(expr: Expr) -> Any:
    """Arguments, coefficients and bias of one product of what is no shift, or None."""
    bias = None
    if expr.op == "add" and expr.args[1].op == "const":
        bias, expr = expr.args[1].value, expr.args[0]
    if expr.op != "dot" or any(is_shift(x) for x in expr.args):
        return None
    weights, inner = expr.value
    if bias is not None and inner is not None:
        return None
    told = bias if inner is None else inner
    return [x.key for x in expr.args], weights.tolist(), (told or 0.0) + 0.0


def other_numbers(found: Any, expected: Any) -> bool:
    """Whether two results of :func:`direct` differ by their numbers alone."""
    return bool(found[0] == expected[0] and found[1:] != expected[1:])
