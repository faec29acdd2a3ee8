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
from onnx import numpy_helper

from edge_pipeline.data.sample import Sample
from edge_pipeline.proof.canonical_trees import largest_float64
from edge_pipeline.proof.graph_reader import attributes_of

__all__ = ["MAX_EDGES", "threshold_edges", "threshold_rows"]

MAX_EDGES = 1_000
"""Thresholds tried, three rows each.  A limit on time would make two builds of the same estimator
write different files."""

WALKED_ROWS = 200
"""Rows of the sample that walk through the trees, to find the nodes that rows reach."""

_COMPARISONS = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual")


def threshold_rows(
    graph: bytes, sample: Sample, rng: np.random.Generator, max_edges: int = MAX_EDGES
) -> pd.DataFrame | None:
    """Return rows on both sides of thresholds, in the columns of the sample's table.

    None where the graph has no thresholds, or reads counts of a vectorizer.

    Parameters
    ----------
    max_edges
        Thresholds tried, drawn at random where there are more.
    """
    numeric = list(sample.schema.numeric)
    if not numeric or sample.schema.derived:
        return None
    edges = threshold_edges(graph, sample, len(numeric), rng, max_edges)
    if edges is None:
        return None
    row, column, value = edges
    start = sample.table.head(WALKED_ROWS)
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


Edges = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Rows of the sample, columns of the graph's numbers, thresholds."""


def threshold_edges(
    graph: bytes, sample: Sample, width: int, rng: np.random.Generator, max_edges: int
) -> Edges | None:
    """Return some thresholds of the graph that rows of *sample* meet; None where it has none.

    Parameters
    ----------
    width
        Number of columns of the graph's numeric input.
    """
    start = sample.table.head(WALKED_ROWS)
    proto = onnx.load_model_from_string(graph)
    row, column, value = _distinct_edges(
        [*_tree_edges(proto, sample, start), *_constant_edges(proto, width)]
    )
    if not len(row):
        return None
    if len(row) > max_edges:
        picks = np.sort(rng.permutation(len(row))[:max_edges])
        row, column, value = row[picks], column[picks], value[picks]
    return row, column, value


def _distinct_edges(parts: list[Edges]) -> Edges:
    """Join *parts*, sorted and without repetitions."""
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    row, column, value = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.lexsort((value, column, row))
    row, column, value = row[order], column[order], value[order]
    differs = np.ones(len(row), dtype=np.bool_)
    differs[1:] = (np.diff(row) != 0) | (np.diff(column) != 0) | (value[1:] != value[:-1])
    return row[differs], column[differs], value[differs]


def _tree_edges(proto: onnx.ModelProto, sample: Sample, start: pd.DataFrame) -> Iterator[Edges]:
    """For every node that a row reaches, yield that row and the last float64 that goes left."""
    nodes = [node for node in proto.graph.node if node.op_type == "TreeEnsemble"]
    blocks = sample.blocks(start)
    for node in nodes:
        X = _values_of(proto, node.input[0], blocks)
        if X is None or X.ndim != 2 or len(X) != len(start):
            continue
        tree = attributes_of(node)
        splits = numpy_helper.to_array(tree["nodes_splits"])
        single = splits.dtype == np.float32
        columns = _matching_columns(X, blocks[NUMBERS], single)
        first = _first_rows(X, tree, splits)
        column = columns[np.asarray(tree["nodes_featureids"], dtype=np.int64)]
        usable = (first >= 0) & (column >= 0) & np.isfinite(splits)
        thresholds = splits[usable].astype(np.float64)
        thresholds = largest_float64(thresholds) if single else thresholds
        finite = np.isfinite(thresholds)
        yield first[usable][finite], column[usable][finite], thresholds[finite]


def _values_of(
    proto: onnx.ModelProto, name: str, blocks: dict[str, NDArray[Any]]
) -> NDArray[Any] | None:
    """Compute the tensor *name* for the rows in *blocks*."""
    if name == NUMBERS:
        return blocks[NUMBERS]
    subgraph = _needed_for(proto, name)
    inputs = {i.name for i in subgraph.graph.input}
    try:
        session = Session(subgraph.SerializeToString())
        values: NDArray[Any] = session.run(
            [name], {key: block for key, block in blocks.items() if key in inputs}
        )[0]
    except Exception:  # a subgraph that does not run only costs these extra rows
        return None
    return values


def _needed_for(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Return a model of the nodes and constants that the tensor *name* depends on."""
    source = proto.graph
    producers = {output: node for node in source.node for output in node.output}
    needed, waiting = set(), [name]
    while waiting:
        tensor = waiting.pop()
        if tensor in needed:
            continue
        needed.add(tensor)
        node = producers.get(tensor)
        if node is not None:
            waiting += _inputs_of(node)
    subgraph = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    graph = subgraph.graph
    graph.name = source.name
    graph.node.extend(node for node in source.node if needed.intersection(node.output))
    graph.initializer.extend(t for t in source.initializer if t.name in needed)
    graph.input.extend(i for i in source.input if i.name in needed)
    graph.output.append(onnx.ValueInfoProto(name=name))
    return subgraph


def _inputs_of(node: onnx.NodeProto) -> list[str]:
    """Return the tensors that *node* reads, also in its bodies."""
    bodies = [inner for attribute in node.attribute for inner in attribute.g.node]
    return [*node.input, *(name for inner in bodies for name in _inputs_of(inner))]


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


def _constant_edges(proto: onnx.ModelProto, n_columns: int) -> Iterator[Edges]:
    """Yield the constants of the graph's comparisons, for every column."""
    constants = {t.name: t for t in proto.graph.initializer}
    for node in proto.graph.node:
        for name in node.input if node.op_type in _COMPARISONS else ():
            tensor = constants.get(name)
            if tensor is None or tensor.data_type != onnx.TensorProto.DOUBLE:
                continue
            values = np.unique(numpy_helper.to_array(tensor))[:MAX_EDGES]
            values = values[np.isfinite(values)]
            width = min(n_columns, 1 + MAX_EDGES // max(1, len(values)))
            rows, columns = np.indices((len(values), width)).reshape(2, -1)
            yield rows, columns, values[rows]
