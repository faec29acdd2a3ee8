"""Run a graph with numpy, with the interface of the session of onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.engine.numpy_engine.graph_decoder import decode_model
from edge_runtime.engine.numpy_engine.plan import Plan, compile_plan
from edge_runtime.engine.signature import Signature
from edge_runtime.errors import EdgeRuntimeError, InferenceError, UnsupportedRuntimeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NumpySession"]


class NumpySession:
    """A graph that is ready to run.  Any number of threads may call :meth:`run` at once.

    Parameters
    ----------
    graph
        A ModelProto that the graph check has accepted.
    threads
        Not used: numpy's own settings decide.

    Raises
    ------
    UnsupportedRuntimeError
        The graph has an operator that this engine lacks.
    """

    def __init__(self, graph: bytes, *, threads: int = 1) -> None:
        self._plans: dict[tuple[str, ...], Plan] = {}
        try:
            self._prepare(graph)
        except (EdgeRuntimeError, MemoryError):
            raise
        except Exception as error:  # attributes and constants that contradict each other
            raise UnsupportedRuntimeError(
                f"the numpy engine cannot run this graph: {_first_line(error)}; build the model "
                "again"
            ) from error

    def _prepare(self, graph: bytes) -> None:
        """Decode the graph, and compile all of it: what this engine cannot run is refused now."""
        self._graph = decode_model(graph)
        inputs = [
            (name, dtype)
            for name, dtype in zip(self._graph.inputs, self._graph.input_types, strict=True)
            if name not in self._graph.tensors
        ]
        self._graph.inputs = [name for name, _ in inputs]
        self.inputs = tuple(
            Signature(name, (dtype or np.dtype(object)).type) for name, dtype in inputs
        )
        self.outputs = tuple(Signature(name, np.object_) for name in self._graph.outputs)
        self._plan(tuple(self._graph.outputs))

    def run(self, names: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the outputs called *names*.

        Raises
        ------
        InferenceError
            An operator failed on inputs that passed every check.
        """
        key = tuple(names)
        plan = self._plans.get(key) or self._plan(key)
        try:
            with np.errstate(all="ignore"):
                results = plan.run([feeds[name] for name in self._graph.inputs])
        except Exception as error:
            raise self.error(error) from error
        return [np.asarray(result) for result in results]

    def bind(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]
    ) -> Callable[[], None]:
        """Make a call that reads *feeds* and writes *outputs* in place; one thread at a time.

        The call raises numpy's own errors.
        """
        plan = self._plan(tuple(outputs))
        inputs = [feeds[name] for name in self._graph.inputs]
        targets = list(outputs.values())
        run, errstate, copyto = plan.run, np.errstate, np.copyto

        def run_bound() -> None:
            with errstate(all="ignore"):
                for target, result in zip(targets, run(inputs), strict=True):
                    copyto(target, result)

        return run_bound

    @staticmethod
    def error(error: Exception) -> EdgeRuntimeError:
        """Make the error to raise when an operator raised *error* on checked rows."""
        return InferenceError(
            f"the numpy engine (numpy {np.__version__}) failed on rows that passed every check: "
            f"{_first_line(error)}"
        )

    def _plan(self, names: tuple[str, ...]) -> Plan:
        if names not in self._plans:
            self._plans[names] = compile_plan(self._graph, names)
        return self._plans[names]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
