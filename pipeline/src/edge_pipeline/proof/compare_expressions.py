"""Bound the difference between the graph's expression and scikit-learn's.

Both sides round every operation as IEEE 754 says.  They may differ in two ways.

- In the order in which they add up a product.  In any order, each side is within gamma(n) of the
  exact sum of n terms.  gamma(n) = n u / (1 - n u) with u = 2**-53 is from Higham, Accuracy and
  Stability of Numerical Algorithms (2002), section 3.1.
- In exp, pow and tanh of their libraries.  tests/pipeline/proof/test_assumptions.py measures these
  differences.

Magnitudes come from the ranges of the schema, so a bound holds for rows within them.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from edge_runtime.bundle.schema import Schema

from edge_pipeline.proof.affine import (
    Affine,
    has_dot,
    is_affine,
    is_one_minus,
    weighted_sum,
    without_tables,
)
from edge_pipeline.proof.counterexample import Contradicted, Explainer
from edge_pipeline.proof.expression_ranges import ExpressionRanges
from edge_pipeline.proof.expressions import apply
from edge_pipeline.proof.intervals import up
from edge_pipeline.proof.rules import EXACT, LIBRARIES, LIBRARY, RULES, UNIT
from edge_pipeline.proof.scalars import Expr, NotUnderstood

__all__ = ["Bounds"]

FOLDED = 4
"""Roundings by which folding a scaler may change a coefficient.

A coefficient that is further from the exact quotient is another coefficient."""

FOLDED_TABLE = 16
"""The same for a value of a table, relative to the numbers that it was computed from."""


class Bounds:
    """Compares expressions, for rows within the ranges of *schema*.

    Parameters
    ----------
    ranges
        Shared with the comparisons of other outputs, which compute the same intervals.

    Attributes
    ----------
    has_sums
        Whether an expression compared so far has a sum in an order of the library's own.
    libraries
        The operations met so far whose last bits differ between libraries.
    """

    def __init__(self, schema: Schema, ranges: ExpressionRanges | None = None) -> None:
        self._ranges = ranges or ExpressionRanges(schema)
        self._explainer = Explainer(schema)
        self._differences: dict[tuple[bytes, bytes], float] = {}
        self.has_sums = False
        self.libraries: set[str] = set()

    def difference(self, actual: Expr, expected: Expr) -> float:
        """Return the largest difference.

        For a boolean or a choice, return the margin beyond which both sides agree.

        Raises
        ------
        NotUnderstood
            The expressions differ in a way that has no rule, or the difference has no bound.
        Contradicted
            They differ by a number, and nothing explains it.
        """
        pair = actual.key, expected.key
        if pair not in self._differences:
            self._differences[pair] = self._difference(actual, expected)
        return self._differences[pair]

    def _difference(self, actual: Expr, expected: Expr) -> float:
        for rule in (self._affine, self._logistic, self._logistic_choice):
            difference = rule(actual, expected)
            if difference is not None:
                return difference
        return self._same_operation(actual, expected)

    def _same_operation(self, actual: Expr, expected: Expr) -> float:
        """Bound the difference of one operation on both sides by that of its arguments."""
        if actual.op != expected.op or len(actual.args) != len(expected.args):
            raise NotUnderstood(self._explainer.difference(actual, expected))
        differences = [
            self.difference(a, e) for a, e in zip(actual.args, expected.args, strict=True)
        ]
        if actual.op == "trees":
            self._check_trees(actual, expected)
        elif actual.key != expected.key and not _same_value(actual, expected):
            raise Contradicted(self._explainer.difference(actual, expected))
        if not any(differences) and actual.op in EXACT:
            return 0.0
        rule = RULES.get(actual.op)
        if rule is None:
            raise NotUnderstood(f"no bound is known for {self._explainer.describe(actual)}")
        if actual.op in LIBRARIES:
            self.libraries.add(actual.op)
        bound = rule(self._ranges, actual, differences)
        if not math.isfinite(bound):
            raise NotUnderstood(
                f"{self._explainer.describe(actual)} has no bound within the ranges of the columns"
            )
        return bound

    def _check_trees(self, actual: Expr, expected: Expr) -> None:
        """Check that two sums of trees are equal, and that rounding changes no branch."""
        if actual.key != expected.key:
            self._explainer.explain_trees(actual, expected, self.difference)
        for tree, _ in expected.value:
            for x in () if tree is None else tree.inputs:
                if self.difference(x, x):
                    raise NotUnderstood("trees that ask about sums, which rounding may turn")

    def _logistic(self, actual: Expr, expected: Expr) -> float | None:
        """Compare two spellings of the logistic function s.

        1 - s(x) is s(-x), and the softmax of 0 and x is 1 - s(x) and s(x).
        """
        is_first_class = is_one_minus(expected)
        sigmoid = expected.args[1] if is_first_class else expected
        if sigmoid.op != "sigmoid":
            return None
        x = sigmoid.args[0]
        if actual.op == "sigmoid" and is_first_class:
            difference = self.difference(actual.args[0], apply("neg", x))
        elif _is_softmax_of_two(actual) and actual.value == 1 - is_first_class:
            zero, score = actual.args
            if self._ranges.interval(zero) != (0.0, 0.0):
                return None
            difference = self.difference(score, x)
        else:
            return None
        self.libraries.add("sigmoid")
        return up(difference / 4 + 2 * LIBRARY)

    def _logistic_choice(self, actual: Expr, expected: Expr) -> float | None:
        """Compare ``x > 0`` with ``s(x) > 1/2``, which differ only by rounding near zero."""
        if not actual.op == expected.op == "greater":
            return None
        (x, zero), (score, half) = actual.args, expected.args
        if score.op != "sigmoid" or not (_is_constant(zero, 0.0) and _is_constant(half, 0.5)):
            return None
        return up(self.difference(x, score.args[0]) + 8 * LIBRARY)

    def _affine(self, actual: Expr, expected: Expr) -> float | None:
        """Compare two weighted sums, whose order of addition is the library's."""
        if not (is_affine(actual) and is_affine(expected) and has_dot(actual, expected)):
            return None
        self.has_sums = True
        a, e = self._ranges.affine(actual), self._ranges.affine(expected)
        difference = a.error + e.error + self._coefficient_difference(a, e)
        self._check_coefficients(actual, expected)
        if not math.isfinite(difference):
            raise NotUnderstood("a sum over columns that have no range")
        return difference

    def _check_coefficients(self, actual: Expr, expected: Expr) -> None:
        """Check that sums without folded scalers have the same numbers, bit by bit."""
        a, e = weighted_sum(actual), weighted_sum(expected)
        if a and e and a.terms == e.terms and a != e:
            terms = (actual if actual.op == "dot" else actual.args[0]).args
            raise Contradicted(self._explainer.sum_difference(a, e, terms))

    def _coefficient_difference(self, actual: Affine, expected: Affine) -> float:
        """Return the largest difference of the exact sums.

        Coefficients may be a few roundings apart where a scaler was folded into them.
        """
        unit = Fraction(UNIT)
        actual, expected, tables, table_size = without_tables(
            actual, expected, roundings=FOLDED_TABLE * unit
        )
        if len(actual.atoms) != len(expected.atoms):
            raise NotUnderstood("a sum of other things than scikit-learn's")
        pairs = list(zip(actual.atoms.values(), expected.atoms.values(), strict=True))
        if actual.atoms.keys() == expected.atoms.keys():
            pairs = [(actual.atoms[key], atom) for key, atom in expected.atoms.items()]
        bias_difference = abs(expected.bias - actual.bias)
        total = up(float(tables + bias_difference))
        size = up(float(table_size + abs(expected.bias) + abs(actual.bias)))
        for (y, actual_coefficient), (x, coefficient) in pairs:
            error = abs(actual_coefficient - coefficient)
            if error > FOLDED * unit * abs(coefficient):
                raise Contradicted(f"the coefficient of {self._explainer.describe(x)} is another")
            magnitude = max(map(abs, self._ranges.interval(x)))
            if not math.isfinite(magnitude):
                raise NotUnderstood("a sum over columns that have no range")
            # float64, each step rounded up: exact sums would have a denominator as long as the row.
            weight = up(float(abs(coefficient)))
            total = up(total + up(weight * self.difference(y, x)))
            total = up(total + up(up(float(error)) * magnitude) if error else total)
            size = up(size + up(weight * magnitude))
        if bias_difference > (2 * len(expected.atoms) + 4) * unit * Fraction(size):
            raise Contradicted("the intercept is another")
        return total


def _is_constant(expr: Expr, value: float) -> bool:
    return expr.op == "const" and bool(expr.value == value)


def _is_softmax_of_two(expr: Expr) -> bool:
    return expr.op == "softmax" and len(expr.args) == 2


def _same_value(actual: Expr, expected: Expr) -> bool:
    """Return whether the tables, arrays or positions of two operations are the same."""
    if actual.op in ("var", "const"):
        return False
    a, e = actual.value, expected.value
    if actual.op == "map":
        return repr((a.tokens, a.values.tolist(), a.default)) == repr(
            (e.tokens, e.values.tolist(), e.default)
        )
    if isinstance(a, np.ndarray):
        return repr(a.tolist()) == repr(e.tolist())
    return bool(a == e)
