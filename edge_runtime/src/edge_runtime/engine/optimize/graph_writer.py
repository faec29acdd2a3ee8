"""A graph's bytes in, those of another graph out that gives some of its values; runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from edge_runtime.graph_safety.onnx_reader import MAX_FIELDS, Node, Scope
from edge_runtime.graph_safety.protobuf_wire import Budget, fields

__all__ = ["message", "rewrite_graph", "varint"]

# Tags of ModelProto, GraphProto and ValueInfoProto, as in graph_reading.
_MODEL_GRAPH = 0x3A
_NODE, _TENSOR, _OUTPUT, _VALUE = 0x0A, 0x2A, 0x62, 0x6A
_NAME = 0x0A


def rewrite_graph(
    raw: bytes, main: Scope, names: Sequence[bytes], instead: Mapping[int, bytes] | None = None
) -> bytes | None:
    """The graph that gives *names* alone; None when nothing can be cut.

    Parameters
    ----------
    instead
        Places of nodes in ``main.nodes`` to what stands there in the new graph: a NodeProto.
    """
    kept, used = _needed(main, names)
    if len(kept) == len(main.nodes):
        return None
    budget = Budget(MAX_FIELDS)
    before = 0
    for tag, start, end in fields(raw, 0, len(raw), budget):
        if tag == _MODEL_GRAPH:
            parts = _rewritten_graph(raw, start, end, main, kept, used, names, instead or {})
            return raw[:before] + message(tag, b"".join(parts)) + raw[end:]
        before = end
    raise ValueError("a ModelProto without a graph")


def _needed(main: Scope, names: Iterable[bytes]) -> tuple[set[int], set[bytes]]:
    """Positions of the nodes that *names* depend on, and all names that are then in use."""
    position = {id(node): i for i, node in enumerate(main.nodes)}
    kept: set[int] = set()
    used: set[bytes] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in used:
            continue
        used.add(name)
        maker = main.makers.get(name)
        if maker is not None and position[id(maker)] not in kept:
            kept.add(position[id(maker)])
            waiting += _read_by(maker)
    return kept, used


def _read_by(node: Node) -> list[bytes]:
    """Names that a node reads, those of its subgraphs included, whichever graph defines them."""
    names = list(node.inputs)
    bodies = [body for _, body in node.bodies]
    while bodies:
        body = bodies.pop()
        names += body.outputs
        for inner in body.nodes:
            names += inner.inputs
            bodies += [deeper for _, deeper in inner.bodies]
    return names


def _rewritten_graph(
    raw: bytes,
    start: int,
    end: int,
    main: Scope,
    kept: set[int],
    used: set[bytes],
    names: Sequence[bytes],
    instead: Mapping[int, bytes],
) -> Iterator[bytes]:
    # In the order of their fields, as graph_reading keeps them.
    tensors, outputs, nodes = iter(main.tensors), iter(main.outputs), count()
    missing = dict.fromkeys(names)
    before = start
    for tag, _, stop in fields(raw, start, end, Budget(MAX_FIELDS)):
        stays = tag != _VALUE  # types of values inside: onnxruntime finds them out itself
        other: bytes | None = None
        if tag == _NODE:
            node = next(nodes)
            stays, other = node in kept, instead.get(node)
        elif tag == _TENSOR:
            stays = next(tensors) in used
        elif tag == _OUTPUT:
            name = next(outputs)
            stays = name in missing
            missing.pop(name, None)
        if stays:
            yield raw[before:stop] if other is None else message(_NODE, other)
        before = stop
    for name in missing:
        yield message(_OUTPUT, message(_NAME, name))


def message(tag: int, content: bytes) -> bytes:
    """A field that holds *content*."""
    return varint(tag) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """A whole number, not negative, seven bits a byte."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
