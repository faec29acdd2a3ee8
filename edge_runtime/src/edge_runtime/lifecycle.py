"""Handle what may happen to a loaded model: it is closed, or its process forks."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ref

from edge_runtime.engine.fork_gate import GATE
from edge_runtime.errors import ModelClosedError

if TYPE_CHECKING:
    from edge_runtime.model import Model

__all__ = ["MAX_THREADS", "ClosedModel", "check_threads", "watch_forks"]

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


def _never_destroy(value: object) -> None:
    """Keep *value* alive, even at the end of the process."""
    import ctypes  # numpy has loaded it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


_watched: list[ref[Model]] = []
_is_registered = False


def watch_forks(model: Model) -> None:
    """Let no call of *model* be inside onnxruntime when this process forks.

    With one thread the model goes on predicting in the child.  With several it is closed there: the
    threads of its pool exist in the parent only, and a call would wait for them for ever.
    """
    global _is_registered
    if not _is_registered:
        _is_registered = True
        os.register_at_fork(
            before=_Fork.begin,
            after_in_parent=_Fork.end_in_parent,
            after_in_child=_Fork.end_in_child,
        )
    _watched.append(ref(model, _watched.remove))


class _Fork:
    """The fork that is going on in this process, if any."""

    held_calls: ClassVar[list[tuple[Model, _HeldCalls]]] = []
    is_quiet: ClassVar[bool] = True

    @classmethod
    def begin(cls) -> None:
        GATE.take_turn()
        # A loop that calls predict_one would take its runner again before the gate sees it.
        cls.held_calls = [(model, _HeldCalls(model)) for model in _living_models()]
        cls.is_quiet = GATE.close()

    @classmethod
    def end_in_parent(cls) -> None:
        cls._release()
        GATE.open()

    @classmethod
    def end_in_child(cls) -> None:
        cls._release()
        GATE.open_in_child()
        for model in _living_models():
            _continue_in_child(model, is_quiet=cls.is_quiet)

    @classmethod
    def _release(cls) -> None:
        for model, calls in cls.held_calls:
            calls.release(model)
        cls.held_calls = []


def _living_models() -> list[Model]:
    # A copy of the list first: other threads load models.
    return [model for reference in _watched.copy() if (model := reference()) is not None]


def _continue_in_child(model: Model, *, is_quiet: bool) -> None:
    """Let the child predict with *model*, or close it."""
    planner = model._planner
    if isinstance(planner, ClosedModel):
        return
    if model._threads == 1 and is_quiet:
        planner.after_fork()
        return
    for session in planner.sessions():
        _never_destroy(session)  # its destructor would wait for threads that are not here
    reason = (
        f"was loaded with threads={model._threads} before this process was forked off"
        if is_quiet
        else "was predicting in another thread when this process was forked off"
    )
    model._end(f"the model {reason}; load it again here, or before with threads=1")


class _HeldCalls:
    """The calls for single rows of a model, held back while the process forks."""

    def __init__(self, model: Model) -> None:
        self._one, self._proba_one = model._one, model._proba_one
        self._held_one, self._held_proba = _waiting(self._one), _waiting(self._proba_one)
        model._one, model._proba_one = self._held_one, self._held_proba
        self._rows = model._rows
        # A method that another thread uses for the first time meanwhile waits at the gate.
        self._held_rows = {method: _waiting(call) for method, call in self._rows.copy().items()}
        model._rows = self._held_rows

    def release(self, model: Model) -> None:
        """Undo it, unless the model was closed meanwhile."""
        if model._one is self._held_one:
            model._one = self._one
        if model._proba_one is self._held_proba:
            model._proba_one = self._proba_one
        if model._rows is self._held_rows:
            model._rows = self._rows


def _waiting(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that waits for the end of the fork before it makes *call*."""

    def wait_and_call(row: Any) -> Any:
        GATE.wait()
        return call(row)

    return wait_and_call
