"""Read and write the sealed file: graph, manifest, schema and seal."""

from edge_runtime.bundle.layout import Bundle, pack, unpack

__all__ = ["Bundle", "pack", "unpack"]
