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
from typing import Any, BinaryIO

from edge_runtime.bundle.atomic_file import write_whole

from edge_pipeline.errors import KitError

__all__ = ["FORMAT", "SUMS", "KitContents", "pack", "read_kit"]

FORMAT = 1
"""Version of the format of kit.json."""

SUMS = "SHA256SUMS"

MAX_EXPANSION = 8
"""Most unpacked bytes for each byte of a kit, beyond :data:`FREE_BYTES`; wheels hardly compress."""

FREE_BYTES = 64 * 1024**2
"""Unpacked bytes that any kit may have."""

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

    @property
    def need_kb(self) -> int:
        """Return the disk space of the installed packages; 0 for a kit that does not state it."""
        need_kb = self.metadata.get("need_kb")
        return need_kb if isinstance(need_kb, int) and need_kb > 0 else 0


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
    # Level 1: wheels are compressed already.
    packed = _compress(files, folder, level=1)
    if sum(map(len, files.values())) > _limit(len(packed)):
        packed = _compress(files, folder, level=0)
    return write_whole(packed, path)


def _compress(files: Mapping[str, bytes], folder: str, *, level: int) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(
            filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=level
        ) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(files[name])
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def _limit(kit_bytes: int) -> int:
    """Return the most bytes to which a kit of this size may unpack."""
    return FREE_BYTES + MAX_EXPANSION * kit_bytes


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
    try:
        with (
            open(path, "rb") as file,
            _LimitedStream(file, os.fspath(path)) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            for entry in archive:
                folder, _, name = entry.name.partition("/")
                if not (_is_plain(entry) and _PART.fullmatch(name)) or ".." in name.split("/"):
                    raise KitError(f"{os.fspath(path)} holds {entry.name!r:.100}, which no kit has")
                content = archive.extractfile(entry)
                parts[name] = content.read() if content is not None else b""
                folders.add(folder)
    # tarfile raises ValueError and LookupError for some headers that it cannot parse.
    except (
        tarfile.TarError,
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        ValueError,
        LookupError,
        ArithmeticError,
    ) as error:
        raise KitError(
            f"{os.fspath(path)} is not a kit, or was cut short ({error}); make one: "
            "edge-pipeline kit"
        ) from error
    _check_sums(os.fspath(path), parts)
    metadata = _read_metadata(os.fspath(path), parts)
    if len(folders) != 1:
        raise KitError(f"{os.fspath(path)} holds {len(folders)} folders, expected one")
    return KitContents(folders.pop(), parts, metadata)


def _is_plain(entry: tarfile.TarInfo) -> bool:
    """Return whether an entry is a file that is stored whole, as kits have."""
    return entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not entry.issparse()


class _LimitedStream(gzip.GzipFile):
    """A gzip stream that refuses to unpack to more bytes than any kit of its size."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._path = path
        self._bytes_left = _limit(os.fstat(file.fileno()).st_size)

    def read(self, size: int | None = -1) -> bytes:
        """Read at most *size* bytes, and fewer than the limit."""
        if size is None or size < 0:
            size = self._bytes_left + 1
        raw = super().read(min(size, self._bytes_left + 1))
        self._bytes_left -= len(raw)
        if self._bytes_left < 0:
            raise KitError(f"{self._path} unpacks to more bytes than any kit of its size")
        return raw


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
