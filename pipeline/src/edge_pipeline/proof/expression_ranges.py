"""Compute intervals and affine forms of expressions, for rows within the schema's ranges."""

from __future__ import annotations

from fractions import Fraction

from edge_runtime.bundle.schema import NUMBERS, Schema

from edge_pipeline.proof.affine import Affine, combined, has_dot, is_affine, is_shift
from edge_pipeline.proof.intervals import ANY, RANGES, Interval, hull, numeric, up
from edge_pipeline.proof.rules import UNIT
from edge_pipeline.proof.scalars import SELF, Expr

__all__ = ["ExpressionRanges"]


class ExpressionRanges:
    """Intervals and affine forms of expressions, each computed once."""

    def __init__(self, schema: Schema) -> None:
        self._column_ranges: dict[int, Interval] = {}
        for i, position in enumerate(schema.numeric):
            column = schema.columns[position]
            if column.minimum is not None and column.maximum is not None:
                self._column_ranges[i] = column.minimum, column.maximum
        self._intervals: dict[bytes, Interval] = {}
        self._affine: dict[bytes, Affine] = {}

    def interval(self, expr: Expr) -> Interval:
        """Return the smallest and largest value, for rows within the ranges."""
        if expr.key not in self._intervals:
            self._intervals[expr.key] = self._interval(expr)
        return self._intervals[expr.key]

    def _interval(self, expr: Expr) -> Interval:
        if expr.op == "var":
            is_number = expr.value.block == NUMBERS
            return self._column_ranges.get(expr.value.position, ANY) if is_number else ANY
        if expr.op == "const":
            return numeric([expr.value])
        if expr.op == "map":
            table = expr.value
            keeps_source = table.default is SELF
            unlisted = self.interval(expr.args[0]) if keeps_source else numeric([table.default])
            return hull([unlisted, numeric(table.values)])
        if expr.op == "trees":
            ends = [numeric(values) for _, values in expr.value]
            return sum(low for low, _ in ends), sum(high for _, high in ends)
        if expr.op == "dot":
            magnitude = self._magnitude(self.affine(expr))
            return -magnitude, magnitude
        rule = RANGES.get(expr.op)
        return rule([self.interval(arg) for arg in expr.args]) if rule else ANY

    def affine(self, expr: Expr) -> Affine:
        """Return *expr* as a weighted sum of expressions that are no sums themselves."""
        if expr.key not in self._affine:
            self._affine[expr.key] = self._flattened(expr)
        return self._affine[expr.key]

    def _flattened(self, expr: Expr) -> Affine:
        if expr.op == "const":
            return Affine({}, Fraction(expr.value), 0.0)
        if expr.op == "dot":
            return self._flattened_dot(expr)
        if is_affine(expr) and (has_dot(expr) or is_shift(expr)):
            return self._flattened_shift(expr)
        return Affine({expr.key: (expr, Fraction(1))}, Fraction(0), 0.0)

    def _flattened_dot(self, expr: Expr) -> Affine:
        """Flatten a sum of n products, which rounds to within gamma(n) of the exact sum."""
        weights, bias = expr.value
        parts = [
            (self.affine(x), Fraction(float(w))) for x, w in zip(expr.args, weights, strict=True)
        ]
        size = sum(self._magnitude(part) * abs(float(w)) for part, w in parts) + abs(bias or 0.0)
        n = len(parts) + 1
        return combined(parts, Fraction(bias or 0.0), up(size * n * UNIT / (1 - n * UNIT)))

    def _flattened_shift(self, expr: Expr) -> Affine:
        """Flatten ``x + c``, ``x - c``, ``x * c`` or ``x / c``, which is rounded once."""
        x, c = expr.args
        value, inner = Fraction(float(c.value)), self.affine(x)
        if expr.op in ("add", "sub"):
            bias = value if expr.op == "add" else -value
            result, is_rounded = combined([(inner, Fraction(1))], bias, 0.0), value != 0
        else:
            factor = value if expr.op == "mul" else 1 / value
            result, is_rounded = combined([(inner, factor)], Fraction(0), 0.0), value != 1
        rounding = UNIT * self._magnitude(result) if is_rounded else 0.0
        return Affine(result.atoms, result.bias, up(result.error + rounding))

    def _magnitude(self, affine: Affine) -> float:
        """Return the largest magnitude of the computed value, rounding errors included."""
        low = high = float(affine.bias)
        for x, c in affine.atoms.values():
            ends = [float(c) * end if c else 0.0 for end in self.interval(x)]
            low, high = low + min(ends), high + max(ends)
        return up(max(abs(low), abs(high)) + affine.error)
