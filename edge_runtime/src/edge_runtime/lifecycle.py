"""What becomes of a model that is closed, pickled, or in a process that forks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from edge_runtime.errors import IntegrityError, ModelClosedError
from edge_runtime.records import record

if TYPE_CHECKING:
    from edge_runtime.inputs.tables import ExtraColumns
    from edge_runtime.model import Model
    from edge_runtime.trust.keys import TrustedKeys

__all__ = ["MAX_THREADS", "Closed", "Origin", "check_threads", "keep_for_ever", "watch_forks"]

MAX_THREADS = 1024
"""Of one model; onnxruntime starts them all as it loads, and asks for memory for each."""


def check_threads(threads: object) -> None:
    """Raise ValueError for what is no sensible number of threads."""
    if type(threads) is not int or not 1 <= threads <= MAX_THREADS:
        raise ValueError(
            f"threads must be a whole number from 1 to {MAX_THREADS:,}, found {threads!r}"
        )


class Closed:
    """Stands where a model's sessions stood; raises ModelClosedError, whatever is asked of it."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __call__(self, *_: Any) -> Any:
        """Raise ModelClosedError."""
        raise ModelClosedError(self._message)

    def __getattr__(self, name: str) -> Any:
        raise ModelClosedError(self._message)


@record(frozen=True, slots=True)
class Origin:
    """Where a model came from: what another process needs to load the very same one.

    Attributes
    ----------
    source
        Absolute path of the file, or its bytes.
    sha256
        As its seal says.
    extra_columns, threads, trusted_keys
        As given to :func:`edge_runtime.load`.
    """

    source: str | bytes
    sha256: str
    extra_columns: ExtraColumns
    threads: int
    trusted_keys: TrustedKeys | None

    def load(self) -> Model:
        """The same model again, checked as before.

        Raises
        ------
        IntegrityError
            The file has been replaced by another bundle.
        """
        from edge_runtime.model import load  # which imports this module

        model = load(
            self.source,
            extra_columns=self.extra_columns,
            threads=self.threads,
            trusted_keys=self.trusted_keys,
        )
        found = model.origin
        if found is None or found.sha256 != self.sha256:
            raise IntegrityError(
                f"{self.source!r:.200} holds another bundle now, whose SHA-256 is not "
                f"{self.sha256[:16]}…; load it anew"
            )
        return model


def keep_for_ever(thing: object) -> None:
    """Never destroy *thing*, not even at the end of the process."""
    import ctypes  # numpy has loaded it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


_WATCHED: WeakSet[Model] = WeakSet()


def watch_forks(model: Model) -> None:
    """Have *model* told in every process that is forked off from now on."""
    if not _WATCHED:
        os.register_at_fork(after_in_child=_after_fork)
    _WATCHED.add(model)


def _after_fork() -> None:
    for model in list(_WATCHED):
        model.forked()
