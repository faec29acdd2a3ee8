"""Recognize a compressed file by its first bytes, and decompress it as a stream.

Memory is bounded: a stream is decompressed piece by piece, and a dictionary that would need more
than :data:`MAX_DICTIONARY_BYTES` is refused.  So is a stream that expands like a bomb.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import IO, Any, cast

from edge_runtime.errors import InputError

__all__ = ["MAGIC_BYTES", "compression_of", "decompressed"]

MAX_DICTIONARY_BYTES = 128 * 1024 * 1024
"""Most memory for the dictionary of xz and zstd; ``xz -9`` needs 65 MiB."""

FREE_BYTES = 256 * 1024 * 1024
"""Decompressed bytes below which no ratio is checked."""

MAX_RATIO = 1000
"""Largest ratio of decompressed to compressed bytes; tables reach 100."""

PIECE_BYTES = 64 * 1024
"""Bytes decompressed at once."""

MAGIC_BYTES = 10
"""First bytes of a file that tell its compression."""

_Raw = IO[bytes]


def compression_of(start: bytes) -> str | None:
    """Return ``gzip``, ``bzip2``, ``xz``, ``zstd`` or ``zip`` by the first bytes of a file."""
    if start.startswith(b"BZh") and start[4:10] == b"1AY&SY":
        return "bzip2"
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}


def decompressed(raw: _Raw, compression: str, name: str) -> io.BufferedReader:
    """Return the decompressed bytes of *raw* as a stream; *name* is the file's, for messages.

    Raises
    ------
    InputError
        A package is missing, or a zip archive has another content than one table.  Reading the
        stream raises it where the file is damaged or expands like a bomb.
    """
    byte_counter = _CountedBytes(raw)
    stream = _OPENERS[compression](byte_counter, name)
    return io.BufferedReader(_Bounded(stream, byte_counter, compression, name), PIECE_BYTES)


class _CountedBytes(io.RawIOBase):
    """Passes bytes on, and counts them."""

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw
        self.count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:
        piece = self._raw.read(len(buffer))
        buffer[: len(piece)] = piece
        self.count += len(piece)
        return len(piece)


class _Bounded(io.RawIOBase):
    """Refuses damaged streams, and streams that expand like a bomb, with an InputError."""

    def __init__(self, stream: Any, source: _CountedBytes, compression: str, name: str) -> None:
        self._stream = stream
        self._source = source
        self._compression = compression
        self._name = name
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._stream.read(len(buffer))
        except (InputError, MemoryError):
            raise
        except Exception as error:  # each library raises errors of its own
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(
                f"{self._name} is not whole {self._compression} data ({error}); copy the file again"
            ) from error
        buffer[: len(piece)] = piece
        self._count += len(piece)
        if self._count > max(FREE_BYTES, MAX_RATIO * self._source.count):
            raise InputError(
                f"{self._name} expands to more than {MAX_RATIO} times its size, as no table does; "
                "decompress it yourself if you trust it"
            )
        return len(piece)


def _open_gzip(raw: _CountedBytes, name: str) -> Any:
    import gzip

    return gzip.GzipFile(fileobj=io.BufferedReader(raw, PIECE_BYTES), mode="rb")


def _open_bzip2(raw: _CountedBytes, name: str) -> Any:
    import bz2

    return bz2.BZ2File(io.BufferedReader(raw, PIECE_BYTES))


def _open_xz(raw: _CountedBytes, name: str) -> Any:
    import lzma

    return _Frames(
        raw, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_DICTIONARY_BYTES)
    )


def _open_zstd(raw: _CountedBytes, name: str) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        pass
    else:
        window = {zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
        return _Frames(raw, lambda: zstd.ZstdDecompressor(options=window))
    try:
        import zstandard
    except ImportError as error:
        raise InputError(
            f"{name} is compressed by zstd, which needs Python 3.14 or the package zstandard: "
            "pip install zstandard; or decompress it: zstd -d"
        ) from error
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_DICTIONARY_BYTES)
    return _Frames(raw, lambda: _ZstandardFrame(decompressor.decompressobj()))


class _ZstandardFrame:
    """Gives a frame of the package zstandard the methods of Python's own decompressors.

    Its ``stream_reader`` ends in silence where a frame is cut off.  Its ``decompressobj`` has no
    bound on its output, so it gets few bytes at once.
    """

    _INPUT_BYTES = 512

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._input = self._output = b""

    @property
    def eof(self) -> bool:
        return bool(self._frame.eof) and not self._output

    @property
    def needs_input(self) -> bool:
        return not (self._input or self._output)

    @property
    def unused_data(self) -> bytes:
        unused: bytes = self._frame.unused_data
        return unused + self._input

    def decompress(self, piece: bytes, size: int) -> bytes:
        self._input += piece
        while self._input and not self._output and not self._frame.eof:
            first, self._input = self._input[: self._INPUT_BYTES], self._input[self._INPUT_BYTES :]
            self._output = self._frame.decompress(first)
        output, self._output = self._output[:size], self._output[size:]
        return output


_MAX_WINDOW_LOG = MAX_DICTIONARY_BYTES.bit_length() - 1


def _open_zip(raw: _CountedBytes, name: str) -> Any:
    import zipfile

    if not raw.seekable():
        raise InputError("a zip archive cannot be read from a pipe; name the file")
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", raw))
        names = [entry for entry in archive.namelist() if not entry.endswith("/")]
        if "[Content_Types].xml" in names:
            raise InputError(f"{name} is a workbook of Excel; save the sheet as CSV in UTF-8")
        if len(names) != 1:
            raise InputError(
                f"{name} holds {len(names)} files, expected one table; unpack it, and name the "
                "one you mean"
            )
        return archive.open(names[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{name} is not a whole zip archive ({error}); copy it again") from error


_OPENERS: dict[str, Callable[[_CountedBytes, str], Any]] = {
    "gzip": _open_gzip,
    "bzip2": _open_bzip2,
    "xz": _open_xz,
    "zstd": _open_zstd,
    "zip": _open_zip,
}


class _Frames:
    """Reads the frames of a file one after the other, each with a decompressor of its own."""

    def __init__(self, raw: _CountedBytes, decompressor: Callable[[], Any]) -> None:
        self._raw = raw
        self._new_decompressor = decompressor
        self._decompressor = decompressor()
        self._input = b""

    def read(self, size: int) -> bytes:
        """Return up to *size* bytes; none at the end of the last frame."""
        while True:
            if self._decompressor.eof:
                self._input = self._decompressor.unused_data.lstrip(b"\0") or self._raw.read(
                    PIECE_BYTES
                )
                if not self._input:
                    return b""
                self._decompressor = self._new_decompressor()
            elif self._decompressor.needs_input and not self._input:
                self._input = self._raw.read(PIECE_BYTES)
                if not self._input:
                    raise EOFError("the last frame has no end")
            piece: bytes = self._decompressor.decompress(self._input, size)
            self._input = b""
            if piece:
                return piece
