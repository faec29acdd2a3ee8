"""The parts of a kit in, one archive out; and back.

The same parts give the same bytes.  Reading checks every part against ``SHA256SUMS``, and takes
nothing that would be written outside the kit's folder.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.bundle.atomic_file import write_whole

from edge_pipeline.errors import KitError

__all__ = ["FORMAT", "SUMS", "Contents", "pack", "read_kit"]

FORMAT = 1
"""Of the file kit.json."""

SUMS = "SHA256SUMS"

MAX_UNPACKED_BYTES = 2 * 1024**3
"""Of a kit that is read; ours take 50 MB."""

# What is read of kit.json.
_TOLD = ("name", "board", "machine", "python", "runtime_id")

_PART = re.compile(r"[A-Za-z0-9_.+@-]+(?:/[A-Za-z0-9_.+@-]+){0,8}")


@dataclass(frozen=True)
class Contents:
    """A kit that was read, and whose parts are as they were packed.

    Attributes
    ----------
    folder
        Name of the one folder at the top of the archive.
    parts
        Name within that folder to bytes; ``SHA256SUMS`` is one of them.
    told
        What ``kit.json`` says.
    """

    folder: str
    parts: Mapping[str, bytes]
    told: Mapping[str, Any]


def pack(parts: Mapping[str, bytes], folder: str, path: Path) -> Path:
    """Write *parts* below *folder* into a ``.tar.gz`` at *path*, with their ``SHA256SUMS``.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written, or the disk is full; *path* is left as it
        was.
    """
    for name in parts:
        if not _PART.fullmatch(name) or ".." in name.split("/"):
            raise KitError(f"{name!r} cannot be the name of a kit's part")
    sums = "".join(f"{hashlib.sha256(parts[n]).hexdigest()}  {n}\n" for n in sorted(parts))
    held = {**parts, SUMS: sums.encode()}
    written = io.BytesIO()
    # Level 1: nearly all of it is compressed already.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=written, mtime=0, compresslevel=1) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(held):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(held[name])
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(held[name]))
    return write_whole(written.getvalue(), path)


def read_kit(path: str | os.PathLike[str]) -> Contents:
    """Read the kit at *path*, and check its parts.

    Raises
    ------
    KitError
        It is no kit, is damaged, or was made in a newer format.
    OSError
        It cannot be read.
    """
    parts: dict[str, bytes] = {}
    folders = set()
    size = 0
    try:
        with tarfile.open(path, "r:gz") as archive:
            for entry in archive:
                folder, _, name = entry.name.partition("/")
                size += entry.size
                if not (entry.isfile() and _PART.fullmatch(name)) or ".." in entry.name.split("/"):
                    raise KitError(f"{os.fspath(path)} holds {entry.name!r:.100}, no kit does")
                if size > MAX_UNPACKED_BYTES:
                    raise KitError(f"{os.fspath(path)} unpacks to more than any kit")
                stream = archive.extractfile(entry)
                parts[name] = stream.read() if stream is not None else b""
                folders.add(folder)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise KitError(
            f"{os.fspath(path)} is no kit, or was cut short ({error}); edge-pipeline kit makes one"
        ) from error
    _check_sums(os.fspath(path), parts)
    told = _told(os.fspath(path), parts)
    if len(folders) != 1:
        raise KitError(f"{os.fspath(path)} holds {len(folders)} folders, expected one")
    return Contents(folders.pop(), parts, told)


def _check_sums(path: str, parts: Mapping[str, bytes]) -> None:
    lines = parts.get(SUMS, b"").decode("utf-8", errors="replace").splitlines()
    stated = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {n: hashlib.sha256(raw).hexdigest() for n, raw in parts.items() if n != SUMS}
    if stated != found:
        differing = sorted(n for n in stated.keys() | found.keys() if stated.get(n) != found.get(n))
        raise KitError(
            f"{path}: {differing[0]} is not as it was packed; make the kit again, or copy it again"
        )


def _told(path: str, parts: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        told = json.loads(parts["kit.json"])
        found = told["format"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise KitError(f"{path} is no kit: it has no kit.json") from error
    if found != FORMAT or not isinstance(told, dict):
        raise KitError(
            f"{path} is a kit of format {found!r:.20}, expected {FORMAT}; update edge-pipeline, or "
            "make the kit again"
        )
    for key in _TOLD:
        if not isinstance(told.get(key), str):
            raise KitError(f"{path} is no kit: its kit.json does not say {key!r}")
    return told
