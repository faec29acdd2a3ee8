"""``seal``: a VerifiedModel becomes one file, written whole or not at all."""

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
from edge_pipeline.packaging.signing import SigningKey, signed
from edge_pipeline.verification.verify import VerifiedModel

__all__ = ["seal"]


def seal(
    verified: VerifiedModel,
    manifest: Manifest,
    path: str | os.PathLike[str],
    *,
    signing_key: SigningKey | None = None,
) -> Path:
    """Write the bundle to *path* after reading it back as a device would; signed if there is a key.

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
            read = model.manifest
    except (EdgeRuntimeError, onnx.checker.ValidationError) as error:
        raise SealError(f"the bundle does not read back: {error}; nothing was written") from error
    if read != Manifest.from_bytes(manifest.to_bytes()):
        raise SealError("the manifest reads back as another one; nothing was written")
    return write_whole(raw if signing_key is None else signed(raw, signing_key), Path(path))
