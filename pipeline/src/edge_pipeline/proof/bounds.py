"""Two expressions in, the largest difference of what two machines make of them out.

Both machines round every operation as IEEE 754 says.  They may differ in the order in which they
add up a product, where the bound is that of Higham, Accuracy and Stability of Numerical Algorithms
(2002), section 3.1: each is within gamma(n) of the exact sum of n terms, and gamma(n) = n u /
(1 - n u) with u = 2**-53 whatever the order; and in their libraries' exp, pow and tanh, where it is
what tests/pipeline/proof/test_assumptions.py measures.  Magnitudes come from the ranges of the
schema: a bound holds for rows within them.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from edge_runtime.bundle.schema import NUMBERS, Schema

from edge_pipeline.proof.affine import (
    Affine,
    combined,
    direct,
    has_dot,
    is_affine,
    is_rest_of_one,
    is_shift,
    other_numbers,
    without_tables,
)
from edge_pipeline.proof.counterexample import Contradicted, Telling
from edge_pipeline.proof.expressions import apply
from edge_pipeline.proof.intervals import ANY, RANGES, Interval, hull, numeric, up
from edge_pipeline.proof.rules import EXACT, LIBRARIES, LIBRARY, RULES, UNIT
from edge_pipeline.proof.scalars import SELF, Expr, NotUnderstood

__all__ = ["Bounds"]

FOLDED = 4
"""Roundings that a scaler folded into a coefficient may take: a coefficient further away from the
exact quotient than so many units is another coefficient."""

FOLDED_TABLE = 16
"""The same of a looked-up number, relative to what was subtracted and multiplied to make it."""


class Bounds:
    """Compares expressions, for rows within the ranges of *schema*."""

    def __init__(self, schema: Schema) -> None:
        self._ranges: dict[int, Interval] = {}
        for i, at in enumerate(schema.numeric):
            low, high = schema.columns[at].minimum, schema.columns[at].maximum
            if low is not None and high is not None:
                self._ranges[i] = low, high
        self._telling = Telling(schema)
        self._known: dict[tuple[bytes, bytes], float] = {}
        self._intervals: dict[bytes, Interval] = {}
        self._affine: dict[bytes, Affine] = {}
        self.sums = False
        self.libraries: set[str] = set()

    def difference(self, found: Expr, expected: Expr) -> float:
        """Largest difference; of a truth value or a choice, the margin beyond which it is equal.

        Raises
        ------
        NotUnderstood
            The expressions differ in a way that has no rule, or the difference has no bound.
        Contradicted
            They differ by a number where nothing explains it.
        """
        pair = found.key, expected.key
        if pair not in self._known:
            self._known[pair] = self._difference(found, expected)
        return self._known[pair]

    def _difference(self, found: Expr, expected: Expr) -> float:
        if is_affine(found) and is_affine(expected) and has_dot(found, expected):
            return self._affine_difference(found, expected)
        logistic = self._logistic(found, expected)
        if logistic is None:
            logistic = self._logistic_choice(found, expected)
        if logistic is not None:
            return logistic
        if found.op != expected.op or len(found.args) != len(expected.args):
            told = self._telling.apart(found, expected)
            raise (Contradicted if _are_other(found, expected) else NotUnderstood)(told)
        gaps = [self.difference(f, e) for f, e in zip(found.args, expected.args, strict=True)]
        if found.key != expected.key and found.op == "trees":
            self._telling.compare_trees(found, expected, self.difference)
        if found.key != expected.key and not _same_value(found, expected):
            raise Contradicted(self._telling.apart(found, expected))
        if found.op == "trees":
            self._routed(found)
        if not any(gaps) and found.op in EXACT:
            return 0.0
        rule = RULES.get(found.op)
        if rule is None:
            raise NotUnderstood(f"no bound is known for {self._telling.shown(found)}")
        if found.op in LIBRARIES:
            self.libraries.add(found.op)
        gap = rule(self, found, gaps)
        if not math.isfinite(gap):
            raise NotUnderstood(
                f"{self._telling.shown(found)} has no bound within the ranges of the columns"
            )
        return gap

    def _logistic(self, found: Expr, expected: Expr) -> float | None:
        """Two spellings of the logistic function s: 1 - s(x) is s(-x), and softmax of 0 and x."""
        first = is_rest_of_one(expected)
        inner = expected.args[1] if first else expected
        if inner.op != "sigmoid":
            return None
        x = inner.args[0]
        if found.op == "sigmoid" and first:
            gap = self.difference(found.args[0], apply("neg", x))
        elif found.op == "softmax" and len(found.args) == 2 and found.value == 1 - first:
            zero, score = found.args
            if self.interval(zero) != (0.0, 0.0):
                return None
            gap = self.difference(score, x)
        else:
            return None
        self.libraries.add("sigmoid")
        return up(gap / 4 + 2 * LIBRARY)

    def _logistic_choice(self, found: Expr, expected: Expr) -> float | None:
        """Whether x is above zero, where s(x) is above 1/2: alike but for rounding near zero."""
        if not found.op == expected.op == "greater":
            return None
        (x, zero), (score, half) = found.args, expected.args
        if score.op != "sigmoid" or (zero.op, half.op, zero.value, half.value) != (
            "const",
            "const",
            0.0,
            0.5,
        ):
            return None
        return up(self.difference(x, score.args[0]) + 8 * LIBRARY)

    def _routed(self, trees: Expr) -> None:
        """A tree needs its questions answered alike, so what they are about must be equal."""
        for tree, _ in trees.value:
            for x in () if tree is None else tree.inputs:
                if self.difference(x, x):
                    raise NotUnderstood("trees that ask about sums, which rounding may turn")

    def _affine_difference(self, found: Expr, expected: Expr) -> float:
        self.sums = True
        f, e = self._flat(found), self._flat(expected)
        gap = f.error + e.error + self._mismatch(f, e)
        plain = direct(found), direct(expected)
        if None not in plain and other_numbers(*plain):
            names = _product_of(found).args
            raise Contradicted(self._telling.products_apart(*plain, names))
        if not math.isfinite(gap):
            raise NotUnderstood("a sum over columns that have no range")
        return gap

    def _mismatch(self, found: Affine, expected: Affine) -> float:
        """Largest difference of the exact functions; coefficients may be a few roundings off."""
        units = FOLDED_TABLE * Fraction(UNIT)
        found, expected, total, room = without_tables(found, expected, roundings=units)
        if len(found.atoms) != len(expected.atoms):
            raise NotUnderstood("a sum of other things than scikit-learn's")
        pairs = list(zip(found.atoms.values(), expected.atoms.values(), strict=True))
        if found.atoms.keys() == expected.atoms.keys():
            pairs = [(found.atoms[key], told) for key, told in expected.atoms.items()]
        total += abs(found.bias - expected.bias)
        room += abs(expected.bias) + abs(found.bias)
        for (y, other), (x, coefficient) in pairs:
            total += abs(coefficient) * Fraction(self.difference(y, x))
            apart = abs(other - coefficient)
            if apart > FOLDED * Fraction(UNIT) * abs(coefficient):
                raise Contradicted(f"the coefficient of {self._telling.shown(x)} is another")
            low, high = self.interval(x)
            widest = max(abs(low), abs(high))
            if not math.isfinite(widest):
                raise NotUnderstood("a sum over columns that have no range")
            total += apart * Fraction(widest)
            room += abs(coefficient) * Fraction(widest)
        if abs(found.bias - expected.bias) > (2 * len(expected.atoms) + 4) * Fraction(UNIT) * room:
            raise Contradicted("the intercept is another")
        return up(float(total))

    def _flat(self, expr: Expr) -> Affine:
        if expr.key not in self._affine:
            self._affine[expr.key] = self._flattened(expr)
        return self._affine[expr.key]

    def _flattened(self, expr: Expr) -> Affine:
        if expr.op == "const":
            return Affine({}, Fraction(expr.value), 0.0)
        if not is_affine(expr) or (not has_dot(expr) and not is_shift(expr)):
            return Affine({expr.key: (expr, Fraction(1))}, Fraction(0), 0.0)
        if expr.op == "dot":
            weights, bias = expr.value
            parts = [
                (self._flat(x), Fraction(float(w))) for x, w in zip(expr.args, weights, strict=True)
            ]
            size = sum(self._size(part) * abs(float(w)) for part, w in parts) + abs(bias or 0.0)
            n = len(parts) + 1
            error = up(size * n * UNIT / (1 - n * UNIT))
            return combined(parts, Fraction(bias or 0.0), error)
        x, c = expr.args
        value = Fraction(float(c.value))
        inner = self._flat(x)
        made = {
            "add": lambda: combined([(inner, Fraction(1))], value, 0.0),
            "sub": lambda: combined([(inner, Fraction(1))], -value, 0.0),
            "mul": lambda: combined([(inner, value)], Fraction(0), 0.0),
            "div": lambda: combined([(inner, 1 / value)], Fraction(0), 0.0),
        }[expr.op]()
        more = 0.0 if value == (0 if expr.op in ("add", "sub") else 1) else UNIT * self._size(made)
        return Affine(made.atoms, made.bias, up(made.error + more))

    def _size(self, affine: Affine) -> float:
        """Largest magnitude of its value, its error included."""
        low = high = float(affine.bias)
        for x, c in affine.atoms.values():
            ends = [float(c) * end if c else 0.0 for end in self.interval(x)]
            low, high = low + min(ends), high + max(ends)
        return up(max(abs(low), abs(high)) + affine.error)

    def interval(self, expr: Expr) -> Interval:
        """Between which numbers the value lies, for rows within the ranges."""
        if expr.key not in self._intervals:
            self._intervals[expr.key] = self._interval(expr)
        return self._intervals[expr.key]

    def _interval(self, expr: Expr) -> Interval:
        if expr.op == "var":
            known = expr.value.block == NUMBERS
            return self._ranges.get(expr.value.position, ANY) if known else ANY
        if expr.op == "const":
            return numeric([expr.value])
        if expr.op == "map":
            table = expr.value
            inside = (
                self.interval(expr.args[0]) if table.default is SELF else numeric([table.default])
            )
            return hull([inside, numeric(table.values)])
        if expr.op == "trees":
            ends = [numeric(values) for _, values in expr.value]
            return sum(low for low, _ in ends), sum(high for _, high in ends)
        if expr.op in ("count", "take"):
            return numeric(expr.value)
        if expr.op == "dot":
            size = self._size(self._flat(expr))
            return -size, size
        rule = RANGES.get(expr.op)
        return rule([self.interval(arg) for arg in expr.args]) if rule else ANY


def _same_value(found: Expr, expected: Expr) -> bool:
    """Whether what the operation holds, besides its arguments, is the same."""
    if found.op in ("var", "const", "trees"):
        return False
    a, b = found.value, expected.value
    if found.op == "map":
        return repr((a.tokens, a.values.tolist(), a.default)) == repr(
            (b.tokens, b.values.tolist(), b.default)
        )
    if isinstance(a, np.ndarray):
        return repr(a.tolist()) == repr(b.tolist())
    return bool(a == b)


def _product_of(expr: Expr) -> Expr:
    return expr if expr.op == "dot" else expr.args[0]


def _are_other(found: Expr, expected: Expr) -> bool:
    return {found.op, expected.op} in _OTHER_NUMBERS


_OTHER_NUMBERS = (
    {"const", "map"},
    {"const", "count"},
    {"const", "trees"},
    {"count", "trees"},
)
"""Operations of which one cannot be another way to write the other: a table that says one thing of
everything is a constant, votes of ones and zeros are counted."""
