"""Two expressions that are not equal in, where they differ and by which numbers out.

What is told is told with the names of the columns, trees counted from 0 in the order in which they
are added, questions and leaves of a tree level by level from its root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from edge_runtime.bundle.schema import NUMBERS, STRINGS, Schema

from edge_pipeline.proof.scalars import SELF, Expr, NotUnderstood, Table, token_of
from edge_pipeline.proof.trees import Tree

__all__ = ["Contradicted", "Telling"]

MOST_TOLD = 3
"""Categories of a table that are named; of more, how many there are."""


class Contradicted(Exception):  # noqa: N818 - told to the caller as a verdict
    """The same formula with another number in it."""


class Telling:
    """Tells of differences, with the names in *schema*."""

    def __init__(self, schema: Schema) -> None:
        self._names = {
            (block, i): schema.columns[at].name
            for block, places in ((NUMBERS, schema.numeric), (STRINGS, schema.textual))
            for i, at in enumerate(places)
        }

    def shown(self, expr: Expr) -> str:
        """*expr* in a few words."""
        if expr.op == "const":
            return f"the constant {expr.value!r}"
        if expr.op == "trees":
            return f"the sum of {sum(tree is not None for tree, _ in expr.value)} trees"
        if expr.op == "var":
            place = expr.value.block, expr.value.position
            return f"column {self._names.get(place, place)!r}"
        if expr.op == "map":
            return f"a table of {self.shown(expr.args[0])}"
        if expr.op == "count":
            return "a table of the number of trees that vote for it"
        if expr.op == "dot":
            return f"a sum of {len(expr.args)} products"
        return f"{expr.op} of " + ", ".join(arg.op for arg in expr.args[:4])

    def apart(self, found: Expr, expected: Expr) -> str:
        """Where two expressions of one operation and the same arguments differ."""
        if found.op == expected.op == "map":
            return self._tables_apart(found.value, expected.value, self.shown(found.args[0]))
        if found.op == expected.op and isinstance(found.value, np.ndarray):
            if len(found.value) != len(expected.value):
                return f"{len(found.value)} entries where scikit-learn has {len(expected.value)}"
            i = _first_other(found.value, expected.value)
            return f"{found.value[i]!r} at {i} where scikit-learn has {expected.value[i]!r}"
        return f"{self.shown(found)} where scikit-learn has {self.shown(expected)}"

    def products_apart(self, found: Any, expected: Any, names: Sequence[Expr]) -> str:
        """Where two results of :func:`edge_pipeline.proof.affine.direct` differ."""
        (_, weights, bias), (_, others, other) = found, expected
        if weights == others:
            return f"the intercept {bias!r} where scikit-learn has {other!r}"
        i = next(i for i, (a, b) in enumerate(zip(weights, others, strict=True)) if a != b)
        return (
            f"the coefficient {weights[i]!r} of {self.shown(names[i])} where scikit-learn has "
            f"{others[i]!r}"
        )

    def _tables_apart(self, found: Table, expected: Table, what: str) -> str:
        tokens = dict.fromkeys([*expected.tokens, *found.tokens])
        pairs = [(t, found.at(t), expected.at(t)) for t in tokens]
        other = [
            f"{a!r} at {token[1]!r} of {what} where scikit-learn has {b!r}"
            for token, a, b in ((t, _plain(a), _plain(b)) for t, a, b in pairs)
            if token_of(a) != token_of(b)
        ]
        if _default(found) != _default(expected):
            other.append(
                f"{_default(found)[1]} elsewhere of {what} where scikit-learn has "
                f"{_default(expected)[1]}"
            )
        more = len(other) - MOST_TOLD
        return "; ".join(other[:MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")

    def compare_trees(
        self, found: Expr, expected: Expr, compare: Callable[[Expr, Expr], float]
    ) -> NoReturn:
        """Say where two sums of trees that are not equal part.

        Parameters
        ----------
        compare
            Told what two questions are about; raises where it finds a difference.

        Raises
        ------
        Contradicted
            Trees of one shape have another number in a question or a leaf.
        NotUnderstood
            They are of other shapes, which two ways to write one function may be.
        """
        pairs = list(zip(found.value, expected.value, strict=False))
        for i, ((tree, values), (other, others)) in enumerate(pairs):
            if tree is None and other is None:
                if _bits(values) != _bits(others):
                    raise Contradicted(
                        f"{values[0]!r} as term {i} where scikit-learn has {others[0]!r}"
                    )
                continue
            where = f"tree {sum(t is not None for (t, _), _ in pairs[:i])}"
            if tree is None or other is None:
                if len(found.value) == len(expected.value):
                    sides = [sorted(set(each.tolist()))[:2] for each in (values, others)]
                    raise Contradicted(f"{sides[0]} as term {i} where scikit-learn has {sides[1]}")
                raise NotUnderstood(f"{where} is a constant on one side alone")
            if tree.key != other.key:
                self._questions_apart(tree, other, where, compare)
            if _bits(values) != _bits(others):
                leaf = _first_other(values, others)
                raise Contradicted(
                    f"{_plain(values[leaf])!r} in leaf {leaf} of {where} where scikit-learn has "
                    f"{_plain(others[leaf])!r}"
                )
        raise NotUnderstood(
            f"a sum of {len(found.value)} terms where scikit-learn adds {len(expected.value)}"
        )

    def _questions_apart(
        self, tree: Tree, other: Tree, where: str, compare: Callable[[Expr, Expr], float]
    ) -> NoReturn:
        if not np.array_equal(tree.is_leaf, other.is_leaf):
            raise NotUnderstood(
                f"{where} has {int(tree.is_leaf.sum())} leaves in another shape than "
                f"scikit-learn's {int(other.is_leaf.sum())}"
            )
        differs = (tree.asked != other.asked).any(axis=1)
        differs |= (tree.last != other.last) | (tree.nan != other.nan)
        node = int(np.flatnonzero(differs)[0])
        place = f"question {int((~tree.is_leaf[:node]).sum())} of {where}"
        x, y = (each.about[each.asked[node].tobytes()] for each in (tree, other))
        if x.key != y.key:
            try:
                compare(x, y)
            except (Contradicted, NotUnderstood) as why:
                raise type(why)(f"{why} ({place})") from why
            raise NotUnderstood(f"{place} asks about a sum, which rounding may turn")
        a, b = (
            f"{float(each.last[node])!r}" + (" or missing" if each.nan[node] else "")
            for each in (tree, other)
        )
        raise Contradicted(
            f"{self.shown(x)} at most {a} where scikit-learn has at most {b} ({place})"
        )


def _default(table: Table) -> tuple[Any, str]:
    if table.default is SELF:
        return SELF, "the value itself"
    return token_of(table.default), repr(_plain(table.default))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _bits(values: Any) -> bytes:
    return (values + 0.0).tobytes() if values.dtype.kind == "f" else repr(values.tolist()).encode()


def _first_other(values: Any, others: Any) -> int:
    pairs = zip(values.tolist(), others.tolist(), strict=True)
    return next((i for i, (a, b) in enumerate(pairs) if token_of(a) != token_of(b)), 0)
