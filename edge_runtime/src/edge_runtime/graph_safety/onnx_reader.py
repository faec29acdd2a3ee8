"""A ModelProto's bytes in, its graphs as names and places out; no onnx package, no onnxruntime.

Reads what onnx.proto (ONNX 1.21) defines and a bundle may hold.  Whatever else the bytes say is
refused here, by its field: a field that ``graph_fields`` does not list is one that nobody has
looked at.  Fields that hold one message must come once, since protobuf would merge two.
"""

from __future__ import annotations

import math

from edge_runtime.errors import UnsafeGraphError
from edge_runtime.graph_safety.onnx_fields import (
    ATTRIBUTE_PLAIN,
    ATTRIBUTE_RUNS,
    GRAPH_PLAIN,
    ITEM_BYTES,
    MODEL_PLAIN,
    NODE_PLAIN,
    PACKED,
    REMEDY,
    STRING,
    TENSOR_PLAIN,
    WALKED,
    refused,
    shown,
    twice,
)
from edge_runtime.graph_safety.protobuf_wire import Budget, WireError, count_varints, fields
from edge_runtime.records import record

__all__ = ["Node", "Opsets", "Scope", "Tensor", "read_graph"]

MAX_FIELDS = 4_000_000
"""Fields in one graph; a second of reading.  Long runs of numbers and raw tensors count as one."""

MAX_NODES = 100_000
"""Nodes in one file, those of subgraphs included; a deep pipeline has some hundreds."""

MAX_SUBGRAPHS = 8
"""Subgraphs inside one another; a function of pairs of rows in a search has four."""

MAX_ENDS = 10_000
"""Inputs or outputs of one graph or node: a table of as many columns, taken apart.  onnxruntime
takes 35 us to note one (measured on 1.32)."""

MAX_VALUES = 200_000
"""Outputs of all nodes of one file."""

MAX_DIMENSION = 2**31 - 1
"""Of a stored tensor along one axis; with 0 along another, a size that nothing else bounds."""

Opsets = dict[str, int]


@record(frozen=True, slots=True)
class Tensor:
    """A stored tensor: its ONNX element type, size and shape, and where its bytes lie.

    ``start`` and ``end`` are those of ``raw_data``, or equal when it is stored otherwise.
    """

    name: bytes
    kind: int
    elements: int
    shape: tuple[int, ...]
    start: int
    end: int


class Node:
    """One node, with those of its attributes that are looked into, and the place of its bytes.

    ``integers`` are attributes of one whole number, ``ints`` lists of them; ``runs`` are long ones,
    as places, tags included; ``tensors`` are attributes of one tensor; ``modes`` is the list of
    strings ``nodes_modes`` of a tree ensemble.
    """

    # No dataclass: two of them would cost a start 0.5 ms.
    __slots__ = (
        "attributes",
        "bodies",
        "domain",
        "inputs",
        "integers",
        "ints",
        "modes",
        "op",
        "outputs",
        "place",
        "runs",
        "tensors",
    )

    def __init__(self, place: tuple[int, int]) -> None:
        self.place = place
        self.op = self.domain = b""
        self.inputs: list[bytes] = []
        self.outputs: list[bytes] = []
        self.attributes: set[bytes] = set()
        self.bodies: list[tuple[bytes, Scope]] = []
        self.integers: dict[bytes, int] = {}
        self.ints: dict[bytes, list[int]] = {}
        self.runs: dict[bytes, tuple[int, int]] = {}
        self.tensors: dict[bytes, Tensor] = {}
        self.modes: list[bytes] = []


class Scope:
    """A graph, the main one or a subgraph, and the names it defines."""

    __slots__ = ("inputs", "makers", "nodes", "outputs", "parent", "tensors")

    def __init__(self, parent: Scope | None) -> None:
        self.parent = parent
        self.inputs: list[bytes] = []
        self.outputs: list[bytes] = []
        self.tensors: dict[bytes, Tensor] = {}
        self.nodes: list[Node] = []
        self.makers: dict[bytes, Node] = {}


def read_graph(raw: bytes) -> tuple[Scope, Opsets]:
    """The main graph, and the operator sets it asks for.

    Raises
    ------
    UnsafeGraphError
        The bytes are no ModelProto, or hold what no bundle may: see graph_fields.
    """
    try:
        return _Reader(raw).model()
    except WireError as error:
        raise UnsafeGraphError(f"the graph is no ONNX model: {error}; {REMEDY}") from error


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._budget = Budget(MAX_FIELDS)
        self._nodes = self._values = 0

    def model(self) -> tuple[Scope, Opsets]:
        graph: tuple[int, int] | None = None
        opsets: Opsets = {}
        for tag, start, end in fields(self._raw, 0, len(self._raw), self._budget):
            if tag == 0x3A:
                if graph is not None:
                    raise twice("graphs")
                graph = start, end
            elif tag == 0x42:
                domain, version = self._opset(start, end)
                if domain in opsets:
                    raise twice(f"versions of the operators {domain!r}")
                opsets[domain] = version
            elif tag not in MODEL_PLAIN:
                raise refused("model", tag)
        if graph is None:
            raise WireError("it has no graph")
        return self._graph(*graph, None, 0), opsets

    def _opset(self, start: int, end: int) -> tuple[str, int]:
        domain, version = b"", 0
        for tag, a, b in fields(self._raw, start, end, self._budget):
            if tag == 0x0A:
                domain = self._raw[a:b]
            elif tag == 0x10:
                version = a
            else:
                raise refused("operator set", tag)
        return domain.decode("utf-8", "replace"), version

    def _graph(self, start: int, end: int, parent: Scope | None, depth: int) -> Scope:
        if depth > MAX_SUBGRAPHS:
            raise UnsafeGraphError(
                f"the graph has more than {MAX_SUBGRAPHS} subgraphs inside one another; {REMEDY}"
            )
        scope = Scope(parent)
        for tag, a, b in fields(self._raw, start, end, self._budget):
            if tag == 0x0A:
                scope.nodes.append(self._node(a, b, scope, depth))
            elif tag == 0x2A:
                tensor = self._tensor(a, b)
                if tensor.name in scope.tensors:
                    raise twice(f"tensors called {shown(tensor.name)}")
                scope.tensors[tensor.name] = tensor
            elif tag in (0x5A, 0x62):
                ends = scope.inputs if tag == 0x5A else scope.outputs
                ends.append(self._value_name(a, b))
                if len(ends) > MAX_ENDS:
                    raise UnsafeGraphError(
                        f"a graph has more than {MAX_ENDS} inputs or outputs; {REMEDY}"
                    )
            elif tag == 0x6A:
                self._value_name(a, b)
            elif tag not in GRAPH_PLAIN:
                raise refused("graph", tag)
        _define(scope)
        return scope

    def _node(self, start: int, end: int, scope: Scope, depth: int) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise UnsafeGraphError(f"the graph has more than {MAX_NODES} nodes; {REMEDY}")
        raw, node = self._raw, Node((start, end))
        for tag, a, b in fields(raw, start, end, self._budget):
            if tag == 0x0A:
                node.inputs.append(raw[a:b])
            elif tag == 0x12:
                node.outputs.append(raw[a:b])
            elif tag == 0x22:
                node.op = raw[a:b]
            elif tag == 0x2A:
                self._attribute(a, b, node, scope, depth)
            elif tag == 0x3A:
                node.domain = raw[a:b]
            elif tag not in NODE_PLAIN:
                raise refused("node", tag)
        self._values += len(node.outputs)
        if max(len(node.inputs), len(node.outputs)) > MAX_ENDS or self._values > MAX_VALUES:
            raise UnsafeGraphError(
                f"the graph has a node of more than {MAX_ENDS} inputs or outputs, or more than "
                f"{MAX_VALUES} values; {REMEDY}"
            )
        return node

    def _attribute(self, start: int, end: int, node: Node, scope: Scope, depth: int) -> None:
        raw = self._raw
        name: bytes | None = None
        modes: list[bytes] = []
        integer: int | None = None
        ints: list[int] = []
        run: tuple[int, int] | None = None
        body: Scope | None = None
        tensor: Tensor | None = None
        for tag, a, b in fields(raw, start, end, self._budget, ATTRIBUTE_RUNS):
            if tag == 0x0A:
                if name is not None:
                    raise twice("names in one attribute")
                name = raw[a:b]
            elif tag == 0x18:
                integer = a
            elif tag == 0x40:
                ints.append(a)
            elif tag == -0x40:
                if run is not None:
                    raise twice("lists in one attribute")
                run = a, b
            elif tag == 0x2A:
                if tensor is not None:
                    raise twice("tensors in one attribute")
                tensor = self._tensor(a, b)
            elif tag == 0x32:
                if body is not None:
                    raise twice("subgraphs in one attribute")
                body = self._graph(a, b, scope, depth + 1)
            elif tag == 0x52:
                self._tensor(a, b)
            elif tag == 0x4A:
                modes.append(raw[a:b])
            elif tag not in ATTRIBUTE_PLAIN:
                raise refused("attribute", tag)
        # The name may stand anywhere in the message.
        if name is None:
            raise WireError("an attribute has no name")
        if name in node.attributes:
            raise twice(f"attributes called {shown(name)}")
        node.attributes.add(name)
        if name == b"nodes_modes":
            node.modes = modes
        if integer is not None:
            node.integers[name] = integer
        if body is not None:
            node.bodies.append((name, body))
        if tensor is not None:
            node.tensors[name] = tensor
        if run is not None:
            if ints:
                raise twice("lists in one attribute")
            node.runs[name] = run
        elif ints:
            node.ints[name] = ints

    def _tensor(self, start: int, end: int) -> Tensor:
        raw, name, kind = self._raw, b"", 0
        dims: list[int] = []
        strings, stored = 0, 0
        place, packed = (start, start), (0, start, start)
        for tag, a, b in fields(raw, start, end, self._budget):
            if tag == 0x08:
                dims.append(a)
            elif tag == 0x10:
                kind = a
            elif tag == 0x42:
                name = raw[a:b]
            elif tag == 0x4A:
                stored, place = stored | 1, (a, b)
            elif tag == 0x32:
                stored, strings = stored | 2, strings + 1
            elif tag in PACKED:
                if stored & 4:
                    raise twice("data in one tensor")
                stored, packed = stored | 4, (tag, a, b)
            elif tag == 0x70:
                if a:
                    raise refused("tensor", 0x6A)
            elif tag not in TENSOR_PLAIN:
                raise refused("tensor", tag)
        elements = _elements(dims, name)
        if kind == STRING:
            found, fits = strings, stored in (0, 2)
        elif kind not in ITEM_BYTES:
            raise UnsafeGraphError(
                f"tensor {shown(name)} has the unknown element type {kind}; {REMEDY}"
            )
        elif stored == 4:
            found, fits = self._packed_elements(*packed), True
        else:
            found, rest = divmod(place[1] - place[0], ITEM_BYTES[kind])
            fits = stored in (0, 1) and not rest
        if found != elements or not fits:
            raise UnsafeGraphError(
                f"tensor {shown(name)} says that it has {elements} elements, and holds {found}; "
                f"{REMEDY}"
            )
        return Tensor(name, kind, elements, tuple(dims), *place)

    def _packed_elements(self, tag: int, start: int, end: int) -> int:
        item = PACKED[tag]
        if item is None:
            return count_varints(self._raw, start, end)
        whole, rest = divmod(end - start, item)
        if rest:
            raise WireError(f"the numbers at byte {start} are cut")
        return whole

    def _value_name(self, start: int, end: int) -> bytes:
        """The name of a ValueInfoProto, once all of it has been walked through."""
        raw, name = self._raw, b""
        waiting: list[tuple[str, int, int]] = [("value", start, end)]
        while waiting:
            what, start, end = waiting.pop()
            allowed = WALKED[what]
            for tag, a, b in fields(raw, start, end, self._budget):
                if tag not in allowed:
                    raise refused(what, tag)
                inner = allowed[tag]
                if inner is not None:
                    waiting.append((inner, a, b))
                elif what == "value" and tag == 0x0A:
                    name = raw[a:b]
        return name


def _elements(dims: list[int], name: bytes) -> int:
    if any(size > MAX_DIMENSION for size in dims):
        raise UnsafeGraphError(
            f"tensor {shown(name)} has an axis of more than {MAX_DIMENSION} elements; {REMEDY}"
        )
    return math.prod(dims)


def _define(scope: Scope) -> None:
    """Note who makes which name, that nobody else does, and that it is text."""
    makers = scope.makers
    for node in scope.nodes:
        try:
            b" ".join(node.outputs).decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError("a name is no UTF-8") from error
        for name in node.outputs:
            if name:
                if name in makers:
                    raise twice(f"values called {shown(name)}")
                makers[name] = node
    given = set(scope.inputs)
    if len(given) != len(scope.inputs):
        raise twice("inputs of one name")
    # An input with a stored value too would be a constant that a caller may change.
    if not (given.isdisjoint(makers) and given.isdisjoint(scope.tensors)):
        raise twice("values of one name, one of them an input")
    if not makers.keys().isdisjoint(scope.tensors):
        raise twice("values of one name, one of them stored")
