"""Predict the rows of a chunk, and sort out those that the model refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edge_runtime.cli.prediction_writers import Predictions
from edge_runtime.cli.row_chunks import Block, Chunk, RefusedRow, Row, RowReader
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.inputs.single_row import RowBuffers, row_is_cell, row_writer
from edge_runtime.inputs.tables import InputReader

__all__ = ["ChunkPredictor"]


class ChunkPredictor:
    """Runs the model on chunks of rows.

    Parameters
    ----------
    input_reader
        Validates rows.
    methods
        The model's methods to run, by name.
    reader
        Parses the blocks.
    """

    def __init__(
        self,
        input_reader: InputReader,
        methods: Mapping[str, Callable[[Any], Any]],
        reader: RowReader,
    ) -> None:
        schema = input_reader.schema
        self._reader = reader
        self._methods = methods
        self._names = schema.names
        self._write_row = row_writer(input_reader)
        self._buffers = RowBuffers(schema)
        self._row_is_one_cell = row_is_cell(schema)

    def no_predictions(self) -> Predictions:
        """Predict no rows: the arrays have the right shapes and types for a header."""
        return self._run(self._table([]))

    def __call__(self, chunk: Chunk) -> tuple[Sequence[int], Predictions, list[RefusedRow]]:
        """Return the line numbers of the predicted rows, their predictions, and the other rows."""
        if isinstance(chunk, Block):
            try:
                table = self._reader.table(chunk)
                predictions = None if table is None else self._run(table)
            except _ROW_ERRORS:
                predictions = None  # one invalid row must not cost the others
            if predictions is not None:
                end = chunk.first_line + len(chunk.lines)
                return range(chunk.first_line, end), predictions, []
            chunk = self._reader.rows(chunk)
        rows = [row for row in chunk if isinstance(row, Row)]
        refused = [row for row in chunk if isinstance(row, RefusedRow)]
        try:
            return [row.line for row in rows], self._run(self._table(rows)), refused
        except _ROW_ERRORS:
            return self._predict_one_by_one(rows, refused)

    def _predict_one_by_one(
        self, rows: list[Row], refused: list[RefusedRow]
    ) -> tuple[Sequence[int], Predictions, list[RefusedRow]]:
        """Refuse the rows that the model does not take, and predict the others."""
        valid = [row for row in rows if self._is_valid(row, refused)]
        lines: list[int] = []
        parts: list[Predictions] = []
        for row_lines, predictions in self._predict_halves(valid, refused):
            lines += row_lines
            parts.append(predictions)
        refused.sort(key=lambda row: row.line)
        return lines, _join(parts), refused

    def _predict_halves(
        self, rows: list[Row], refused: list[RefusedRow]
    ) -> Iterator[tuple[list[int], Predictions]]:
        """Predict *rows* at once; if that fails, each half, down to the rows at fault.

        A model may fail on a batch only, by its shapes or for want of memory.
        """
        if not rows:
            return
        try:
            yield [row.line for row in rows], self._run(self._table(rows))
        except _ROW_ERRORS as error:
            if len(rows) == 1:
                refused.append(_refusal(rows[0], error))
                return
            middle = len(rows) // 2
            yield from self._predict_halves(rows[:middle], refused)
            yield from self._predict_halves(rows[middle:], refused)

    def _table(self, rows: list[Row]) -> dict[str, list[Any]]:
        # By column: a row of one list could be taken for a list of one row.
        return {name: [row.cells[i] for row in rows] for i, name in enumerate(self._names)}

    def _run(self, table: Any) -> Predictions:
        results = {name: method(table) for name, method in self._methods.items()}
        return {
            name: list(r) if isinstance(r, list | tuple) else [r] for name, r in results.items()
        }

    def _is_valid(self, row: Row, refused: list[RefusedRow]) -> bool:
        try:
            self._write_row(row.cells[0] if self._row_is_one_cell else row.cells, self._buffers)
        except InputError as error:
            refused.append(_refusal(row, error))
            return False
        return True


_ROW_ERRORS = (InputError, InferenceError, MemoryError)
"""Errors that may concern one row of a batch alone."""


def _refusal(row: Row, error: Exception) -> RefusedRow:
    if isinstance(error, InputError):
        return RefusedRow(row.line, str(error).removeprefix("row 0, "), error.column)
    if isinstance(error, MemoryError):
        return RefusedRow(row.line, "not enough memory to predict this row; end other programs")
    return RefusedRow(row.line, str(error))


def _join(parts: list[Predictions]) -> Predictions:
    """Join the predictions of consecutive rows."""
    if len(parts) <= 1:
        return parts[0] if parts else {}
    return {
        name: [np.concatenate(arrays) for arrays in zip(*(p[name] for p in parts), strict=True)]
        for name in parts[0]
    }
