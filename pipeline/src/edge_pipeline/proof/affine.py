"""Recognise weighted sums, and compute their coefficients in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

from edge_pipeline.proof.scalars import Expr, Table

__all__ = [
    "Affine",
    "WeightedSum",
    "combined",
    "has_dot",
    "is_affine",
    "is_one_minus",
    "is_shift",
    "weighted_sum",
    "without_tables",
]


@dataclass(frozen=True)
class Affine:
    """``sum(coefficients[x] * x) + bias`` in exact arithmetic, with the error of computing it.

    Attributes
    ----------
    bias
        Exact, but for digits far below the smallest float64.
    error
        Largest rounding error of computing the sum within the ranges.
    """

    atoms: Mapping[bytes, tuple[Expr, Fraction]]
    bias: Fraction
    error: float


def combined(parts: Sequence[tuple[Affine, Fraction]], bias: Fraction, error: float) -> Affine:
    """Add multiples of sums to *bias*; *error* is the rounding error of this addition."""
    atoms: dict[bytes, tuple[Expr, Fraction]] = {}
    for part, weight in parts:
        bias = _without_digits_below_float64(bias + part.bias * weight)
        error += part.error * abs(float(weight))
        for key, (x, c) in part.atoms.items():
            atoms[key] = (x, c * weight + (atoms[key][1] if key in atoms else 0))
    atoms = {key: (x, c) for key, (x, c) in atoms.items() if c}
    return Affine(atoms, bias, error)


def _without_digits_below_float64(value: Fraction) -> Fraction:
    """Round *value* where its denominator is long.

    Each standard deviation that a column is divided by adds 53 digits to the denominator.  With
    thousands of columns, the time would grow with their square.  All roundings
    together stay below 2**-1200.  The smallest float64 is 2**-1074, so no result shows them.
    """
    if value.denominator.bit_length() <= 1280:
        return value
    return Fraction(round(value * (1 << 1280)), 1 << 1280)


def without_tables(
    actual: Affine, expected: Affine, *, roundings: Fraction
) -> tuple[Affine, Affine, Fraction, Fraction]:
    """Remove the tables of a category from both sums where they add up to the same.

    A graph may list one weight for each category.  scikit-learn multiplies one-hot columns by the
    weights and adds them up.  A scaler after the table, or folded into the weights, shifts and
    scales its values.  A part that is the same for every category joins the bias.

    Parameters
    ----------
    roundings
        Largest difference that rounding explains, relative to the sizes of the terms.

    Returns
    -------
    actual, expected
        The remaining terms.
    difference, size
        Largest difference of the removed tables, and the sum of the magnitudes of their values.
    """
    actual_tables, expected_tables = _table_sums(actual), _table_sums(expected)
    total_difference, total_size = Fraction(0), Fraction(0)
    for source in actual_tables.keys() & expected_tables.keys():
        a, e = actual_tables[source], expected_tables[source]
        tokens = [UNLISTED, *a.values, *e.values]
        size = max(a.size(token) + e.size(token) for token in tokens)
        difference = max(abs(a.deviation(token) - e.deviation(token)) for token in tokens)
        if difference <= roundings * size:
            total_difference, total_size = total_difference + difference, total_size + size
            actual, expected = _without(actual, a), _without(expected, e)
    return actual, expected, total_difference, total_size


def _without(affine: Affine, tables: _TableSum) -> Affine:
    atoms = {key: atom for key, atom in affine.atoms.items() if key not in tables.atoms}
    return replace(affine, atoms=atoms, bias=affine.bias + tables.values[UNLISTED][0])


UNLISTED: Any = ("others", None)
"""Stands for every category that a table does not list."""


@dataclass(frozen=True)
class _TableSum:
    """The sum of several tables of one category.

    Attributes
    ----------
    values
        Category to the sum of its values, and the sum of their magnitudes.
    atoms
        Keys of the tables.
    """

    values: Mapping[Any, tuple[Fraction, Fraction]]
    atoms: frozenset[bytes]

    def deviation(self, token: Any) -> Fraction:
        """Return the sum for a category minus the sum for an unlisted one."""
        return self.values.get(token, self.values[UNLISTED])[0] - self.values[UNLISTED][0]

    def size(self, token: Any) -> Fraction:
        """Return the sum of the magnitudes of the terms of :meth:`deviation`."""
        return self.values.get(token, self.values[UNLISTED])[1] + self.values[UNLISTED][1]


def _table_sums(affine: Affine) -> dict[bytes, _TableSum]:
    """Group the tables in *affine* by the expression that they are looked up from."""
    groups: dict[bytes, dict[bytes, tuple[Expr, Fraction]]] = {}
    for key, (x, c) in affine.atoms.items():
        if x.op == "map" and _is_finite(x.value):
            groups.setdefault(x.args[0].key, {})[key] = x, c
    sums = {}
    for source, group in groups.items():
        tokens = {token for x, _ in group.values() for token in x.value.tokens}
        values = {
            token: [
                c * Fraction(x.value.default if token == UNLISTED else x.value.at(token))
                for x, c in group.values()
            ]
            for token in (UNLISTED, *tokens)
        }
        totals = {
            token: (sum(terms, Fraction(0)), sum(map(abs, terms), Fraction(0)))
            for token, terms in values.items()
        }
        sums[source] = _TableSum(totals, frozenset(group))
    return sums


def _is_finite(table: Table) -> bool:
    values = [*table.values, table.default]
    return all(isinstance(value, float) and math.isfinite(value) for value in values)


def is_shift(expr: Expr) -> bool:
    """Return whether *expr* adds a constant to an expression, or multiplies it by one."""
    return (
        expr.op in ("add", "sub", "mul", "div")
        and expr.args[1].op == "const"
        and isinstance(expr.args[1].value, float)
        and math.isfinite(expr.args[1].value)
        and not (expr.op == "div" and expr.args[1].value == 0)
    )


def is_affine(expr: Expr) -> bool:
    """Return whether *expr* is a weighted sum, a number, a shift or a multiple."""
    is_number = expr.op == "const" and isinstance(expr.value, float) and math.isfinite(expr.value)
    return expr.op == "dot" or is_number or is_shift(expr)


def is_one_minus(expr: Expr) -> bool:
    """Return whether *expr* is one minus another expression."""
    return expr.op == "sub" and expr.args[0].op == "const" and expr.args[0].value == 1.0


def has_dot(*exprs: Expr) -> bool:
    """Return whether one of *exprs* is a weighted sum, or a shift or multiple of one."""
    for expr in exprs:
        while is_shift(expr):
            expr = expr.args[0]
        if expr.op == "dot":
            return True
    return False


class WeightedSum(NamedTuple):
    """Keys of the terms, coefficients and bias of one ``dot`` without folded scalers."""

    terms: list[bytes]
    coefficients: list[float]
    bias: float


def weighted_sum(expr: Expr) -> WeightedSum | None:
    """Return the parts of one ``dot`` whose terms are no shifts, or None."""
    bias = None
    if expr.op == "add" and expr.args[1].op == "const":
        bias, expr = expr.args[1].value, expr.args[0]
    if expr.op != "dot" or any(is_shift(x) for x in expr.args):
        return None
    weights, inner = expr.value
    if bias is not None and inner is not None:
        return None
    total = (bias if inner is None else inner) or 0.0
    return WeightedSum([x.key for x in expr.args], weights.tolist(), total + 0.0)
