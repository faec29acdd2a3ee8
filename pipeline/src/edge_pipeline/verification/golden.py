"""Rows with scikit-learn's answers, as the manifest keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import GoldenRows, cell_to_json
from edge_runtime.bundle.schema import Schema
from numpy.typing import NDArray

__all__ = ["golden_rows"]


def golden_rows(
    schema: Schema, table: pd.DataFrame, answers: Mapping[str, NDArray[Any]]
) -> GoldenRows:
    """*table* and its *answers* by output name, as plain JSON values."""
    rows = tuple(tuple(_cells(schema, table, row)) for row in range(len(table)))
    return GoldenRows(
        rows, {name: [_nested(row) for row in told] for name, told in answers.items()}
    )


def _cells(schema: Schema, table: pd.DataFrame, row: int) -> list[Any]:
    return [
        cell_to_json(value)
        if column.is_number
        else value
        if not column.is_string or isinstance(value, str)
        else None
        for column, value in zip(schema.columns, table.iloc[row], strict=True)
    ]


def _nested(answer: Any) -> Any:
    if isinstance(answer, np.ndarray):
        return [_nested(item) for item in answer]
    if isinstance(answer, np.generic):
        answer = answer.item()
    return cell_to_json(answer)
