"""Define the symbolic Series that a user's function gets while it is traced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.graph.text_ops import stop_where
from edge_pipeline.conversion.tracing.array import TracedArray
from edge_pipeline.conversion.tracing.text import TextMethods
from edge_pipeline.conversion.tracing.text_element import apply_to_texts

__all__ = ["ROW_LABELS", "TracedSeries"]


class _RowLabels:
    """The index of a traced frame: it can be passed to pd.DataFrame, and nothing else."""

    def __repr__(self) -> str:
        return "<the rows' labels>"


ROW_LABELS = _RowLabels()


class TracedSeries(TracedArray):
    """One symbolic column.  A missing value is NaN, or MISSING_STRING among strings."""

    name: Any = None

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """Make ``isinstance(s, pd.Series)`` hold."""
        return pd.Series

    def _wrap(self, value: Any) -> Any:
        """Wrap a vector in a series, a matrix in an array."""
        if isinstance(value, Tensor) and value.ndim == 1:
            return TracedSeries(self._tracer, value)
        return super()._wrap(value)

    @property
    def values(self) -> TracedArray:
        """Convert to an array."""
        return TracedArray(self._tracer, self._tensor)

    def to_numpy(self, *_: Any, **__: Any) -> TracedArray:
        """Convert to an array."""
        return self.values

    def to_frame(self, name: Any = None) -> Any:
        """Convert to a frame of one column."""
        own_name = 0 if self.name is None else self.name
        return self._tracer.frame({own_name if name is None else name: self})

    def rename(self, index: Any = None, **_: Any) -> Any:
        """Give the column another name."""
        series = TracedSeries(self._tracer, self._tensor, is_integer=self._is_integer)
        series.name = index
        return series

    def isna(self) -> Any:
        """Return whether each value is missing."""
        x = self._tensor
        if x.is_string:
            return self._wrap(x == MISSING_STRING)
        return np.isnan(self)

    isnull = isna

    def notna(self) -> Any:
        """Return whether each value is present."""
        return ~self.isna()

    notnull = notna

    def fillna(self, value: Any) -> Any:
        """Replace missing values by *value*."""
        value = self._tracer.unwrap(value)
        return self._wrap(ops.where(self.isna().to_tensor(), value, self._tensor))

    def isin(self, values: Any) -> Any:
        """Return whether each value is one of *values*."""
        return np.isin(self, list(values))

    def between(self, left: Any, right: Any, inclusive: str = "both") -> Any:
        """Return whether each value lies between two bounds."""
        low = self >= left if inclusive in ("both", "left") else self > left
        return low & (self <= right if inclusive in ("both", "right") else self < right)

    def map(self, arg: Any, na_action: Any = None) -> Any:
        """Look up values in a dict, or call a function with the whole column."""
        if callable(arg):
            return self.apply(arg)
        table = dict(arg)
        x = self._tensor
        x = x if x.is_string else x.astype(np.float64)
        keys = np.array(list(table), dtype=object if x.is_string else np.float64)
        values = list(table.values())
        if any(isinstance(value, str) for value in values):
            return self._wrap(ops.lookup(x, keys, np.array(values, dtype=object), MISSING_STRING))
        return self._wrap(ops.lookup(x, keys, np.array(values, dtype=np.float64), np.nan))

    def apply(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """Call *func* with the whole column: it works value by value."""
        if self._tensor.is_string:
            return self.each(lambda: apply_to_texts(func, self, *args, **kwargs))
        return self.each(lambda: func(self, *args, **kwargs))

    def each(self, run: Any) -> Any:
        """Trace a function of one value; each of its branches is a path."""

        def column() -> Tensor | None:
            return self._column_of(run())

        def stop(condition: Tensor, x: Tensor | None) -> Tensor | None:
            return None if x is None else stop_where(condition, x)

        result = self._tracer.branches.explore(column, _either, stop)
        return self._wrap(ops.full_rows(self._tracer.rows, np.nan) if result is None else result)

    def _column_of(self, value: Any) -> Tensor | None:
        """Return what a function of one value returned, as a column; None if it is missing."""
        tensor = self._tracer.unwrap(value)
        if isinstance(tensor, Tensor):
            return tensor
        if tensor is None or (isinstance(tensor, float) and np.isnan(tensor)):
            return None
        if isinstance(tensor, str):
            tensor = np.array(tensor, dtype=object)
        elif not isinstance(tensor, bool | int | float | np.generic):
            raise TypeError(f"a function of one value returned a {type(value).__name__}")
        return ops.full_rows(self._tracer.rows, tensor)

    def where(self, cond: Any, other: Any = np.nan) -> Any:
        """Replace values by *other* where the condition is false."""
        return np.where(cond, self, self._or_missing(other))

    def mask(self, cond: Any, other: Any = np.nan) -> Any:
        """Replace values by *other* where the condition is true."""
        return np.where(cond, self._or_missing(other), self)

    def _or_missing(self, value: Any) -> Any:
        """Return *value*, where it is missing as this column represents it."""
        is_missing = value is None or (isinstance(value, float) and np.isnan(value))
        return MISSING_STRING if is_missing and self._tensor.is_string else value

    def replace(self, to_replace: Any, value: Any = None) -> Any:
        """Replace some values by others."""
        if isinstance(to_replace, dict):
            pairs = list(to_replace.items())
        else:
            listed = to_replace if isinstance(to_replace, list | tuple) else [to_replace]
            values = value if isinstance(value, list | tuple) else [value] * len(listed)
            pairs = list(zip(listed, values, strict=True))
        result: Any = self
        for old, new in pairs:
            if isinstance(old, str) != self._tensor.is_string and old == old:
                continue
            is_old = self.isna() if isinstance(old, float) and np.isnan(old) else self == old
            if self._tensor.is_string and new != new:
                new = MISSING_STRING
            result = np.where(is_old, new, result)
        return result

    def clip(self, lower: Any = None, upper: Any = None, **_: Any) -> Any:
        """Clip to two bounds; a missing value stays missing."""
        return np.clip(self, lower, upper)

    def abs(self) -> Any:
        """Return the absolute values."""
        return np.abs(self)

    @property
    def index(self) -> Any:
        """Return a stand-in for the row labels, which a graph does not have."""
        return ROW_LABELS

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(f"pandas.Series.{name} has no form in a graph")


def _either(condition: Tensor, yes: Tensor | None, no: Tensor | None) -> Tensor | None:
    """Return *yes* where the condition holds, else *no*; None is a missing value."""
    some = no if yes is None else yes
    if some is None:
        return None
    missing = MISSING_STRING if some.is_string else np.nan
    if yes is not None and no is not None and yes.is_string != no.is_string:
        raise TypeError("a function of one value returns texts in some rows, numbers in others")
    return ops.where(condition, missing if yes is None else yes, missing if no is None else no)


# Set from outside: in the class, it would hide the type str.
setattr(TracedSeries, "str", property(lambda self: TextMethods(self._tensor, self._wrap)))  # noqa: B010

_ARITHMETIC = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "truediv": np.divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "lt": np.less,
    "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
    "ne": np.not_equal,
}  # fmt: skip
for _name, _ufunc in _ARITHMETIC.items():
    setattr(TracedSeries, _name, lambda self, other, _ufunc=_ufunc, **_: _ufunc(self, other))
