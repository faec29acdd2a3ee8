"""Open the files of a command; a file that is written appears whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, TextIO, cast

from edge_runtime.cli.console import TerminalFilter
from edge_runtime.errors import InputError

__all__ = [
    "conflict_of_names",
    "open_errors",
    "open_source",
    "open_target",
    "replaces_input",
    "write_text",
]

_PREFIX_CHARACTERS = 40
"""Characters of the final name in a temporary file's name, which must not exceed 255 bytes."""


def conflict_of_names(
    *, source: str, target: str | None, errors: str | None, bundle: str
) -> str | None:
    """Return a message if two names mean one file, so that writing one would destroy the other.

    The output may be INPUT if it replaces INPUT at the end.  It must not be INPUT if predictions
    are written as they come: they would be read again as rows.
    """
    input_id, output_id = _input_identity(source), _output_identity(target)
    errors_id, bundle_id = _identity(errors), _identity(bundle)
    pairs = {
        "--errors and INPUT": (errors_id, input_id),
        "--errors and the output": (errors_id, output_id),
        "--errors and the bundle": (errors_id, bundle_id),
        "-o and the bundle": (output_id, bundle_id),
        "the output and INPUT": (output_id if _is_open_already(target) else None, input_id),
    }
    for names, (first_id, second_id) in pairs.items():
        if first_id is not None and first_id == second_id:
            return f"{names} are the same file"
    return None


def replaces_input(source: str, target: str | None) -> bool:
    """Return whether the output takes the place of INPUT."""
    input_id = _input_identity(source)
    return input_id is not None and input_id == _output_identity(target)


@contextmanager
def open_source(name: str, encoding: str) -> Iterator[TextIO]:
    """Open INPUT as text; ``-`` is standard input.  A compressed file is decompressed.

    A byte that is no text becomes a lone surrogate, which the input validation refuses.
    """
    decoding: dict[str, Any] = {
        "encoding": encoding,
        "errors": "surrogateescape" if encoding == "utf-8-sig" else _escape_every_byte(),
        "newline": "",  # csv needs the line ends inside quotes as they are
    }
    if name != "-":
        with open(name, "rb") as raw, _decompressed(raw, name) as source:
            yield io.TextIOWrapper(source, **decoding)
        return
    if sys.stdin is None:
        raise InputError("standard input is closed; name a file")
    source = _decompressed(sys.stdin.buffer, "standard input")
    stream = io.TextIOWrapper(source, **decoding)
    try:
        yield stream
    finally:
        stream.detach()  # or it would close the process's own standard input


def _decompressed(raw: Any, name: str) -> Any:
    """Return *raw* itself, or the stream of its decompressed bytes."""
    if not hasattr(raw, "peek"):  # a stream in memory
        raw = io.BufferedReader(raw)
    start = raw.peek(16)
    if start[:2] not in _COMPRESSED_STARTS:
        return raw
    from edge_runtime.inputs.compressed import compression_of, decompressed  # which few inputs need

    compression = compression_of(start)
    return raw if compression is None else decompressed(raw, compression, name)


_COMPRESSED_STARTS = (b"\x1f\x8b", b"BZ", b"\xfd7", b"\x28\xb5", b"PK")


@contextmanager
def open_target(path: str | None) -> Iterator[TextIO]:
    """Open the output: standard output if *path* is None, else a file that appears at the end.

    Nothing appears if the block raises.  The file takes over the mode and the owner of the file
    that it replaces, and a link stays a link.  A device or pipe is written to as it is.
    """
    if path is None or _is_stdout(path):
        if sys.stdout is None:
            raise InputError("standard output is closed; name a file (-o)")
        yield _safe(sys.stdout)
        return
    old_status = _status(path)
    is_file = old_status is None or stat.S_ISREG(old_status.st_mode)
    if _is_open_already(path) or not is_file:
        with _closing(_open_in_place(path), path) as stream:
            yield _safe(stream)
        return
    with _replacement(path, old_status) as stream:
        yield stream


def _safe(stream: TextIO) -> TextIO:
    """Filter what goes to a terminal."""
    return cast("TextIO", TerminalFilter(stream)) if stream.isatty() else stream


@contextmanager
def open_errors(path: str) -> Iterator[TextIO]:
    """Open the file of refused rows, which are written as they come."""
    with _closing(_open_in_place(path), path) as stream:
        yield stream


def write_text(text: str, stream: TextIO, path: str | None, *, flush: bool = False) -> None:
    """Write *text*; an error names *path*, if there is one."""
    try:
        stream.write(text)
        if flush:
            stream.flush()
    except OSError as error:
        raise _with_path(error, path) from error


@contextmanager
def _replacement(path: str, old_status: os.stat_result | None) -> Iterator[TextIO]:
    """Open a temporary file, and move it to *path* when the block ends."""
    final = os.path.realpath(path)
    folder, name = os.path.split(final)
    # We choose the name before the file exists: it can be removed whenever a signal comes.
    part = os.path.join(folder, f".{name[:_PREFIX_CHARACTERS]}.{os.urandom(8).hex()}")
    try:
        with _closing(_create(part, path), path) as stream:
            yield stream
            try:
                stream.flush()
                _sync(stream.fileno())
                _copy_owner_and_mode(old_status, stream.fileno())
            except OSError as error:
                raise _with_path(error, path) from error
        try:
            os.replace(part, final)
        except OSError as error:
            raise _with_path(error, path) from error
    except BaseException:
        with suppress(OSError):  # it does not exist yet, or is moved already
            os.unlink(part)
        raise


def _open_in_place(path: str) -> TextIO:
    # The shell may have opened the file to append to: 2>> log, and here /dev/stderr.
    mode: Literal["a", "w"] = "a" if _is_open_already(path) else "w"
    return open(path, mode, encoding="utf-8", newline="")


def _create(part: str, path: str) -> TextIO:
    """Create the file *part*, which only its owner may read so far."""

    def open_privately(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    try:
        return open(part, "x", encoding="utf-8", newline="", opener=open_privately)
    except OSError as error:  # it names the temporary file
        raise _with_path(error, path) from error


@contextmanager
def _closing(stream: TextIO, path: str) -> Iterator[TextIO]:
    """Close *stream* at the end; an error of the last write names *path*."""
    try:
        yield stream
    finally:
        try:
            stream.close()
        except OSError as error:
            raise _with_path(error, path) from error


def _copy_owner_and_mode(old_status: os.stat_result | None, handle: int) -> None:
    """Give an open file the owner and mode of the file that it replaces, or of a new one."""
    mode = 0o666 & ~_umask()
    if old_status is not None:
        mode = old_status.st_mode & 0o777
        status = os.fstat(handle)
        if (status.st_uid, status.st_gid) != (old_status.st_uid, old_status.st_gid):
            with suppress(OSError):  # only root may give files away
                os.fchown(handle, old_status.st_uid, old_status.st_gid)
    with suppress(OSError):  # FAT and exFAT have neither owner nor mode, and refuse to set them
        os.fchmod(handle, mode)


def _sync(handle: int) -> None:
    """Wait until the file is on its disk, where the file system can tell."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EROFS)
"""Error numbers of file systems that lack a call, such as network and FUSE file systems."""


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _with_path(error: OSError, path: str | None) -> OSError:
    if path is None or error.errno is None:
        return error
    return OSError(error.errno, error.strerror, path)


def _is_stdout(path: str) -> bool:
    """Return whether *path* is where standard output goes: ``/dev/stdout``, and ``-o X > X``."""
    if path == "/dev/stdout":
        return True
    identity = _identity(path)
    return identity is not None and identity == _identity(sys.stdout)


def _is_open_already(path: str | None) -> bool:
    """Return whether *path* names a file that was open when this process started."""
    return (
        path is None
        or os.path.abspath(path).startswith(("/dev/std", "/dev/fd/", "/proc/"))
        or _is_stdout(path)
    )


def _input_identity(source: str) -> object:
    return _identity(sys.stdin if source == "-" else source)


def _output_identity(target: str | None) -> object:
    return _identity(sys.stdout if target is None else target)


def _identity(file: str | TextIO | None) -> object:
    """Return a key that is equal for two names of one file; None for a device or pipe."""
    if file is None:
        return None
    try:
        status = os.stat(file if isinstance(file, str) else file.fileno())
    except (OSError, ValueError):  # no such file yet, or a stream in memory
        return os.path.realpath(file) if isinstance(file, str) else None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _escape_every_byte() -> str:
    """Register an error handler like surrogateescape, for bytes below 128 too; return its name.

    In UTF-16 and UTF-32 such bytes can be invalid as well.  One of them would end the stream, and
    rows already read would be lost.
    """
    import codecs

    def escape(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        invalid = error.object[error.start : error.end]
        return "".join(chr(0xDC00 + byte) for byte in invalid), error.end

    codecs.register_error("edge_runtime.escape", escape)
    return "edge_runtime.escape"
