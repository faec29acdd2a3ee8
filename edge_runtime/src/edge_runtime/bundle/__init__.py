"""The sealed file: its layout byte by byte, its manifest and schema, and how it is opened."""

from edge_runtime.bundle.layout import Bundle, pack, unpack

__all__ = ["Bundle", "pack", "unpack"]
