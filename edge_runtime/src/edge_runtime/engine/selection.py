"""Choose the engine that runs a graph: onnxruntime, or numpy where that cannot be used."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from edge_runtime.errors import EngineWarning, UnsupportedRuntimeError

if TYPE_CHECKING:
    from edge_runtime.engine.numpy_engine.session import NumpySession
    from edge_runtime.engine.optimize.packed_votes import PackedVotesSession
    from edge_runtime.engine.session import Session

    AnySession: TypeAlias = Session | NumpySession | PackedVotesSession

__all__ = ["ENGINES", "Engine", "check_engine", "session_class", "usable_engine"]

Engine: TypeAlias = Literal["auto", "onnxruntime", "numpy"]

ENGINES = ("auto", "onnxruntime", "numpy")


def check_engine(engine: object) -> None:
    """Raise ValueError unless *engine* is the name of one."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, found {engine!r:.80}")


def usable_engine(engine: Engine, check: Callable[[str], None], required: str) -> Engine:
    """Return *engine*, or ``"numpy"`` where ``"auto"`` meets an onnxruntime that fails *check*.

    Parameters
    ----------
    engine
        The engine that the user chose.
    check
        A check of :mod:`edge_runtime.runtime_check`.
    required
        Oldest onnxruntime that the bundle needs.

    Raises
    ------
    UnsupportedRuntimeError
        The user chose onnxruntime, and it fails the check.
    """
    if engine == "numpy":
        return engine
    try:
        check(required)
    except UnsupportedRuntimeError as error:
        if engine == "onnxruntime":
            raise
        from edge_runtime.onnxruntime_versions import is_installed

        # Who never installed onnxruntime wants numpy; everybody else should know.
        if is_installed():
            warnings.warn(f"{error}; numpy predicts instead", EngineWarning, stacklevel=2)
        return "numpy"
    return engine


def session_class(engine: Engine) -> type[Session] | type[NumpySession]:
    """Import the class that runs graphs with *engine*."""
    if engine == "numpy":
        from edge_runtime.engine.numpy_engine.session import NumpySession

        return NumpySession
    from edge_runtime.engine.session import Session

    return Session
