"""Predict the rows of a chunk, and sort out those that the model refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_runtime.cli.prediction_writers import Predictions
from edge_runtime.cli.row_chunks import Block, Chunk, RefusedRow, Row, RowReader
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.inputs.rows import RowBuffers, row_writer
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
        self._row_is_one_cell = schema.kind in ("dicts", "lists")

    def __call__(self, chunk: Chunk) -> tuple[Sequence[int], Predictions, list[RefusedRow]]:
        """Return the line numbers of the predicted rows, their predictions, and the other rows."""
        if isinstance(chunk, Block):
            table = self._reader.table(chunk)
            if table is not None:
                try:
                    predictions = self._run(table)
                except (InputError, InferenceError):
                    pass  # one invalid row must not cost the others
                else:
                    end = chunk.first_line + len(chunk.lines)
                    return range(chunk.first_line, end), predictions, []
            chunk = self._reader.rows(chunk)
        rows = [row for row in chunk if isinstance(row, Row)]
        refused = [row for row in chunk if isinstance(row, RefusedRow)]
        try:
            predictions = self._run(self._table(rows))
        except (InputError, InferenceError):
            rows = [row for row in rows if self._is_valid(row, refused)]
            predictions = self._run(self._table(rows))
            refused.sort(key=lambda row: row.line)
        return [row.line for row in rows], predictions, refused

    def _table(self, rows: list[Row]) -> dict[str, list[Any]]:
        # By column: a row of one list could be taken for a list of one row.
        return {name: [row.cells[i] for row in rows] for i, name in enumerate(self._names)}

    def _run(self, table: Any) -> Predictions:
        results = {name: method(table) for name, method in self._methods.items()}
        return {name: r if isinstance(r, list) else [r] for name, r in results.items()}

    def _is_valid(self, row: Row, refused: list[RefusedRow]) -> bool:
        try:
            self._write_row(row.cells[0] if self._row_is_one_cell else row.cells, self._buffers)
            self._run(self._table([row]))
        except InputError as error:
            message = str(error).removeprefix("row 0, ")
            refused.append(RefusedRow(row.line, message, error.column))
            return False
        except InferenceError as error:
            refused.append(RefusedRow(row.line, str(error)))
            return False
        return True
