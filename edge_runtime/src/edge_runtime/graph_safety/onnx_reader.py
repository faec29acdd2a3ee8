"""Read the graphs in a ModelProto's bytes, without the onnx package and without onnxruntime.

The result has names, attributes and the places of stored data; nothing is copied or run.  Any field
that ``onnx_fields`` does not list is refused.  Fields that hold one message must come once, because
protobuf would merge two.
"""

from __future__ import annotations

from edge_runtime.errors import UnsafeGraphError
from edge_runtime.graph_safety import onnx_fields as proto
from edge_runtime.graph_safety.onnx_fields import REMEDY, duplicate_error, field_error, quote
from edge_runtime.graph_safety.onnx_graph import Node, Scope, Tensor
from edge_runtime.graph_safety.protobuf_wire import Budget, WireError, count_varints, fields

__all__ = ["MAX_FIELDS", "Opsets", "read_graph"]

MAX_FIELDS = 4_000_000
"""Most fields of one file, a second of reading.  A raw tensor counts as one field."""

MAX_NODES = 100_000
"""Most nodes of one file, its subgraphs included; a deep pipeline has some hundreds."""

MAX_SUBGRAPHS = 8
"""Deepest nesting of subgraphs; kernels over pairs of rows inside a search nest four."""

MAX_ENDS = 10_000
"""Most inputs or outputs of one graph or node: one for each column of a wide table.  Each takes
onnxruntime 35 us to register (measured on 1.32)."""

MAX_VALUES = 200_000
"""Most outputs of all nodes of one file."""

MAX_DIMENSION = 2**31 - 1
"""Longest axis of a tensor; where another axis has length 0, nothing else bounds it."""

MAX_AXES = 16
"""Most axes of a tensor; converters write three."""

Opsets = dict[str, int]


def read_graph(raw: bytes) -> tuple[Scope, Opsets]:
    """Read the main graph, and the operator sets that it requires.

    Raises
    ------
    UnsafeGraphError
        The bytes are no ModelProto, or have a field that no bundle may have.
    """
    try:
        return _Reader(raw).model()
    except WireError as error:
        raise UnsafeGraphError(f"the graph is no ONNX model: {error}; {REMEDY}") from error


class _Attribute:
    """The content of one AttributeProto; most of it is empty."""

    __slots__ = ("graph", "integer", "ints", "name", "run", "strings", "tensor", "text")

    def __init__(self) -> None:
        self.name: bytes | None = None
        self.integer: int | None = None
        self.ints: list[int] = []
        self.run: tuple[int, int] | None = None
        self.strings: list[bytes] = []
        self.text: bytes | None = None
        self.tensor: Tensor | None = None
        self.graph: Scope | None = None


# Kinds of data in one TensorProto, as bits.
_RAW, _STRINGS, _PACKED = 1, 2, 4


class _TensorFields:
    """The content of one TensorProto."""

    __slots__ = ("data_kinds", "dims", "n_strings", "name", "packed", "raw_data", "type")

    def __init__(self, start: int) -> None:
        self.name, self.type = b"", 0
        self.dims: list[int] = []
        self.data_kinds = self.n_strings = 0
        self.raw_data = (start, start)
        self.packed = (0, start, start)


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._budget = Budget(MAX_FIELDS)
        self._n_nodes = self._n_values = 0

    def model(self) -> tuple[Scope, Opsets]:
        graph: tuple[int, int] | None = None
        opsets: Opsets = {}
        for tag, start, end in fields(self._raw, 0, len(self._raw), self._budget):
            if tag == proto.MODEL_GRAPH:
                if graph is not None:
                    raise duplicate_error("graphs")
                graph = start, end
            elif tag == proto.MODEL_OPSET:
                domain, version = self._opset(start, end)
                if domain in opsets:
                    raise duplicate_error(f"versions of the operators {domain!r}")
                opsets[domain] = version
            elif tag not in proto.MODEL_IGNORED:
                raise field_error("model", tag)
        if graph is None:
            raise WireError("it has no graph")
        return self._graph(*graph, None, 0), opsets

    def _opset(self, start: int, end: int) -> tuple[str, int]:
        domain, version = b"", 0
        for tag, value, stop in fields(self._raw, start, end, self._budget):
            if tag == proto.OPSET_DOMAIN:
                domain = self._raw[value:stop]
            elif tag == proto.OPSET_VERSION:
                version = value
            else:
                raise field_error("operator set", tag)
        return domain.decode("utf-8", "replace"), version

    def _graph(self, start: int, end: int, parent: Scope | None, depth: int) -> Scope:
        if depth > MAX_SUBGRAPHS:
            raise UnsafeGraphError(
                f"the graph has more than {MAX_SUBGRAPHS} subgraphs inside one another; {REMEDY}"
            )
        scope = Scope(parent)
        for tag, value, stop in fields(self._raw, start, end, self._budget):
            if tag == proto.GRAPH_NODE:
                scope.nodes.append(self._node(value, stop, scope, depth))
            elif tag == proto.GRAPH_TENSOR:
                tensor = self._tensor(value, stop)
                if tensor.name in scope.tensors:
                    raise duplicate_error(f"tensors called {quote(tensor.name)}")
                scope.tensors[tensor.name] = tensor
            elif tag in (proto.GRAPH_INPUT, proto.GRAPH_OUTPUT):
                names = scope.inputs if tag == proto.GRAPH_INPUT else scope.outputs
                names.append(self._value_name(value, stop))
                if len(names) > MAX_ENDS:
                    raise UnsafeGraphError(
                        f"a graph has more than {MAX_ENDS} inputs or outputs; {REMEDY}"
                    )
            elif tag == proto.GRAPH_VALUE:
                self._value_name(value, stop)
            elif tag not in proto.GRAPH_IGNORED:
                raise field_error("graph", tag)
        _define_names(scope)
        return scope

    def _node(self, start: int, end: int, scope: Scope, depth: int) -> Node:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise UnsafeGraphError(f"the graph has more than {MAX_NODES} nodes; {REMEDY}")
        raw, node = self._raw, Node((start, end))
        for tag, value, stop in fields(raw, start, end, self._budget):
            if tag == proto.NODE_INPUT:
                node.inputs.append(raw[value:stop])
            elif tag == proto.NODE_OUTPUT:
                node.outputs.append(raw[value:stop])
            elif tag == proto.NODE_OP:
                node.op = raw[value:stop]
            elif tag == proto.NODE_ATTRIBUTE:
                _add_attribute(node, self._attribute(value, stop, scope, depth))
            elif tag == proto.NODE_DOMAIN:
                node.domain = raw[value:stop]
            elif tag not in proto.NODE_IGNORED:
                raise field_error("node", tag)
        self._n_values += len(node.outputs)
        if max(len(node.inputs), len(node.outputs)) > MAX_ENDS or self._n_values > MAX_VALUES:
            raise UnsafeGraphError(
                f"the graph has a node of more than {MAX_ENDS} inputs or outputs, or more than "
                f"{MAX_VALUES} values; {REMEDY}"
            )
        return node

    def _attribute(self, start: int, end: int, scope: Scope, depth: int) -> _Attribute:
        raw, attribute = self._raw, _Attribute()
        single_tags: set[int] = set()
        for tag, value, stop in fields(raw, start, end, self._budget, proto.ATTRIBUTE_RUNS):
            if tag in _SINGLE_FIELDS:
                if tag in single_tags:
                    raise duplicate_error(f"{_SINGLE_FIELDS[tag]} in one attribute")
                single_tags.add(tag)
            if tag == proto.ATTRIBUTE_NAME:
                attribute.name = raw[value:stop]
            elif tag == proto.ATTRIBUTE_INT:
                attribute.integer = value
            elif tag == proto.ATTRIBUTE_TEXT:
                attribute.text = raw[value:stop]
            elif tag == proto.ATTRIBUTE_INTS:
                attribute.ints.append(value)
            elif tag == -proto.ATTRIBUTE_INTS:
                attribute.run = value, stop
            elif tag == proto.ATTRIBUTE_TENSOR:
                attribute.tensor = self._tensor(value, stop)
            elif tag == proto.ATTRIBUTE_GRAPH:
                attribute.graph = self._graph(value, stop, scope, depth + 1)
            elif tag == proto.ATTRIBUTE_TENSORS:
                self._tensor(value, stop)
            elif tag == proto.ATTRIBUTE_STRINGS:
                attribute.strings.append(raw[value:stop])
            elif tag not in proto.ATTRIBUTE_IGNORED:
                raise field_error("attribute", tag)
        return attribute

    def _tensor(self, start: int, end: int) -> Tensor:
        tensor = self._tensor_fields(start, end)
        n_elements = _count_elements(tensor.dims, tensor.name, end - start)
        n_stored, is_consistent = self._count_stored(tensor)
        if n_stored != n_elements or not is_consistent:
            raise UnsafeGraphError(
                f"tensor {quote(tensor.name)} says that it has {n_elements} elements, and holds "
                f"{n_stored}; {REMEDY}"
            )
        return Tensor(tensor.name, tensor.type, n_elements, tuple(tensor.dims), *tensor.raw_data)

    def _tensor_fields(self, start: int, end: int) -> _TensorFields:
        raw, tensor = self._raw, _TensorFields(start)
        for tag, value, stop in fields(raw, start, end, self._budget):
            if tag == proto.TENSOR_DIM:
                tensor.dims.append(value)
                if len(tensor.dims) > MAX_AXES:
                    raise UnsafeGraphError(f"a tensor has more than {MAX_AXES} axes; {REMEDY}")
            elif tag == proto.TENSOR_TYPE:
                tensor.type = value
            elif tag == proto.TENSOR_NAME:
                tensor.name = raw[value:stop]
            elif tag == proto.TENSOR_RAW_DATA:
                tensor.data_kinds |= _RAW
                tensor.raw_data = value, stop
            elif tag == proto.TENSOR_STRING:
                tensor.data_kinds |= _STRINGS
                tensor.n_strings += 1
            elif tag in proto.PACKED_ITEM_BYTES:
                if tensor.data_kinds & _PACKED:
                    raise duplicate_error("data in one tensor")
                tensor.data_kinds |= _PACKED
                tensor.packed = tag, value, stop
            elif tag == proto.TENSOR_LOCATION:
                if value:
                    raise field_error("tensor", proto.TENSOR_EXTERNAL_DATA)
            elif tag not in proto.TENSOR_IGNORED:
                raise field_error("tensor", tag)
        return tensor

    def _count_stored(self, tensor: _TensorFields) -> tuple[int, bool]:
        """Count the elements that are stored; tell whether the data have the tensor's type."""
        if tensor.type == proto.STRING:
            return tensor.n_strings, tensor.data_kinds in (0, _STRINGS)
        if tensor.type not in proto.ITEM_BYTES:
            raise UnsafeGraphError(
                f"tensor {quote(tensor.name)} has the unknown element type {tensor.type}; {REMEDY}"
            )
        if tensor.data_kinds == _PACKED:
            return self._count_packed(*tensor.packed), True
        start, end = tensor.raw_data
        n_elements, n_extra_bytes = divmod(end - start, proto.ITEM_BYTES[tensor.type])
        return n_elements, tensor.data_kinds in (0, _RAW) and not n_extra_bytes

    def _count_packed(self, tag: int, start: int, end: int) -> int:
        item_bytes = proto.PACKED_ITEM_BYTES[tag]
        if item_bytes is None:
            return count_varints(self._raw, start, end)
        n_elements, n_extra_bytes = divmod(end - start, item_bytes)
        if n_extra_bytes:
            raise WireError(f"the numbers at byte {start} are cut")
        return n_elements

    def _value_name(self, start: int, end: int) -> bytes:
        """Read the name of a ValueInfoProto, and check all fields of the messages in it."""
        name, n_axes = b"", 0
        pending: list[tuple[str, int, int]] = [("value", start, end)]
        while pending:
            message_type, start, end = pending.pop()
            allowed = proto.VALUE_INFO_FIELDS[message_type]
            for tag, value, stop in fields(self._raw, start, end, self._budget):
                if tag not in allowed:
                    raise field_error(message_type, tag)
                inner_type = allowed[tag]
                n_axes += inner_type == "dimension"
                if n_axes > MAX_AXES:
                    raise UnsafeGraphError(f"a value has more than {MAX_AXES} axes; {REMEDY}")
                if inner_type is not None:
                    pending.append((inner_type, value, stop))
                elif message_type == "value" and tag == proto.VALUE_NAME:
                    name = self._raw[value:stop]
        return name


# Fields of which one attribute has at most one.
_SINGLE_FIELDS = {
    proto.ATTRIBUTE_NAME: "names",
    proto.ATTRIBUTE_INT: "numbers",
    proto.ATTRIBUTE_TEXT: "texts",
    -proto.ATTRIBUTE_INTS: "lists",
    proto.ATTRIBUTE_TENSOR: "tensors",
    proto.ATTRIBUTE_GRAPH: "subgraphs",
}


def _add_attribute(node: Node, attribute: _Attribute) -> None:
    """Store the content of an attribute under its name, which may come last in the message."""
    name = attribute.name
    if name is None:
        raise WireError("an attribute has no name")
    if name in node.attributes:
        raise duplicate_error(f"attributes called {quote(name)}")
    if attribute.run is not None and attribute.ints:
        raise duplicate_error("lists in one attribute")
    node.attributes.add(name)
    if name == b"nodes_modes":
        node.modes = attribute.strings
    if attribute.integer is not None:
        node.integers[name] = attribute.integer
    if attribute.text is not None:
        node.texts[name] = attribute.text
    if attribute.graph is not None:
        node.subgraphs.append((name, attribute.graph))
    if attribute.tensor is not None:
        node.tensors[name] = attribute.tensor
    if attribute.run is not None:
        node.runs[name] = attribute.run
    elif attribute.ints:
        node.ints[name] = attribute.ints


def _count_elements(dims: list[int], name: bytes, n_bytes: int) -> int:
    """Multiply the axes, but not beyond *n_bytes*: each element takes a byte or more."""
    if any(size > MAX_DIMENSION for size in dims):
        raise UnsafeGraphError(
            f"tensor {quote(name)} has an axis of more than {MAX_DIMENSION} elements; {REMEDY}"
        )
    if 0 in dims:
        return 0
    n_elements = 1
    for size in dims:
        n_elements *= size
        if n_elements > n_bytes:
            raise UnsafeGraphError(
                f"tensor {quote(name)} says that it has more elements than its {n_bytes} bytes can "
                f"hold; {REMEDY}"
            )
    return n_elements


def _define_names(scope: Scope) -> None:
    """Record which node computes each name; refuse names that are defined twice or no UTF-8."""
    producers = scope.producers
    for node in scope.nodes:
        try:
            b" ".join(node.outputs).decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError("a name is no UTF-8") from error
        for name in node.outputs:
            if name:
                if name in producers:
                    raise duplicate_error(f"values called {quote(name)}")
                producers[name] = node
    inputs = set(scope.inputs)
    if len(inputs) != len(scope.inputs):
        raise duplicate_error("inputs of one name")
    # An input with a stored value too would be a constant that a caller may change.
    if not (inputs.isdisjoint(producers) and inputs.isdisjoint(scope.tensors)):
        raise duplicate_error("values of one name, one of them an input")
    if not producers.keys().isdisjoint(scope.tensors):
        raise duplicate_error("values of one name, one of them stored")
