"""Read the hard limits that the user sets for columns, and check the training rows against them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import GoldenRows
from edge_runtime.bundle.schema import Column, InputLimits, Schema
from edge_runtime.bundle.tensor_type import golden_tensors
from edge_runtime.errors import InputError
from edge_runtime.inputs.allowed_values import AllowedValues

from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import ConversionError

__all__ = [
    "check_sample_within_limits",
    "golden_rows_within_limits",
    "read_input_limits",
    "with_limits",
]

_KEYS = ("min", "max", "values")


def read_input_limits(
    input_limits: Mapping[str, Mapping[str, Any]] | None, columns: Sequence[Column]
) -> dict[str, InputLimits]:
    """Check the argument ``input_limits``: column name to ``min``, ``max`` or ``values``.

    Raises
    ------
    ConversionError
        A column or key is unknown, or the limits do not suit the column.
    """
    by_name = {column.name: column for column in columns}
    limits = {}
    for name, keys in (input_limits or {}).items():
        if name not in by_name:
            raise ConversionError(
                f"input_limits names the column {name!r}, which the model does not read; it reads "
                f"{', '.join(map(repr, list(by_name)[:20]))}"
            )
        limits[name] = _limits_of(by_name[name], keys)
    return limits


def with_limits(schema: Schema, limits: Mapping[str, InputLimits]) -> Schema:
    """Return *schema* with the *limits* of its columns."""
    columns = tuple(replace(column, limits=limits.get(column.name)) for column in schema.columns)
    return replace(schema, columns=columns) if limits else schema


def check_sample_within_limits(
    sample: Sample, limits: Mapping[str, InputLimits], X: Any, table: str = "X"
) -> None:
    """Refuse training or test rows beyond *limits*: a model must not learn impossible values.

    Parameters
    ----------
    X
        The rows as the user passed them: a frame's index has the user's own row numbers.
    table
        Name of the rows for the message.

    Raises
    ------
    ConversionError
        With the row and the column of the first such value.
    """
    if not limits:
        return
    only_limits = tuple(replace(column, closed=False) for column in sample.schema.columns)
    schema = with_limits(replace(sample.schema, columns=only_limits), limits)
    if schema.kind == "tensor":
        _check_range(schema.columns[0], table)
        return
    try:
        AllowedValues(schema).check_blocks(sample.blocks(sample.table))
    except InputError as error:
        reason = str(error).removeprefix(f"row {error.row}, column {error.column!r}: ")
        reason = reason.partition("; ")[0]  # the remedy there is for a device
        position = error.row or 0
        row = X.index[position] if isinstance(X, pd.DataFrame) else position
        raise ConversionError(
            f"row {row} of {table}, column {error.column!r}: {reason}; correct or "
            "remove the row, or widen the limits"
        ) from error


def _check_range(column: Column, table: str) -> None:
    """Refuse tensors whose range exceeds the limits of their column."""
    for end in (column.minimum, column.maximum):
        if end is not None and column.limits is not None and not column.limits.allows(end):
            raise ConversionError(
                f"{table} holds {end!r}, which is not {column.limits}; correct or remove that row, "
                "or widen the limits"
            )


def golden_rows_within_limits(golden: GoldenRows, schema: Schema) -> GoldenRows:
    """Leave out the golden rows that the limits of *schema* refuse on the device.

    The first golden row is a training row, which is within the limits.
    """
    if all(column.limits is None for column in schema.columns):
        return golden
    positions = [i for i, row in enumerate(golden.rows) if _is_within_limits(row, schema)]
    return GoldenRows(
        tuple(golden.rows[i] for i in positions),
        {name: [values[i] for i in positions] for name, values in golden.answers.items()},
    )


def _is_within_limits(row: Sequence[Any], schema: Schema) -> bool:
    """Whether the limits of *schema* allow every cell of a golden row."""
    if schema.kind == "tensor":
        cells, limits = golden_tensors(row, schema.columns[0]), schema.columns[0].limits
        return limits is None or all(map(limits.allows, (cells.min(), cells.max())))
    return all(
        column.limits is None
        or cell is None
        or column.limits.allows(cell if column.is_string else float(cell))
        for column, cell in zip(schema.columns, row, strict=True)
    )


def _limits_of(column: Column, keys: Any) -> InputLimits:
    """Convert *keys* of one column, and check that they suit its type."""
    name = column.name
    if not isinstance(keys, Mapping) or not set(keys) <= set(_KEYS):
        raise ConversionError(
            f"input_limits[{name!r}] is {keys!r:.80}; expected a dict of min and max, or of values"
        )
    if column.type in ("dict", "list", "datetime"):
        raise ConversionError(f"input_limits names {name!r}, a column of {column.type}s; remove it")
    numbers = [keys[key] for key in ("min", "max") if keys.get(key) is not None]
    values = keys.get("values")
    if column.type == "tensor" and values is not None:
        raise ConversionError(
            f"input_limits[{name!r}] lists values, and {name!r} is a tensor; pass min and max"
        )
    if column.is_string and numbers:
        raise ConversionError(
            f"input_limits[{name!r}] has min or max, but the column holds strings; list its values"
        )
    if values is not None and (isinstance(values, str) or not hasattr(values, "__iter__")):
        raise ConversionError(
            f"input_limits[{name!r}] has the values {values!r:.80}; expected a list"
        )
    items = list(values or ())
    is_valid = _is_string if column.is_string else _is_finite_number
    for value in (*numbers, *items):
        if not is_valid(value):
            kind = "strings" if column.is_string else "finite numbers"
            raise ConversionError(
                f"input_limits[{name!r}] has {value!r:.80}, but the column holds {kind}; pass those"
            )
    low, high = (None if keys.get(key) is None else float(keys[key]) for key in ("min", "max"))
    items = sorted(set(items if column.is_string else map(float, items)))
    limits = InputLimits(low, high, None if values is None else tuple(items))
    if limits.faults():
        raise ConversionError(f"input_limits[{name!r}]: {limits.faults()}")
    return limits


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_finite_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.number | np.bool_) and math.isfinite(value)
