"""Read a node ``ai.onnx.ml::TreeEnsemble`` as one expression for each target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edge_pipeline.proof.canonical_trees import Splits, canonical_trees
from edge_pipeline.proof.expressions import apply, tree_sum
from edge_pipeline.proof.scalars import Expr, NotUnderstood, constant

__all__ = ["tree_ensemble"]

_LEQ, _MEMBER = 0, 6
_AVERAGE, _SUM = 0, 1

MAX_CODES = 20_000
"""The numbers of a set are below; tests/pipeline/proof/test_assumptions.py tries them all."""

MAX_LEAF_VALUES = 50_000_000
"""Leaves times targets that are read; a larger ensemble is probed."""


def tree_ensemble(inputs: Sequence[Expr], attributes: Mapping[str, Any]) -> list[Expr]:
    """Return the expression of each target.

    Raises
    ------
    NotUnderstood
        The node has another aggregate than a sum or mean, another comparison than ``<=``, or its
        nodes are no trees.
    """
    aggregate = attributes.get("aggregate_function", _SUM)
    if aggregate not in (_AVERAGE, _SUM) or attributes.get("post_transform", 0):
        raise NotUnderstood("TreeEnsemble that does more than add and divide")
    _check_precision(inputs, attributes)
    splits = _splits(inputs, attributes)
    leaves = np.asarray(attributes["leaf_targetids"], dtype=np.int64)
    weights = _tensor(attributes, "leaf_weights")
    roots = np.asarray(attributes["tree_roots"], dtype=np.int64)
    n_targets = int(attributes["n_targets"])
    leaf_references = -1 - np.concatenate([splits.true_branch, splits.false_branch])
    if not (
        roots.min(initial=0) >= 0 and leaf_references.max(initial=0) < len(leaves) == len(weights)
    ):
        raise NotUnderstood("TreeEnsemble with a node that is none")
    if not (leaves.min(initial=0) >= 0 and leaves.max(initial=0) < n_targets):
        raise NotUnderstood("TreeEnsemble with a target that is none")
    terms: list[list[tuple[Any, NDArray[Any]]]] = [[] for _ in range(n_targets)]
    size = 0
    for tree, order in canonical_trees(splits, roots, inputs):
        targets, values = leaves[order], weights[order]
        for target in np.unique(targets):
            size += len(order)
            if size > MAX_LEAF_VALUES:
                raise NotUnderstood("TreeEnsemble with more leaves and targets than are looked at")
            terms[target].append((tree, np.where(targets == target, values, 0.0)))
    sums = [tree_sum(each) if each else constant(0.0) for each in terms]
    if aggregate == _SUM:
        return sums
    return [apply("div", total, constant(float(len(roots)))) for total in sums]


def _splits(inputs: Sequence[Expr], attributes: Mapping[str, Any]) -> Splits:
    feature, *branches = (
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
    flags = attributes.get("nodes_missing_value_tracks_true")
    n_nodes = len(feature)
    if {len(each) for each in branches} != {n_nodes} or not (feature < len(inputs)).all():
        raise NotUnderstood("TreeEnsemble with lists of different lengths")
    true_id, false_id, true_is_leaf, false_is_leaf = branches
    return Splits(
        feature=feature,
        threshold=_tensor(attributes, "nodes_splits"),
        nan_is_true=np.zeros(n_nodes, bool) if flags is None else np.asarray(flags, dtype=bool),
        true_branch=np.where(true_is_leaf == 1, -1 - true_id, true_id),
        false_branch=np.where(false_is_leaf == 1, -1 - false_id, false_id),
        members=_members(np.flatnonzero(modes == _MEMBER), attributes),
    )


def _members(
    nodes: NDArray[np.int64], attributes: Mapping[str, Any]
) -> dict[int, frozenset[float]]:
    """Return the set of each node; the attribute lists them all, with a NaN after each."""
    if not len(nodes):
        return {}
    values = _tensor(attributes, "membership_values")
    ends = np.flatnonzero(np.isnan(values))
    if len(ends) != len(nodes) or ends[-1] != len(values) - 1:
        raise NotUnderstood("TreeEnsemble with sets that are not one a node")
    codes = values[~np.isnan(values)]
    if not ((codes >= 0) & (codes < MAX_CODES) & (codes == np.trunc(codes))).all():
        raise NotUnderstood("TreeEnsemble with a set of other than whole numbers")
    starts = np.append(0, ends[:-1] + 1)
    sets = [frozenset(values[a:b].tolist()) for a, b in zip(starts, ends, strict=True)]
    return dict(zip(nodes.tolist(), sets, strict=True))


def _tensor(attributes: Mapping[str, Any], name: str) -> NDArray[np.float64]:
    tensor = attributes[name]
    values: NDArray[np.float64] = numpy_helper.to_array(tensor).astype(np.float64)
    return values


def _check_precision(inputs: Sequence[Expr], attributes: Mapping[str, Any]) -> None:
    """Refuse single precision, except where it loses nothing.

    It loses nothing where the input is rounded anyway and the leaves are votes.  Votes are 0 or 1,
    and float32 holds every whole number up to 2**24.
    """
    types = {attributes[name].data_type for name in ("nodes_splits", "leaf_weights")}
    if types == {TensorProto.DOUBLE}:
        return
    are_votes = np.isin(numpy_helper.to_array(attributes["leaf_weights"]), (0.0, 1.0)).all()
    rounded = all(x.op == "round to float32" for x in inputs)
    is_sum = attributes.get("aggregate_function", _SUM) == _SUM
    is_exact = len(attributes["tree_roots"]) < 2**24
    if types != {TensorProto.FLOAT} or not (are_votes and rounded and is_sum and is_exact):
        raise NotUnderstood("TreeEnsemble that adds in single precision")
