"""Handle what may happen to a loaded model: it is closed, or its process forks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from edge_runtime.errors import ModelClosedError

if TYPE_CHECKING:
    from edge_runtime.model import Model

__all__ = ["MAX_THREADS", "ClosedModel", "check_threads", "never_destroy", "watch_forks"]

MAX_THREADS = 1024
"""Most threads of one model: onnxruntime starts all at once, and each takes memory."""


def check_threads(threads: object) -> None:
    """Raise ValueError unless *threads* is a whole number within the limits."""
    if type(threads) is not int or not 1 <= threads <= MAX_THREADS:
        raise ValueError(
            f"threads must be a whole number from 1 to {MAX_THREADS:,}, found {threads!r}"
        )


class ClosedModel:
    """Replace the sessions of a closed model: every call or attribute raises ModelClosedError."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __call__(self, *_: Any) -> Any:
        """Raise ModelClosedError."""
        raise ModelClosedError(self._message)

    def __getattr__(self, name: str) -> Any:
        raise ModelClosedError(self._message)


def never_destroy(value: object) -> None:
    """Keep *value* alive, even at the end of the process."""
    import ctypes  # numpy has loaded it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


_WATCHED: WeakSet[Model] = WeakSet()


def watch_forks(model: Model) -> None:
    """Call ``model._after_fork()`` in every child process that is forked from now on."""
    if not _WATCHED:
        os.register_at_fork(after_in_child=_after_fork)
    _WATCHED.add(model)


def _after_fork() -> None:
    for model in list(_WATCHED):
        model._after_fork()
