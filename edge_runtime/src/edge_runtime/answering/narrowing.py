"""A graph's bytes in, those of a smaller graph that gives fewer outputs out; runs nothing.

onnxruntime computes every node of a graph, whichever outputs are asked for (measured on 1.32), so
what nobody asked for is cut out beforehand.  Three cuts:

- nodes and stored tensors that no wanted output depends on;
- the last look-up of a class label: the graph gives the label's number, and a table the label.
  A number can be written into a buffer, a string cannot, and 1,000 strings take 20 us to make;
- a last Squeeze, which takes the graph 0.5 us and numpy 0.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.scan.graph_reading import MAX_FIELDS, Node, Scope
from edge_runtime.scan.wire import Budget, fields

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Narrowed", "narrowed"]


class Narrowed(NamedTuple):
    """A ModelProto that gives some outputs of another one.

    Attributes
    ----------
    graph
        Its bytes.
    names
        What to ask it for, in the order of the outputs that were wanted.
    labels
        For each of them None, or the table that it gives positions in.
    squeezed
        Of each of them, whether its second axis, of length 1, is to be taken away.
    """

    graph: bytes
    names: tuple[str, ...]
    labels: tuple[NDArray[Any] | None, ...]
    squeezed: tuple[bool, ...]


def narrowed(raw: bytes, main: Scope, wanted: Sequence[str]) -> Narrowed | None:
    """The smallest graph that gives *wanted*; None when nothing can be cut.

    Parameters
    ----------
    raw
        A ModelProto that the scan has let pass.
    main
        Its main graph, as read from *raw*.
    """
    ends = [_end(raw, main, name.encode()) for name in wanted]
    names = [name for name, _, _ in ends]
    kept, used = _needed(main, names)
    if len(kept) == len(main.nodes):
        return None
    return Narrowed(
        _rewritten(raw, main, kept, used, names),
        tuple(name.decode() for name in names),
        tuple(labels for _, labels, _ in ends),
        tuple(squeezed for _, _, squeezed in ends),
    )


# Tags of ModelProto.graph and of fields of GraphProto, as in graph_reading.
_MODEL_GRAPH = 0x3A
_NODE, _TENSOR, _OUTPUT, _VALUE = 0x0A, 0x2A, 0x62, 0x6A
_NAME = 0x0A  # of ValueInfoProto

_STRING = 8
# TensorProto.DataType to what numpy calls it, in raw_data's byte order.
_NUMBERS = {1: "<f4", 2: "u1", 6: "<i4", 7: "<i8", 9: "?", 11: "<f8"}


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


def _end(raw: bytes, main: Scope, name: bytes) -> tuple[bytes, NDArray[Any] | None, bool]:
    """What *name* is made of by the last look-up and Squeeze; the labels; whether to squeeze."""
    shown, squeezed = _unsqueezed(raw, main, name)
    maker = main.makers.get(shown)
    if maker is None or (maker.op, maker.domain) != (b"Gather", b"") or len(maker.inputs) != 2:
        return shown, None, squeezed
    table, number = maker.inputs
    if squeezed or table not in main.tensors or number not in main.makers:
        return shown, None, squeezed
    labels = _stored_vector(raw, main, table)
    return (shown, None, False) if labels is None else (number, labels, False)


def _unsqueezed(raw: bytes, main: Scope, name: bytes) -> tuple[bytes, bool]:
    """What *name* is a copy of, and whether without its second axis."""
    squeezed = False
    while (maker := main.makers.get(name)) is not None and not maker.domain:
        if maker.op == b"Squeeze" and not squeezed and len(maker.inputs) == 2:
            source, axes = maker.inputs
            stored = _stored_vector(raw, main, axes) if axes in main.tensors else None
            if stored is None or stored.tolist() != [1]:
                break
            squeezed = True
        elif maker.op == b"Identity":
            source = maker.inputs[0]
        else:
            break
        if source not in main.makers:  # the graph's own input, or a stored tensor
            break
        name = source
    return name, squeezed


def _stored_vector(raw: bytes, main: Scope, name: bytes) -> NDArray[Any] | None:
    """A stored tensor of one axis; along another one the look-up would have an axis to choose."""
    place = list(main.tensors).index(name)
    budget = Budget(MAX_FIELDS)
    graph = next((a, b) for tag, a, b in fields(raw, 0, len(raw), budget) if tag == _MODEL_GRAPH)
    tensors = [(a, b) for tag, a, b in fields(raw, *graph, budget) if tag == _TENSOR]
    axes, texts = 0, []
    for tag, a, b in fields(raw, *tensors[place], budget):
        axes += tag == 0x08
        if tag == 0x32:
            texts.append(raw[a:b])
    tensor = main.tensors[name]
    if axes != 1 or not tensor.elements:
        return None
    if tensor.kind == _STRING:
        try:
            return np.array([text.decode("utf-8") for text in texts], dtype=object)
        except UnicodeDecodeError:
            return None
    dtype = _NUMBERS.get(tensor.kind)
    if dtype is None or tensor.start == tensor.end:
        return None
    return np.frombuffer(raw[tensor.start : tensor.end], dtype=dtype)


def _rewritten(
    raw: bytes, main: Scope, kept: set[int], used: set[bytes], names: Sequence[bytes]
) -> bytes:
    budget = Budget(MAX_FIELDS)
    before = 0
    for tag, start, end in fields(raw, 0, len(raw), budget):
        if tag == _MODEL_GRAPH:
            graph = _rewritten_graph(raw, start, end, main, kept, used, names)
            return raw[:before] + _message(tag, graph) + raw[end:]
        before = end
    raise ValueError("a ModelProto without a graph")


def _rewritten_graph(
    raw: bytes,
    start: int,
    end: int,
    main: Scope,
    kept: set[int],
    used: set[bytes],
    names: Sequence[bytes],
) -> bytes:
    # In the order of their fields, as graph_reading keeps them.
    tensors, outputs, node = iter(main.tensors), iter(main.outputs), -1
    missing = dict.fromkeys(names)
    parts: list[bytes] = []
    before = start
    for tag, _, stop in fields(raw, start, end, Budget(MAX_FIELDS)):
        stays = tag != _VALUE  # types of values inside: onnxruntime finds them out itself
        if tag == _NODE:
            node += 1
            stays = node in kept
        elif tag == _TENSOR:
            stays = next(tensors) in used
        elif tag == _OUTPUT:
            name = next(outputs)
            stays = name in missing
            missing.pop(name, None)
        if stays:
            parts.append(raw[before:stop])
        before = stop
    parts += [_message(_OUTPUT, _message(_NAME, name)) for name in missing]
    return b"".join(parts)


def _message(tag: int, content: bytes) -> bytes:
    size, groups = len(content), bytearray([tag])
    while size > 0x7F:
        groups.append(size & 0x7F | 0x80)
        size >>= 7
    groups.append(size)
    return bytes(groups) + content
