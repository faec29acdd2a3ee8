"""Build expressions in a normal form, in which two ways to write an encoder are equal.

An expression with finitely many values, such as a category's code or the leaf of a tree, is a table
of these values.  An operation on it is carried out on the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING
from numpy.typing import NDArray

from edge_pipeline.proof.folds import FOLDS
from edge_pipeline.proof.scalars import (
    SELF,
    Expr,
    NotUnderstood,
    Table,
    array_of,
    bytes_of,
    constant,
    item_of,
    make,
    token_of,
    value_of,
)

__all__ = ["apply", "dot", "lookup", "lookup_token", "running_sums", "take", "tree_sum", "where"]


def lookup(x: Expr, table: Mapping[Any, Any], default: Any) -> Expr:
    """Look *x* up in *table*; elsewhere the result is *default*, or *x* itself for ``SELF``."""
    return lookup_token(x, {token_of(key): value for key, value in table.items()}, default)


def lookup_token(x: Expr, table: Mapping[Any, Any], default: Any) -> Expr:
    """Look *x* up in a table of tokens; a table of a table becomes one table."""

    def value_at(token: Any) -> Any:
        return table[token] if token in table else value_of(token) if default is SELF else default

    view = _Finite.of(x)
    if view is not None:
        return view.replaced(array_of([value_at(token_of(value)) for value in view.outcomes]))
    if x.op == "map":  # its default is SELF: an imputed column
        inner: Table = x.value
        composed = {token: value_at(token_of(inner.at(token))) for token in inner.tokens}
        return _map(x.args[0], dict(table) | composed, default)
    return _map(x, table, default)


def _map(source: Expr, table: Mapping[Any, Any], default: Any) -> Expr:
    """Build a table without the entries that equal its default, in a fixed order."""
    if source.op == "var" and not source.value.missing_marker:
        missing = token_of(MISSING_STRING if source.value.textual else math.nan)
        table = {token: value for token, value in table.items() if token != missing}
    entries = {
        token: value
        for token, value in table.items()
        if token_of(value) != (token if default is SELF else token_of(default))
    }
    if not entries:
        return source if default is SELF else constant(default)
    tokens = tuple(sorted(entries, key=repr))
    values = array_of([entries[token] for token in tokens])
    contents = repr([(t, token_of(entries[t])) for t in tokens]) + repr(
        "SELF" if default is SELF else token_of(default)
    )
    return make("map", (source,), Table(tokens, values, default), contents.encode())


def where(condition: Expr, x: Expr, y: Expr) -> Expr:
    """Return *x* where *condition* holds, *y* elsewhere."""
    if condition.op == "const":
        return x if condition.value else y
    if x.op == y.op == "const" and (x.value, y.value) == (1, 0):
        kinds = {type(x.value), type(y.value)}
        if kinds in ({bool}, {int}):
            return condition if kinds == {bool} else apply("to int", condition)
    if condition.op == "map":
        source = condition.args[0]
        holds: Table = condition.value
        if_true, if_false = _as_table(x, source), _as_table(y, source)
        if if_true is not None and if_false is not None:
            tokens = dict.fromkeys([*holds.tokens, *if_true.tokens, *if_false.tokens])
            table = {t: if_true.at(t) if holds.at(t) else if_false.at(t) for t in tokens}
            return _map(source, table, if_true.default if holds.default else if_false.default)
    return apply("where", condition, x, y)


def _as_table(expr: Expr, source: Expr) -> Table | None:
    """Return *expr* as a table of *source*, or None where it depends on another expression."""
    if expr.op == "const":
        return Table((), np.empty(0), expr.value)
    if expr.key == source.key:
        return Table((), np.empty(0), SELF)
    if expr.op == "map" and expr.args[0].key == source.key:
        table: Table = expr.value
        return table
    return None


def take(values: Sequence[Any] | NDArray[Any], index: Expr) -> Expr:
    """Return ``values[index]``."""
    array = array_of(values)
    if index.op == "const":
        return constant(array[_within(int(index.value), len(array))])
    view = _Finite.of(index)
    if view is not None:
        for outcome in view.outcomes:
            _within(int(outcome), len(array))
        return view.replaced(array[view.outcomes.astype(np.int64)])
    if array.dtype == np.int64 and np.array_equal(array, np.arange(len(array))):
        return index
    if index.op == "to int" and len(array) == 2:
        return where(index.args[0], constant(array[1]), constant(array[0]))
    contents = repr([token_of(value) for value in array.tolist()])
    return make("take", (index,), array, contents.encode())


def _within(index: int, size: int) -> int:
    if not -size <= index < size:
        raise NotUnderstood(f"position {index} in a table of {size}")
    return index


def apply(op: str, *args: Expr) -> Expr:
    """Apply an operation to scalars; carry it out where they take finitely many values."""
    fold = FOLDS.get(op)
    if fold is not None:
        if all(arg.op == "const" for arg in args):
            return constant(item_of(fold(*(array_of([arg.value]) for arg in args))[0]))
        folded = _pointwise(fold, args)
        if folded is not None:
            return folded
    if op == "isnan":
        return lookup_token(args[0], {("number", "nan"): True}, False)
    return _rewritten(op, args) or make(op, args)


_REVERSED = {"less": "greater", "less or equal": "greater or equal"}


def _rewritten(op: str, args: tuple[Expr, ...]) -> Expr | None:
    """Rewrite an operation into its normal form; every rule holds bit for bit.

    Rounding is symmetric, so a sign may move.  Dividing by a power of two is multiplying by its
    reciprocal.
    """
    x, c = args[0], args[-1]
    if op in _REVERSED:
        return apply(_REVERSED[op], c, x)
    if op == "argmax" and len(args) == 2:
        return apply("to int", apply("greater", c, x))  # the first of equal scores
    if op == "neg":
        if x.op == "trees":
            return tree_sum([(tree, -values) for tree, values in x.value])
        if x.op in ("mul", "div") and x.args[1].op == "const":
            return apply(x.op, apply("neg", x.args[0]), x.args[1])
    if op in ("mul", "div") and c.op == "const" and isinstance(c.value, float):
        if c.value == 1.0:
            return x
        if c.value < 0:
            return apply(op, apply("neg", x), constant(-c.value))
        if op == "div" and math.frexp(c.value)[0] == 0.5 and abs(math.log2(c.value)) < 1000:
            return apply("mul", x, constant(1.0 / c.value))
    return None


def _pointwise(fold: Callable[..., NDArray[Any]], args: Sequence[Expr]) -> Expr | None:
    """Carry out *fold* where the same expression selects among the values of all *args*."""
    views = [_Finite.of(arg) for arg in args if arg.op != "const"]
    first = views[0]
    if first is None or not all(view is not None and view.selects_as(first) for view in views):
        return None
    aligned = first.aligned([view for view in views if view is not None])
    n_outcomes, outcomes = len(aligned[0]), iter(aligned)
    operands = [
        array_of([arg.value] * n_outcomes) if arg.op == "const" else next(outcomes) for arg in args
    ]
    with np.errstate(all="ignore"):
        return first.merged(views).replaced(fold(*operands))


@dataclass(frozen=True, eq=False)
class _Finite:
    """An expression with finitely many values, and the expression that selects among them.

    Attributes
    ----------
    kind, selector
        ``map`` and the expression looked up, ``leaf`` and the tree, or ``count`` and the sum.
    tokens
        The tokens of a map, in the order of its outcomes; the default comes last.
    outcomes
        The values.
    """

    kind: str
    selector: Any
    tokens: tuple[Any, ...]
    outcomes: NDArray[Any]

    @staticmethod
    def of(expr: Expr) -> _Finite | None:
        """View *expr* as such an expression; None where it takes more values."""
        if expr.op == "map" and expr.value.default is not SELF:
            table: Table = expr.value
            outcomes = array_of([*table.values, table.default])
            return _Finite("map", expr.args[0], table.tokens, outcomes)
        if expr.op == "trees":
            if len(expr.value) == 1 and expr.value[0][0] is not None:
                tree, values = expr.value[0]
                return _Finite("leaf", tree, (), values)
            if _is_count(expr.value):
                return _Finite("count", expr, (), np.arange(len(expr.value) + 1.0))
        if expr.op == "count":
            return _Finite("count", expr.args[0], (), expr.value)
        return None

    def selects_as(self, view: _Finite) -> bool:
        """Return whether the same expression selects among the values of both."""
        return self.kind == view.kind and bool(self.selector.key == view.selector.key)

    def aligned(self, views: Sequence[_Finite]) -> list[NDArray[Any]]:
        """Return the outcomes of every view, for the same cases."""
        if self.kind != "map":
            return [view.outcomes for view in views]
        tokens = self.merged(views).tokens
        result = []
        for view in views:
            default = len(view.tokens)
            positions = {token: i for i, token in enumerate(view.tokens)}
            cases = [positions.get(token, default) for token in tokens]
            result.append(view.outcomes[[*cases, default]])
        return result

    def merged(self, views: Sequence[_Finite | None]) -> _Finite:
        """Return cases that distinguish all outcomes of all *views*."""
        if self.kind != "map":
            return self
        tokens = dict.fromkeys(t for view in views if view is not None for t in view.tokens)
        return _Finite("map", self.selector, tuple(tokens), self.outcomes)

    def replaced(self, outcomes: NDArray[Any]) -> Expr:
        """Return the expression with other values for the same cases."""
        if self.kind == "map":
            table = dict(zip(self.tokens, map(item_of, outcomes[:-1]), strict=True))
            return _map(self.selector, table, item_of(outcomes[-1]))
        if self.kind == "leaf":
            return tree_sum([(self.selector, outcomes)])
        if np.array_equal(outcomes, np.arange(len(outcomes))) and outcomes.dtype == np.float64:
            return self.selector  # type: ignore[no-any-return]
        return make("count", (self.selector,), outcomes, bytes_of(outcomes))


def tree_sum(terms: Iterable[tuple[Any, NDArray[Any]]]) -> Expr:
    """Add the leaf values of trees to 0.0, one after the other.

    A tree whose leaves are all equal is a constant, and a constant 0 is left out.  Ones and zeros
    add up to a count, whether the ones or the zeros are counted.

    Parameters
    ----------
    terms
        A tree of :mod:`edge_pipeline.proof.canonical_trees` with a value for each of its leaves,
        or None with one value.
    """
    nonzero: list[tuple[Any, NDArray[Any]]] = []
    for tree, values in terms:
        values = array_of(values)
        if tree is not None and len(values) and (values == values[0]).all():
            tree, values = None, values[:1]
        nonzero.append((tree, values))
    if all(tree is None for tree, _ in nonzero):
        if len(nonzero) == 1:
            return constant(nonzero[0][1][0])
        return constant(float(sum((float(values[0]) for _, values in nonzero), 0.0)))
    count = _vote_count(nonzero)
    if count is not None:
        return count
    return _trees(nonzero)


def _trees(terms: Sequence[tuple[Any, NDArray[Any]]]) -> Expr:
    parts = [
        part
        for tree, values in terms
        for part in (b"" if tree is None else tree.key, bytes_of(values))
    ]
    return make("trees", (), tuple(terms), *parts)


def _vote_count(terms: list[tuple[Any, NDArray[Any]]]) -> Expr | None:
    """Return a sum of several trees of ones and zeros as a table of the number of ones."""
    votes = [(tree, values) for tree, values in terms if tree is not None]
    if len(votes) < 2 or not _is_count(terms):
        return None
    offset = float(sum(float(values[0]) for tree, values in terms if tree is None))
    counts_zeros = votes[0][1][0] == 1.0
    if counts_zeros:
        votes = [(tree, 1.0 - values) for tree, values in votes]
    ones = np.arange(len(votes) + 1.0)
    view = _Finite("count", _trees(votes), (), ones)
    return view.replaced(offset + (len(votes) - ones if counts_zeros else ones))


def _is_count(terms: Iterable[tuple[Any, NDArray[Any]]]) -> bool:
    return all(
        values.dtype == np.float64 and bool(np.isin(values, (0.0, 1.0)).all())
        for _, values in terms
    )


def dot(args: Sequence[Expr], weights: Sequence[float], bias: float | None = None) -> Expr:
    """Add *args* times *weights*, and *bias*, in an order of the library's own."""
    coefficients = np.asarray(weights, dtype=np.float64)
    value = (coefficients, None if bias is None else float(bias))
    return make("dot", args, value, (coefficients + 0.0).tobytes(), repr(bias).encode())


def running_sums(args: Sequence[Expr]) -> list[Expr]:
    """Return the sums of the first 1, 2, 3, ... of *args*, each computed from the one before."""
    if all(arg.op == "const" or (arg.op == "trees" and len(arg.value) == 1) for arg in args):
        terms = [
            (None, array_of([arg.value])) if arg.op == "const" else arg.value[0] for arg in args
        ]
        return [tree_sum(terms[: i + 1]) for i in range(len(terms))]
    return [make("sum in order", args[: i + 1]) if i else args[0] for i in range(len(args))]
