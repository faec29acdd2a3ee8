"""Open the files that this package reads: bundles, keys and lists of revoked keys.

A path may name a pipe, a terminal or an endless device instead of a file.  Opening a pipe waits for
a writer, and a device never ends.  So every file is opened without waiting, must be a regular file,
and is read up to a limit.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import BinaryIO

__all__ = ["open_regular", "read_regular"]

Path = str | os.PathLike[str]


def open_regular(path: Path, error: Callable[[str], Exception]) -> tuple[BinaryIO, os.stat_result]:
    """Open a regular file; give it and its status.

    Parameters
    ----------
    error
        Makes the exception for a path that names something else.

    Raises
    ------
    OSError
        The file cannot be opened.
    """
    # Without O_NONBLOCK, opening a pipe waits; with O_NOCTTY, a terminal does not become ours.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    handle = os.open(path, flags)
    try:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(status.st_mode):
            raise error(f"{os.fspath(path)} is no regular file")
        return os.fdopen(handle, "rb"), status
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path, *, max_bytes: int, error: Callable[[str], Exception]) -> bytes:
    """Read a regular file of at most *max_bytes*; see :func:`open_regular`."""
    file, _ = open_regular(path, error)
    with file:
        raw = file.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise error(f"{os.fspath(path)} has more than {max_bytes:,} bytes")
    return raw
