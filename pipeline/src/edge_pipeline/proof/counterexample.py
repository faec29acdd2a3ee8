"""Say where two expressions differ, and by which numbers.

Messages name the columns.  Trees count from 0 in the order in which they are added.  The questions
and the leaves of a tree count level by level from its root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

import numpy as np
from edge_runtime.bundle.schema import NUMBERS, STRINGS, Schema
from numpy.typing import NDArray

from edge_pipeline.proof.affine import WeightedSum
from edge_pipeline.proof.canonical_trees import Tree
from edge_pipeline.proof.scalars import SELF, Expr, NotUnderstood, Table, item_of, token_of

__all__ = ["Contradicted", "Explainer"]

MAX_NAMED = 3
"""Categories of a table that a message names; the rest it counts."""


class Contradicted(Exception):  # noqa: N818 - a verdict, which the caller records
    """The graph has scikit-learn's formula with another number in it."""


class Explainer:
    """Describes expressions and their differences, with the column names of *schema*."""

    def __init__(self, schema: Schema) -> None:
        self._names = {
            (block, i): schema.columns[position].name
            for block, positions in ((NUMBERS, schema.numeric), (STRINGS, schema.textual))
            for i, position in enumerate(positions)
        }

    def describe(self, expr: Expr) -> str:
        """Return *expr* in a few words."""
        if expr.op == "const":
            return f"the constant {expr.value!r}"
        if expr.op == "trees":
            return f"the sum of {sum(tree is not None for tree, _ in expr.value)} trees"
        if expr.op == "var":
            cell = expr.value.block, expr.value.position
            return f"column {self._names.get(cell, cell)!r}"
        if expr.op == "map":
            return f"a table of {self.describe(expr.args[0])}"
        if expr.op == "count":
            return "a table of the number of trees that vote for it"
        if expr.op == "dot":
            return f"a sum of {len(expr.args)} products"
        return f"{expr.op} of " + ", ".join(arg.op for arg in expr.args[:4])

    def difference(self, actual: Expr, expected: Expr) -> str:
        """Return the difference of two expressions, whose arguments are the same."""
        if actual.op == expected.op == "map":
            source = self.describe(actual.args[0])
            return _table_difference(actual.value, expected.value, source)
        if actual.op == expected.op and isinstance(actual.value, np.ndarray):
            if len(actual.value) != len(expected.value):
                return f"{len(actual.value)} entries where scikit-learn has {len(expected.value)}"
            i = _first_difference(actual.value, expected.value)
            return f"{actual.value[i]!r} at {i} where scikit-learn has {expected.value[i]!r}"
        return f"{self.describe(actual)} where scikit-learn has {self.describe(expected)}"

    def sum_difference(
        self, actual: WeightedSum, expected: WeightedSum, terms: Sequence[Expr]
    ) -> str:
        """Return the first coefficient that differs, or the intercept."""
        pairs = zip(actual.coefficients, expected.coefficients, terms, strict=True)
        for a, e, term in pairs:
            if a != e:
                where = self.describe(term)
                return f"the coefficient {a!r} of {where} where scikit-learn has {e!r}"
        return f"the intercept {actual.bias!r} where scikit-learn has {expected.bias!r}"

    def explain_trees(
        self, actual: Expr, expected: Expr, compare: Callable[[Expr, Expr], float]
    ) -> NoReturn:
        """Raise with the first difference of two sums of trees that are not equal.

        Parameters
        ----------
        compare
            Compares the inputs of two splits; raises where it finds a difference.

        Raises
        ------
        Contradicted
            Trees of one shape have another number in a split or a leaf.
        NotUnderstood
            They have other shapes, which may be two ways to write one function.
        """
        n_actual, n_expected = len(actual.value), len(expected.value)
        pairs = list(zip(actual.value, expected.value, strict=False))
        for i, ((tree, values), (expected_tree, expected_values)) in enumerate(pairs):
            where = f"tree {sum(t is not None for (t, _), _ in pairs[:i])}"
            if tree is None or expected_tree is None:
                if tree is not expected_tree and n_actual != n_expected:
                    raise NotUnderstood(f"{where} is a constant on one side alone")
                _check_constant_term(i, values, expected_values, tree is expected_tree)
                continue
            if tree.key != expected_tree.key:
                self._explain_splits(tree, expected_tree, where, compare)
            if _bits(values) != _bits(expected_values):
                leaf = _first_difference(values, expected_values)
                raise Contradicted(
                    f"{item_of(values[leaf])!r} in leaf {leaf} of {where} where scikit-learn has "
                    f"{item_of(expected_values[leaf])!r}"
                )
        raise NotUnderstood(f"a sum of {n_actual} terms where scikit-learn adds {n_expected}")

    def _explain_splits(
        self, tree: Tree, expected: Tree, where: str, compare: Callable[[Expr, Expr], float]
    ) -> NoReturn:
        if not np.array_equal(tree.is_leaf, expected.is_leaf):
            raise NotUnderstood(
                f"{where} has {int(tree.is_leaf.sum())} leaves in another shape than "
                f"scikit-learn's {int(expected.is_leaf.sum())}"
            )
        differs = (tree.input_keys != expected.input_keys).any(axis=1)
        differs |= tree.threshold != expected.threshold
        differs |= tree.nan_is_true != expected.nan_is_true
        node = int(np.flatnonzero(differs)[0])
        place = f"question {int((~tree.is_leaf[:node]).sum())} of {where}"
        x, y = (each.split_inputs[each.input_keys[node].tobytes()] for each in (tree, expected))
        if x.key != y.key:
            try:
                compare(x, y)
            except (Contradicted, NotUnderstood) as error:
                raise type(error)(f"{error} ({place})") from error
            raise NotUnderstood(f"{place} asks about a sum, which rounding may turn")
        a, e = (
            f"{float(each.threshold[node])!r}" + (" or missing" if each.nan_is_true[node] else "")
            for each in (tree, expected)
        )
        raise Contradicted(
            f"{self.describe(x)} at most {a} where scikit-learn has at most {e} ({place})"
        )


def _check_constant_term(
    i: int, values: NDArray[np.float64], expected: NDArray[np.float64], are_constants: bool
) -> None:
    """Check a term that is a constant on one side at least."""
    if not are_constants:
        a, e = (sorted(set(each.tolist()))[:2] for each in (values, expected))
        raise Contradicted(f"{a} as term {i} where scikit-learn has {e}")
    if _bits(values) != _bits(expected):
        raise Contradicted(f"{values[0]!r} as term {i} where scikit-learn has {expected[0]!r}")


def _table_difference(actual: Table, expected: Table, source: str) -> str:
    """Return the first entries that differ, and the number of the others."""
    differences = []
    for token in dict.fromkeys([*expected.tokens, *actual.tokens]):
        a, e = item_of(actual.at(token)), item_of(expected.at(token))
        if token_of(a) != token_of(e):
            differences.append(f"{a!r} at {token[1]!r} of {source} where scikit-learn has {e!r}")
    (a_token, a), (e_token, e) = _default(actual), _default(expected)
    if a_token != e_token:
        differences.append(f"{a} elsewhere of {source} where scikit-learn has {e}")
    n_more = len(differences) - MAX_NAMED
    return "; ".join(differences[:MAX_NAMED]) + (f"; and {n_more} more" if n_more > 0 else "")


def _default(table: Table) -> tuple[object, str]:
    if table.default is SELF:
        return SELF, "the value itself"
    return token_of(table.default), repr(item_of(table.default))


def _bits(values: NDArray[np.float64]) -> bytes:
    return (values + 0.0).tobytes() if values.dtype.kind == "f" else repr(values.tolist()).encode()


def _first_difference(actual: NDArray[np.float64], expected: NDArray[np.float64]) -> int:
    pairs = zip(actual.tolist(), expected.tolist(), strict=True)
    return next((i for i, (a, e) in enumerate(pairs) if token_of(a) != token_of(e)), 0)
