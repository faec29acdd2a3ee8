"""Write the bytes of a smaller graph that gives some values of another graph; runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from edge_runtime.graph_safety import onnx_fields as proto
from edge_runtime.graph_safety.onnx_graph import Node, Scope
from edge_runtime.graph_safety.onnx_reader import MAX_FIELDS
from edge_runtime.graph_safety.protobuf_wire import Budget, fields

__all__ = ["message", "rewrite_graph", "varint"]


class _Needed(NamedTuple):
    """Positions of the nodes that the new graph needs, and the names of all values in use."""

    nodes: set[int]
    values: set[bytes]


def rewrite_graph(
    raw: bytes, main: Scope, names: Sequence[bytes], new_nodes: Mapping[int, bytes] | None = None
) -> bytes | None:
    """Write the graph whose outputs are *names*; None when no node can be removed.

    Parameters
    ----------
    new_nodes
        Positions in ``main.nodes``, and the NodeProto that replaces the node there.
    """
    needed = _find_needed(main, names)
    if len(needed.nodes) == len(main.nodes):
        return None
    before = 0
    for tag, start, end in fields(raw, 0, len(raw), Budget(MAX_FIELDS)):
        if tag == proto.MODEL_GRAPH:
            parts = _graph_parts(raw[start:end], main, needed, names, new_nodes or {})
            return raw[:before] + message(tag, b"".join(parts)) + raw[end:]
        before = end
    raise ValueError("a ModelProto without a graph")


def _find_needed(main: Scope, names: Iterable[bytes]) -> _Needed:
    """Walk from *names* back to the inputs."""
    position = {id(node): i for i, node in enumerate(main.nodes)}
    needed = _Needed(set(), set())
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in needed.values:
            continue
        needed.values.add(name)
        node = main.producers.get(name)
        if node is not None and position[id(node)] not in needed.nodes:
            needed.nodes.add(position[id(node)])
            pending += _names_read(node)
    return needed


def _names_read(node: Node) -> list[bytes]:
    """List the names that a node and its subgraphs read, whichever graph defines them."""
    names = list(node.inputs)
    subgraphs = [graph for _, graph in node.subgraphs]
    while subgraphs:
        subgraph = subgraphs.pop()
        names += subgraph.outputs
        for inner_node in subgraph.nodes:
            names += inner_node.inputs
            subgraphs += [graph for _, graph in inner_node.subgraphs]
    return names


def _graph_parts(
    graph: bytes,
    main: Scope,
    needed: _Needed,
    names: Sequence[bytes],
    new_nodes: Mapping[int, bytes],
) -> Iterator[bytes]:
    """Yield the fields of the new GraphProto, from those of the old one, *graph*."""
    # onnx_reader lists them in the order of their fields.
    tensors, outputs, nodes = iter(main.tensors), iter(main.outputs), count()
    new_outputs = dict.fromkeys(names)
    before = 0
    for tag, _, end in fields(graph, 0, len(graph), Budget(MAX_FIELDS)):
        # Types of inner values are not needed: onnxruntime infers them.
        keep = tag != proto.GRAPH_VALUE
        new_node: bytes | None = None
        if tag == proto.GRAPH_NODE:
            node = next(nodes)
            keep, new_node = node in needed.nodes, new_nodes.get(node)
        elif tag == proto.GRAPH_TENSOR:
            keep = next(tensors) in needed.values
        elif tag == proto.GRAPH_OUTPUT:
            name = next(outputs)
            keep = name in new_outputs
            new_outputs.pop(name, None)
        if keep:
            yield graph[before:end] if new_node is None else message(proto.GRAPH_NODE, new_node)
        before = end
    for name in new_outputs:
        yield message(proto.GRAPH_OUTPUT, message(proto.VALUE_NAME, name))


def message(tag: int, content: bytes) -> bytes:
    """Encode a protobuf field of bytes."""
    return varint(tag) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Encode an integer that is not negative, seven bits a byte."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
