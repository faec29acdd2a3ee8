"""Process the chunks of a stream in several processes, and keep their order.

The processes are forks: they share the loaded model's memory, and need no second start.  Each has
one chunk at a time, and they take turns, so that order and memory need no further care.
"""

from __future__ import annotations

import multiprocessing
import signal
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Any

from edge_runtime.cli.row_chunks import Chunk, ChunkResult
from edge_runtime.errors import InferenceError

__all__ = ["map_in_processes"]


def map_in_processes(
    work: Callable[[Chunk], ChunkResult], chunks: Iterable[Chunk], jobs: int
) -> Generator[ChunkResult, None, None]:
    """Yield ``map(work, chunks)``, computed by *jobs* processes.

    Raises
    ------
    InferenceError
        A process ended too early.
    Exception
        Whatever *work* raised.
    """
    connections: list[Connection] = []
    processes: list[Any] = []
    try:
        for _ in range(jobs):
            process, connection = _start_worker(work, connections)
            processes.append(process)
            connections.append(connection)
        yield from _exchange(connections, chunks)
    finally:
        # A worker's recv ends when the last of our connections to it is closed.
        for connection in connections:
            connection.close()
        for process in processes:
            process.join()


def _exchange(
    connections: list[Connection], chunks: Iterable[Chunk]
) -> Generator[ChunkResult, None, None]:
    """Send *chunks* to the workers in turn, and yield their results in order."""
    busy: deque[Connection] = deque()
    failure: Exception | None = None
    turns, remaining = cycle(connections), iter(chunks)
    while True:
        try:
            chunk = next(remaining)
        except StopIteration:
            break
        except Exception as error:  # the rows read before it are predicted all the same
            failure = error
            break
        if len(busy) == len(connections):
            yield _receive(busy.popleft())
        connection = next(turns)
        try:
            connection.send(chunk)
        except OSError:  # the worker ended while it was idle
            # Raised without its cause, whose frames hold a view of the chunk: CPython 3.12.1
            # crashes when both become garbage together.
            failure = InferenceError(_ENDED_EARLY)
            break
        busy.append(connection)
    while busy:
        yield _receive(busy.popleft())
    if failure is not None:
        raise failure


def _start_worker(
    work: Callable[[Chunk], ChunkResult], earlier_connections: list[Connection]
) -> tuple[Any, Connection]:
    context = multiprocessing.get_context("fork")
    connection, worker_connection = context.Pipe()
    # A fork has copies of all open files.  It must close these, or the other workers never see
    # the end.
    to_close = [*earlier_connections, connection]
    process = context.Process(target=_serve, args=(work, worker_connection, to_close), daemon=True)
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside other threads.  A model with one thread has none, and
        # OpenBLAS starts numpy's anew after a fork (pthread_atfork).
        warnings.simplefilter("ignore", DeprecationWarning)
        # Blocked until the worker has its own handlers: a Ctrl-C would print a traceback.
        old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _END_SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
    worker_connection.close()
    return process, connection


_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENDED_EARLY = (
    "a process that predicts rows has ended too early; if memory ran out, use fewer --jobs"
)


def _serve(
    work: Callable[[Chunk], ChunkResult], connection: Connection, to_close: list[Connection]
) -> None:
    """Run in the worker: process chunks until the first process closes its end."""
    for inherited in to_close:
        inherited.close()
    # The first process handles Ctrl-C, and then closes its ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # the first process's handlers remove its files
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _END_SIGNALS)
    while True:
        try:
            chunk = connection.recv()
        except (EOFError, OSError):  # the first process has closed its end, or has ended
            return
        try:
            result: Any = work(chunk)
        except Exception as error:  # the first process raises it
            result = error
        try:
            connection.send(result)
        except OSError:  # nobody waits for it any more
            return


def _receive(connection: Connection) -> ChunkResult:
    try:
        result = connection.recv()
    except (EOFError, OSError) as error:
        raise InferenceError(_ENDED_EARLY) from error
    if isinstance(result, Exception):
        raise result
    return result  # type: ignore[no-any-return]
