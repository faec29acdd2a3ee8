"""Choose the golden rows: rows with scikit-learn's predictions that the device replays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.date_rule import iso_text
from edge_runtime.bundle.manifest import GoldenRows, cell_to_json
from edge_runtime.bundle.schema import Column
from edge_runtime.bundle.tensor_type import golden_tensor_to_json

from edge_pipeline.conversion.convert import OnnxModel
from edge_pipeline.errors import ConversionError, UnsupportedEstimatorError
from edge_pipeline.verification.ambiguous_rows import ALL_AMBIGUOUS
from edge_pipeline.verification.neighbor_ties import POSITIONS, have_ties
from edge_pipeline.verification.oracle import Oracle
from edge_pipeline.verification.parity import ProbedRows
from edge_pipeline.verification.probes.groups import ProbeGroup

__all__ = ["choose_golden_rows", "golden_rows_to_json"]

MAX_GOLDEN_ROWS = 16
MAX_GOLDEN_CELLS = 20_000
"""The device replays golden rows at every load: enough to notice a fault, few enough to be fast."""

MAX_GOLDEN_OUTPUT_WIDTH = 200_000
"""Wider outputs get no golden row: one would take a megabyte of the manifest."""


def choose_golden_rows(
    model: OnnxModel, oracle: Oracle, rows: Sequence[ProbedRows]
) -> ProbedRows | None:
    """Take a few rows of every group in turn, and predict them together.

    The device predicts them together too.  That matters: IterativeImputer imputes a row otherwise
    when all rows of the table lack a value.

    Returns
    -------
    ProbedRows or None
        None where the outputs are too wide for the manifest.

    Raises
    ------
    UnsupportedEstimatorError
        Every row is ambiguous.
    ConversionError
        scikit-learn refuses the rows together.
    """
    if model.output_width > MAX_GOLDEN_OUTPUT_WIDTH:
        return None
    width = max(len(model.schema.columns), model.schema.numbers_width, model.output_width)
    limit = max(1, min(MAX_GOLDEN_ROWS, MAX_GOLDEN_CELLS // width))
    tables = [item.table[item.reproducible_in_all] for item in rows if item.group.can_be_golden]
    if model.schema.kind == "tensor":
        tables = [_short_tensors(model.schema.columns[0], table) for table in tables]
    if any(output.name == POSITIONS for output in model.outputs):
        untied = [table[~have_ties(oracle, table)] if len(table) else table for table in tables]
        tables = untied if any(map(len, untied)) else tables
    picks: list[pd.DataFrame] = []
    depth = 0
    while len(picks) < limit and any(depth < len(table) for table in tables):
        picks += [table.iloc[[depth]] for table in tables if depth < len(table)]
        depth += 1
    if not picks:
        raise UnsupportedEstimatorError(ALL_AMBIGUOUS, path=type(oracle.estimator).__name__)
    table = pd.concat(picks[:limit], ignore_index=True)
    predictions = oracle.predictions(table, model.outputs)
    if predictions is None:
        raise ConversionError(
            "scikit-learn refuses rows together that it predicts one by one, so the file can have "
            "no golden rows; report it with the estimator's parameters"
        )
    return ProbedRows(ProbeGroup("golden rows", table), predictions, np.ones(len(table), np.bool_))


def _short_tensors(column: Column, table: pd.DataFrame) -> pd.DataFrame:
    """Return the first tensors of *table*, if few bytes in the manifest name each."""
    table = table.head(MAX_GOLDEN_ROWS)
    is_short = [golden_tensor_to_json(cell, column) is not None for cell in table.iloc[:, 0]]
    return table[np.array(is_short, dtype=np.bool_)]


def golden_rows_to_json(columns: Sequence[Column], rows: ProbedRows | None) -> GoldenRows:
    """Convert *rows* and their predictions to plain JSON values."""
    if rows is None:
        return GoldenRows((), {})
    cells = tuple(
        tuple(
            _cell_to_json(column, value)
            for column, value in zip(columns, rows.table.iloc[row], strict=True)
        )
        for row in range(len(rows.table))
    )
    predictions = {
        name: [_prediction_to_json(row) for row in values]
        for name, values in rows.predictions.items()
    }
    return GoldenRows(cells, predictions)


def _cell_to_json(column: Column, value: Any) -> Any:
    if column.type == "tensor":
        return golden_tensor_to_json(value, column)
    if column.type == "datetime":
        return iso_text(value, column.dates)
    if column.is_number:
        return cell_to_json(value)
    is_missing_string = column.is_string and not isinstance(value, str)
    return None if is_missing_string else value


def _prediction_to_json(prediction: Any) -> Any:
    if isinstance(prediction, np.ndarray):
        return [_prediction_to_json(item) for item in prediction]
    return cell_to_json(prediction.item() if isinstance(prediction, np.generic) else prediction)
