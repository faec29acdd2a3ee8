"""Learn what a fitted transformer returns for every value of a column, by running it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.conversion.estimator_methods import dense
from edge_pipeline.conversion.lookup_tables.fitted_values import fitted_values
from edge_pipeline.conversion.lookup_tables.probe_rows import (
    MAX_KNOWN,
    ColumnValues,
    accepted_values,
    column_values,
    make_rows,
)

__all__ = ["LearntColumn", "LearntTransform", "NotALookUpError", "learn_columns"]


class NotALookUpError(Exception):
    """An output depends on more than the value of one column, or has no finite table."""


@dataclass(frozen=True)
class LearntColumn:
    """One output column, as a function of one input column.

    Attributes
    ----------
    source
        Position of the input column.
    exceptions
        Input value to output value, where the output is not the default.  None is a missing value.
    default
        The output of any other value; unused where the default is the input value itself.
    is_identity
        Whether any other value is returned as it is.
    is_text
        Whether the output holds texts.
    """

    source: int
    exceptions: Mapping[Any, Any]
    default: Any
    is_identity: bool
    is_text: bool

    def output_of(self, value: Any) -> Any:
        """Return the output for one input value; None is a missing value, on both sides."""
        key = value if value is None or isinstance(value, str) else float(value)
        if key in self.exceptions:
            return self.exceptions[key]
        return key if self.is_identity else self.default


@dataclass(frozen=True)
class LearntTransform:
    """All output columns of a transformer, their names, and what it refuses.

    Attributes
    ----------
    columns
        One for each output column.
    names
        Their names where the output is a data frame, else None.
    allowed
        Position of an input column to the only values that the transformer accepts there.
    """

    columns: tuple[LearntColumn, ...]
    names: tuple[Any, ...] | None
    allowed: Mapping[int, Sequence[Any]]


def learn_columns(
    transformer: Any, example: Any, categories: Sequence[Sequence[str]]
) -> LearntTransform:
    """Run *transformer* on known, unseen and missing values of every column.

    Parameters
    ----------
    example
        Real rows of its input: a data frame or an array.
    categories
        Further known values of each column.

    Raises
    ------
    NotALookUpError
        Some output is no table of the values of one column.
    """
    is_frame = isinstance(example, pd.DataFrame)
    table = example if is_frame else pd.DataFrame(example)
    texts, numbers = fitted_values(transformer)
    columns = [
        column_values(table.iloc[:, i], categories[i], texts, numbers)
        for i in range(table.shape[1])
    ]
    if any(len(column.candidates) > MAX_KNOWN for column in columns):
        raise NotALookUpError("a column has too many different values for a table")

    def run(rows: pd.DataFrame) -> Any:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return transformer.transform(rows if is_frame else rows.to_numpy())

    rows, picks = make_rows(table, columns)
    if not _accepts(run, rows):
        try:
            accepted_values(table, columns, lambda rows: _accepts(run, rows))
        except ValueError as error:
            raise NotALookUpError(str(error)) from error
        if any(not column.values for column in columns):
            raise NotALookUpError("it refuses every value of a column")
        rows, picks = make_rows(table, columns)
    try:
        output = run(rows)
    except Exception as error:  # the transformer may raise anything
        raise NotALookUpError(
            f"it refuses rows whose columns vary independently: {error}"
        ) from error
    cells = _cells(output, len(rows))
    _check_row_by_row(run, rows, cells)
    lookups = [_learn_column(cells[i], columns, picks, i) for i in range(len(cells))]
    _check_on_real_rows(run, table, lookups)
    names = tuple(output.columns) if isinstance(output, pd.DataFrame) else None
    sources = {column.source for column in lookups}
    allowed = {i: c.candidates for i, c in enumerate(columns) if c.is_closed and i in sources}
    return LearntTransform(tuple(lookups), names, allowed)


def _check_on_real_rows(
    run: Callable[[pd.DataFrame], Any], table: pd.DataFrame, lookups: Sequence[LearntColumn]
) -> None:
    """Refuse tables that differ from the transformer on real rows, or on their shuffled columns."""
    generator = np.random.default_rng(2)
    for shuffled in (False, True, True):
        parts = [table.iloc[:, i] for i in range(table.shape[1])]
        if shuffled:
            parts = [
                part.iloc[generator.permutation(len(part))].reset_index(drop=True) for part in parts
            ]
        rows = pd.concat(parts, axis=1).set_axis(table.columns, axis=1)
        try:
            cells = _cells(run(rows), len(rows))
        except Exception:  # the transformer may raise anything, and did so in training
            continue
        for position, (column, output) in enumerate(zip(lookups, cells, strict=True)):
            source = rows.iloc[:, column.source]
            present = source.astype(object).where(source.notna(), None)
            expected = [column.output_of(value) for value in present]
            dtype = object if column.is_text else np.float64
            values = np.array(expected, dtype=dtype)
            both_missing = pd.isna(values) & pd.isna(output)
            if not (both_missing | (values == output)).all():
                raise NotALookUpError(f"output column {position} depends on several columns")


def _accepts(run: Callable[[pd.DataFrame], Any], rows: pd.DataFrame) -> bool:
    try:
        run(rows)
    except Exception:  # the transformer may raise anything
        return False
    return True


def _cells(output: Any, n_rows: int) -> list[NDArray[Any]]:
    """Return the output columns: float64, or objects with None for a missing text."""
    if isinstance(output, pd.DataFrame):
        parts = [output.iloc[:, i] for i in range(output.shape[1])]
    else:
        matrix = dense(output)
        if matrix.ndim != 2:
            raise NotALookUpError("its output is no table")
        parts = [pd.Series(matrix[:, i]) for i in range(matrix.shape[1])]
    if not parts or any(len(part) != n_rows for part in parts):
        raise NotALookUpError("its output has no columns, or another number of rows than its input")
    return [_values(part) for part in parts]


def _values(column: pd.Series) -> NDArray[Any]:
    missing = column.isna().to_numpy()
    values: NDArray[Any] = column.astype(object).to_numpy(copy=True)
    present = values[~missing]
    if all(isinstance(value, str) for value in present) and len(present):
        values[missing] = None
        return values
    if all(isinstance(value, bool | int | float | np.number | np.bool_) for value in present):
        values[missing] = np.nan
        return values.astype(np.float64)
    raise NotALookUpError("an output column is neither numbers nor texts")


def _check_row_by_row(
    run: Callable[[pd.DataFrame], Any], rows: pd.DataFrame, cells: list[NDArray[Any]]
) -> None:
    """Refuse a transformer whose output for a row depends on the other rows of the batch."""
    order = np.random.default_rng(1).permutation(len(rows))[: max(1, len(rows) // 2)]
    try:
        again = _cells(run(rows.iloc[order].reset_index(drop=True)), len(order))
    except Exception as error:  # the transformer may raise anything
        raise NotALookUpError(f"it refuses a part of the rows that it accepts: {error}") from error
    is_row_by_row = len(again) == len(cells) and all(
        _equal(part, cells[i][order]).all() for i, part in enumerate(again)
    )
    if not is_row_by_row:
        raise NotALookUpError("its output for a row depends on the other rows of the batch")


def _equal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    if a.dtype != b.dtype:
        return np.zeros(len(a), dtype=np.bool_)
    equal: NDArray[np.bool_] = np.asarray(a == b, dtype=np.bool_)
    return equal | ((a != a) & (b != b)) if a.dtype.kind == "f" else equal


def _learn_column(
    output: NDArray[Any], columns: Sequence[ColumnValues], picks: NDArray[np.int64], position: int
) -> LearntColumn:
    """Find the input column that *output* depends on; the one at *position* is tried first."""
    order = sorted(range(len(columns)), key=lambda i: (i != position, i))
    reason = f"output column {position} depends on several columns"
    for source in order:
        table = _table_of(output, picks[:, source], len(columns[source].values))
        if table is None:
            continue
        lookup = _reduced(table, columns[source], source, output.dtype == object)
        if lookup is not None:
            return lookup
        reason = f"output column {position} has another value for every value of its input"
    raise NotALookUpError(reason)


def _table_of(output: NDArray[Any], pick: NDArray[np.int64], size: int) -> NDArray[Any] | None:
    """Return the output of each value; None where one value has several outputs."""
    first = np.zeros(size, dtype=np.int64)
    first[pick[::-1]] = np.arange(len(pick))[::-1]
    table = output[first]
    return table if _equal(output, table[pick]).all() else None


def _reduced(
    table: NDArray[Any], column: ColumnValues, source: int, is_text: bool
) -> LearntColumn | None:
    """Split *table* into a default and the values that differ from it."""
    values = column.values
    n_known = len(column.candidates)
    n_present = n_known + len(column.unseen)
    as_input = np.array(
        [None if v is None and is_text else np.nan if v is None else v for v in values],
        dtype=object,
    )
    same_kind = column.is_text == is_text
    inputs = as_input if is_text else as_input.astype(np.float64) if same_kind else None
    unseen = table[n_known:n_present]
    if same_kind and inputs is not None:
        is_same = _equal(table, inputs)
        if is_same[n_known:n_present].all() and (len(unseen) or is_same[:n_known].all()):
            exceptions = {values[i]: table[i] for i in np.flatnonzero(~is_same)}
            return LearntColumn(source, exceptions, None, True, is_text)
    reference = unseen if len(unseen) else table[:1]
    if len(unseen) and not _equal(unseen, np.repeat(unseen[:1], len(unseen))).all():
        return None
    default = reference[0]
    differs = ~_equal(table, np.repeat(reference[:1], len(table)))
    exceptions = {values[i]: table[i] for i in np.flatnonzero(differs)}
    return LearntColumn(source, exceptions, default, False, is_text)
