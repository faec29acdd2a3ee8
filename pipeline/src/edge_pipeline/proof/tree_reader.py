"""The attributes of an ``ai.onnx.ml::TreeEnsemble`` node in, one expression a target out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edge_pipeline.proof.expressions import apply, tree_sum
from edge_pipeline.proof.scalars import Expr, NotUnderstood, constant
from edge_pipeline.proof.trees import Splits, canonical_trees

__all__ = ["tree_ensemble"]

_LEQ, _MEMBER = 0, 6
_AVERAGE, _SUM = 0, 1

MOST_CODES = 20_000
"""A set's numbers lie below: tests/pipeline/proof/test_assumptions.py asks for as many."""

MOST_LEAF_VALUES = 50_000_000
"""Leaves times targets that are looked at; a larger ensemble is probed."""


def tree_ensemble(inputs: Sequence[Expr], attributes: Mapping[str, Any]) -> list[Expr]:
    """What each target of the node is.

    Raises
    ------
    NotUnderstood
        It adds otherwise than by a sum, compares otherwise than by at most, or holds no trees.
    """
    aggregate = attributes.get("aggregate_function", _SUM)
    if aggregate not in (_AVERAGE, _SUM) or attributes.get("post_transform", 0):
        raise NotUnderstood("TreeEnsemble that does more than add and divide")
    _check_precision(inputs, attributes)
    splits = _splits(inputs, attributes)
    leaves = np.asarray(attributes["leaf_targetids"], dtype=np.int64)
    weights = _tensor(attributes, "leaf_weights")
    # The operator's roots are nodes always.
    roots = np.asarray(attributes["tree_roots"], dtype=np.int64)
    n_targets = int(attributes["n_targets"])
    used = -1 - np.concatenate([splits.yes, splits.no])
    if not (roots.min(initial=0) >= 0 and used.max(initial=0) < len(leaves) == len(weights)):
        raise NotUnderstood("TreeEnsemble with a node that is none")
    if not (leaves.min(initial=0) >= 0 and leaves.max(initial=0) < n_targets):
        raise NotUnderstood("TreeEnsemble with a target that is none")
    terms: list[list[tuple[Any, NDArray[Any]]]] = [[] for _ in range(n_targets)]
    size = 0
    for tree, order in canonical_trees(splits, roots, inputs):
        targets, values = leaves[order], weights[order]
        for target in np.unique(targets):
            size += len(order)
            if size > MOST_LEAF_VALUES:
                raise NotUnderstood("TreeEnsemble with more leaves and targets than are looked at")
            terms[target].append((tree, np.where(targets == target, values, 0.0)))
    sums = [tree_sum(each) if each else constant(0.0) for each in terms]
    if aggregate == _SUM:
        return sums
    return [apply("div", total, constant(float(len(roots)))) for total in sums]


def _splits(inputs: Sequence[Expr], attributes: Mapping[str, Any]) -> Splits:
    feature, *ways = (
        np.asarray(attributes[name], dtype=np.int64)
        for name in (
            "nodes_featureids",
            "nodes_truenodeids",
            "nodes_falsenodeids",
            "nodes_trueleafs",
            "nodes_falseleafs",
        )
    )
    modes = numpy_helper.to_array(attributes["nodes_modes"])
    if not np.isin(modes, (_LEQ, _MEMBER)).all():
        raise NotUnderstood("TreeEnsemble that compares otherwise than by at most")
    nan = attributes.get("nodes_missing_value_tracks_true")
    n_nodes = len(feature)
    if {len(way) for way in ways} != {n_nodes} or not (feature < len(inputs)).all():
        raise NotUnderstood("TreeEnsemble with lists of different lengths")
    yes, no, yes_leaf, no_leaf = ways
    return Splits(
        feature=feature,
        last=_tensor(attributes, "nodes_splits").copy(),
        nan=np.zeros(n_nodes, bool) if nan is None else np.asarray(nan, dtype=bool),
        yes=np.where(yes_leaf == 1, -1 - yes, yes),
        no=np.where(no_leaf == 1, -1 - no, no),
        members=_members(np.flatnonzero(modes == _MEMBER), attributes),
    )


def _members(
    nodes: NDArray[np.int64], attributes: Mapping[str, Any]
) -> dict[int, frozenset[float]]:
    """The sets that nodes ask for: one after the other, each with a NaN behind it."""
    if not len(nodes):
        return {}
    values = _tensor(attributes, "membership_values")
    ends = np.flatnonzero(np.isnan(values))
    if len(ends) != len(nodes) or ends[-1] != len(values) - 1:
        raise NotUnderstood("TreeEnsemble with sets that are not one a node")
    whole = values[~np.isnan(values)]
    if not ((whole >= 0) & (whole < MOST_CODES) & (whole == np.trunc(whole))).all():
        raise NotUnderstood("TreeEnsemble with a set of other than whole numbers")
    starts = np.append(0, ends[:-1] + 1)
    sets = [frozenset(values[a:b].tolist()) for a, b in zip(starts, ends, strict=True)]
    return dict(zip(nodes.tolist(), sets, strict=True))


def _tensor(attributes: Mapping[str, Any], name: str) -> NDArray[np.float64]:
    tensor = attributes[name]
    values: NDArray[np.float64] = numpy_helper.to_array(tensor).astype(np.float64)
    return values


def _check_precision(inputs: Sequence[Expr], attributes: Mapping[str, Any]) -> None:
    """Double throughout; or single, where the input is rounded anyway and only votes are counted.

    Votes are 0 or 1, and float32 holds every whole number below 2**24.
    """
    kinds = {attributes[name].data_type for name in ("nodes_splits", "leaf_weights")}
    if kinds == {TensorProto.DOUBLE}:
        return
    votes = np.isin(numpy_helper.to_array(attributes["leaf_weights"]), (0.0, 1.0)).all()
    rounded = all(x.op in ("round to float32", "map", "const") for x in inputs)
    counted = attributes.get("aggregate_function", _SUM) == _SUM
    few = len(attributes["tree_roots"]) < 2**24
    if kinds != {TensorProto.FLOAT} or not (votes and rounded and counted and few):
        raise NotUnderstood("TreeEnsemble that adds in single precision")
