"""Decode a graph that the graph check has accepted: its nodes, attributes and stored tensors.

:mod:`edge_runtime.graph_safety` reads the places of the data and copies nothing.  This module reads
the data.  It relies on the check: every field is one that the check knows.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.graph_safety import onnx_fields as proto
from edge_runtime.graph_safety.onnx_reader import MAX_FIELDS
from edge_runtime.graph_safety.protobuf_wire import Budget, fields, read_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DTYPES", "DecodedGraph", "DecodedNode", "decode_model"]

DTYPES: dict[int, np.dtype[Any]] = {
    kind: np.dtype(name)
    for kind, name in {
        1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 8: "O", 9: "?", 10: "f2",
        11: "f8", 12: "u4", 13: "u8",
    }.items()
}  # fmt: skip
"""TensorProto.DataType to numpy's dtype; texts are objects."""

_ATTRIBUTE_FLOAT, _ATTRIBUTE_TEXT, _ATTRIBUTE_FLOATS, _ATTRIBUTE_FLOATS_PACKED = 21, 34, 61, 58
_ATTRIBUTE_INTS_PACKED = 66
_FLOAT_DATA, _INT32_DATA, _INT64_DATA, _DOUBLE_DATA, _UINT64_DATA = 34, 42, 58, 82, 90
_PACKED_FLOATS = {_FLOAT_DATA: "<f4", _DOUBLE_DATA: "<f8"}
_PACKED_INTEGERS = frozenset({_INT32_DATA, _INT64_DATA, _UINT64_DATA})
_INPUT_TYPE, _TENSOR_TYPE, _ELEMENT_TYPE = 0x12, 0x0A, 0x08


class DecodedNode:
    """One node; an input that is left out has the name ``""``."""

    __slots__ = ("attributes", "domain", "inputs", "op", "outputs")

    def __init__(self) -> None:
        self.op = self.domain = ""
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.attributes: dict[str, Any] = {}


class DecodedGraph:
    """A graph: its stored tensors, its nodes, and the names at its ends."""

    __slots__ = ("input_types", "inputs", "nodes", "outputs", "tensors")

    def __init__(self) -> None:
        self.tensors: dict[str, NDArray[Any]] = {}
        self.nodes: list[DecodedNode] = []
        self.inputs: list[str] = []
        self.input_types: list[np.dtype[Any] | None] = []
        self.outputs: list[str] = []


def decode_model(raw: bytes) -> DecodedGraph:
    """Decode the main graph of a ModelProto."""
    decoder = _Decoder(raw)
    for tag, start, end in decoder.fields(0, len(raw)):
        if tag == proto.MODEL_GRAPH:
            return decoder.graph(start, end)
    raise ValueError("the model has no graph")


class _Decoder:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._budget = Budget(MAX_FIELDS)

    def fields(self, start: int, end: int, runs: frozenset[int] = frozenset()) -> Any:
        return fields(self._raw, start, end, self._budget, runs)

    def graph(self, start: int, end: int) -> DecodedGraph:
        graph = DecodedGraph()
        for tag, value, stop in self.fields(start, end):
            if tag == proto.GRAPH_NODE:
                graph.nodes.append(self._node(value, stop))
            elif tag == proto.GRAPH_TENSOR:
                name, array = self._tensor(value, stop)
                graph.tensors[name] = array
            elif tag == proto.GRAPH_INPUT:
                name, dtype = self._input(value, stop)
                graph.inputs.append(name)
                graph.input_types.append(dtype)
            elif tag == proto.GRAPH_OUTPUT:
                graph.outputs.append(self._input(value, stop)[0])
        return graph

    def _text(self, start: int, end: int) -> str:
        return self._raw[start:end].decode("utf-8", "surrogateescape")

    def _input(self, start: int, end: int) -> tuple[str, np.dtype[Any] | None]:
        name, dtype = "", None
        for tag, value, stop in self.fields(start, end):
            if tag == proto.VALUE_NAME:
                name = self._text(value, stop)
            elif tag == _INPUT_TYPE:
                for inner, inner_value, inner_stop in self.fields(value, stop):
                    if inner == _TENSOR_TYPE:
                        kinds = [
                            kind
                            for leaf, kind, _ in self.fields(inner_value, inner_stop)
                            if leaf == _ELEMENT_TYPE
                        ]
                        dtype = DTYPES.get(kinds[-1]) if kinds else None
        return name, dtype

    def _node(self, start: int, end: int) -> DecodedNode:
        node = DecodedNode()
        for tag, value, stop in self.fields(start, end):
            if tag == proto.NODE_INPUT:
                node.inputs.append(self._text(value, stop))
            elif tag == proto.NODE_OUTPUT:
                node.outputs.append(self._text(value, stop))
            elif tag == proto.NODE_OP:
                node.op = self._text(value, stop)
            elif tag == proto.NODE_DOMAIN:
                node.domain = self._text(value, stop)
            elif tag == proto.NODE_ATTRIBUTE:
                name, content = self._attribute(value, stop)
                node.attributes[name] = content
        if node.domain == "ai.onnx":
            node.domain = ""
        return node

    def _attribute(self, start: int, end: int) -> tuple[str, Any]:
        raw, name = self._raw, ""
        content: Any = None
        integers: list[NDArray[Any]] = []
        floats: list[NDArray[Any]] = []
        texts: list[str] = []
        for tag, value, stop in self.fields(start, end, proto.ATTRIBUTE_RUNS):
            if tag == proto.ATTRIBUTE_NAME:
                name = self._text(value, stop)
            elif tag == proto.ATTRIBUTE_INT:
                content = _signed(value)
            elif tag == _ATTRIBUTE_FLOAT:
                content = struct.unpack_from("<f", raw, value)[0]
            elif tag == _ATTRIBUTE_TEXT:
                content = self._text(value, stop)
            elif tag == proto.ATTRIBUTE_TENSOR:
                content = self._tensor(value, stop)[1]
            elif tag == proto.ATTRIBUTE_GRAPH:
                content = self.graph(value, stop)
            elif tag == proto.ATTRIBUTE_INTS:
                integers.append(np.array([_signed(value)]))
            elif tag == -proto.ATTRIBUTE_INTS:
                integers.append(read_run(raw, value, stop).astype(np.int64))
            elif tag == _ATTRIBUTE_INTS_PACKED:
                integers.append(_varints(raw, value, stop))
            elif tag == _ATTRIBUTE_FLOATS:
                floats.append(np.frombuffer(raw, "<f4", 1, value))
            elif tag == -_ATTRIBUTE_FLOATS:
                floats.append(_read_floats(raw, value, stop))
            elif tag == _ATTRIBUTE_FLOATS_PACKED:
                floats.append(np.frombuffer(raw, "<f4", (stop - value) // 4, value))
            elif tag == proto.ATTRIBUTE_STRINGS:
                texts.append(self._text(value, stop))
        if content is None:
            numbers = integers or floats
            content = np.concatenate(numbers) if numbers else texts
        return name, content

    def _tensor(self, start: int, end: int) -> tuple[str, NDArray[Any]]:
        raw, name, kind = self._raw, "", 1
        shape: list[int] = []
        data: list[NDArray[Any]] = []
        texts: list[str] = []
        raw_data: tuple[int, int] | None = None
        for tag, value, stop in self.fields(start, end):
            if tag == proto.TENSOR_DIM:
                shape.append(_signed(value))
            elif tag == proto.TENSOR_TYPE:
                kind = value
            elif tag == proto.TENSOR_NAME:
                name = self._text(value, stop)
            elif tag == proto.TENSOR_RAW_DATA:
                raw_data = value, stop
            elif tag == proto.TENSOR_STRING:
                texts.append(self._text(value, stop))
            elif tag in _PACKED_FLOATS:
                dtype = np.dtype(_PACKED_FLOATS[tag])
                data.append(np.frombuffer(raw, dtype, (stop - value) // dtype.itemsize, value))
            elif tag in _PACKED_INTEGERS:
                data.append(_varints(raw, value, stop))
        dtype = DTYPES[kind]
        if dtype.kind == "O":
            array = np.empty(len(texts), dtype=object)
            array[:] = texts
        elif raw_data is not None:
            little_endian = dtype.newbyteorder("<")
            n_items = (raw_data[1] - raw_data[0]) // dtype.itemsize
            array = np.frombuffer(raw, little_endian, n_items, raw_data[0]).astype(dtype)
        else:
            array = np.concatenate(data).astype(dtype) if data else np.zeros(0, dtype)
        array = array.reshape(shape)
        array.flags.writeable = False  # a kernel must not change a constant
        return name, array


def _signed(value: int) -> int:
    """Read a varint of 64 bits as a signed integer."""
    return value - (1 << 64) if value >> 63 else value


def _read_floats(raw: bytes, start: int, end: int) -> NDArray[np.float32]:
    """Read a run of floats, each after its tag."""
    run = np.frombuffer(raw, np.uint8, end - start, start).reshape(-1, 5)
    return run[:, 1:].copy().view("<f4")[:, 0]


def _varints(raw: bytes, start: int, end: int) -> NDArray[np.int64]:
    """Read packed varints, which have no tags between them."""
    block = np.frombuffer(raw, np.uint8, end - start, start)
    lasts = np.flatnonzero(block < 0x80)
    starts = np.concatenate([[0], lasts[:-1] + 1]) if len(lasts) else lasts
    sizes = lasts - starts + 1
    values = np.zeros(len(lasts), dtype=np.int64)
    groups = (block & 0x7F).astype(np.int64)
    for i in range(int(sizes.max(initial=0))):
        has_group = sizes > i
        values[has_group] |= groups[starts[has_group] + i] << (7 * i)
    return values
