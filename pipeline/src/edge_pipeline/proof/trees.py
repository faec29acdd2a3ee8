"""Trees in a canonical form: equal trees are equal bytes, however they were written down.

A question ``float32(x) <= threshold`` becomes the last float64 that goes left, found by bisection
over all float64; a question about a category becomes the set of categories; children that were
swapped are swapped back; nodes are numbered level by level.
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
        Nodes whose answer is given outright: a truth value that is looked up from the input.
    """

    feature: _Ints
    last: _Floats
    nan: _Bools
    yes: _Ints
    no: _Ints
    members: Mapping[int, frozenset[float]] = field(default_factory=dict)
    answers: Mapping[int, Expr] = field(default_factory=dict)


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
    about
        Of the digests in *asked*: the number that is compared, or the looked-up answer.
    """

    key: bytes
    is_leaf: _Bools
    asked: NDArray[np.uint64]
    last: _Floats
    nan: _Bools
    inputs: tuple[Expr, ...]
    about: Mapping[bytes, Expr] = field(default_factory=dict)


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
    bare = [x.args[0] if x.op == "round to float32" else x for x in inputs]
    rounded = np.array([x.op == "round to float32" for x in inputs], dtype=bool)
    splits, asked, about = _questions(splits, bare, rounded)
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
        _tree(refs[order[start:stop]], splits, asked, bare, about)
        for start, stop in pairwise(starts.tolist())
    ]


def _tree(
    ref: _Ints,
    splits: Splits,
    asked: NDArray[np.uint64],
    inputs: Sequence[Expr],
    about: Mapping[bytes, Expr],
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
        used = tuple(inputs[i] for i in np.unique(splits.feature[node[~leaf]]))
    digest = hashlib.blake2b(digest_size=16)
    for part in (leaf, what, last, nan):
        digest.update(np.ascontiguousarray(part).tobytes())
    return Tree(digest.digest(), leaf, what, last, nan, used, about), -1 - ref[leaf]


def _questions(
    splits: Splits, bare: Sequence[Expr], rounded: _Bools
) -> tuple[Splits, NDArray[np.uint64], dict[bytes, Expr]]:
    """Canonical splits, a digest of what every node asks about, and what the digests are of."""
    last, cast = splits.last + 0.0, rounded[splits.feature]
    last[cast] = last_before_float32(last[cast])
    asked = np.frombuffer(b"".join(x.key for x in bare), dtype=np.uint64).reshape(-1, 2)
    asked = asked[splits.feature]
    about = {x.key: x for x in bare}
    yes, no = splits.yes.copy(), splits.no.copy()
    nan = splits.nan & np.array([*map(may_be_nan, bare), False])[splits.feature]
    known: dict[Any, tuple[Expr, bool]] = {}
    finite = np.array([*(x.op == "map" and x.value.default is not SELF for x in bare), False])
    looked_up = np.flatnonzero(finite[splits.feature]).tolist()
    for node in {*looked_up, *splits.members, *splits.answers}:
        x, values = bare[splits.feature[node]], splits.members.get(node)
        given = splits.answers.get(node)
        asks = given.key if given else last[node] if values is None else values
        mark = (x.key, asks, bool(nan[node]))
        if mark not in known:
            told = given or _answers(x, values, last[node], bool(nan[node]))
            known[mark] = _turned(told)
        question, turned = known[mark]
        about[question.key] = question
        asked[node] = np.frombuffer(question.key, dtype=np.uint64)
        if turned:
            yes[node], no[node] = no[node], yes[node]
        last[node], nan[node] = 0.0, False
    return replace(splits, last=last, nan=nan, yes=yes, no=no), asked, about


def may_be_nan(x: Expr) -> bool:
    """Whether *x* may be NaN for a row that the schema allows; if not, no way is taken by one."""
    if x.op == "var":
        return bool(x.value.gap)
    if x.op == "const":
        return bool(x.value != x.value)
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
    return x.op not in _WHOLE and (x.op != "to float" or may_be_nan(x.args[0]))


_WHOLE = frozenset(
    {"greater", "greater or equal", "equal", "and", "or", "not", "isnan", "to bool", "to int"}
)
"""What answers with truth values or whole numbers, of which none is NaN."""


def _answers(x: Expr, members: frozenset[float] | None, last: float, nan: bool) -> Expr:
    """What a node answers for every value that *x* is looked up from."""
    if x.op != "map" or x.value.default is SELF:
        raise NotUnderstood("a set of numbers asked of a column that is no code")
    table: Table = x.value
    if members is not None and nan:
        raise NotUnderstood("a set of numbers with a way for NaN")

    def says_yes(value: Any) -> bool:
        if value != value:
            return nan and members is None
        if members is not None and not float(value).is_integer():
            raise NotUnderstood("a set of numbers asked of a fraction")
        return value in members if members is not None else bool(value <= last)

    values = {token: says_yes(table.at(token)) for token in table.tokens}
    return lookup_token(x.args[0], values, says_yes(table.default))


def _turned(question: Expr) -> tuple[Expr, bool]:
    """The question, turned so that most answer yes; whether it was turned."""
    if question.op not in ("const", "map"):
        raise NotUnderstood("a set of categories asked of what is no category")
    default = bool(question.value if question.op == "const" else question.value.default)
    return (question if default else apply("not", question)), not default


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
