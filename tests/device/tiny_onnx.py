"""Write small ONNX graphs without the onnx package.

Field numbers are those of onnx.proto (ONNX 1.16).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TYPES = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7, "string": 8, "bool": 9, "float64": 11}


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def tensor(name: str, value: Any) -> bytes:
    array = np.asarray(value)
    kind = "string" if array.dtype.kind in "UO" else array.dtype.name
    out = b"".join(integer(1, size) for size in array.shape) + integer(2, TYPES[kind])
    if kind == "string":
        out += b"".join(message(6, text) for text in array.ravel().tolist())
    else:
        out += message(9, array.tobytes())
    return out + message(8, name)


def external_tensor(name: str, size: int, location: str) -> bytes:
    entry = message(1, "location") + message(2, location)
    place = message(13, entry) + integer(14, 1)
    return integer(1, size) + integer(2, TYPES["float64"]) + place + message(8, name)


def value_info(name: str, kind: str, shape: Sequence[int | None]) -> bytes:
    dims = b"".join(
        message(1, message(2, "n") if size is None else integer(1, size)) for size in shape
    )
    return message(1, name) + message(2, message(1, integer(1, TYPES[kind]) + message(2, dims)))


@dataclass
class Graph:
    """Nodes in order; initializers by name; inputs and outputs as (name, type, shape)."""

    inputs: list[tuple[str, str, list[int | None]]]
    outputs: list[tuple[str, str, list[int | None]]]
    initializers: Mapping[str, Any]
    nodes: list[bytes] = field(default_factory=list)
    raw_initializers: list[bytes] = field(default_factory=list)

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: int) -> "Graph":
        out = b"".join(message(1, name) for name in inputs) + message(2, output) + message(4, op)
        for name, value in attributes.items():
            out += message(5, message(1, name) + integer(3, value) + integer(20, 2))
        self.nodes.append(out)
        return self

    def to_bytes(self, *, opset: int = 21) -> bytes:
        graph = b"".join(message(1, node) for node in self.nodes) + message(2, "tiny")
        graph += b"".join(message(5, tensor(*item)) for item in self.initializers.items())
        graph += b"".join(message(5, raw) for raw in self.raw_initializers)
        graph += b"".join(message(11, value_info(*item)) for item in self.inputs)
        graph += b"".join(message(12, value_info(*item)) for item in self.outputs)
        return integer(1, 10) + message(8, message(1, "") + integer(2, opset)) + message(7, graph)
