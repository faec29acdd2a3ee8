"""Write a VerifiedModel to one sealed file."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from edge_runtime.bundle.atomic_file import write_whole
from edge_runtime.bundle.layout import pack
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.errors import EdgeRuntimeError

import edge_runtime
from edge_pipeline.errors import SealError
from edge_pipeline.packaging.signing import SigningKey, add_signature
from edge_pipeline.verification.verify import VerifiedModel

__all__ = ["seal"]


def seal(
    verified: VerifiedModel,
    manifest: Manifest,
    path: str | os.PathLike[str],
    *,
    signing_key: SigningKey | None = None,
) -> Path:
    """Write the bundle to *path*, after reading it back as a device would.

    With a *signing_key* the bundle is signed.

    The same arguments give the same bytes: nothing dated, random or unordered goes in.

    Raises
    ------
    SealError
        The bytes do not read back, or are not valid ONNX; *path* is left as it was.
    OSError
        The folder does not exist or cannot be written, or the disk is full; *path* is left as it
        was.
    """
    raw = pack(verified.model.graph, manifest)
    try:
        onnx.checker.check_model(raw)
        with edge_runtime.load(raw) as model:
            manifest_read = model.manifest
    except (EdgeRuntimeError, onnx.checker.ValidationError) as error:
        raise SealError(f"the bundle does not read back: {error}; nothing was written") from error
    if manifest_read != Manifest.from_bytes(manifest.to_bytes()):
        raise SealError("the manifest does not read back equal; nothing was written")
    return write_whole(raw if signing_key is None else add_signature(raw, signing_key), Path(path))
