"""Select, rename, add and fill the columns of a traced frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import Tracer
from edge_pipeline.conversion.tracing.casts import cast
from edge_pipeline.conversion.tracing.series import TracedSeries

__all__ = ["ColumnIndexer", "ColumnMethods"]


class ColumnMethods:
    """The methods of :class:`TracedFrame` that select, rename, add and fill columns."""

    _tracer: Tracer
    _names: list[Any]
    _frame: Frame
    _boolean_columns: Any
    _series: Callable[[Any], TracedSeries]
    _position: Callable[[Any], int]
    _selected: Callable[[Sequence[Any]], Any]
    _elementwise: Callable[[Callable[[Tensor], Tensor]], Any]
    _replace_by: Callable[[Any], None]
    copy: Callable[[], Any]
    items: Callable[[], Iterator[tuple[Any, TracedSeries]]]
    assign_all: Callable[[dict[Any, Any]], Any]

    def _new(self, *parts: Any) -> Any:
        """Make another frame."""
        raise NotImplementedError

    def pop(self, name: Any) -> TracedSeries:
        """Remove a column and return it."""
        series = self._series(name)
        self.drop(columns=[name], inplace=True)
        return series

    def insert(self, loc: int, column: Any, value: Any) -> None:
        """Insert a column at a position."""
        added = self.assign(**{column: value})
        names = [name for name in self._names if name != column]
        names.insert(loc, column)
        self._replace_by(added._selected(names))

    def assign(self, /, **columns: Any) -> Any:
        """Add columns; a callable gets the frame with the columns added so far."""
        result: Any = self.copy()
        for name, value in columns.items():
            result[name] = value(result) if callable(value) else value
        return result

    def drop(self, labels: Any = None, *, axis: Any = 0, columns: Any = None, index: Any = None,
             inplace: bool = False, errors: str = "raise") -> Any:  # fmt: skip
        """Remove columns."""
        dropped = columns if columns is not None else labels if axis in (1, "columns") else None
        if dropped is None or index is not None:
            raise TypeError("dropping rows changes the batch")
        dropped = [dropped] if isinstance(dropped, str) or np.isscalar(dropped) else list(dropped)
        for name in dropped if errors == "raise" else ():
            self._position(name)
        frame = self._selected([name for name in self._names if name not in dropped])
        return self._return_or_replace(frame, inplace)

    def rename(self, mapper: Any = None, *, columns: Any = None, axis: Any = 1,
               inplace: bool = False, **_: Any) -> Any:  # fmt: skip
        """Rename columns."""
        new = columns if columns is not None else mapper
        names = [new(n) if callable(new) else new.get(n, n) for n in self._names]
        frame = self._new(self._tracer, names, self._frame, self._boolean_columns)
        return self._return_or_replace(frame, inplace)

    def _return_or_replace(self, frame: Any, inplace: bool) -> Any | None:
        if not inplace:
            return frame
        self._replace_by(frame)
        return None

    def set_axis(self, labels: Any, *, axis: Any = 1, **_: Any) -> Any:
        """Rename columns."""
        return self._new(self._tracer, list(labels), self._frame, self._boolean_columns)

    def add_prefix(self, prefix: str) -> Any:
        """Put *prefix* before every name."""
        return self.set_axis([f"{prefix}{name}" for name in self._names])

    def add_suffix(self, suffix: str) -> Any:
        """Put *suffix* after every name."""
        return self.set_axis([f"{name}{suffix}" for name in self._names])

    def reindex(self, *, columns: Any) -> Any:
        """Select columns, in this order."""
        return self._selected(list(columns))

    def filter(self, items: Any = None, like: str | None = None, regex: str | None = None,
               axis: Any = None) -> Any:  # fmt: skip
        """Select columns by their names."""
        empty = pd.DataFrame(columns=self._names)
        matching = empty.filter(items=items, like=like, regex=regex, axis=1)
        return self._selected(list(matching.columns))

    @property
    def dtypes(self) -> pd.Series:
        """Return the dtype of each column."""
        return pd.Series({name: self._series(name).dtype for name in self._names}, dtype=object)

    def map(self, func: Callable[..., Any], **_: Any) -> Any:
        """Call *func* with each value."""
        return self.assign_all({name: series.apply(func) for name, series in self.items()})

    def select_dtypes(self, include: Any = None, exclude: Any = None) -> Any:
        """Select columns of numbers, booleans, dates or strings."""
        places = zip(self._names, self._frame.columns, strict=True)
        example = pd.DataFrame({name: pd.Series([], dtype=self._dtype(*c)) for name, c in places})
        return self._selected(list(example.select_dtypes(include=include, exclude=exclude).columns))

    def _dtype(self, tensor: Tensor, position: int) -> Any:
        """Return a dtype of pandas for a column."""
        kind = self._tracer.dates.get((tensor.name, position))
        if kind is not None:
            return f"datetime64[{kind.unit}{'' if kind.zone is None else f', {kind.zone}'}]"
        is_boolean = (tensor.name, position) in self._boolean_columns
        return object if tensor.is_string else bool if is_boolean else float

    def join(self, other: Any) -> Any:
        """Append the columns of another frame."""
        return self._new(self._tracer, [*self._names, *other._names],
                           Frame(self._frame.columns + other._frame.columns))  # fmt: skip

    def astype(self, dtype: Any, **_: Any) -> Any:
        """Cast between numbers and booleans."""
        if isinstance(dtype, dict):
            cells = {name: self._series(name).astype(kind) for name, kind in dtype.items()}
            return self.assign(**cells)
        return self._elementwise(lambda run: cast(run, dtype))

    def fillna(self, value: Any, *, inplace: bool = False) -> Any:
        """Replace missing values by *value*, one for all columns or one for each."""
        table = value if isinstance(value, dict | pd.Series) else dict.fromkeys(self._names, value)
        result = self.copy()
        for name, filler in table.items():
            series = self._series(name)
            if series.to_tensor().is_string == isinstance(filler, str):
                result[name] = series.fillna(filler)
        return self._return_or_replace(result, inplace)

    def isna(self) -> Any:
        """Return whether each value is missing."""
        return self._elementwise(
            lambda run: run == MISSING_STRING if run.is_string else ops.isnan(run)
        )

    isnull = isna

    def notna(self) -> Any:
        """Return whether each value is present."""
        return np.invert(self.isna())

    def where(self, cond: Any, other: Any = np.nan, **_: Any) -> Any:
        """Replace values by *other* where the condition is false."""
        columns = {name: series.where(_part(cond, name), _part(other, name))
                   for name, series in self.items()}  # fmt: skip
        return self.assign_all(columns)

    def mask(self, cond: Any, other: Any = np.nan, **_: Any) -> Any:
        """Replace values by *other* where the condition is true."""
        return self.where(np.invert(cond), other)

    def replace(self, to_replace: Any, value: Any = None, **_: Any) -> Any:
        """Replace some values by others, in all columns or in each by a dict of its own."""
        nested = isinstance(to_replace, dict) and all(
            isinstance(item, dict) for item in to_replace.values()
        )
        result = self.copy()
        for name, series in self.items():
            if not nested:
                result[name] = series.replace(to_replace, value)
            elif name in to_replace:
                result[name] = series.replace(to_replace[name])
        return result


def _part(value: Any, name: Any) -> Any:
    """Return the column *name* of a frame, dict or Series; any other value as it is."""
    is_frame = getattr(type(value), "is_traced_frame", False)
    is_table = is_frame or isinstance(value, dict | pd.Series)
    return value[name] if is_table else value


class ColumnIndexer:
    """The value of ``df.loc`` and ``df.iloc``: selects columns of all rows."""

    def __init__(self, frame: Any, *, by_name: bool) -> None:
        self._frame = frame
        self._by_name = by_name

    def _names(self, key: Any) -> Any:
        has_slice = type(key) is tuple and len(key) == 2 and type(key[0]) is slice
        if not has_slice or key[0] != slice(None):
            raise TypeError("selecting rows changes the batch; only df.loc[:, columns] is traced")
        columns = pd.Series(
            list(self._frame.columns), index=list(self._frame.columns), dtype=object
        )
        selection = columns.loc[key[1]] if self._by_name else columns.iloc[key[1]]
        return list(selection) if isinstance(selection, pd.Series) else selection

    def __getitem__(self, key: Any) -> Any:
        return self._frame[self._names(key)]

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(key) is tuple and len(key) == 2 and type(key[0]) is TracedSeries:
            self._frame[key[1]] = np.where(key[0], value, self._frame[key[1]])
            return
        is_new = (
            type(key) is tuple and isinstance(key[1], str) and key[1] not in self._frame.columns
        )
        self._frame[key[1] if is_new else self._names(key)] = value
