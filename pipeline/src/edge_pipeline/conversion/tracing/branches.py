"""Trace both sides of an ``if`` that looks at the values of a row, and choose in the graph.

The function is run once for each path through it.  A path that ends in the user's own ``raise``
stops the graph in the rows that take it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.rebind import is_library

__all__ = ["MAX_PATHS", "Branches"]

MAX_PATHS = 64
"""Paths through one function: each costs a run, and its nodes."""

_Result = TypeVar("_Result")


class _BranchPoint(BaseException):
    """A condition that has no decision yet; not an Exception, so that no function catches it."""

    def __init__(self, condition: Tensor) -> None:
        super().__init__()
        self.condition = condition


class Branches:
    """The decisions at the conditions of the functions that are being traced."""

    def __init__(self) -> None:
        self._paths: list[tuple[list[bool], list[int]]] = []
        self._n_runs = 0

    def decide(self, condition: Tensor) -> bool:
        """Return the decision at the next condition, one boolean for each row.

        Raises
        ------
        TypeError
            No function is traced by paths here, or the condition is no boolean of a row.
        """
        if not self._paths or condition.ndim != 1 or condition.shape[0] is not None:
            raise TypeError(
                "an if, and, or, not, min() or max() that looks at values: they are not known "
                "before the graph runs; use np.where, np.minimum, np.maximum, & and |"
            )
        decisions, position = self._paths[-1]
        if position[0] < len(decisions):
            position[0] += 1
            return decisions[position[0] - 1]
        raise _BranchPoint(condition)

    def explore(
        self,
        run: Callable[[], _Result],
        choose: Callable[[Tensor, _Result, _Result], _Result],
        stop: Callable[[Tensor, _Result], _Result],
    ) -> _Result:
        """Call *run* once for each path, and join the results.

        Parameters
        ----------
        run
            Traces the function once.
        choose
            Writes ``condition ? first : second``.
        stop
            Writes a stop where the condition holds, for a path that ends in a ``raise``.
        """

        def path(decisions: list[bool]) -> _Result:
            self._n_runs += 1
            if self._n_runs > MAX_PATHS:
                raise TypeError(f"its conditions make more than {MAX_PATHS} paths; use np.where")
            self._paths.append((decisions, [0]))
            depth = len(self._paths)
            try:
                return run()
            except _BranchPoint as point:
                condition = point.condition
            finally:
                del self._paths[depth - 1 :]
            return join(condition, [*decisions, True], [*decisions, False])

        def join(condition: Tensor, yes: list[bool], no: list[bool]) -> _Result:
            try:
                first = path(yes)
            except Exception as error:  # a user's function raises whatever it raises
                if not _is_raised_by_user(error):
                    raise
                return stop(condition, path(no))
            try:
                second = path(no)
            except Exception as error:  # a user's function raises whatever it raises
                if not _is_raised_by_user(error):
                    raise
                return stop(~condition, first)
            return choose(condition, first, second)

        outer, self._n_runs = self._n_runs, 0
        try:
            return path([])
        finally:
            self._n_runs = outer


def _is_raised_by_user(error: BaseException) -> bool:
    """Return whether *error* began in a ``raise`` of the user's code, not in the tracer."""
    step: TracebackType | None = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and not is_library(step.tb_frame.f_globals.get("__name__"))
