"""A bundle's path or bytes in, its checked parts out; reads, and decides nothing of its own."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from edge_runtime.bundle.layout import SEAL_ENTRY_BYTES, Seal, check_parts, read_seal, unpack
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.errors import NotABundleError
from edge_runtime.records import record

if TYPE_CHECKING:
    from edge_runtime.trust.keys import TrustedKeys

__all__ = ["MAX_BUNDLE_BYTES", "BundleSource", "Opened", "bundle_source", "open_bundle"]

MAX_BUNDLE_BYTES = 2**31 - 1
"""Largest file read: protobuf, and so ONNX, ends there."""


BundleSource = str | os.PathLike[str] | bytes | bytearray | memoryview
"""Path of a bundle, or its bytes."""


@record(frozen=True, slots=True)
class Opened:
    """A bundle in memory: size, seal, digest, signature and manifest have been checked."""

    graph: bytes
    manifest: Manifest
    seal: Seal
    file_bytes: int


def bundle_source(source: BundleSource) -> str | os.PathLike[str] | bytes:
    """*source* as a path or as bytes that nobody changes.

    Raises
    ------
    TypeError
        It is neither; an int would be taken for an open file's descriptor.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return source
    raise TypeError(
        "expected the path of a bundle (str or PathLike) or its bytes, found "
        f"{type(source).__name__}"
    )


def open_bundle(source: BundleSource, *, trusted: TrustedKeys | None = None) -> Opened:
    """Read and check a bundle; no second copy of the graph is ever made of a file.

    Raises
    ------
    BundleError
        As :func:`edge_runtime.bundle.layout.unpack`.
    OSError
        The file cannot be opened.
    TypeError
        As :func:`bundle_source`.
    """
    source = bundle_source(source)
    if isinstance(source, bytes):
        _check_size(len(source))
        bundle = unpack(source, trusted=trusted)
        return Opened(bytes(bundle.graph), bundle.manifest, bundle.seal, len(source))
    with open(source, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotABundleError(f"{os.fspath(source)} is no regular file; expected a bundle")
        _check_size(status.st_size)
        file.seek(max(0, status.st_size - SEAL_ENTRY_BYTES))
        seal = read_seal(file.read(SEAL_ENTRY_BYTES))
        file.seek(0)
        # What the seal claims is not trusted yet.  Should the file change under us, the parts
        # that were read do not fit together and are refused.
        graph = file.read(min(seal.graph_bytes, status.st_size))
        rest = file.read(status.st_size)
    manifest = check_parts(seal, graph, rest, trusted=trusted)
    return Opened(graph, manifest, seal, status.st_size)


def _check_size(size: int) -> None:
    if size > MAX_BUNDLE_BYTES:
        raise NotABundleError(
            f"the file has {size} bytes, a bundle at most {MAX_BUNDLE_BYTES}; it is another "
            "kind of file"
        )
