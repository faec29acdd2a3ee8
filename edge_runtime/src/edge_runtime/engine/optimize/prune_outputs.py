"""Write the smaller graph that gives only some outputs of another graph; runs nothing.

onnxruntime computes every node of a graph, whichever outputs are requested (measured on 1.32).  So
the nodes that nobody needs are removed beforehand, in three steps:

- remove the nodes and tensors that no requested output depends on;
- remove the last look-up of a class label: the graph then gives the label's position, and a table
  gives the label.  A number can be written into a buffer; a string cannot, and 1,000 strings take
  20 us to make;
- remove a last Squeeze, which takes onnxruntime 0.5 us and numpy 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.engine.optimize.graph_writer import rewrite_graph
from edge_runtime.graph_safety import onnx_fields as proto
from edge_runtime.graph_safety.onnx_graph import Scope, Tensor
from edge_runtime.graph_safety.onnx_reader import MAX_FIELDS
from edge_runtime.graph_safety.protobuf_wire import Budget, fields

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PrunedGraph", "prune_outputs", "tensor_array"]


class PrunedGraph(NamedTuple):
    """A ModelProto that gives some outputs of another one.

    Attributes
    ----------
    graph
        Its bytes.
    names
        Names of its outputs, in the order of the requested ones.
    labels
        For each output None, or the table of labels to which it gives positions.
    squeezed
        For each output, whether to drop its second axis, of length 1.
    """

    graph: bytes
    names: tuple[str, ...]
    labels: tuple[NDArray[Any] | None, ...]
    squeezed: tuple[bool, ...]


class _Source(NamedTuple):
    """The value from which an output is computed by a look-up or Squeeze, and these two steps."""

    name: bytes
    labels: NDArray[Any] | None
    squeezed: bool


def prune_outputs(raw: bytes, main: Scope, outputs: Sequence[str]) -> PrunedGraph | None:
    """Write the smallest graph that gives *outputs*; None when no node can be removed.

    Parameters
    ----------
    raw
        A ModelProto that the scan has accepted.
    main
        Its main graph, as read from *raw*.
    outputs
        Names of the requested outputs.
    """
    sources = [_find_source(raw, main, name.encode()) for name in outputs]
    graph = rewrite_graph(raw, main, [source.name for source in sources])
    if graph is None:
        return None
    return PrunedGraph(
        graph,
        tuple(source.name.decode() for source in sources),
        tuple(source.labels for source in sources),
        tuple(source.squeezed for source in sources),
    )


def tensor_array(raw: bytes, tensor: Tensor) -> NDArray[Any] | None:
    """Read the numbers of a tensor; None when they are not in its ``raw_data``."""
    dtype = _DTYPES.get(tensor.kind)
    if dtype is None or tensor.start == tensor.end:
        return None
    return np.frombuffer(raw[tensor.start : tensor.end], dtype=dtype).reshape(tensor.shape)


# TensorProto.DataType to the numpy dtype, in raw_data's byte order.
_DTYPES = {1: "<f4", 2: "u1", 6: "<i4", 7: "<i8", 9: "?", 11: "<f8"}


def _find_source(raw: bytes, main: Scope, output: bytes) -> _Source:
    """Go back from *output* over a last Squeeze or a last look-up of labels."""
    name, squeezed = _before_squeeze(raw, main, output)
    unchanged = _Source(name, None, squeezed)
    node = main.producers.get(name)
    if node is None or (node.op, node.domain) != (b"Gather", b"") or len(node.inputs) != 2:
        return unchanged
    table, position = node.inputs
    if squeezed or table not in main.tensors or position not in main.producers:
        return unchanged
    labels = _vector(raw, main, table)
    return unchanged if labels is None else _Source(position, labels, squeezed=False)


def _before_squeeze(raw: bytes, main: Scope, name: bytes) -> tuple[bytes, bool]:
    """Go back over Identity nodes and at most one Squeeze; say whether there was one."""
    squeezed = False
    while (node := main.producers.get(name)) is not None and not node.domain:
        if node.op == b"Squeeze" and not squeezed and len(node.inputs) == 2:
            source, axes_name = node.inputs
            axes = _vector(raw, main, axes_name) if axes_name in main.tensors else None
            if axes is None or axes.tolist() != [1]:
                break
            squeezed = True
        elif node.op == b"Identity":
            source = node.inputs[0]
        else:
            break
        if source not in main.producers:  # the graph's own input, or a tensor
            break
        name = source
    return name, squeezed


def _vector(raw: bytes, main: Scope, name: bytes) -> NDArray[Any] | None:
    """Read a tensor of one axis; None for any other, where a look-up would depend on the axis."""
    tensor = main.tensors[name]
    if len(tensor.shape) != 1 or not tensor.elements:
        return None
    if tensor.kind != proto.STRING:
        return tensor_array(raw, tensor)
    place = list(main.tensors).index(name)
    (graph,) = _find_fields(raw, (0, len(raw)), proto.MODEL_GRAPH)
    tensors = _find_fields(raw, graph, proto.GRAPH_TENSOR)
    texts = [raw[a:b] for a, b in _find_fields(raw, tensors[place], proto.TENSOR_STRING)]
    try:
        return np.array([text.decode("utf-8") for text in texts], dtype=object)
    except UnicodeDecodeError:
        return None


def _find_fields(raw: bytes, place: tuple[int, int], field_tag: int) -> list[tuple[int, int]]:
    """Find the places of all fields with one tag in the message at *place*."""
    all_fields = fields(raw, *place, Budget(MAX_FIELDS))
    return [(start, end) for tag, start, end in all_fields if tag == field_tag]
