"""What a traced data frame shares with pandas that only chooses, names and fills columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import Tracer, cast
from edge_pipeline.conversion.tracing.series import TracedSeries

__all__ = ["ColumnShaping", "Located"]


class ColumnShaping:
    """The part of :class:`TracedFrame` that computes nothing."""

    _tracer: Tracer
    _names: list[Any]
    _frame: Frame
    _flags: Any
    _series: Callable[[Any], TracedSeries]
    _position: Callable[[Any], int]
    _selected: Callable[[Sequence[Any]], Any]
    _elementwise: Callable[[Callable[[Tensor], Tensor]], Any]
    _become: Callable[[Any], None]
    copy: Callable[[], Any]

    def _made(self, *parts: Any) -> Any:
        """Another frame."""
        raise NotImplementedError

    def pop(self, name: Any) -> TracedSeries:
        """A column, which leaves."""
        series = self._series(name)
        self.drop(columns=[name], inplace=True)
        return series

    def insert(self, loc: int, column: Any, value: Any) -> None:
        """A column at a position."""
        added = self.assign(**{column: value})
        names = [name for name in self._names if name != column]
        names.insert(loc, column)
        self._become(added._selected(names))

    def assign(self, **columns: Any) -> Any:
        """With more columns; a callable gets the frame so far."""
        answer: Any = self.copy()
        for name, value in columns.items():
            answer[name] = value(answer) if callable(value) else value
        return answer

    def drop(self, labels: Any = None, *, axis: Any = 0, columns: Any = None, index: Any = None,
             inplace: bool = False, errors: str = "raise") -> Any:  # fmt: skip
        """Without some columns."""
        gone = columns if columns is not None else labels if axis in (1, "columns") else None
        if gone is None or index is not None:
            raise TypeError("dropping rows changes the batch")
        gone = [gone] if isinstance(gone, str) or np.isscalar(gone) else list(gone)
        for name in gone if errors == "raise" else ():
            self._position(name)
        return self._given(self._selected([n for n in self._names if n not in gone]), inplace)

    def rename(self, mapper: Any = None, *, columns: Any = None, axis: Any = 1,
               inplace: bool = False, **_: Any) -> Any:  # fmt: skip
        """With other names."""
        new = columns if columns is not None else mapper
        names = [new(n) if callable(new) else new.get(n, n) for n in self._names]
        return self._given(self._made(self._tracer, names, self._frame, self._flags), inplace)

    def _given(self, answer: Any, inplace: bool) -> Any | None:
        if not inplace:
            return answer
        self._become(answer)
        return None

    def set_axis(self, labels: Any, *, axis: Any = 1, **_: Any) -> Any:
        """With other names."""
        return self._made(self._tracer, list(labels), self._frame, self._flags)

    def add_prefix(self, prefix: str) -> Any:
        """With longer names."""
        return self.set_axis([f"{prefix}{name}" for name in self._names])

    def add_suffix(self, suffix: str) -> Any:
        """With longer names."""
        return self.set_axis([f"{name}{suffix}" for name in self._names])

    def reindex(self, *, columns: Any) -> Any:
        """In another order."""
        return self._selected(list(columns))

    def filter(self, items: Any = None, like: str | None = None, regex: str | None = None,
               axis: Any = None) -> Any:  # fmt: skip
        """Columns by their names."""
        kept = pd.DataFrame(columns=self._names).filter(items=items, like=like, regex=regex, axis=1)
        return self._selected(list(kept.columns))

    def select_dtypes(self, include: Any = None, exclude: Any = None) -> Any:
        """Columns of numbers, or of strings."""
        example = pd.DataFrame({
            name: pd.Series([], dtype=object if tensor.is_string else
                            bool if (tensor.name, at) in self._flags else float)
            for name, (tensor, at) in zip(self._names, self._frame.columns, strict=True)
        })  # fmt: skip
        return self._selected(list(example.select_dtypes(include=include, exclude=exclude).columns))

    def join(self, other: Any) -> Any:
        """With the columns of another frame beside."""
        return self._made(self._tracer, [*self._names, *other._names],
                           Frame(self._frame.columns + other._frame.columns))  # fmt: skip

    def astype(self, dtype: Any, **_: Any) -> Any:
        """Cast between numbers and booleans."""
        if isinstance(dtype, dict):
            cells = {name: self._series(name).astype(kind) for name, kind in dtype.items()}
            return self.assign(**cells)
        return self._elementwise(lambda run: cast(run, dtype))

    def fillna(self, value: Any, *, inplace: bool = False) -> Any:
        """*value*, one for all or one a column, where one is missing."""
        table = value if isinstance(value, dict | pd.Series) else dict.fromkeys(self._names, value)
        answer = self.copy()
        for name, filler in table.items():
            series = self._series(name)
            if series.to_tensor().is_string == isinstance(filler, str):
                answer[name] = series.fillna(filler)
        return self._given(answer, inplace)

    def isna(self) -> Any:
        """Whether each value is missing."""
        return self._elementwise(
            lambda run: run == MISSING_STRING if run.is_string else ops.isnan(run)
        )

    isnull = isna

    def notna(self) -> Any:
        """Whether each value is there."""
        return np.invert(self.isna())


class Located:
    """What ``df.loc`` and ``df.iloc`` give: columns, of all rows."""

    def __init__(self, frame: Any, *, by_name: bool) -> None:
        self._frame = frame
        self._by_name = by_name

    def _names(self, key: Any) -> Any:
        every = type(key) is tuple and len(key) == 2 and type(key[0]) is slice
        if not every or key[0] != slice(None):
            raise TypeError("selecting rows changes the batch; only df.loc[:, columns] is traced")
        columns = pd.Series(
            list(self._frame.columns), index=list(self._frame.columns), dtype=object
        )
        chosen = columns.loc[key[1]] if self._by_name else columns.iloc[key[1]]
        return list(chosen) if isinstance(chosen, pd.Series) else chosen

    def __getitem__(self, key: Any) -> Any:
        return self._frame[self._names(key)]

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(key) is tuple and len(key) == 2 and type(key[0]) is TracedSeries:
            self._frame[key[1]] = np.where(key[0], value, self._frame[key[1]])
            return
        new = type(key) is tuple and isinstance(key[1], str) and key[1] not in self._frame.columns
        self._frame[key[1] if new else self._names(key)] = value
