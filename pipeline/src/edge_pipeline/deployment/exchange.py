"""Run a program with given input, a limit of time, and a limit of output."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from edge_pipeline.deployment.board_output import MAX_BYTES

__all__ = ["exchange"]

GRACE_SECONDS = 2
"""Wait for output after the program's end: a helper that it left may hold the pipe for ever."""

_BLOCK_BYTES = 1 << 16
_POLL_SECONDS = 0.2


def exchange(
    command: Sequence[str], chunks: Sequence[bytes], *, seconds: float
) -> tuple[int, bytes, bytes]:
    """Run *command* with *chunks* as input; return its status, output and errors.

    Of each output the first ``MAX_BYTES`` are returned.

    Raises
    ------
    TimeoutError
        The program has not ended after *seconds*; it is killed, with its process group.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    ) as process:
        try:
            outputs = _Pipes(process, chunks).transfer(time.monotonic() + seconds)
            return process.wait(), *outputs
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


class _Pipes:
    """The three pipes of a process, served without blocking on any of them."""

    def __init__(self, process: subprocess.Popen[bytes], chunks: Sequence[bytes]) -> None:
        self._process = process
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self._outputs = {process.stdout: bytearray(), process.stderr: bytearray()}

    def transfer(self, deadline: float) -> tuple[bytes, bytes]:
        """Write all input and read both outputs, until their end or the deadline."""
        with selectors.DefaultSelector() as selector:
            for stream in self._outputs:
                _register(selector, stream, selectors.EVENT_READ)
            _register(selector, self._process.stdin, selectors.EVENT_WRITE)
            while selector.get_map():
                now = time.monotonic()
                if now > deadline:
                    if self._process.poll() is None:
                        raise TimeoutError
                    break
                for key, _ in selector.select(min(_POLL_SECONDS, deadline - now)):
                    serve = self._write if key.fileobj is self._process.stdin else self._read
                    if not serve(key.fileobj):  # type: ignore[arg-type]
                        selector.unregister(key.fileobj)
                if self._process.poll() is not None:
                    deadline = min(deadline, now + GRACE_SECONDS)
            self._wait_for_end(deadline)
        stdout, stderr = self._outputs.values()
        return bytes(stdout), bytes(stderr)

    def _wait_for_end(self, deadline: float) -> None:
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error

    def _read(self, stream: IO[bytes]) -> bool:
        """Read what is there; return False at the end."""
        raw = os.read(stream.fileno(), _BLOCK_BYTES)
        output = self._outputs[stream]
        output += raw[: MAX_BYTES - len(output)]
        return bool(raw)

    def _write(self, stream: IO[bytes]) -> bool:
        """Write what the pipe takes; close it and return False at the end."""
        try:
            if not self._rest:
                self._rest = memoryview(next(self._chunks))
            self._rest = self._rest[os.write(stream.fileno(), self._rest[:_BLOCK_BYTES]) :]
        except (StopIteration, BrokenPipeError):  # the program's status and output say why
            stream.close()
            return False
        return True


def _register(selector: selectors.BaseSelector, stream: IO[bytes] | None, event: int) -> None:
    if stream is not None:
        os.set_blocking(stream.fileno(), False)
        selector.register(stream, event)
