"""Bring trees into a canonical form, in which equal trees are equal bytes.

A split ``float32(x) <= threshold`` becomes ``x <= t`` for the largest float64 *t* that takes the
true branch.  A split on a category becomes the set of categories; its branches may be swapped.
Nodes are numbered level by level.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.proof.expressions import apply, lookup_token
from edge_pipeline.proof.scalars import SELF, Expr, NotUnderstood, Table, token_of

__all__ = ["Splits", "Tree", "canonical_trees", "largest_float64"]

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Splits:
    """The inner nodes of any number of trees.

    Attributes
    ----------
    feature
        Position of the input that a node compares.
    threshold
        Values up to this one take the true branch.
    nan_is_true
        Whether NaN takes the true branch.
    true_branch, false_branch
        Position of the next node, or ``-1 - leaf``.
    members
        For nodes that test membership of a set: the values that take the true branch.
    conditions
        For nodes that look up the branch: the boolean expression of the input.
    """

    feature: _Ints
    threshold: _Floats
    nan_is_true: _Bools
    true_branch: _Ints
    false_branch: _Ints
    members: Mapping[int, frozenset[float]] = field(default_factory=dict)
    conditions: Mapping[int, Expr] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree, with its nodes level by level.

    Attributes
    ----------
    key
        Digest of its splits and its shape, without the values of the leaves.
    is_leaf, threshold, nan_is_true
        Shape (n_nodes,); the last two as in :class:`Splits`.
    input_keys
        Keys of the expressions that the nodes compare, shape (n_nodes, 2).
    inputs
        The inputs of the splits.
    split_inputs
        Key to expression: the number that is compared, or the looked-up condition.
    """

    key: bytes
    is_leaf: _Bools
    input_keys: NDArray[np.uint64]
    threshold: _Floats
    nan_is_true: _Bools
    inputs: tuple[Expr, ...]
    split_inputs: Mapping[bytes, Expr] = field(default_factory=dict)


def canonical_trees(
    splits: Splits, roots: _Ints, inputs: Sequence[Expr]
) -> list[tuple[Tree, _Ints]]:
    """Return each tree, with the positions of its leaves in canonical order.

    Parameters
    ----------
    roots
        Root of each tree: a node, or ``-1 - leaf``.
    inputs
        The expressions that *feature* numbers.

    Raises
    ------
    NotUnderstood
        The nodes are no trees, or a split has no rule.
    """
    unrounded = [x.args[0] if x.op == "round to float32" else x for x in inputs]
    rounded = np.array([x.op == "round to float32" for x in inputs], dtype=bool)
    splits, input_keys, split_inputs = _canonical_splits(splits, unrounded, rounded)
    ref, tree = np.asarray(roots, dtype=np.int64), np.arange(len(roots))
    levels: list[tuple[_Ints, _Ints]] = []
    visited = 0
    while len(ref):
        levels.append((ref, tree))
        inner = ref >= 0
        nodes = ref[inner]
        visited += len(nodes)
        if visited > len(splits.feature) or (len(nodes) and nodes.max() >= len(splits.feature)):
            raise NotUnderstood("a tree ensemble whose nodes are no trees")
        ref = np.stack([splits.true_branch[nodes], splits.false_branch[nodes]], axis=1).ravel()
        tree = np.repeat(tree[inner], 2)
    refs = np.concatenate([ref for ref, _ in levels])
    trees = np.concatenate([tree for _, tree in levels])
    order = np.argsort(trees, kind="stable")
    starts = np.searchsorted(trees[order], np.arange(len(roots) + 1))
    return [
        _tree(refs[order[start:stop]], splits, input_keys, unrounded, split_inputs)
        for start, stop in pairwise(starts.tolist())
    ]


def _tree(
    ref: _Ints,
    splits: Splits,
    input_keys: NDArray[np.uint64],
    inputs: Sequence[Expr],
    split_inputs: Mapping[bytes, Expr],
) -> tuple[Tree, _Ints]:
    """Gather the nodes of one tree, and digest them."""
    leaf = ref < 0
    keys = np.zeros((len(ref), 2), np.uint64)
    threshold, nan_is_true = np.zeros(len(ref)), np.zeros(len(ref), bool)
    nodes = ref[~leaf]
    keys[~leaf], threshold[~leaf] = input_keys[nodes], splits.threshold[nodes]
    nan_is_true[~leaf] = splits.nan_is_true[nodes]
    tree_inputs = tuple(inputs[i] for i in np.unique(splits.feature[nodes]))
    digest = hashlib.blake2b(digest_size=16)
    for part in (leaf, keys, threshold, nan_is_true):
        digest.update(part.tobytes())
    tree = Tree(digest.digest(), leaf, keys, threshold, nan_is_true, tree_inputs, split_inputs)
    return tree, -1 - ref[leaf]


def _canonical_splits(
    splits: Splits, inputs: Sequence[Expr], rounded: _Bools
) -> tuple[Splits, NDArray[np.uint64], dict[bytes, Expr]]:
    """Return canonical splits, the keys of their inputs, and the expressions of these keys."""
    threshold, cast = splits.threshold + 0.0, rounded[splits.feature]
    threshold[cast] = largest_float64(threshold[cast])
    keys = np.frombuffer(b"".join(x.key for x in inputs), dtype=np.uint64).reshape(-1, 2)
    keys = keys[splits.feature]
    expressions = {x.key: x for x in inputs}
    true_branch, false_branch = splits.true_branch.copy(), splits.false_branch.copy()
    nan_is_true = splits.nan_is_true & np.array([*map(may_be_nan, inputs), False])[splits.feature]
    is_table = np.array([*(x.op == "map" and x.value.default is not SELF for x in inputs), False])
    nodes_of_tables = np.flatnonzero(is_table[splits.feature]).tolist()
    canonical: dict[Any, tuple[Expr, bool]] = {}
    for node in {*nodes_of_tables, *splits.members, *splits.conditions}:
        x, members = inputs[splits.feature[node]], splits.members.get(node)
        condition = splits.conditions.get(node)
        test = condition.key if condition else threshold[node] if members is None else members
        split = (x.key, test, bool(nan_is_true[node]))
        if split not in canonical:
            condition = condition or _table_condition(
                x, members, threshold[node], bool(nan_is_true[node])
            )
            canonical[split] = _true_for_most(condition)
        condition, is_negated = canonical[split]
        expressions[condition.key] = condition
        keys[node] = np.frombuffer(condition.key, dtype=np.uint64)
        if is_negated:
            true_branch[node], false_branch[node] = false_branch[node], true_branch[node]
        threshold[node], nan_is_true[node] = 0.0, False
    splits = replace(
        splits,
        threshold=threshold,
        nan_is_true=nan_is_true,
        true_branch=true_branch,
        false_branch=false_branch,
    )
    return splits, keys, expressions


def may_be_nan(x: Expr) -> bool:
    """Return whether *x* may be NaN for a row that the schema allows.

    Where it may not, the branch that NaN takes does not matter.
    """
    if x.op == "var":
        return bool(x.value.missing_marker)
    if x.op == "map":
        table: Table = x.value
        if any(value != value for value in table.values):
            return True
        if table.default is not SELF:
            return bool(table.default != table.default)
        return token_of(math.nan) not in table.tokens and may_be_nan(x.args[0])
    if x.op in ("add", "sub", "mul", "div") and x.args[1].op == "const":
        c = x.args[1].value
        return not (isinstance(c, float) and math.isfinite(c) and c) or may_be_nan(x.args[0])
    return x.op not in _NEVER_NAN and (x.op != "to float" or may_be_nan(x.args[0]))


_NEVER_NAN = frozenset(
    {"greater", "greater or equal", "equal", "and", "or", "not", "isnan", "to bool", "to int"}
)
"""Operations whose results are booleans or integers, of which none is NaN."""


def _table_condition(
    x: Expr, members: frozenset[float] | None, threshold: float, nan_is_true: bool
) -> Expr:
    """Return a split on the table *x* as a boolean table: which entries take the true branch."""
    if x.op != "map" or x.value.default is SELF:
        raise NotUnderstood("a set of numbers asked of a column that is no code")
    table: Table = x.value
    if members is not None and nan_is_true:
        raise NotUnderstood("a set of numbers with a way for NaN")

    def is_true(value: Any) -> bool:
        if value != value:
            return nan_is_true and members is None
        if members is not None and not float(value).is_integer():
            raise NotUnderstood("a set of numbers asked of a fraction")
        return value in members if members is not None else bool(value <= threshold)

    values = {token: is_true(table.at(token)) for token in table.tokens}
    return lookup_token(x.args[0], values, is_true(table.default))


def _true_for_most(condition: Expr) -> tuple[Expr, bool]:
    """Negate *condition* if its default is False; return it and whether it was negated."""
    if condition.op not in ("const", "map"):
        raise NotUnderstood("a set of categories asked of what is no category")
    default = bool(condition.value if condition.op == "const" else condition.value.default)
    return (condition if default else apply("not", condition)), not default


def largest_float64(threshold: _Floats) -> _Floats:
    """Return the largest float64 *x* with ``float32(x) <= threshold``.

    It is half way between two neighbours of float32, or just before.  The definition decides: *x*
    takes the true branch, and the next float64 does not.  Bisection finds what fails this check.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        below = threshold.astype(np.float32)
        below = np.where(below > threshold, np.nextafter(below, np.float32(-np.inf)), below)
        above = np.nextafter(below, np.float32(np.inf))
        last = (below.astype(np.float64) + above.astype(np.float64)) / 2
        last = np.where(_is_true(last, threshold), last, np.nextafter(last, -np.inf))
        is_last = _is_true(last, threshold) & ~_is_true(np.nextafter(last, np.inf), threshold)
    if not is_last.all():
        last[~is_last] = _bisected(threshold[~is_last])
    return last + 0.0


def _is_true(x: _Floats, threshold: _Floats) -> _Bools:
    return np.asarray(x.astype(np.float32).astype(np.float64) <= threshold)


def _bisected(threshold: _Floats) -> _Floats:
    """Bisect over all float64, numbered in ascending order."""
    infinite = int(np.array(np.inf).view(np.int64))
    low = np.full(len(threshold), -infinite)  # float32(-inf) is at most any threshold
    high = np.full(len(threshold), infinite + 1)
    with np.errstate(over="ignore"):
        while (low + 1 < high).any():
            middle = (low & high) + ((low ^ high) >> 1)  # the mean, without overflow
            is_below = _is_true(_float_at(middle), threshold)
            low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return _float_at(low)


def _float_at(number: _Ints) -> _Floats:
    """Return the float64 with this number in ascending order; 0.0 has the number 0."""
    magnitude = np.abs(number).view(np.float64)
    return np.where(number < 0, -magnitude, magnitude)
