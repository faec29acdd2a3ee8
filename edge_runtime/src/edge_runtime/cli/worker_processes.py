"""Chunks of a stream in, what to write for each out, in the same order, by several processes.

The processes are forks: they share the loaded model's memory, and cost no second start.  Each has
one chunk at a time, and they take turns, so that order and memory need no further thought.
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

from edge_runtime.cli.row_readers import Chunk, Done
from edge_runtime.errors import InferenceError

__all__ = ["in_processes"]


def in_processes(
    work: Callable[[Chunk], Done], chunks: Iterable[Chunk], jobs: int
) -> Generator[Done, None, None]:
    """``map(work, chunks)``, by as many processes as *jobs* says.

    Raises
    ------
    InferenceError
        A process ended before its time.
    Exception
        Whatever *work* raised.
    """
    ends: list[Connection] = []
    processes: list[Any] = []
    try:
        for _ in range(jobs):
            process, end = _started(work, ends)
            processes.append(process)
            ends.append(end)
        waiting: deque[Connection] = deque()
        failure: Exception | None = None
        turns, left = cycle(ends), iter(chunks)
        while True:
            try:
                chunk = next(left)
            except StopIteration:
                break
            except Exception as error:  # what was read before it is answered all the same
                failure = error
                break
            if len(waiting) == jobs:
                yield _received(waiting.popleft())
            end = next(turns)
            try:
                end.send(chunk)
            except OSError:  # it ended while it had nothing to do
                # Not with its cause: the frames of that hold a view of what was to be sent, and
                # CPython 3.12.1 crashes when the two are found to be garbage together.
                failure = InferenceError(_ENDED_EARLY)
                break
            waiting.append(end)
        while waiting:
            yield _received(waiting.popleft())
        if failure is not None:
            raise failure
    finally:
        # Their recv ends with the last of our ends.
        for end in ends:
            end.close()
        for process in processes:
            process.join()


def _started(work: Callable[[Chunk], Done], others: list[Connection]) -> tuple[Any, Connection]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    # A fork has copies of all that is open, and would keep the others from seeing the end.
    process = context.Process(target=_serve, args=(work, theirs, [*others, ours]), daemon=True)
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside other threads.  A model with one thread has none, and
        # numpy's are made anew after a fork (OpenBLAS, pthread_atfork).
        warnings.simplefilter("ignore", DeprecationWarning)
        # Until it has its own handlers: it would tell of a Ctrl-C with a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return process, ours


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENDED_EARLY = (
    "a process that answers rows has ended before its time; if memory ran out, ask for fewer --jobs"
)


def _serve(work: Callable[[Chunk], Done], end: Connection, not_ours: list[Connection]) -> None:
    for other in not_ours:
        other.close()
    # Ctrl-C is for the first process, which then closes its ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # the first process's handlers clean up its files
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    while True:
        try:
            chunk = end.recv()
        except (EOFError, OSError):  # the first process has closed its end, or is no more
            return
        try:
            done: Any = work(chunk)
        except Exception as error:  # the first process raises it
            done = error
        try:
            end.send(done)
        except OSError:  # nobody waits for it any more
            return


def _received(end: Connection) -> Done:
    try:
        done = end.recv()
    except (EOFError, OSError) as error:
        raise InferenceError(_ENDED_EARLY) from error
    if isinstance(done, Exception):
        raise done
    return done  # type: ignore[no-any-return]
