"""Trace ``any()`` and ``all()`` over all rows, as conditions of checks: ``if bad.any()``."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["RowCondition", "row_condition"]


class RowCondition:
    """A truth about every row, of which an ``if`` can ask; it has no other use.

    The graph answers each row as if it were alone in its batch.

    Parameters
    ----------
    tracer
        Decides which branch is traced.
    condition
        One boolean for each row.
    """

    def __init__(self, tracer: Any, condition: Tensor) -> None:
        self._tracer = tracer
        self._condition = condition

    def any(self, *_: Any, **__: Any) -> RowCondition:
        """Return the condition itself, after ``frame.any()``."""
        return self

    all = any

    def item(self) -> RowCondition:
        """Return the condition itself."""
        return self

    def __bool__(self) -> bool:
        return bool(self._tracer.branches.decide(self._condition))

    def __invert__(self) -> RowCondition:
        return RowCondition(self._tracer, ~self._condition)

    def __and__(self, other: Any) -> RowCondition:
        return RowCondition(self._tracer, self._condition & _condition_of(other))

    def __or__(self, other: Any) -> RowCondition:
        return RowCondition(self._tracer, self._condition | _condition_of(other))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise TypeError("any() or all() over the rows can only be the condition of an if")


def _condition_of(value: Any) -> Any:
    return value._condition if type(value) is RowCondition else value


def row_condition(
    tracer: Any, function: Any, values: Tensor, axis: Any = None, **_: Any
) -> RowCondition | None:
    """Return ``function(values)``, where it is any or all over the rows; else None."""
    over_rows = axis is None or axis == 0
    if function not in (np.any, np.all) or not over_rows or values.shape[:1] != (None,):
        return None
    truths = values if values.dtype == np.bool_ else ~(values == 0)
    while truths.ndim > 1:
        truths = ops.max_(truths, -1) if function is np.any else ops.min_(truths, -1)
    return RowCondition(tracer, truths)
