"""Read rows from Parquet and Arrow files, a batch at a time; pyarrow comes with the extra."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge_runtime.cli.row_chunks import MAX_CHUNK_CELLS, Block, Chunk, RefusedRow, Row
from edge_runtime.errors import InputError
from edge_runtime.inputs.tables import InputReader

__all__ = ["ArrowReader"]


class ArrowReader:
    """Iterates over the batches of a file; the lines of its refusals are numbers of rows, from 1.

    Parameters
    ----------
    name
        The file.
    file_format
        ``parquet`` or ``arrow``.
    input_reader, chunk_rows
        The validation of its columns, and most rows in a chunk.

    Raises
    ------
    InputError
        pyarrow is missing, or the file lacks a column of the schema or has one too many.
    """

    def __init__(
        self, name: str, file_format: str, input_reader: InputReader, chunk_rows: int
    ) -> None:
        if name == "-":
            raise InputError(f"{file_format} cannot be read from a pipe; name the file")
        self._names = input_reader.schema.names
        self._chunk_rows = max(1, min(chunk_rows, MAX_CHUNK_CELLS // len(self._names)))
        try:
            import pyarrow
        except ImportError as error:
            raise InputError(
                f"{name} is {file_format.capitalize()}, which needs pyarrow: "
                "pip install 'edge-runtime[arrow]'; or write it as CSV"
            ) from error
        self._errors = (pyarrow.ArrowException, OSError)
        self._name = name
        try:
            opened = _open_parquet(name) if file_format == "parquet" else _open_arrow(name)
        except self._errors as error:
            raise self._damaged(error) from error
        names, self._batches = opened
        input_reader.check_names(names)

    def __iter__(self) -> Iterator[Chunk]:
        first = 1
        try:
            for batch in self._batches(self._chunk_rows, list(self._names)):
                for start in range(0, batch.num_rows, self._chunk_rows):
                    part = batch.slice(start, self._chunk_rows)
                    yield Block(first, part)
                    first += part.num_rows
        except self._errors as error:
            raise self._damaged(error) from error

    def table(self, block: Block) -> Any:
        """Return the columns of *block* for ``Model.predict``."""
        batch: Any = block.lines
        return {name: batch.column(name) for name in self._names}

    def rows(self, block: Block) -> list[Row | RefusedRow]:
        """Return the rows of *block*."""
        batch: Any = block.lines
        columns = [batch.column(name).to_pylist() for name in self._names]
        cells = zip(*columns, strict=True)
        return [Row(line, list(row)) for line, row in enumerate(cells, block.first_line)]

    def notes(self, last_refused: int) -> list[str]:
        """Return notes about the whole stream."""
        return []

    def _damaged(self, error: Exception) -> InputError:
        reason = " ".join(str(error).split())[:200]
        return InputError(f"{self._name} cannot be read as a table of Arrow: {reason}")


def _open_parquet(name: str) -> Any:
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(name)
    names = list(file.schema_arrow.names)
    return names, lambda rows, columns: file.iter_batches(batch_size=rows, columns=columns)


def _open_arrow(name: str) -> Any:
    import pyarrow.ipc

    source = pyarrow.OSFile(name)
    is_file = source.read(6) == b"ARROW1"
    source.seek(0)
    if not is_file:
        stream = pyarrow.ipc.open_stream(source)
        return list(stream.schema.names), lambda rows, columns: iter(stream)
    file = pyarrow.ipc.open_file(source)
    return list(file.schema.names), lambda rows, columns: map(
        file.get_batch, range(file.num_record_batches)
    )
