"""Trace ``pandas.get_dummies`` where the columns are selected from a list learnt in training.

``get_dummies`` alone makes a column for each value of the batch.  After ``reindex`` or a selection
of fixed columns, each is a comparison of the row's own value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["TracedDummies", "traced_dummies"]

_REMEDY = (
    "pandas.get_dummies makes a column for each value of the batch, so its columns differ from "
    "batch to batch; use OneHotEncoder(handle_unknown='ignore'), or select the columns of the "
    "training data: .reindex(columns=self.columns_, fill_value=0)"
)


def traced_dummies(
    data: Any,
    prefix: Any = None,
    prefix_sep: str = "_",
    dummy_na: bool = False,
    columns: Any = None,
    sparse: bool = False,
    drop_first: bool = False,
    dtype: Any = None,
) -> TracedDummies:
    """Return the dummies of a traced frame or series; their columns are made when selected."""
    if drop_first or dummy_na:
        raise TypeError(_REMEDY)
    if not getattr(type(data), "is_traced_frame", False):
        column = data.name if prefix is None else prefix
        name = f"{column}{prefix_sep}" if column is not None else ""
        return TracedDummies({}, {name: data}, dtype)
    passed = dict(data.items())
    encoded = [
        name for name, series in passed.items()
        if (series.to_tensor().is_string if columns is None else name in list(columns))
    ]  # fmt: skip
    prefixes = _prefixes(prefix, encoded)
    sources = {
        f"{start}{prefix_sep}": passed.pop(name)
        for name, start in zip(encoded, prefixes, strict=True)
    }
    return TracedDummies(passed, sources, dtype)


def _prefixes(prefix: Any, names: list[Any]) -> list[Any]:
    if isinstance(prefix, dict):
        return [prefix[name] for name in names]
    if isinstance(prefix, str):
        return [prefix] * len(names)
    return list(prefix) if prefix is not None else names


class TracedDummies:
    """Dummies of every value that a column could have.

    Parameters
    ----------
    passed
        The columns that are not encoded.
    sources
        The encoded columns, by the start of their dummies' names.
    """

    is_traced_frame = True

    def __init__(self, passed: dict[Any, Any], sources: dict[str, Any], dtype: Any) -> None:
        self._columns = dict(passed)
        self._sources = sources
        self._dtype = bool if dtype is None else dtype

    def to_tensor(self) -> Any:
        """Refuse: the columns depend on the batch."""
        raise TypeError(_REMEDY)

    def _dummy(self, name: Any) -> Any | None:
        """Return the dummy called *name*; None when it is the name of none."""
        matching = [start for start in self._sources if str(name).startswith(start)]
        if not matching:
            return None
        start = max(matching, key=len)
        series, value = self._sources[start], str(name)[len(start) :]
        if series.to_tensor().is_string:
            return (series == value).astype(self._dtype)
        number = float(value) if _is_number(value) else np.nan
        return (series == number).astype(self._dtype)

    def reindex(self, labels: Any = None, *, columns: Any = None, axis: Any = 1,
                fill_value: Any = np.nan) -> Any:  # fmt: skip
        """Select columns; *fill_value* fills those that are no dummies."""
        names = list(columns if columns is not None else labels)
        result = {}
        for name in names:
            series = self._columns.get(name, self._dummy(name))
            if series is None or (name not in self._columns and fill_value != 0):
                raise TypeError(f"{_REMEDY}; reindex with fill_value=0")
            result[name] = series
        return self._frame(result)

    def _frame(self, columns: dict[Any, Any]) -> Any:
        some = next(iter([*self._sources.values(), *self._columns.values()]))
        return some.to_frame().assign_all(columns)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.reindex(columns=[key], fill_value=0)[key]
        return self.reindex(columns=key, fill_value=0)

    def __setitem__(self, name: Any, value: Any) -> None:
        if name in self._columns or self._dummy(name) is None:
            self._columns[name] = value

    def __contains__(self, name: Any) -> bool:
        return name in self._columns or self._dummy(name) is not None

    @property
    def columns(self) -> _Columns:
        """Return the names: every name of a possible dummy is among them."""
        return _Columns(self.__contains__)

    def astype(self, dtype: Any) -> TracedDummies:
        """Cast the columns."""
        passed = {name: series.astype(dtype) for name, series in self._columns.items()}
        return TracedDummies(passed, self._sources, dtype)

    def __getattr__(self, name: str) -> Any:
        raise TypeError(_REMEDY) if not name.startswith("_") else AttributeError(name)


class _Columns:
    """The names of the dummies: one can ask whether a name is among them."""

    def __init__(self, contains: Callable[[Any], bool]) -> None:
        self._contains = contains

    def __contains__(self, name: Any) -> bool:
        return self._contains(name)

    def __rsub__(self, names: Iterable[Any]) -> set[Any]:
        return {name for name in names if not self._contains(name)}

    def __iter__(self) -> Any:
        raise TypeError(_REMEDY)


def _is_number(text: str) -> bool:
    return bool(pd.notna(pd.to_numeric(text, errors="coerce")))
