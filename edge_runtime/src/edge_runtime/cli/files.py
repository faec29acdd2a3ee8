"""Names of files in, streams out; a file that is written appears whole or not at all."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, TextIO

from edge_runtime.errors import InputError

__all__ = ["clash", "open_errors", "open_source", "open_target", "put", "replaces_input"]

_PREFIX_CHARACTERS = 40
"""What a temporary file has of the name that it will get: names end at 255 bytes."""


def clash(*, source: str, target: str | None, errors: str | None, bundle: str) -> str | None:
    """Which two names are one file, so that writing one would destroy or feed the other.

    The output may be INPUT where it replaces it once all is read, but not where it is written as
    answers come: those would be read again.
    """
    read, written = _input_identity(source), _output_identity(target)
    refused, sealed = _identity(errors), _identity(bundle)
    pairs = {
        "--errors and INPUT": (refused, read),
        "--errors and the output": (refused, written),
        "--errors and the bundle": (refused, sealed),
        "-o and the bundle": (written, sealed),
        "the output and INPUT": (written if _is_open_already(target) else None, read),
    }
    for names, (one, other) in pairs.items():
        if one is not None and one == other:
            return f"{names} are the same file"
    return None


def replaces_input(source: str, target: str | None) -> bool:
    """Whether the output takes the place of INPUT."""
    read = _input_identity(source)
    return read is not None and read == _output_identity(target)


@contextmanager
def open_source(name: str, encoding: str) -> Iterator[TextIO]:
    """The rows as text, of standard input when *name* is ``-``.

    A byte that is no text becomes a lone surrogate, which the border refuses.
    """
    decoding: dict[str, Any] = {
        "encoding": encoding,
        "errors": "surrogateescape" if encoding == "utf-8-sig" else _escape_every_byte(),
        "newline": "",  # csv tells line ends inside quotes from those between rows
    }
    if name != "-":
        with open(name, **decoding) as stream:
            yield stream
        return
    if sys.stdin is None:
        raise InputError("standard input is closed; name a file")
    stream = io.TextIOWrapper(sys.stdin.buffer, **decoding)
    try:
        yield stream
    finally:
        stream.detach()  # or it would close the process's own standard input


@contextmanager
def open_target(path: str | None) -> Iterator[TextIO]:
    """Standard output when *path* is None or names it, else a file that appears whole at the end.

    Nothing appears when the block raises.  A file that is replaced leaves its mode and its owner,
    and a link stays a link.  A device or pipe is written to as it is.
    """
    if path is None or _is_stdout(path):
        if sys.stdout is None:
            raise InputError("standard output is closed; name a file (-o)")
        yield sys.stdout
        return
    before = _status(path)
    if _is_open_already(path) or (before is not None and not stat.S_ISREG(before.st_mode)):
        with _closing(_opened(path), path) as stream:
            yield stream
        return
    with _replacement(path, before) as stream:
        yield stream


@contextmanager
def open_errors(path: str) -> Iterator[TextIO]:
    """The file of refused rows, written as they come; its name is in what fails."""
    with _closing(_opened(path), path) as stream:
        yield stream


def put(text: str, stream: TextIO, path: str | None, *, flush: bool = False) -> None:
    """Write *text*; an error names *path*, where there is one."""
    try:
        stream.write(text)
        if flush:
            stream.flush()
    except OSError as error:
        raise _named(error, path) from error


@contextmanager
def _replacement(path: str, before: os.stat_result | None) -> Iterator[TextIO]:
    """A file that takes the place of *path*, whose status was *before*, when the block ends."""
    place = os.path.realpath(path)
    folder, name = os.path.split(place)
    # A name of our own, known before the file is there: a signal at any moment finds it removed.
    part = os.path.join(folder, f".{name[:_PREFIX_CHARACTERS]}.{os.urandom(8).hex()}")
    try:
        with _closing(_created(part, path), path) as stream:
            yield stream
            try:
                stream.flush()
                os.fsync(stream.fileno())
                _take_after(before, stream.fileno())
            except OSError as error:
                raise _named(error, path) from error
        try:
            os.replace(part, place)
        except OSError as error:
            raise _named(error, path) from error
    except BaseException:
        with suppress(OSError):  # it is not there, or in its place already
            os.unlink(part)
        raise


def _opened(path: str) -> TextIO:
    # What the shell opened it may have opened to add to: 2>> log, and here /dev/stderr.
    mode: Literal["a", "w"] = "a" if _is_open_already(path) else "w"
    return open(path, mode, encoding="utf-8", newline="")


def _created(part: str, path: str) -> TextIO:
    """The new file *part*, its owner's alone so far."""

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    try:
        return open(part, "x", encoding="utf-8", newline="", opener=opened)
    except OSError as error:  # which would name the temporary file
        raise _named(error, path) from error


@contextmanager
def _closing(stream: TextIO, path: str) -> Iterator[TextIO]:
    """Close *stream* at the end; what cannot be written even then names *path*."""
    try:
        yield stream
    finally:
        try:
            stream.close()
        except OSError as error:
            raise _named(error, path) from error


def _take_after(before: os.stat_result | None, handle: int) -> None:
    """Give an open file the owner and mode of the one it replaces, or those of a new one."""
    if before is None:
        os.fchmod(handle, 0o666 & ~_umask())
        return
    made = os.fstat(handle)
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        with suppress(OSError):  # only root may give files away
            os.fchown(handle, before.st_uid, before.st_gid)
    os.fchmod(handle, before.st_mode & 0o777)


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _named(error: OSError, path: str | None) -> OSError:
    if path is None or error.errno is None:
        return error
    return OSError(error.errno, error.strerror, path)


def _is_stdout(path: str) -> bool:
    """Whether *path* leads to where standard output goes: ``/dev/stdout``, and ``-o X > X``."""
    if path == "/dev/stdout":
        return True
    found = _identity(path)
    return found is not None and found == _identity(sys.stdout)


def _is_open_already(path: str | None) -> bool:
    """Whether *path* is no place in a folder, but a file that this process was given open."""
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
    """What is equal for two names of one file; None for a device or pipe, which may be shared."""
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
    """The name of an error handler as surrogateescape is, for bytes below 128 too.

    In UTF-16 and UTF-32 those can be wrong as well, and one of them would end the stream, with all
    that was read along with it.
    """
    import codecs

    def escape(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        wrong = error.object[error.start : error.end]
        return "".join(chr(0xDC00 + byte) for byte in wrong), error.end

    codecs.register_error("edge_runtime.escape", escape)
    return "edge_runtime.escape"
