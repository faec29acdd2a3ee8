"""List the test rows with the worst predictions, with their cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.evaluation.predictions import take_rows
from edge_pipeline.evaluation.report.measurements import EvaluatedRow, RowTable

__all__ = ["anomalous_rows", "cells_of", "far_rows", "row_numbers", "wrong_rows"]

MAX_ROWS = 100
MAX_FAR_ROWS = 50
MAX_COLUMNS = 40
MAX_LETTERS = 200
"""Longest cell: a text is shortened."""


def wrong_rows(
    rows: Any, names: Sequence[str], y: NDArray[Any], predicted: NDArray[Any], by_method: Any
) -> RowTable | None:
    """List the rows with a wrong class, those first that the model is most certain of."""
    is_wrong = (y != predicted).reshape(len(y), -1).any(axis=1)
    certainty = np.zeros(len(y))
    label = ""
    proba = by_method.get("predict_proba")
    if proba is not None and proba.ndim == 2:
        certainty, label = proba.max(axis=1), "probability"
    order = np.flatnonzero(is_wrong)[np.argsort(-certainty[is_wrong], kind="stable")]
    return _table(rows, names, y, predicted, certainty, order, label)


def far_rows(
    rows: Any, names: Sequence[str], y: NDArray[Any], predicted: NDArray[Any]
) -> RowTable | None:
    """List the rows with the largest errors.

    Several targets are compared in units of their standard deviation.
    """
    distance = np.abs(y.astype(np.float64) - predicted.astype(np.float64)).reshape(len(y), -1)
    label = "absolute error"
    if distance.shape[1] > 1:
        scale = y.reshape(len(y), -1).astype(np.float64).std(axis=0)
        distance, label = distance / np.where(scale > 0, scale, 1.0), "error / standard deviation"
    badness = distance.mean(axis=1)
    order = np.argsort(-badness, kind="stable")
    table = _table(rows, names, y, predicted, badness, order[:MAX_FAR_ROWS], label)
    return table and table.model_copy(update={"total": len(order)})


def anomalous_rows(
    rows: Any, names: Sequence[str], predicted: NDArray[Any], score: NDArray[Any]
) -> RowTable | None:
    """List the rows with the lowest scores, which are the most anomalous."""
    order = np.argsort(score, kind="stable")
    table = _table(rows, names, None, predicted, score, order, "anomaly score")
    return table and table.model_copy(update={"total": int((predicted == -1).sum())})


def row_numbers(rows: Any) -> list[int]:
    """Number the rows from 1, by their place in the table that they were taken from."""
    index = getattr(rows, "index", None)
    if isinstance(index, pd.Index) and index.dtype.kind == "i" and index.is_unique:
        return [int(label) + 1 for label in index]
    return list(range(1, len(rows) + 1))


def cells_of(rows: Any, n_columns: int) -> list[tuple[str, ...]]:
    """Write the cells of *rows* as short texts."""
    if hasattr(rows, "to_numpy"):
        cells = rows.iloc[:, :n_columns].to_numpy(dtype=object) if rows.ndim == 2 else rows
    elif isinstance(rows, np.ndarray) and rows.ndim == 2:
        cells = rows[:, :n_columns]
    else:
        cells = [[row] for row in rows]
    return [tuple(_short(cell) for cell in row) for row in cells]


def _table(
    rows: Any,
    names: Sequence[str],
    y: NDArray[Any] | None,
    predicted: NDArray[Any],
    badness: NDArray[np.float64],
    order: NDArray[np.intp],
    label: str,
) -> RowTable | None:
    if not len(order):
        return None
    worst = order[:MAX_ROWS]
    columns = tuple(map(str, names[:MAX_COLUMNS]))
    numbers = row_numbers(rows)
    cells = cells_of(take_rows(rows, worst.tolist()), len(columns))
    return RowTable(
        badness=label,
        columns=columns,
        rows=tuple(
            EvaluatedRow(
                row=numbers[i],
                true=None if y is None else _row_text(y[i]),
                predicted=_row_text(predicted[i]),
                badness=float(badness[i]),
                cells=cells[place],
            )
            for place, i in enumerate(worst)
        ),
        total=len(order),
    )


def _row_text(values: Any) -> str:
    return ", ".join(_short(value) for value in np.atleast_1d(np.asarray(values, dtype=object)))


def _short(cell: Any) -> str:
    if cell is None or cell is pd.NA or (isinstance(cell, float) and cell != cell):
        return "missing"
    text = f"{cell:.6g}" if isinstance(cell, float | np.floating) else str(cell)
    return text if len(text) <= MAX_LETTERS else f"{text[: MAX_LETTERS - 1]}…"
