"""Rows at the edges of a graph's questions: every threshold, and one float64 to either side.

A row of the sample that reaches a question of a tree is moved to its threshold, so that the node
decides the answer; constants that the graph compares with are tried in every column of numbers.
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
from edge_pipeline.proof.trees import last_before_float32

__all__ = ["edge_rows"]

MOST_EDGES = 1_000
"""Thresholds tried, three rows each.  A limit of rows, since with one of seconds two builds of the
same estimator would be two files."""

WALKED_ROWS = 200
"""Rows of the sample that look for the questions which some row reaches."""

_COMPARISONS = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual")


def edge_rows(graph: bytes, sample: Sample, rng: np.random.Generator) -> pd.DataFrame | None:
    """Rows on both sides of thresholds, in the columns of the sample's table; None without any."""
    numeric = list(sample.schema.numeric)
    if not numeric or sample.schema.derived:
        return None
    start = sample.table.head(WALKED_ROWS)
    proto = onnx.load_model_from_string(graph)
    edges = sorted({*_tree_edges(proto, sample, start), *_constant_edges(proto, len(numeric))})
    if not edges:
        return None
    if len(edges) > MOST_EDGES:
        edges = [edges[i] for i in sorted(rng.permutation(len(edges))[:MOST_EDGES])]
    row, column, value = (np.array(each) for each in zip(*edges, strict=True))
    with np.errstate(over="ignore"):
        sides = [np.nextafter(value, -np.inf), value, np.nextafter(value, np.inf)]
    rows = start.iloc[np.tile(row, 3) % len(start)].reset_index(drop=True)
    moved, at = np.concatenate(sides), np.tile(column, 3)
    for i, position in enumerate(numeric):
        described = sample.schema.columns[position]
        if described.type != "float64":
            continue  # whole numbers lie on one side or the other
        values = rows[described.name].to_numpy(dtype=np.float64).copy()
        here = (at == i) & np.isfinite(moved)
        values[here] = moved[here]
        rows[described.name] = values
    return rows


_Edge = tuple[int, int, float]
"""A row of the sample, a column of the graph's numbers, and a threshold."""


def _tree_edges(proto: onnx.ModelProto, sample: Sample, start: pd.DataFrame) -> Iterator[_Edge]:
    """For every question that some row reaches: that row, and the last float64 that goes left."""
    nodes = [node for node in proto.graph.node if node.op_type == "TreeEnsemble"]
    blocks = sample.blocks(start)
    for node in nodes:
        X = _values_of(proto, node.input[0], blocks)
        if X is None or X.ndim != 2 or len(X) != len(start):
            continue
        told = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        splits = numpy_helper.to_array(told["nodes_splits"])
        single = splits.dtype == np.float32
        last = splits.astype(np.float64)
        last = last_before_float32(last) if single else last
        columns = _same_columns(X, blocks[NUMBERS], single)
        first = _first_rows(X, told, splits)
        for feature, threshold, row in zip(
            told["nodes_featureids"], last.tolist(), first.tolist(), strict=True
        ):
            if row >= 0 and columns[feature] >= 0 and np.isfinite(threshold):
                yield row, int(columns[feature]), threshold


def _values_of(
    proto: onnx.ModelProto, name: str, blocks: dict[str, NDArray[Any]]
) -> NDArray[Any] | None:
    """What the tensor *name* holds for the rows in *blocks*."""
    if name == NUMBERS:
        return blocks[NUMBERS]
    cut = onnx.ModelProto()
    cut.CopyFrom(proto)
    del cut.graph.output[:]
    cut.graph.output.append(onnx.ValueInfoProto(name=name))
    given = {i.name for i in cut.graph.input}
    try:
        session = Session(cut.SerializeToString())
        found: NDArray[Any] = session.run(
            [name], {key: block for key, block in blocks.items() if key in given}
        )[0]
    except Exception:  # any failure to look into the graph costs these rows alone
        return None
    return found


def _same_columns(X: NDArray[Any], numbers: NDArray[Any], single: bool) -> NDArray[np.int64]:
    """Which column of *numbers* each of *X* is, where it is not missing; -1 for none."""
    with np.errstate(over="ignore"):
        given = numbers.astype(np.float32) if single else numbers
    result = np.full(X.shape[1], -1)
    for j in range(X.shape[1]):
        if j < given.shape[1] and _agree(X[:, j], given[:, j]):
            result[j] = j
            continue
        same = [i for i in range(given.shape[1]) if _agree(X[:, j], given[:, i])]
        result[j] = same[0] if same else -1
    return result


def _agree(x: NDArray[Any], given: NDArray[Any]) -> bool:
    known = ~np.isnan(given)
    return bool(known.any() and (x[known] == given[known]).all())


def _first_rows(X: NDArray[Any], told: dict[str, Any], splits: NDArray[Any]) -> NDArray[np.int64]:
    """The first row that comes to each node, -1 where none does."""
    feature = np.asarray(told["nodes_featureids"])
    ways = [np.asarray(told[f"nodes_{side}nodeids"]) for side in ("true", "false")]
    ends = [np.asarray(told[f"nodes_{side}leafs"]) for side in ("true", "false")]
    nan = np.asarray(told.get("nodes_missing_value_tracks_true", np.zeros(len(feature))))
    first = np.full(len(feature), -1)
    roots = np.asarray(told["tree_roots"])
    node = np.repeat(roots, len(X))
    row = np.tile(np.arange(len(X)), len(roots))
    while len(node):
        # Backwards, so that the first row is the one that stays.
        first[node[::-1]] = row[::-1]
        value = X[row, feature[node]]
        left = (value <= splits[node]) | (np.isnan(value) & (nan[node] == 1))
        leaf = np.where(left, ends[0][node], ends[1][node]) == 1
        node = np.where(left, ways[0][node], ways[1][node])[~leaf]
        row = row[~leaf]
    return first


def _constant_edges(proto: onnx.ModelProto, n_columns: int) -> Iterator[_Edge]:
    """Constants that the graph compares something with, in every column."""
    constants = {t.name: t for t in proto.graph.initializer}
    for node in proto.graph.node:
        for name in node.input if node.op_type in _COMPARISONS else ():
            tensor = constants.get(name)
            if tensor is None or tensor.data_type != onnx.TensorProto.DOUBLE:
                continue
            values = np.unique(numpy_helper.to_array(tensor))[:MOST_EDGES]
            for i, value in enumerate(values[np.isfinite(values)].tolist()):
                for column in range(min(n_columns, 1 + MOST_EDGES // len(values))):
                    yield i, column, value
