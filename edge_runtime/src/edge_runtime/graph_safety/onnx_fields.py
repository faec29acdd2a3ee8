"""Which fields of onnx.proto (ONNX 1.21) a bundle may hold, by tag, and how others are refused.

Tags are ``number << 3 | wire type``.  A message type's table names the fields that may stand in it;
those in ``_WHY`` are refused with their name, all others as unknown.
"""

from __future__ import annotations

from edge_runtime.errors import UnsafeGraphError

__all__ = [
    "ATTRIBUTE_PLAIN",
    "ATTRIBUTE_RUNS",
    "GRAPH_PLAIN",
    "ITEM_BYTES",
    "MODEL_PLAIN",
    "NODE_PLAIN",
    "PACKED",
    "REMEDY",
    "STRING",
    "TENSOR_PLAIN",
    "WALKED",
    "refused",
    "shown",
    "twice",
]

REMEDY = "do not use this file; build it again with edge-pipeline"

MODEL_PLAIN = frozenset({0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x72})
GRAPH_PLAIN = frozenset({0x12, 0x52, 0x82})  # name, doc_string, metadata_props
NODE_PLAIN = frozenset({0x1A, 0x32, 0x4A})  # name, doc_string, metadata_props
TENSOR_PLAIN = frozenset({0x62, 0x82})  # doc_string, metadata_props
ATTRIBUTE_PLAIN = frozenset({0x15, 0x22, 0x3A, 0x3D, -0x3D, 0x6A, 0xA0})
ATTRIBUTE_RUNS = frozenset({0x3D, 0x40})

_WHY = {
    ("model", 0xA2): "training steps",
    ("model", 0xCA): "functions of its own",
    ("model", 0xD2): "a device configuration",
    ("graph", 0x72): "quantization annotations",
    ("graph", 0x7A): "sparse tensors",
    ("node", 0x42): "an overloaded function",
    ("node", 0x52): "a device configuration",
    ("attribute", 0x5A): "lists of subgraphs",
    ("attribute", 0x72): "types as attributes",
    ("attribute", 0x7A): "types as attributes",
    ("attribute", 0xAA): "references to a function's attributes",
    ("attribute", 0xB2): "sparse tensors",
    ("attribute", 0xBA): "sparse tensors",
    ("tensor", 0x1A): "tensors in segments",
    ("tensor", 0x6A): "data outside the file",
    ("type", 0x22): "sequences as inputs or outputs",
    ("type", 0x2A): "maps as inputs or outputs",
    ("type", 0x42): "sparse tensors",
    ("type", 0x4A): "optional inputs or outputs",
}

# What is walked through only to see that nothing else stands there: message type to the fields
# that may, each with the type of the message in it.
WALKED: dict[str, dict[int, str | None]] = {
    "operator set": {0x0A: None, 0x10: None},
    "value": {0x0A: None, 0x12: "type", 0x1A: None, 0x22: None},
    "type": {0x0A: "tensor type", 0x32: None},
    "tensor type": {0x08: None, 0x12: "shape"},
    "shape": {0x0A: "dimension"},
    "dimension": {0x08: None, 0x12: None, 0x1A: None},
}

STRING = 8
# TensorProto.DataType to the bytes of one element in raw_data.
ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8}
# Fields of TensorProto that hold packed elements, to bytes of one; None for varints.
PACKED: dict[int, int | None] = {0x22: 4, 0x2A: None, 0x3A: None, 0x52: 8, 0x5A: None}


def twice(what: str) -> UnsafeGraphError:
    """The error for what protobuf would merge, or onnxruntime choose between."""
    return UnsafeGraphError(f"the graph has two {what}; {REMEDY}")


def refused(what: str, tag: int) -> UnsafeGraphError:
    """The error for a field that may not stand in the message *what*."""
    why = _WHY.get((what, tag))
    if why is None:
        why = f"field {abs(tag) >> 3} (wire type {abs(tag) & 7}) in its {what}"
        return UnsafeGraphError(
            f"the graph has {why}, which this runtime does not know; update edge-runtime, or "
            "build the model again"
        )
    return UnsafeGraphError(f"the graph has {why}, which no bundle may have; {REMEDY}")


def shown(name: bytes) -> str:
    """A name from the file, as an error may print it."""
    return repr(name[:80].decode("utf-8", "replace"))
