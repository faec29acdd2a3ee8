"""Assemble a bundle from graph and manifest, and take a file apart again.

Pure: no I/O.  docs/bundle-format.md describes the layout byte by byte::

    graph (a ModelProto) | metadata_props "edge.manifest" | metadata_props "edge.seal"

Protobuf allows appending fields, so the whole file is again a ModelProto.  The seal has a fixed
length and comes last: a reader locates it from the end without a protobuf parser.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_runtime.bundle.digest import sha256
from edge_runtime.bundle.format_version import FORMAT_VERSION
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.seal import (
    COPY_AGAIN,
    SEAL_ENTRY_BYTES,
    Seal,
    metadata_entry_head,
    read_seal,
    seal_entry,
)
from edge_runtime.errors import IntegrityError
from edge_runtime.records import record

__all__ = ["MANIFEST_KEY", "Bundle", "check_parts", "pack", "unpack"]

MANIFEST_KEY = b"edge.manifest"


@record(frozen=True, slots=True)
class Bundle:
    """A file whose seal, digest and manifest have been checked.

    Attributes
    ----------
    graph
        The bare ModelProto: the only bytes that reach onnxruntime.
    manifest, seal
        As sealed.
    """

    graph: memoryview
    manifest: Manifest
    seal: Seal


def pack(graph: bytes, manifest: Manifest) -> bytes:
    """Assemble the bytes of an unsigned bundle; ``unpack(pack(g, m))`` gives both back."""
    manifest_json = manifest.to_bytes()
    head = metadata_entry_head(MANIFEST_KEY, len(manifest_json))
    content = b"".join((graph, head, manifest_json))
    seal = Seal(
        format=FORMAT_VERSION,
        graph_bytes=len(graph),
        manifest_offset=len(content) - len(manifest_json),
        manifest_bytes=len(manifest_json),
        sha256=sha256(content),
    )
    return content + seal_entry(seal)


def unpack(raw: bytes | memoryview, *, verify: Callable[[Seal], None] | None = None) -> Bundle:
    """Check a file's bytes and take it apart, without copying the graph.

    Parameters
    ----------
    verify
        Called with the seal, to raise when the signature does not count, as
        :meth:`edge_runtime.trust.keys.TrustedKeys.check` does.  None: signatures are ignored.

    Raises
    ------
    NotABundleError
        There is no seal at the end.
    FormatVersionError
        The bundle has a newer format.
    IntegrityError
        The digest, the layout or the manifest is wrong.
    """
    view = memoryview(raw)
    seal = read_seal(view)
    graph, remainder = view[: seal.graph_bytes], view[seal.graph_bytes :]
    return Bundle(graph, check_parts(seal, graph, remainder, verify=verify), seal)


def check_parts(
    seal: Seal,
    graph: bytes | memoryview,
    remainder: bytes | memoryview,
    *,
    verify: Callable[[Seal], None] | None = None,
) -> Manifest:
    """Check the two parts of a file against its seal, and read the manifest.

    Parameters
    ----------
    seal
        As read from the end of the file.
    graph, remainder
        The first ``seal.graph_bytes`` of the file, and all that follows.
    verify
        As in :func:`unpack`.

    Raises
    ------
    IntegrityError
        As in :func:`unpack`.
    """
    head = metadata_entry_head(MANIFEST_KEY, seal.manifest_bytes)
    manifest_end = len(head) + seal.manifest_bytes
    if (
        len(graph) != seal.graph_bytes
        or seal.graph_bytes + len(head) != seal.manifest_offset
        or manifest_end + SEAL_ENTRY_BYTES != len(remainder)
        or remainder[: len(head)] != head
        or bytes(remainder[manifest_end:]) != seal_entry(seal)
    ):
        raise IntegrityError(f"the parts do not lie where the seal says; {COPY_AGAIN}")
    digest = sha256(graph, remainder[:manifest_end])
    if digest != seal.sha256:
        raise IntegrityError(
            f"SHA-256 is {digest[:16]}…, the seal says {seal.sha256[:16]}…: "
            f"the file was changed after it was sealed; {COPY_AGAIN}"
        )
    # Verified before the manifest is parsed: a device with trusted keys parses nothing else.
    if verify is not None:
        verify(seal)
    return Manifest.from_bytes(bytes(remainder[len(head) : manifest_end]))
