"""Make rows from a schema, typical and extreme ones, to try a model that brings no rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from edge_runtime.bundle.schema import Column, Schema

__all__ = ["extreme_rows", "typical_rows"]

_LARGEST = 1.7976931348623157e308
_FLOATS = (0.0, -1.0, 1e-300, 5e-324, 2.0**53, -(2.0**63), 2.0**63, 1e300, _LARGEST, -_LARGEST)
_INTEGERS = (0, -1, 1, 2**31, -(2**31), 2**53, -(2**53), -(2**63))
_MOMENTS = (
    -62_135_596_800e6,
    -11_644_473_600e6,
    -1.0,
    0.0,
    951_782_399_999_999.0,
    253_402_300_799e6,
)
"""The first second of year 1, 1601, moments around 1970, a leap day, the last second of 9999."""
_TEXTS = ("", " ", "a", "é\u0301", "\U0001f40b", "x" * 10_000, "word " * 2_000)
_N_NAMES = 1_000
"""Entries of the largest dict, and items of the longest list."""


def typical_rows(schema: Schema) -> list[Any]:
    """Make rows within the ranges and categories of training, as ``predict_one`` takes them."""
    return _rows(
        schema,
        [_within_limits(column, _typical_cells(column, schema)) for column in schema.columns],
    )


def extreme_rows(schema: Schema) -> list[Any]:
    """Make rows of the least, largest, missing and unseen values that a schema allows."""
    return _rows(
        schema,
        [_within_limits(column, _extreme_cells(column, schema)) for column in schema.columns],
    )


def _rows(schema: Schema, cells: Sequence[Sequence[Any]]) -> list[Any]:
    """Combine cells: the n-th row has the n-th cell of each column, from the start at its end."""
    n_rows = max(map(len, cells))
    columns = [list(islice(cycle(column), n_rows)) for column in cells]
    # A row of dicts, lists or tensors has only one cell, which is passed alone.
    return columns[0] if schema.loose else [list(row) for row in zip(*columns, strict=True)]


def _within_limits(column: Column, cells: Sequence[Any]) -> Sequence[Any]:
    """Leave out the cells beyond the limits set at the build, and add the limits themselves."""
    limits = column.limits
    if limits is None or column.type == "tensor":
        return cells
    ends = limits.values or [end for end in (limits.minimum, limits.maximum) if end is not None]
    return [*(cell for cell in cells if cell is None or limits.allows(cell)), *ends]


def _typical_cells(column: Column, schema: Schema) -> Sequence[Any]:
    if column.type == "tensor":
        return _tensors(column)
    if column.type == "datetime":
        return _dates(column, [column.minimum, column.maximum])
    if column.type in ("dict", "list"):
        return _containers(column, _terms(column, schema)[:3])
    if column.categories:
        middle = len(column.categories) // 2
        return [column.categories[i] for i in (0, middle, -1)]
    if column.is_string:
        return [" ".join(_terms(column, schema)[:3]) or "a", "b"]
    if column.type == "bool":
        return [False, True]
    low = 0.0 if column.minimum is None else column.minimum
    high = low + 1.0 if column.maximum is None else column.maximum
    numbers = [low, low / 2 + high / 2, high]
    return [round(number) for number in numbers] if column.type == "int64" else numbers


def _extreme_cells(column: Column, schema: Schema) -> Sequence[Any]:
    missing = [None] if column.missing else []
    if column.type == "tensor":
        return _tensors(column)
    if column.type == "datetime":
        return [*_dates(column, [*_MOMENTS, column.minimum, column.maximum]), *missing]
    if column.closed or column.type == "bool":
        return [*(column.categories or _typical_cells(column, schema))[:100], *missing]
    if column.type in ("dict", "list"):
        names = [*_terms(column, schema), *map(str, range(_N_NAMES))][:_N_NAMES]
        return [*_containers(column, []), *_containers(column, names)]
    if column.is_string:
        return [*_TEXTS, " ".join(_terms(column, schema)), *missing]
    ends = [end for end in (column.minimum, column.maximum) if end is not None]
    if column.type == "int64":
        return [*_INTEGERS, *map(round, ends), *missing]
    return [*_FLOATS, *ends, *missing]


def _tensors(column: Column) -> Sequence[Any]:
    """Make tensors within the range of training, of fine and coarse grain."""
    from edge_runtime.bundle.tensor_type import PATTERNS, pattern  # which few models need

    return [pattern(column, seed) for seed in range(PATTERNS)]


def _dates(column: Column, microseconds: Sequence[float | None]) -> list[str]:
    from edge_runtime.bundle.date_rule import iso_text  # which few models need

    texts = [iso_text(number, column.dates) for number in microseconds if number is not None]
    return [text for text in texts if text] or ["2024-12-31T00:00:00" + "Z" * bool(_zone(column))]


def _zone(column: Column) -> str | None:
    return None if column.dates is None else column.dates.zone


def _containers(column: Column, names: Sequence[str]) -> Sequence[Any]:
    return [dict.fromkeys(names, 1.0)] if column.type == "dict" else [list(names)]


def _terms(column: Column, schema: Schema) -> list[str]:
    """List some features that the column's derived blocks count."""
    for block in schema.derived:
        terms = getattr(block.placing, "terms", ())
        if block.column == column.name and terms:
            return [str(term) for term in terms[:_N_NAMES]]
    return []
