"""Write a file so that it appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(raw: bytes, path: Path, *, mode: int = 0o644) -> Path:
    """Replace *path* by *raw* in one step: a reader sees either the old file or the new one.

    Parameters
    ----------
    mode
        Permissions of the file.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written, or the disk is full.  *path* is then
        unchanged.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(mode)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path
