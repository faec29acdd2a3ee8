"""``seal``: a VerifiedModel becomes one file, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import onnx
from edge_runtime.bundle import pack
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.manifest import Manifest

import edge_runtime
from edge_pipeline.errors import SealError
from edge_pipeline.verifying import VerifiedModel

__all__ = ["seal", "write_whole"]


def seal(verified: VerifiedModel, manifest: Manifest, path: str | os.PathLike[str]) -> Path:
    """Write the bundle to *path*, after reading it back as a device would.

    The same model and manifest give the same bytes: nothing dated, random or unordered goes in.

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
    return write_whole(raw, Path(path))


def write_whole(raw: bytes, path: Path) -> Path:
    """Replace *path* by *raw* in one step: a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path
