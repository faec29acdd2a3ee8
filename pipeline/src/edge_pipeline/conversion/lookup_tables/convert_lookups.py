"""Write what was learnt about a transformer as look-up tables of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING
from numpy.typing import NDArray

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.input_restrictions import restrict_values
from edge_pipeline.conversion.lookup_tables.learn_columns import (
    LearntColumn,
    NotALookUpError,
    learn_columns,
)

__all__ = ["as_lookups"]


def as_lookups(context: Context, transformer: Any, X: Tensor | Frame) -> Tensor | Frame:
    """Convert ``transformer.transform(X)`` to look-ups; the transformer's own outputs fill them.

    Raises
    ------
    NotALookUpError
        An output depends on more than the value of one column, or has no finite table.
    """
    example, frame = context.example_rows(X), frame_of(X)
    if example is None:
        raise NotALookUpError("no rows of the sample are known at this place")
    categories = [context.known_categories(*column) for column in frame.columns]
    lookups = learn_columns(transformer, example, categories)
    for position, values in lookups.allowed.items():
        restrict_values(context, frame.select([position]), [values])
    output = _write(frame, lookups.columns)
    if lookups.names is not None:
        context.names.record(output, lookups.names)
    return output


def _write(frame: Frame, columns: Sequence[LearntColumn]) -> Frame:
    """Write one hash table for each input column; its position selects a row of outputs."""
    result: dict[int, tuple[Tensor, int]] = {}
    for source in dict.fromkeys(column.source for column in columns):
        x = frame.column(source)
        numbers = []
        for i, column in enumerate(columns):
            if column.source != source:
                continue
            if column.is_identity and not column.exceptions:
                result[i] = frame.columns[source]
            elif column.is_identity:
                result[i] = _with_exceptions(x, column), 0
            elif column.is_text:
                result[i] = _text_table(x, column), 0
            else:
                numbers.append(i)
        if numbers:
            block = _number_table(x, [columns[i] for i in numbers])
            result.update((i, (block, at)) for at, i in enumerate(numbers))
    return Frame(tuple(result[i] for i in range(len(columns))))


def _number_table(x: Tensor, columns: Sequence[LearntColumn]) -> Tensor:
    """Return the outputs of several columns that depend on *x*: shape (n_samples, n_columns)."""
    defaults = np.array([column.default for column in columns], dtype=np.float64)
    keys = list(dict.fromkeys(key for column in columns for key in column.exceptions))
    if not keys:
        return ops.full_rows(x, defaults)
    table = np.repeat(defaults[None, :], len(keys) + 1, axis=0)
    for at, column in enumerate(columns):
        for row, key in enumerate(keys):
            table[row, at] = column.exceptions.get(key, column.default)
    position = ops.lookup(x, _keys(keys, x), np.arange(len(keys)), len(keys))
    return ops.take(table, ops.squeeze(position, 1), 0)


def _text_table(x: Tensor, column: LearntColumn) -> Tensor:
    if not column.exceptions:
        return ops.full_rows(x, np.array([_text(column.default)], dtype=object))
    values = np.array([_text(v) for v in column.exceptions.values()], dtype=object)
    return ops.lookup(x, _keys(list(column.exceptions), x), values, _text(column.default))


def _with_exceptions(x: Tensor, column: LearntColumn) -> Tensor:
    """Return *x*, with other values in place of a few."""
    keys = list(column.exceptions)
    outputs = list(column.exceptions.values())
    is_exception = ops.lookup(x, _keys(keys, x), np.ones(len(keys), dtype=np.int64), 0) > 0
    if column.is_text:
        values: NDArray[Any] = np.array([_text(v) for v in outputs], dtype=object)
        return ops.where(is_exception, ops.lookup(x, _keys(keys, x), values, ""), x)
    values = np.array(outputs, dtype=np.float64)
    return ops.where(is_exception, ops.lookup(x, _keys(keys, x), values, 0.0), x)


def _keys(keys: Sequence[Any], x: Tensor) -> NDArray[Any]:
    if x.is_string:
        return np.array([_text(key) for key in keys], dtype=object)
    return np.array([np.nan if key is None else key for key in keys], dtype=np.float64)


def _text(value: Any) -> str:
    return MISSING_STRING if value is None else str(value)
