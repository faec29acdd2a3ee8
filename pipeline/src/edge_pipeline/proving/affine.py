"""Sums of multiples: which expressions are one, and their coefficients in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from edge_pipeline.proving.scalars import Expr, Table

__all__ = [
    "Affine",
    "combined",
    "direct",
    "has_dot",
    "is_affine",
    "is_rest_of_one",
    "is_shift",
    "other_numbers",
    "without_equal_tables",
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


def without_equal_tables(found: Affine, expected: Affine) -> tuple[Affine, Affine]:
    """Both without what is looked up from a category, where that adds up to the same.

    A weight of every category is the sum of the weights times ones and zeros that tell categories.
    """
    tables = [_tables(each) for each in (found, expected)]
    equal = [key for key in tables[0] if tables[0][key] == tables[1].get(key)]
    gone = {atom for key in equal for told in tables for atom in told[key].atoms}
    return tuple(  # type: ignore[return-value]
        replace(each, atoms={k: atom for k, atom in each.atoms.items() if k not in gone})
        for each in (found, expected)
    )


@dataclass(frozen=True)
class _Sum:
    """What several tables of one category add up to; equal when all that is."""

    default: Fraction
    values: Mapping[Any, Fraction]
    atoms: tuple[bytes, ...] = field(compare=False)


def _tables(affine: Affine) -> dict[bytes, _Sum]:
    groups: dict[bytes, list[tuple[bytes, Expr, Fraction]]] = {}
    for key, (x, c) in affine.atoms.items():
        if x.op == "map" and _is_finite(x.value):
            groups.setdefault(x.args[0].key, []).append((key, x, c))
    sums = {}
    for source, group in groups.items():
        tokens = {token for _, x, _ in group for token in x.value.tokens}
        default = sum((c * Fraction(x.value.default) for _, x, c in group), Fraction(0))
        values = {
            token: sum((c * Fraction(x.value.at(token)) for _, x, c in group), Fraction(0))
            for token in tokens
        }
        values = {token: value for token, value in values.items() if value != default}
        sums[source] = _Sum(default, values, tuple(key for key, _, _ in group))
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
