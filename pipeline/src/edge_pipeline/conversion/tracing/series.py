"""One column of a data frame, for a user's function that is traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import TracedArray

if TYPE_CHECKING:
    from edge_pipeline.conversion.tracing.frame import TracedFrame

__all__ = ["ROW_LABELS", "TracedSeries"]


class _RowLabels:
    """Row labels: may be handed on, and nothing else."""

    def __repr__(self) -> str:
        return "<the rows' labels>"


ROW_LABELS = _RowLabels()


_SERIES = pd.Series
"""pandas' own: while a function is traced, ``pd.Series`` is a stand-in."""


class TracedSeries(TracedArray):
    """One column.  Missing is NaN, or for strings the mark that the graph knows."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """So that ``isinstance(s, pd.Series)`` holds."""
        return _SERIES

    def made(self, value: Any) -> Any:
        """A vector is a series again."""
        if isinstance(value, Tensor) and value.ndim == 1:
            return TracedSeries(self._tracer, value)
        return super().made(value)

    @property
    def values(self) -> TracedArray:
        """As an array."""
        return TracedArray(self._tracer, self._tensor)

    def to_numpy(self, *_: Any, **__: Any) -> TracedArray:
        """As an array."""
        return self.values

    def to_frame(self, name: Any = 0) -> TracedFrame:
        """As a frame of one column."""
        from edge_pipeline.conversion.tracing.frame import TracedFrame

        return TracedFrame.of(self._tracer, {name: self})

    def isna(self) -> Any:
        """Whether each value is missing."""
        x = self._tensor
        if x.is_string:
            return self.made(x == MISSING_STRING)
        return np.isnan(self)

    isnull = isna

    def notna(self) -> Any:
        """Whether each value is there."""
        return ~self.isna()

    notnull = notna

    def fillna(self, value: Any) -> Any:
        """*value* where one is missing."""
        other = self._tracer.unwrap(value)
        return self.made(ops.where(self.isna().to_tensor(), other, self._tensor))

    def isin(self, values: Any) -> Any:
        """Whether each value is one of *values*."""
        return np.isin(self, list(values))

    def between(self, left: Any, right: Any, inclusive: str = "both") -> Any:
        """Whether each value lies between two."""
        low = self >= left if inclusive in ("both", "left") else self > left
        return low & (self <= right if inclusive in ("both", "right") else self < right)

    def map(self, arg: Any, na_action: Any = None) -> Any:
        """Values by a dict; or a function that works for the whole column at once."""
        if callable(arg):
            return self.apply(arg)
        table = dict(arg)
        x = self._tensor
        x = x if x.is_string else x.astype(np.float64)
        keys = np.array(list(table), dtype=object if x.is_string else np.float64)
        values = list(table.values())
        if any(isinstance(value, str) for value in values):
            return self.made(ops.lookup(x, keys, np.array(values, dtype=object), MISSING_STRING))
        return self.made(ops.lookup(x, keys, np.array(values, dtype=np.float64), np.nan))

    def apply(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """*func* of each value: traced for the whole column, which comes to the same."""
        return func(self, *args, **kwargs)

    def where(self, cond: Any, other: Any = np.nan) -> Any:
        """*other* where the condition fails."""
        return np.where(cond, self, other)

    def mask(self, cond: Any, other: Any = np.nan) -> Any:
        """*other* where the condition holds."""
        return np.where(cond, other, self)

    def replace(self, to_replace: Any, value: Any = None) -> Any:
        """Some values by others."""
        pairs = to_replace.items() if isinstance(to_replace, dict) else [(to_replace, value)]
        answer: Any = self
        for old, new in pairs:
            is_old = answer.isna() if isinstance(old, float) and np.isnan(old) else answer == old
            answer = np.where(is_old, new, answer)
        return answer

    def clip(self, lower: Any = None, upper: Any = None, **_: Any) -> Any:
        """Between two bounds; missing stays missing."""
        return np.clip(self, lower, upper)

    def abs(self) -> Any:
        """Absolute values."""
        return np.abs(self)

    @property
    def index(self) -> Any:
        """Stands for the row labels, which a graph does not have."""
        return ROW_LABELS

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(f"pandas.Series.{name} has no form in a graph")


_ARITHMETIC = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "truediv": np.divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "lt": np.less,
    "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
    "ne": np.not_equal,
}  # fmt: skip
for _name, _ufunc in _ARITHMETIC.items():
    setattr(TracedSeries, _name, lambda self, other, _ufunc=_ufunc, **_: _ufunc(self, other))
