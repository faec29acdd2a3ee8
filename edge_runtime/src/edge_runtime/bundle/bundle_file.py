"""Open a bundle: read it from its path or its bytes, and check it."""

from __future__ import annotations

import os
from collections.abc import Callable

from edge_runtime.bundle.layout import check_parts, unpack
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.regular_file import open_regular
from edge_runtime.bundle.seal import SEAL_ENTRY_BYTES, Seal, read_seal
from edge_runtime.errors import NotABundleError
from edge_runtime.records import record

__all__ = ["MAX_BUNDLE_BYTES", "BundleSource", "LoadedBundle", "bundle_source", "open_bundle"]

MAX_BUNDLE_BYTES = 2**31 - 1
"""Largest file that is read: protobuf, and so ONNX, allows no more."""

_LARGE_BYTES = 16 * 1024 * 1024
"""Smaller files are not compared with the available memory: it would cost each load 0.1 ms."""

BundleSource = str | os.PathLike[str] | bytes | bytearray | memoryview
"""Path of a bundle, or its bytes."""


@record(frozen=True, slots=True)
class LoadedBundle:
    """A bundle in memory whose size, seal, digest, signature and manifest have been checked."""

    graph: bytes
    manifest: Manifest
    seal: Seal
    file_bytes: int


def bundle_source(source: BundleSource) -> str | os.PathLike[str] | bytes:
    """Return *source* as a path, or as bytes that nobody can change.

    Raises
    ------
    TypeError
        *source* is neither.  ``open`` would take an int for a file descriptor.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return source
    raise TypeError(
        "expected the path of a bundle (str or PathLike) or its bytes, found "
        f"{type(source).__name__}"
    )


def open_bundle(
    source: BundleSource, *, verify: Callable[[Seal], None] | None = None
) -> LoadedBundle:
    """Read and check a bundle, and hold the graph of a file in memory only once.

    Parameters
    ----------
    verify
        As in :func:`edge_runtime.bundle.layout.unpack`.

    Raises
    ------
    BundleError
        As in :func:`edge_runtime.bundle.layout.unpack`, or by *verify*.
    NotEnoughMemoryError
        The file is larger than the available memory.
    OSError
        The file cannot be opened.
    TypeError
        As in :func:`bundle_source`.
    """
    source = bundle_source(source)
    if isinstance(source, bytes):
        _check_size(len(source))
        bundle = unpack(source, verify=verify)
        return LoadedBundle(bytes(bundle.graph), bundle.manifest, bundle.seal, len(source))
    file, status = open_regular(source, lambda text: NotABundleError(f"{text}; expected a bundle"))
    with file:
        _check_size(status.st_size)
        if status.st_size >= _LARGE_BYTES:
            from edge_runtime.bundle.available_memory import check_fits  # few files are large

            check_fits(status.st_size, os.fspath(source))
        file.seek(max(0, status.st_size - SEAL_ENTRY_BYTES))
        seal = read_seal(file.read(SEAL_ENTRY_BYTES))
        file.seek(0)
        # The seal is not trusted yet.  If the file changes meanwhile, check_parts refuses parts
        # that do not fit together.
        graph = file.read(min(seal.graph_bytes, status.st_size))
        remainder = file.read(status.st_size)
    manifest = check_parts(seal, graph, remainder, verify=verify)
    return LoadedBundle(graph, manifest, seal, status.st_size)


def _check_size(size: int) -> None:
    if size > MAX_BUNDLE_BYTES:
        raise NotABundleError(
            f"the file has {size} bytes, a bundle at most {MAX_BUNDLE_BYTES}; it is another "
            "kind of file"
        )
