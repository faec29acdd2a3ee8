"""Open the rows of INPUT as the training table was read, except where an option says otherwise."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from edge_runtime.bundle.reading import PLAIN, Reading
from edge_runtime.cli.csv_reader import CsvReader
from edge_runtime.cli.files import open_source
from edge_runtime.errors import InputError
from edge_runtime.inputs.tables import InputReader

__all__ = ["ReadingOptions", "format_of", "open_rows"]

_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")
_FORMATS = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "arrow"),
}


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """The switches that override the sealed reading; None where a switch was not used."""

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    missing: list[str] | None = None
    has_header: bool | None = None

    def applied_to(self, sealed: Reading | None, names: tuple[str, ...]) -> Reading:
        """Return the reading of INPUT; *names* are the columns of a file without a header.

        Raises
        ------
        InputError
            The switches contradict each other or the reading.
        """
        reading = sealed or PLAIN
        if self.decimal is not None or self.thousands is not None:
            # A switch is about every number of INPUT: the rules of single columns yield.
            columns = {
                name: replace(rule, decimal=None, thousands=None)
                for name, rule in reading.columns.items()
            }
            reading = replace(reading, columns=columns)
        if self.decimal == reading.thousands:
            reading = replace(reading, thousands="")
        changes: dict[str, Any] = {
            "separator": self.separator,
            "decimal": self.decimal,
            "thousands": self.thousands,
            "encoding": self.encoding,
            "missing": None if self.missing is None else tuple(self.missing),
            "names": {None: None, True: (), False: reading.names or names}[self.has_header],
        }
        changes = {key: value for key, value in changes.items() if value is not None}
        reading = replace(reading, **changes) if changes else reading
        if fault := reading.fault():
            raise InputError(f"{fault}; name other marks")
        return reading


def format_of(name: str) -> str:
    """Return the format that a file's name tells: ``csv`` for any other name."""
    name = name.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return next((f for suffix, f in _FORMATS.items() if name.endswith(suffix)), "csv")


@contextmanager
def open_rows(
    name: str,
    file_format: str,
    reading: Reading,
    input_reader: InputReader,
    chunk_rows: int,
    *,
    is_parallel: bool,
) -> Iterator[Any]:
    """Open INPUT, and give the reader of its rows.

    Raises
    ------
    InputError
        The file has another format, or does not fit the model.
    """
    if file_format in ("parquet", "arrow"):
        from edge_runtime.cli.arrow_reader import ArrowReader  # which needs pyarrow

        yield ArrowReader(name, file_format, input_reader, chunk_rows)
        return
    reader: Any = CsvReader
    if file_format == "jsonl":
        from edge_runtime.cli.json_lines_reader import JsonLinesReader

        reader = JsonLinesReader
    with open_source(name, _with_byte_order_mark(reading.encoding)) as source:
        yield reader(source, input_reader, chunk_rows, is_parallel=is_parallel, reading=reading)


def _with_byte_order_mark(encoding: str) -> str:
    """Return the encoding that drops a byte order mark, which is no part of a column's name."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError as error:
        raise InputError(
            f"Python knows no encoding {encoding!r:.80}; name another one with --encoding"
        ) from error
    return "utf-8-sig" if name == "utf-8" else encoding
