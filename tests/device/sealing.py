"""Seal any graph and any text as its manifest, as an attacker who knows the format could."""

import hashlib

from device.tiny_onnx import varint
from edge_runtime.bundle.layout import MANIFEST_KEY
from edge_runtime.bundle.seal import SEAL_ENTRY_BYTES, Seal, replace_seal


def sealed(graph: bytes, text: bytes) -> bytes:
    inner = b"\x0a" + varint(len(MANIFEST_KEY)) + MANIFEST_KEY + b"\x12" + varint(len(text))
    head = b"\x72" + varint(len(inner) + len(text)) + inner
    before = graph + head + text
    digest = hashlib.sha256(before).hexdigest()
    seal = Seal(1, len(graph), len(graph) + len(head), len(text), digest)
    return replace_seal(before + bytes(SEAL_ENTRY_BYTES), seal)
