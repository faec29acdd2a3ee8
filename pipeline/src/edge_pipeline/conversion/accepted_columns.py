"""Ask the fitted estimator which columns may hold a missing value or an unseen category.

scikit-learn validates a whole table, so one call answers for many columns: all at once first, then
the columns of each part of a ColumnTransformer, then single columns.  The number of calls does not
grow with the number of columns, unless one part accepts some of its columns and refuses others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column
from sklearn.compose import ColumnTransformer

from edge_pipeline.conversion.estimator_methods import run_method
from edge_pipeline.data.first_step import first_step
from edge_pipeline.data.missing_policy import MissingPolicy
from edge_pipeline.data.replace_columns import replace_columns
from edge_pipeline.data.sample import Sample
from edge_pipeline.data.tensors import tensor_rows, to_table

__all__ = ["accepted_columns", "allow_missing_values", "spread_values"]

MAX_ROWS = 64
"""Rows of one question.  Where there are more columns, a row changes several of them."""

TRIED_ALONE = 4
"""Columns of a refused part that are tried alone before all of that part count as refused."""

MAX_CALLS = 256
"""Calls for one question; columns that are undecided then count as refused, which is never wrong
but stricter than scikit-learn."""


def allow_missing_values(
    estimator: Any, sample: Sample, first_outputs: Mapping[str, Any], policy: MissingPolicy
) -> Sample:
    """Allow a missing value in every column in which the fitted estimator accepts one.

    Parameters
    ----------
    first_outputs
        Method to its output for complete rows.  Each method must accept the value, and return the
        same dtype: an ONNX output has one dtype for all rows.
    policy
        The user's choice, which can only be stricter than the estimator.
    """
    is_tensor = sample.schema.kind == "tensor"
    if (sample.schema.loose and not is_tensor) or sample.schema.kind == "vector":
        return sample

    def accepts(table: pd.DataFrame) -> bool:
        X = sample.as_trained(table)
        try:
            return all(
                dtype_kinds(run_method(estimator, method, X)) == dtype_kinds(output)
                for method, output in first_outputs.items()
            )
        except Exception:  # a user's own step may raise anything
            return False

    columns = sample.schema.columns
    candidates = [
        position
        for position, column in enumerate(columns)
        if not column.missing and policy.choice(column.name) == "as-estimator"
    ]
    if is_tensor:
        accepted = frozenset(candidates if accepts(_with_missing_cells(sample)) else ())
    else:
        accepted = accepted_columns(estimator, sample, candidates, None, accepts)
    allowed = tuple(
        replace(
            column,
            missing=policy.choice(column.name) != "refuse"
            and (column.missing or position in accepted),
        )
        for position, column in enumerate(columns)
    )
    return replace(sample, schema=replace(sample.schema, columns=allowed))


def _with_missing_cells(sample: Sample) -> pd.DataFrame:
    """Return some tensors of *sample*, in each of which other cells lack a value."""
    rows = tensor_rows(sample.table.head(TRIED_ALONE), sample.schema).astype(np.float64)
    flat = rows.reshape(len(rows), -1)
    for i, cells in enumerate(flat):
        cells[i :: len(flat) + 1] = np.nan
    return to_table(rows)


def dtype_kinds(output: Any) -> list[str]:
    """Return the kind of dtype of an output, or of each part of it."""
    return [part.dtype.kind for part in (output if isinstance(output, list) else [output])]


def accepted_columns(
    estimator: Any,
    sample: Sample,
    candidates: Sequence[int],
    value: Any,
    accepts: Callable[[pd.DataFrame], bool],
) -> frozenset[int]:
    """Return the positions among *candidates* in which the estimator accepts *value*.

    Parameters
    ----------
    candidates
        Positions of columns of the sample's table.
    value
        A missing value (None) or a category that training did not see.
    accepts
        Whether the estimator predicts a table of the sample's columns.
    """
    calls = 0

    def accepts_value(positions: Sequence[int]) -> bool:
        nonlocal calls
        calls += 1
        columns = [sample.schema.columns[position] for position in positions]
        return accepts(spread_values(sample.table, columns, [[value]] * len(columns)))

    def split(positions: Sequence[int]) -> Iterator[int]:
        if calls >= MAX_CALLS:
            return
        if accepts_value(positions):
            yield from positions
        elif len(positions) > 1:
            half = len(positions) // 2
            yield from split(positions[:half])
            yield from split(positions[half:])

    if not candidates or accepts_value(candidates):
        return frozenset(candidates)
    accepted: set[int] = set()
    for part in _parts(estimator, sample, candidates):
        if len(part) < len(candidates) and accepts_value(part):
            accepted.update(part)
            continue
        picks = np.unique(np.linspace(0, len(part) - 1, TRIED_ALONE).astype(int))
        alone = {part[i] for i in picks if len(candidates) > 1 and accepts_value([part[i]])}
        if alone:
            accepted.update(split(part))
    return frozenset(accepted)


def _parts(estimator: Any, sample: Sample, candidates: Sequence[int]) -> list[list[int]]:
    """Divide *candidates* by the part of the first ColumnTransformer that reads them."""
    first = first_step(estimator)
    positions = getattr(first, "_transformer_to_input_indices", None)
    if not isinstance(first, ColumnTransformer) or not positions:
        return [list(candidates)]
    names = [str(name) for name in getattr(first, "feature_names_in_", ())] or sample.schema.names
    readers: dict[str, list[str]] = {}
    for reader, read in positions.items():
        for position in read:
            readers.setdefault(names[position], []).append(reader)
    parts: dict[tuple[str, ...], list[int]] = {}
    for position in candidates:
        key = tuple(readers.get(sample.schema.names[position], ()))
        parts.setdefault(key, []).append(position)
    return list(parts.values())


def spread_values(
    table: pd.DataFrame,
    columns: Sequence[Column],
    values: Sequence[Sequence[Any]],
    max_rows: int = MAX_ROWS,
) -> pd.DataFrame:
    """Return rows of *table* in which each column takes its *values*, each in another row.

    Up to *max_rows* changes stand in rows of their own; further ones share those rows, so that the
    table grows with the number of columns and not with its square.
    """
    changes = [
        (column, value) for column, own in zip(columns, values, strict=True) for value in own
    ]
    n_rows = max(1, min(len(changes), max_rows), max(map(len, values), default=1))
    rows = table.iloc[np.arange(n_rows) % len(table)].reset_index(drop=True)
    if all(dtype == np.float64 for dtype in table.dtypes):
        # One array: assigning thousands of columns one by one costs pandas seconds.
        numbers = rows.to_numpy().copy()
        positions = dict(zip(table.columns, range(table.shape[1]), strict=True))
        for i, (column, value) in enumerate(changes):
            numbers[i % n_rows, positions[column.name]] = np.nan if value is None else value
        return pd.DataFrame(numbers, columns=table.columns)
    cells: dict[str, Any] = {}
    for i, (column, value) in enumerate(changes):
        if column.name not in cells:
            dtype = np.float64 if column.is_number else object
            cells[column.name] = rows[column.name].to_numpy(dtype=dtype).copy()
        cells[column.name][i % n_rows] = np.nan if value is None and column.is_number else value
    return replace_columns(rows, cells)
