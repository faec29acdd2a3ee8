"""Write and read the archive of a kit.

The same parts give the same bytes.  Reading checks every part against ``SHA256SUMS``, and refuses
names that would lead outside the kit's folder.
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

__all__ = ["FORMAT", "SUMS", "KitContents", "pack", "read_kit"]

FORMAT = 1
"""Version of the format of kit.json."""

SUMS = "SHA256SUMS"

MAX_UNPACKED_BYTES = 2 * 1024**3
"""Most bytes of all parts of a kit that is read; ours have 50 MB."""

# Text fields that deploy reads from kit.json.
_METADATA_KEYS = ("name", "board", "machine", "python", "runtime_id")

_PART = re.compile(r"[A-Za-z0-9_.+@-]+(?:/[A-Za-z0-9_.+@-]+){0,8}")


@dataclass(frozen=True)
class KitContents:
    """A kit whose parts match ``SHA256SUMS``.

    Attributes
    ----------
    folder
        Name of the one folder at the top of the archive.
    parts
        Name within that folder to bytes, ``SHA256SUMS`` included.
    metadata
        The JSON object in ``kit.json``.
    """

    folder: str
    parts: Mapping[str, bytes]
    metadata: Mapping[str, Any]


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
            raise KitError(f"{name!r} is not allowed as the name of a kit's part")
    sums = "".join(f"{hashlib.sha256(parts[n]).hexdigest()}  {n}\n" for n in sorted(parts))
    files = {**parts, SUMS: sums.encode()}
    buffer = io.BytesIO()
    # Level 1: wheels are compressed already.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=1) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(files[name])
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return write_whole(buffer.getvalue(), path)


def read_kit(path: str | os.PathLike[str]) -> KitContents:
    """Read the kit at *path*, and check its parts.

    Raises
    ------
    KitError
        The file is not a kit, is damaged, or has a newer format.
    OSError
        The file cannot be read.
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
                    raise KitError(f"{os.fspath(path)} holds {entry.name!r:.100}, which no kit has")
                if size > MAX_UNPACKED_BYTES:
                    raise KitError(f"{os.fspath(path)} unpacks to more than any kit")
                stream = archive.extractfile(entry)
                parts[name] = stream.read() if stream is not None else b""
                folders.add(folder)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise KitError(
            f"{os.fspath(path)} is not a kit, or was cut short ({error}); make one: "
            "edge-pipeline kit"
        ) from error
    _check_sums(os.fspath(path), parts)
    metadata = _read_metadata(os.fspath(path), parts)
    if len(folders) != 1:
        raise KitError(f"{os.fspath(path)} holds {len(folders)} folders, expected one")
    return KitContents(folders.pop(), parts, metadata)


def _check_sums(path: str, parts: Mapping[str, bytes]) -> None:
    lines = parts.get(SUMS, b"").decode("utf-8", errors="replace").splitlines()
    stated = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    actual = {n: hashlib.sha256(raw).hexdigest() for n, raw in parts.items() if n != SUMS}
    if stated != actual:
        differing = sorted(
            n for n in stated.keys() | actual.keys() if stated.get(n) != actual.get(n)
        )
        raise KitError(
            f"{path}: {differing[0]} is not as it was packed; make the kit again, or copy it again"
        )


def _read_metadata(path: str, parts: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        metadata = json.loads(parts["kit.json"])
        version = metadata["format"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise KitError(f"{path} is not a kit: it has no kit.json") from error
    if version != FORMAT or not isinstance(metadata, dict):
        raise KitError(
            f"{path} is a kit of format {version!r:.20}, expected {FORMAT}; update "
            "edge-pipeline, or make the kit again"
        )
    for key in _METADATA_KEYS:
        if not isinstance(metadata.get(key), str):
            raise KitError(f"{path} is not a kit: its kit.json has no text {key!r}")
    return metadata
