"""Make rows at every threshold of a graph, and one float64 to either side.

A row of the sample that reaches a node of a tree is moved to the node's threshold, so that this
node decides the prediction.  Constants of comparisons are tried in every column of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pandas as pd
from edge_runtime.bundle.schema import NUMBERS
from edge_runtime.engine.session import Session
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge_pipeline.data.sample import Sample
from edge_pipeline.proof.trees import largest_float64

__all__ = ["threshold_rows"]

MAX_EDGES = 1_000
"""Thresholds tried, three rows each.  A limit on time would make two builds of the same estimator
write different files."""

WALKED_ROWS = 200
"""Rows of the sample that walk through the trees, to find the nodes that rows reach."""

_COMPARISONS = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual")


def threshold_rows(graph: bytes, sample: Sample, rng: np.random.Generator) -> pd.DataFrame | None:
    """Return rows on both sides of thresholds, in the columns of the sample's table.

    None where the graph has no thresholds, or reads counts of a vectorizer.
    """
    numeric = list(sample.schema.numeric)
    if not numeric or sample.schema.derived:
        return None
    start = sample.table.head(WALKED_ROWS)
    proto = onnx.load_model_from_string(graph)
    edges = sorted({*_tree_edges(proto, sample, start), *_constant_edges(proto, len(numeric))})
    if not edges:
        return None
    if len(edges) > MAX_EDGES:
        edges = [edges[i] for i in sorted(rng.permutation(len(edges))[:MAX_EDGES])]
    row, column, value = (np.array(values) for values in zip(*edges, strict=True))
    with np.errstate(over="ignore"):
        sides = [np.nextafter(value, -np.inf), value, np.nextafter(value, np.inf)]
    rows = start.iloc[np.tile(row, 3) % len(start)].reset_index(drop=True)
    new_values, changed_columns = np.concatenate(sides), np.tile(column, 3)
    changed = {int(i) for i in changed_columns[np.isfinite(new_values)]}
    for i in sorted(changed):
        described = sample.schema.columns[numeric[i]]
        if described.type != "float64":
            continue  # whole numbers lie on one side or the other
        values = rows[described.name].to_numpy(dtype=np.float64).copy()
        replaced = (changed_columns == i) & np.isfinite(new_values)
        values[replaced] = new_values[replaced]
        rows[described.name] = values
    return rows


_Edge = tuple[int, int, float]
"""Row of the sample, column of the graph's numbers, threshold."""


def _tree_edges(proto: onnx.ModelProto, sample: Sample, start: pd.DataFrame) -> Iterator[_Edge]:
    """For every node that a row reaches, yield that row and the last float64 that goes left."""
    nodes = [node for node in proto.graph.node if node.op_type == "TreeEnsemble"]
    blocks = sample.blocks(start)
    for node in nodes:
        X = _values_of(proto, node.input[0], blocks)
        if X is None or X.ndim != 2 or len(X) != len(start):
            continue
        tree = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        splits = numpy_helper.to_array(tree["nodes_splits"])
        single = splits.dtype == np.float32
        thresholds = splits.astype(np.float64)
        thresholds = largest_float64(thresholds) if single else thresholds
        columns = _matching_columns(X, blocks[NUMBERS], single)
        first = _first_rows(X, tree, splits)
        for feature, threshold, row in zip(
            tree["nodes_featureids"], thresholds.tolist(), first.tolist(), strict=True
        ):
            if row >= 0 and columns[feature] >= 0 and np.isfinite(threshold):
                yield row, int(columns[feature]), threshold


def _values_of(
    proto: onnx.ModelProto, name: str, blocks: dict[str, NDArray[Any]]
) -> NDArray[Any] | None:
    """Compute the tensor *name* for the rows in *blocks*."""
    if name == NUMBERS:
        return blocks[NUMBERS]
    subgraph = onnx.ModelProto()
    subgraph.CopyFrom(proto)
    del subgraph.graph.output[:]
    subgraph.graph.output.append(onnx.ValueInfoProto(name=name))
    inputs = {i.name for i in subgraph.graph.input}
    try:
        session = Session(subgraph.SerializeToString())
        values: NDArray[Any] = session.run(
            [name], {key: block for key, block in blocks.items() if key in inputs}
        )[0]
    except Exception:  # a subgraph that does not run only costs these extra rows
        return None
    return values


def _matching_columns(X: NDArray[Any], numbers: NDArray[Any], single: bool) -> NDArray[np.int64]:
    """Find the column of *numbers* that each column of *X* copies; -1 where it copies none."""
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32) if single else numbers
    width = numbers.shape[1]
    result = np.full(X.shape[1], -1)
    for j in range(X.shape[1]):
        # Its own place first: most graphs pass the columns on in order.
        candidates = (i for i in (j, *range(width)) if i < width)
        result[j] = next((i for i in candidates if _is_equal(X[:, j], numbers[:, i])), -1)
    return result


def _is_equal(x: NDArray[Any], numbers: NDArray[Any]) -> bool:
    present = ~np.isnan(numbers)
    return bool(present.any() and (x[present] == numbers[present]).all())


def _first_rows(X: NDArray[Any], tree: dict[str, Any], splits: NDArray[Any]) -> NDArray[np.int64]:
    """Return the first row of *X* that reaches each node; -1 for a node that none reaches."""
    feature = np.asarray(tree["nodes_featureids"])
    children = [np.asarray(tree[f"nodes_{side}nodeids"]) for side in ("true", "false")]
    are_leaves = [np.asarray(tree[f"nodes_{side}leafs"]) for side in ("true", "false")]
    nan_is_true = np.asarray(tree.get("nodes_missing_value_tracks_true", np.zeros(len(feature))))
    first = np.full(len(feature), -1)
    roots = np.asarray(tree["tree_roots"])
    node = np.repeat(roots, len(X))
    row = np.tile(np.arange(len(X)), len(roots))
    while len(node):
        # Backwards, so that the first row is the one that stays.
        first[node[::-1]] = row[::-1]
        value = X[row, feature[node]]
        is_true = (value <= splits[node]) | (np.isnan(value) & (nan_is_true[node] == 1))
        is_leaf = np.where(is_true, are_leaves[0][node], are_leaves[1][node]) == 1
        node = np.where(is_true, children[0][node], children[1][node])[~is_leaf]
        row = row[~is_leaf]
    return first


def _constant_edges(proto: onnx.ModelProto, n_columns: int) -> Iterator[_Edge]:
    """Yield the constants of the graph's comparisons, for every column."""
    constants = {t.name: t for t in proto.graph.initializer}
    for node in proto.graph.node:
        for name in node.input if node.op_type in _COMPARISONS else ():
            tensor = constants.get(name)
            if tensor is None or tensor.data_type != onnx.TensorProto.DOUBLE:
                continue
            values = np.unique(numpy_helper.to_array(tensor))[:MAX_EDGES]
            for i, value in enumerate(values[np.isfinite(values)].tolist()):
                for column in range(min(n_columns, 1 + MAX_EDGES // len(values))):
                    yield i, column, value
