"""Remove the hashed columns of the input that no node of a graph reads.

A HashingVectorizer has a million columns, and a model's weights are zero in all but the few that
training filled.  Counted into all of them, one text takes 3 ms and ten take 180 (2 cores,
onnxruntime 1.32); into those that are read, as long as into a vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import onnx
from edge_runtime.bundle.schema import NUMBERS, Schema
from edge_runtime.vectorizers.specification import Derived, Hashing
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge_pipeline.conversion.graph.types import Shape
from edge_pipeline.conversion.vocabulary_size import LARGEST_VOCABULARY_BYTES

__all__ = ["prune_columns"]

MIN_WIDTH = 1 << 10
"""Narrower blocks stay whole: they cost little, and their columns need no list in the manifest."""


def prune_columns(
    model: onnx.ModelProto, schema: Schema, shape: Callable[[str], Shape | None]
) -> Schema:
    """The schema of *model* without hashed columns that it does not read; *model* is changed.

    Both stay as they are where it is not plain what is read.

    Parameters
    ----------
    shape
        The static shape of a tensor of the graph by name, where it is known.
    """
    if not any(_is_wide(block) for block in schema.derived):
        return schema
    reading = _Reading(model.graph, schema.numbers_width, shape)
    read = reading.columns()
    starts = accumulate((block.width for block in schema.derived), initial=len(schema.numeric))
    stays = np.ones(schema.numbers_width, dtype=np.bool_)
    derived = []
    for block, (start, stop) in zip(schema.derived, pairwise(starts), strict=True):
        columns = _columns_to_keep(block, read[start:stop]) if _is_wide(block) else None
        if columns is None or not isinstance(block.placing, Hashing):
            derived.append(block)
            continue
        stays[start:stop] = False
        stays[start + columns] = True
        derived.append(replace(block, placing=replace(block.placing, kept=tuple(columns.tolist()))))
    if stays.all():
        return schema
    reading.keep(stays)
    return replace(schema, derived=tuple(derived))


def _is_wide(block: Derived) -> bool:
    return isinstance(block.placing, Hashing) and block.width >= MIN_WIDTH


def _columns_to_keep(block: Derived, read: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """The columns of *block* to keep; None when it is hardly worth it, or too many to list."""
    columns = np.flatnonzero(read) if read.any() else np.zeros(1, dtype=np.int64)
    listed = sum(len(str(column)) + 1 for column in columns.tolist())
    if 2 * len(columns) > block.width or listed > LARGEST_VOCABULARY_BYTES:
        return None
    return columns


@dataclass(frozen=True)
class _Use:
    """A node that reads columns of the input, *start* to *stop*, which it finds at *offset*."""

    node: onnx.NodeProto
    name: str
    start: int
    stop: int
    offset: int


class _Reading:
    """The readers of the input ``numbers`` in a graph, and the removal of its columns."""

    def __init__(
        self, graph: onnx.GraphProto, width: int, shape: Callable[[str], Shape | None]
    ) -> None:
        self._graph, self._width, self._shape = graph, width, shape
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in {*node.input, *_names_in_bodies(node)}:
                self._readers.setdefault(name, []).append(node)

    def columns(self) -> NDArray[np.bool_]:
        """Of each column of the input, whether anything reads it."""
        read = np.zeros(self._width, dtype=np.bool_)
        for use in self._uses():
            rows = slice(use.offset, use.offset + use.stop - use.start)
            if use.node.op_type == "TreeEnsemble":
                features = np.asarray(_attribute(use.node, "nodes_featureids").ints) - use.offset
                inside = (features >= 0) & (features < use.stop - use.start)
                read[use.start + features[inside]] = True
            elif (weights := self._weights(use)) is not None:
                read[use.start : use.stop] |= (weights[rows] != 0).any(axis=1)
            elif use.node.op_type != "Shape":
                read[use.start : use.stop] = True
        return read

    def keep(self, stays: NDArray[np.bool_]) -> None:
        """Take the other columns out of the input and out of whatever reads it."""
        place = np.concatenate([[0], np.cumsum(stays)])
        uses = list(self._uses())
        inner = {id(use.node): use.node for use in uses}
        for node in inner.values():
            mine = [use for use in uses if use.node is node]
            products = [
                (use, weights) for use in mine if (weights := self._weights(use)) is not None
            ]
            if node.op_type == "TreeEnsemble":
                self._move_features(node, mine, stays)
            elif products:
                rows_stay = np.ones(len(products[0][1]), dtype=np.bool_)
                for use, _ in products:
                    rows_stay[use.offset : use.offset + use.stop - use.start] = stays[
                        use.start : use.stop
                    ]
                self._replace(node, 1, products[0][1][rows_stay])
        for node in self._readers.get(NUMBERS, []):
            if self._is_slice(node):
                for i in (1, 2):
                    self._replace(node, i, place[self._values(node.input[i])])
        for graph_input in self._graph.input:
            if graph_input.name == NUMBERS:
                graph_input.type.tensor_type.shape.dim[1].dim_value = int(place[-1])
        self._drop_orphans()

    def _uses(self) -> Iterator[_Use]:
        waiting = [(NUMBERS, 0, self._width, 0)]
        while waiting:
            name, start, stop, offset = waiting.pop()
            for node in self._readers.get(name, []):
                inside = None
                if node.op_type == "Cast":
                    inside = start, stop, offset
                elif name == NUMBERS and self._is_slice(node):
                    first, last = (int(self._values(node.input[i])[0]) for i in (1, 2))
                    inside = first, last, 0
                elif node.op_type == "Concat" and (before := self._before(node, name)) is not None:
                    inside = start, stop, offset + before
                if inside is None:
                    yield _Use(node, name, start, stop, offset)
                else:
                    waiting.append((node.output[0], *inside))

    def _before(self, node: onnx.NodeProto, name: str) -> int | None:
        """How many columns a Concat has before those of *name*; None where that is not known."""
        if _attribute(node, "axis").i != 1 or list(node.input).count(name) != 1:
            return None
        shapes = [self._shape(part) for part in list(node.input)[: list(node.input).index(name)]]
        widths = [shape[1] if shape is not None and len(shape) == 2 else None for shape in shapes]
        return None if None in widths else sum(width for width in widths if width is not None)

    def _is_slice(self, node: onnx.NodeProto) -> bool:
        """Whether *node* takes columns side by side, between constant bounds."""
        if node.op_type != "Slice" or not all(name in self._stored for name in node.input[1:]):
            return False
        axes, steps = (self._values(name).tolist() for name in node.input[3:5])
        return (axes, steps) == ([1], [1])

    def _weights(self, use: _Use) -> NDArray[Any] | None:
        """The constant that *use* multiplies the rows by; None when it is no such product."""
        node = use.node
        turned = any(attribute.name in ("transA", "transB") for attribute in node.attribute)
        if node.op_type not in ("Gemm", "MatMul") or turned or node.input[1] not in self._stored:
            return None
        if node.input[0] != use.name or list(node.input).count(use.name) != 1:
            return None
        values = self._values(node.input[1])
        return values if values.ndim == 2 else None

    def _move_features(
        self, node: onnx.NodeProto, uses: list[_Use], stays: NDArray[np.bool_]
    ) -> None:
        """Number the features of trees anew, without the columns that are gone."""
        attribute = _attribute(node, "nodes_featureids")
        ids = np.asarray(attribute.ints, dtype=np.int64)
        gone = np.zeros(int(ids.max(initial=0)) + 1, dtype=np.int64)
        for use in uses:
            removed = ~stays[use.start : use.stop][: max(0, len(gone) - use.offset)]
            gone[use.offset : use.offset + len(removed)] += removed
        renumbered = ids - np.cumsum(gone)[ids]
        del attribute.ints[:]
        attribute.ints.extend(renumbered.tolist())

    def _values(self, name: str) -> NDArray[Any]:
        return numpy_helper.to_array(self._stored[name])

    def _replace(self, node: onnx.NodeProto, place: int, values: NDArray[Any]) -> None:
        """Another constant for *node* alone: equal constants are stored once."""
        name = f"{node.output[0]}_kept_{place}"
        tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        self._graph.initializer.append(tensor)
        self._stored[name] = tensor
        node.input[place] = name

    def _drop_orphans(self) -> None:
        names = {name for node in self._graph.node for name in node.input}
        names |= {name for node in self._graph.node for name in _names_in_bodies(node)}
        remaining = [tensor for tensor in self._graph.initializer if tensor.name in names]
        del self._graph.initializer[:]
        self._graph.initializer.extend(remaining)


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    attribute: onnx.AttributeProto = next(
        candidate for candidate in node.attribute if candidate.name == name
    )
    return attribute


def _names_in_bodies(node: onnx.NodeProto) -> Iterator[str]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in helper.get_attribute_value(attribute).node:
                yield from inner.input
                yield from _names_in_bodies(inner)
