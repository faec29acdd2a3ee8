"""Trees in a canonical form: equal trees are equal bytes, however they were written down.

A question ``float32(x) <= threshold`` becomes the last float64 that goes left, found by bisection
over all float64; a question about a category becomes the set of categories; children that were
swapped are swapped back; nodes are numbered level by level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.proving.scalars import SELF, Expr, NotUnderstood, Table, token_of

__all__ = ["Splits", "Tree", "canonical_trees", "last_before_float32"]

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Splits:
    """Inner nodes of any number of trees.

    Attributes
    ----------
    feature
        Which input a node asks about.
    last
        The largest float64 that takes the way *yes*.
    nan
        Whether NaN does.
    yes, no
        Position of the next node, or ``-1 - leaf``.
    members
        Nodes that ask for a set instead: the values that take the way *yes*.
    answers
        Nodes whose answer is given outright: token to yes, and the default.
    """

    feature: _Ints
    last: _Floats
    nan: _Bools
    yes: _Ints
    no: _Ints
    members: Mapping[int, frozenset[float]] = field(default_factory=dict)
    answers: Mapping[int, tuple[Mapping[Any, bool], bool]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree, level by level.

    Attributes
    ----------
    key
        Digest of its questions and its shape; leaf values are kept apart.
    is_leaf, last, nan
        One a node.
    asked
        Digest of what each node asks about, shape (n_nodes, 2).
    inputs
        The expressions that its questions are about.
    """

    key: bytes
    is_leaf: _Bools
    asked: NDArray[np.uint64]
    last: _Floats
    nan: _Bools
    inputs: tuple[Expr, ...]


def canonical_trees(
    splits: Splits, roots: _Ints, inputs: Sequence[Expr]
) -> list[tuple[Tree, _Ints]]:
    """Each tree with its leaves in canonical order.

    Parameters
    ----------
    roots
        One a tree: a node, or ``-1 - leaf``.
    inputs
        What the features are.

    Raises
    ------
    NotUnderstood
        The nodes do not make trees, or ask what has no rule.
    """
    splits, asked, about = _questions(splits, inputs)
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
        ref = np.stack([splits.yes[nodes], splits.no[nodes]], axis=1).ravel()
        tree = np.repeat(tree[inner], 2)
    refs = np.concatenate([ref for ref, _ in levels])
    trees = np.concatenate([tree for _, tree in levels])
    order = np.argsort(trees, kind="stable")
    starts = np.searchsorted(trees[order], np.arange(len(roots) + 1))
    return [
        _tree(refs[order[start:stop]], splits, asked, about)
        for start, stop in pairwise(starts.tolist())
    ]


def _tree(
    ref: _Ints, splits: Splits, asked: NDArray[np.uint64], about: Sequence[Expr]
) -> tuple[Tree, _Ints]:
    leaf = ref < 0
    node = np.where(leaf, 0, ref)
    if not len(splits.feature):
        nothing = np.zeros(len(ref))
        what, last, nan = np.zeros((len(ref), 2), np.uint64), nothing, nothing != 0
        used: tuple[Expr, ...] = ()
    else:
        what = np.where(leaf[:, np.newaxis], np.uint64(0), asked[node])
        last = np.where(leaf, 0.0, splits.last[node])
        nan = ~leaf & splits.nan[node]
        used = tuple(about[i] for i in np.unique(splits.feature[node[~leaf]]))
    digest = hashlib.blake2b(digest_size=16)
    for part in (leaf, what, last, nan):
        digest.update(np.ascontiguousarray(part).tobytes())
    return Tree(digest.digest(), leaf, what, last, nan, used), -1 - ref[leaf]


def _questions(
    splits: Splits, inputs: Sequence[Expr]
) -> tuple[Splits, NDArray[np.uint64], list[Expr]]:
    """Canonical splits, a digest of what every node asks about, and the inputs unrounded."""
    about = [x.args[0] if x.op == "round to float32" else x for x in inputs]
    last = splits.last + 0.0
    rounded = np.array([x.op == "round to float32" for x in inputs], dtype=bool)[splits.feature]
    last[rounded] = last_before_float32(last[rounded])
    keys = np.frombuffer(b"".join(x.key for x in about), dtype=np.uint64).reshape(-1, 2)
    asked = keys[splits.feature]
    yes, no, nan = splits.yes.copy(), splits.no.copy(), splits.nan.copy()
    known: dict[Any, tuple[NDArray[np.uint64], bool]] = {}
    finite = [x.op == "map" and x.value.default is not SELF for x in about]
    for node in np.flatnonzero(np.array([*finite, False])[splits.feature]).tolist():
        x = about[splits.feature[node]]
        given = splits.answers.get(node)
        values = splits.members.get(node)
        mark: Any = node if given is not None else (x.key, values or last[node], bool(nan[node]))
        if mark not in known:
            source, told = _answers(x, given, values, last[node], nan[node])
            known[mark] = _decision(source, *told)
        asked[node], turned = known[mark]
        if turned:
            yes[node], no[node] = no[node], yes[node]
        last[node], nan[node] = 0.0, False
    for node in (*splits.members, *splits.answers):
        if not finite[splits.feature[node]] and node not in splits.answers:
            raise NotUnderstood("a set of numbers asked of a column that is no code")
        if not finite[splits.feature[node]]:
            asked[node], turned = _decision(about[splits.feature[node]], *splits.answers[node])
            if turned:
                yes[node], no[node] = no[node], yes[node]
            last[node], nan[node] = 0.0, False
    return replace(splits, last=last, nan=nan, yes=yes, no=no), asked, about


def _answers(
    x: Expr,
    given: tuple[Mapping[Any, bool], bool] | None,
    members: frozenset[float] | None,
    last: float,
    nan: bool,
) -> tuple[Expr, tuple[Mapping[Any, bool], bool]]:
    """What a node answers for every value that *x* is looked up from."""
    table: Table = x.value

    def says_yes(value: Any) -> bool:
        if given is not None:
            return given[0].get(token_of(value), given[1])
        if value != value:
            return bool(nan) and members is None
        return value in members if members is not None else bool(value <= last)

    if members is not None and nan:
        raise NotUnderstood("a set of numbers with a way for NaN")
    values = {token: says_yes(table.at(token)) for token in table.tokens}
    return x.args[0], (values, says_yes(table.default))


def _decision(
    source: Expr, values: Mapping[Any, bool], default: bool
) -> tuple[NDArray[np.uint64], bool]:
    """Digest of the question, turned so that the default answers yes; whether it was turned."""
    exceptions = sorted((repr(token) for token, yes in values.items() if yes != default))
    digest = hashlib.blake2b(source.key + repr(exceptions).encode(), digest_size=16).digest()
    return np.frombuffer(digest, dtype=np.uint64), not default


def last_before_float32(threshold: _Floats) -> _Floats:
    """The largest float64 *x* with ``float32(x) <= threshold``: bisection over all float64."""
    distinct, back = np.unique(threshold, return_inverse=True)
    infinite = int(np.array(np.inf).view(np.int64))
    low = np.full(len(distinct), -infinite)  # float32(-inf) is at most any threshold
    high = np.full(len(distinct), infinite + 1)
    with np.errstate(over="ignore"):
        while (low + 1 < high).any():
            middle = (low & high) + ((low ^ high) >> 1)  # the mean, without overflow
            left = _float_at(middle).astype(np.float32).astype(np.float64) <= distinct
            low, high = np.where(left, middle, low), np.where(left, high, middle)
    return (_float_at(low) + 0.0)[back]


def _float_at(place: _Ints) -> _Floats:
    """Every float64 in ascending order, numbered from zero both ways."""
    magnitude = np.abs(place).view(np.float64)
    return np.where(place < 0, -magnitude, magnitude)
