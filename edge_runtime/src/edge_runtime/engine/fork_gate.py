"""Keep calls out of onnxruntime while the process forks.

A child process has only the thread that forked.  If another thread was inside onnxruntime then, a
lock of onnxruntime may stay locked in the child for ever.  The child's first prediction would wait
for it.  So a fork first stops new calls and waits until the running ones are done.

Calls through :meth:`Session.run` enter and leave one by one.  The calls of ``predict_one`` are too
short for that (4 us): they take a runner out of a :class:`RunnerPool` anyway, and a fork takes all
runners out of the pools.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable
from typing import Any
from weakref import ref

__all__ = ["GATE", "ForkGate", "RunnerPool"]

MAX_WAIT_SECONDS = 10.0
"""Longest time that a fork waits for running calls; most slices take far less than a second."""

_POLL_SECONDS = 50e-6


class ForkGate:
    """Counts the calls inside onnxruntime, and holds new ones back while the process forks.

    Attributes
    ----------
    running
        One item for each call inside.  Appending to a list and taking from it are atomic.
    is_closed
        Whether new calls have to wait.
    """

    __slots__ = ("_pools", "_turn", "is_closed", "running")

    def __init__(self) -> None:
        self.running: list[None] = []
        self.is_closed = False
        self._turn = allocate_lock()
        self._pools: list[ref[RunnerPool]] = []

    def enter(self) -> None:
        """Begin a call; :meth:`leave` must follow."""
        # Append first: then either the fork sees this call, or this call sees the closed gate.
        self.running.append(None)
        if self.is_closed:
            self.step_back()

    def step_back(self) -> None:
        """Leave, wait until the gate is open, and enter again."""
        while self.is_closed:
            self.running.pop()
            self.wait()
            self.running.append(None)

    def leave(self) -> None:
        """End a call."""
        self.running.pop()

    def wait(self) -> None:
        """Wait until no fork is going on."""
        with self._turn:
            return

    def add_pool(self, pool: RunnerPool) -> None:
        """Take the runners out of *pool* at every fork."""
        self._pools.append(ref(pool, self._pools.remove))

    def take_turn(self) -> None:
        """Begin a fork, when no other one is going on; :meth:`wait` waits from now on."""
        self._turn.acquire()

    def close(self) -> bool:
        """Stop new calls, and wait for those inside; give False when they take too long."""
        import time  # forks are rare

        self.is_closed = True
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        while not self._is_quiet():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def open(self) -> None:
        """Let calls in again, in the process that forked."""
        for pool in self._living_pools():
            pool.put_all_back()
        self.is_closed = False
        self._turn.release()

    def open_in_child(self) -> None:
        """Let calls in again, in the child, which has no other thread."""
        self._turn = allocate_lock()
        self.running.clear()
        for pool in self._living_pools():
            pool.put_all_back()
        self.is_closed = False

    def _is_quiet(self) -> bool:
        are_in = [pool.take_all_out() for pool in self._living_pools()]
        return all(are_in) and not self.running

    def _living_pools(self) -> list[RunnerPool]:
        # A copy of the list first: other threads load models.
        return [pool for reference in self._pools.copy() if (pool := reference()) is not None]


class RunnerPool:
    """Runners that are not in use; see ``single_row``.

    Attributes
    ----------
    idle
        Runners that a call may take.
    made
        One item for each runner that is idle or in use.
    """

    __slots__ = ("__weakref__", "_taken_out", "idle", "made")

    def __init__(self) -> None:
        self.idle: list[Callable[[Any], Any]] = []
        self.made: list[None] = []
        self._taken_out: list[Callable[[Any], Any]] = []
        GATE.add_pool(self)

    def take_all_out(self) -> bool:
        """Take the idle runners out; whether all are out, so that none is in use."""
        while self.idle:
            try:
                self._taken_out.append(self.idle.pop())
            except IndexError:  # another thread took it
                break
        return len(self._taken_out) >= len(self.made)

    def put_all_back(self) -> None:
        """Give back what :meth:`take_all_out` took."""
        while self._taken_out:
            self.idle.append(self._taken_out.pop())


GATE = ForkGate()
"""The gate of this process: some of onnxruntime's locks are shared by all sessions."""
