"""Run graphs with onnxruntime; no other module imports it."""

from __future__ import annotations

import os
import re

# Wheels of onnxruntime >= 1.29 send telemetry on Linux unless this is set before the import
# (Privacy.md in the wheel).  A value that the user set stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from edge_runtime.engine.fork_gate import GATE
from edge_runtime.engine.signature import Signature
from edge_runtime.errors import (
    EdgeRuntimeError,
    InferenceError,
    NotEnoughMemoryError,
    UnsupportedRuntimeError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VERSION", "Session"]

VERSION: str = getattr(onnxruntime, "get_version_string", lambda: onnxruntime.__version__)()
"""Version of the library that runs, which the installed package may not name correctly."""

_NO_FOLDER = "/dev/null/no-external-data"
"""A folder that nobody can create: /dev/null is no directory, not even for root.

Without it, onnxruntime 1.32 reads the external data of a graph from the current directory, even
when the graph comes as bytes (measured).
"""

_NO_MEMORY = "(?i)bad_?alloc|out of memory|failed to allocate"
"""Out of memory: onnxruntime 1.32 raises Fail, RuntimeException or InvalidArgument (measured)."""

_ELEMENT_TYPES: Mapping[str, type[np.generic]] = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}

_enter, _leave = GATE.running.append, GATE.running.pop


class Session:
    """A graph that is ready to run.  Any number of threads may call :meth:`run` at once.

    Parameters
    ----------
    graph
        A ModelProto.  External data is not followed.
    threads
        Threads that one call may use.

    Raises
    ------
    UnsupportedRuntimeError
        This onnxruntime cannot run the graph.
    NotEnoughMemoryError
        It needs more memory than there is.
    """

    def __init__(self, graph: bytes, *, threads: int = 1) -> None:
        GATE.enter()
        try:
            session = onnxruntime.InferenceSession(
                graph,
                sess_options=_options(threads),
                providers=["CPUExecutionProvider"],
                # The fallback prints to stdout and tries the same provider again.
                enable_fallback=0,
            )
        except Exception as error:  # onnxruntime's classes share no root of their own
            if isinstance(error, MemoryError) or re.search(_NO_MEMORY, str(error)):
                raise NotEnoughMemoryError(
                    f"not enough memory for a graph of {len(graph):,} bytes: {_first_line(error)}; "
                    "end other programs, or build a smaller model"
                ) from error
            raise UnsupportedRuntimeError(
                f"onnxruntime {onnxruntime.__version__} cannot run this graph: "
                f"{_first_line(error)}; update onnxruntime, or build the model again for this one"
            ) from error
        finally:
            GATE.leave()
        # onnxruntime keeps a second copy of the bytes, for the fallback that is off.
        if hasattr(session, "_model_bytes"):
            session._model_bytes = None
        self.inputs = tuple(_signature(arg) for arg in session.get_inputs())
        self.outputs = tuple(_signature(arg) for arg in session.get_outputs())
        self._session = session
        # All calls and threads share one, and only read it: making one a call takes 0.9 us
        # (measured on onnxruntime 1.32).
        self._run_options = onnxruntime.RunOptions()
        # onnxruntime's wrapper would check the inputs again: 0.9 us of 5.9 (measured).
        self._run = getattr(session, "_sess", session).run

    def run(self, names: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the outputs called *names*.

        Raises
        ------
        InferenceError
            onnxruntime failed on inputs that passed every check.
        """
        # GATE.enter() and leave() in line: two calls would take another 0.1 us.
        _enter(None)
        if GATE.is_closed:
            GATE.step_back()
        try:
            return self._run(names, feeds, self._run_options)  # type: ignore[no-any-return]
        except Exception as error:
            raise self.error(error) from error
        finally:
            _leave()

    def bind(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]
    ) -> Callable[[], None]:
        """Make a call that reads *feeds* and writes *outputs* in place; one thread at a time.

        The arrays must be C-contiguous, hold numbers, and have the shapes that the graph gives.
        The call raises onnxruntime's own errors.
        """
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        inner = getattr(self._session, "_sess", None)
        if inner is None or not hasattr(binding, "_iobinding"):
            return partial(self._session.run_with_iobinding, binding)
        # The wrapper looks up GPU settings in the run options at every call: 35 us instead of
        # 3.6 us (measured on onnxruntime 1.32).
        call = partial(inner.run_with_iobinding, binding._iobinding, self._run_options)
        call.keep_alive = binding  # type: ignore[attr-defined]  # it owns the bound values
        return call

    @staticmethod
    def error(error: Exception) -> EdgeRuntimeError:
        """Make the error to raise when onnxruntime raised *error* on checked rows."""
        return InferenceError(
            f"onnxruntime {onnxruntime.__version__} failed on rows that passed every check: "
            f"{_first_line(error)}"
        )


def _options(threads: int) -> Any:
    """Choose settings for a small device; onnxruntime's defaults suit a server."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # The arena keeps memory for every batch shape that was ever run.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    # Spinning threads burn a core between two predictions.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", _NO_FOLDER
    )
    # Errors arrive as exceptions; stderr belongs to the program.
    options.log_severity_level = 4
    return options


def _signature(arg: Any) -> Signature:
    try:
        return Signature(arg.name, _ELEMENT_TYPES[arg.type])
    except KeyError as error:
        raise UnsupportedRuntimeError(
            f"the graph's {arg.name!r} has type {arg.type}, expected one of "
            f"{', '.join(_ELEMENT_TYPES)}; build the model again"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
