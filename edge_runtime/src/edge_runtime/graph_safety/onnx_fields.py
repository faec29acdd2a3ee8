"""List the fields of onnx.proto (ONNX 1.21) that a bundle may have, and refuse all others.

A tag is ``field number << 3 | wire type``.  For each message type there are the fields that
``onnx_reader`` reads, and the fields that it may ignore.  Fields in ``_FORBIDDEN`` are refused with
the name of the feature, all others as unknown.
"""

from __future__ import annotations

from edge_runtime.errors import UnsafeGraphError

__all__ = [
    "ATTRIBUTE_IGNORED",
    "ATTRIBUTE_RUNS",
    "GRAPH_IGNORED",
    "ITEM_BYTES",
    "MODEL_IGNORED",
    "NODE_IGNORED",
    "PACKED_ITEM_BYTES",
    "REMEDY",
    "STRING",
    "TENSOR_IGNORED",
    "VALUE_INFO_FIELDS",
    "duplicate_error",
    "field_error",
    "quote",
]

REMEDY = "do not use this file; build it again with edge-pipeline"

# ModelProto
MODEL_GRAPH, MODEL_OPSET = 0x3A, 0x42
MODEL_IGNORED = frozenset({0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x72})

# OperatorSetIdProto
OPSET_DOMAIN, OPSET_VERSION = 0x0A, 0x10

# GraphProto; ignored: name, doc_string, metadata_props
GRAPH_NODE, GRAPH_TENSOR, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_VALUE = 0x0A, 0x2A, 0x5A, 0x62, 0x6A
GRAPH_IGNORED = frozenset({0x12, 0x52, 0x82})

# NodeProto; ignored: name, doc_string, metadata_props
NODE_INPUT, NODE_OUTPUT, NODE_OP, NODE_ATTRIBUTE, NODE_DOMAIN = 0x0A, 0x12, 0x22, 0x2A, 0x3A
NODE_IGNORED = frozenset({0x1A, 0x32, 0x4A})

# AttributeProto; a negative tag is a long run of a repeated field, see protobuf_wire.fields
ATTRIBUTE_NAME, ATTRIBUTE_TYPE = 0x0A, 0xA0
ATTRIBUTE_INT, ATTRIBUTE_TEXT, ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH = 0x18, 0x22, 0x2A, 0x32
ATTRIBUTE_INTS, ATTRIBUTE_STRINGS, ATTRIBUTE_TENSORS = 0x40, 0x4A, 0x52
ATTRIBUTE_IGNORED = frozenset({0x15, 0x3A, 0x3D, -0x3D, 0x6A, ATTRIBUTE_TYPE})
ATTRIBUTE_RUNS = frozenset({0x3D, ATTRIBUTE_INTS})

# TensorProto; ignored: doc_string, metadata_props
TENSOR_DIM, TENSOR_TYPE, TENSOR_NAME = 0x08, 0x10, 0x42
TENSOR_RAW_DATA, TENSOR_STRING, TENSOR_LOCATION = 0x4A, 0x32, 0x70
TENSOR_IGNORED = frozenset({0x62, 0x82})
TENSOR_EXTERNAL_DATA = 0x6A

# ValueInfoProto
VALUE_NAME = 0x0A

_FORBIDDEN = {
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
    ("tensor", TENSOR_EXTERNAL_DATA): "data outside the file",
    ("type", 0x22): "sequences as inputs or outputs",
    ("type", 0x2A): "maps as inputs or outputs",
    ("type", 0x42): "sparse tensors",
    ("type", 0x4A): "optional inputs or outputs",
}

# The messages inside a ValueInfoProto, read only to see that they have no other fields: message
# type to its fields, each with the type of the message in it.
VALUE_INFO_FIELDS: dict[str, dict[int, str | None]] = {
    "value": {VALUE_NAME: None, 0x12: "type", 0x1A: None, 0x22: None},
    "type": {0x0A: "tensor type", 0x32: None},
    "tensor type": {0x08: None, 0x12: "shape"},
    "shape": {0x0A: "dimension"},
    "dimension": {0x08: None, 0x12: None, 0x1A: None},
}

STRING = 8
# TensorProto.DataType to the bytes of one element in raw_data.
ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8}
# Fields of TensorProto that hold packed elements, to bytes of one; None for varints.
PACKED_ITEM_BYTES: dict[int, int | None] = {0x22: 4, 0x2A: None, 0x3A: None, 0x52: 8, 0x5A: None}


def duplicate_error(things: str) -> UnsafeGraphError:
    """Make the error for a duplicate that protobuf would merge, or onnxruntime choose from."""
    return UnsafeGraphError(f"the graph has two {things}; {REMEDY}")


def field_error(message_type: str, tag: int) -> UnsafeGraphError:
    """Make the error for a field that is not allowed in a message of this type."""
    feature = _FORBIDDEN.get((message_type, tag))
    if feature is None:
        return UnsafeGraphError(
            f"the graph has field {abs(tag) >> 3} (wire type {abs(tag) & 7}) in its "
            f"{message_type}, which this runtime does not know; update edge-runtime, or build the "
            "model again"
        )
    return UnsafeGraphError(f"the graph has {feature}, which no bundle may have; {REMEDY}")


def quote(name: bytes) -> str:
    """Quote a name from the file for an error message."""
    return repr(name[:80].decode("utf-8", "replace"))
