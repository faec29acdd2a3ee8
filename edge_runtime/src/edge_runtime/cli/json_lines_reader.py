"""Read rows from JSON lines, an object or an array a line, or from one array of such rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, TextIO

from edge_runtime.bundle.reading import PLAIN, Reading
from edge_runtime.bundle.schema import Column
from edge_runtime.cli.json_arrays import array_rows, begins_array
from edge_runtime.cli.line_reader import LINE_TOO_LONG, PIECE_CHARACTERS, Lines
from edge_runtime.cli.row_chunks import Block, RefusedRow, Row, RowReader
from edge_runtime.errors import InputError
from edge_runtime.inputs import single_row as rows
from edge_runtime.inputs.absent_keys import AbsentKeys
from edge_runtime.inputs.tables import InputReader
from edge_runtime.inputs.text_cells import cell_parser

__all__ = [
    "JsonLinesReader",
    "check_not_nested",
    "holds_nul",
    "json_lines",
    "object_without_duplicates",
    "text_rules",
]

_SEPARATOR = "-Infinity"
"""Stands between the lines of a block.

Without it, two lines together could spell one row, and a third line two.  No model takes this
number.  It is a constant, which JSON can spell in one way only; a string has many (\\u002d).
"""


class JsonLinesReader(RowReader):
    """Reads JSON lines: an object by column name, or an array in the order of the schema."""

    def __init__(
        self,
        stream: TextIO,
        input_reader: InputReader,
        chunk_rows: int,
        *,
        is_parallel: bool = False,
        reading: Reading = PLAIN,
    ) -> None:
        schema = input_reader.schema
        may_be_array = all(
            column.type not in ("dict", "list", "tensor") for column in schema.columns
        )
        lines = json_lines(stream) if may_be_array else Lines(stream)
        super().__init__(lines, chunk_rows, len(schema.columns))
        read_cells, self._absent_keys = rows.RowReader(input_reader).cells, AbsentKeys(input_reader)
        self._ordered_cells = lambda row: read_cells(self._absent_keys.filled(row))
        self._columns = schema.columns
        self._keys_are_free = schema.loose
        self._text_rules = text_rules(reading, schema.columns)

    def table(self, block: Block) -> Any:
        """Parse *block* as a table for ``Model.predict``; None if it must be read row by row."""
        if self._keys_are_free or self._text_rules:
            return None
        n_lines = len(block.lines)
        text = f",{_SEPARATOR},".join(block.lines)
        if text.count(_SEPARATOR) != n_lines - 1 or _ESCAPED_NUL in text:
            return None
        try:
            values = _BLOCK_DECODER.decode(f"[{text}]")
        except (ValueError, RecursionError):
            return None
        table, separators = values[::2], values[1::2]
        is_one_row_a_line = len(values) == 2 * n_lines - 1 and all(
            value is _SEPARATOR_VALUE for value in separators
        )
        if not (is_one_row_a_line and set(map(type, table)) in ({dict}, {list})):
            return None
        if type(table[0]) is dict and min(map(len, table)) < len(self._columns):
            return [self._absent_keys.filled(row) for row in table]
        return table

    def _rows(self, lines: Lines) -> Iterator[Row | RefusedRow]:
        for number, text in lines:
            if text is None:
                yield RefusedRow(number, LINE_TOO_LONG)
            elif text.strip():
                row = _parse_row(number, text, self._ordered_cells, self._columns)
                if isinstance(row, Row):
                    for i, parse in self._text_rules:
                        if type(row.cells[i]) is str:
                            row.cells[i] = parse(row.cells[i])
                yield row


class _Resumed:
    """A stream of which some pieces were read already."""

    def __init__(self, pieces: list[str], stream: TextIO) -> None:
        self._pieces = pieces
        self._stream = stream

    def readline(self, size: int) -> str:
        """Return the next piece of a line."""
        return self._pieces.pop(0) if self._pieces else self._stream.readline(size)


def json_lines(stream: TextIO) -> Lines:
    """Return the lines of *stream*, or the elements as lines if it is one array of rows."""
    pieces = []
    for piece in iter(partial(stream.readline, PIECE_CHARACTERS), ""):
        pieces.append(piece)
        if "".join(pieces).strip() not in ("", "["):
            break
    if begins_array("".join(pieces)):
        return Lines(array_rows(chain(pieces, iter(partial(stream.read, PIECE_CHARACTERS), ""))))
    return Lines(_Resumed(pieces, stream))  # type: ignore[arg-type]


def text_rules(
    reading: Reading, columns: Sequence[Column]
) -> tuple[tuple[int, Callable[[str], Any]], ...]:
    """Return the positions of the columns whose texts become numbers, and their parsers."""
    return tuple(
        (i, cell_parser(column, reading))
        for i, column in enumerate(columns)
        if column.is_number and column.type != "datetime" and column.name in reading.columns
    )


def _parse_row(
    number: int,
    text: str,
    ordered_cells: Callable[[Any], Any],
    columns: Sequence[Column],
) -> Row | RefusedRow:
    value: Any = None
    try:
        value = json.loads(text, object_pairs_hook=object_without_duplicates)
        if not isinstance(value, dict | list | str):
            raise ValueError(f"expected an object or an array, found {text.strip()[:40]}")
        if _ESCAPED_NUL in text and holds_nul(value):
            raise ValueError("a text holds a NUL character")
        cells = list(ordered_cells(value))
        check_not_nested(cells, columns)
        return Row(number, cells)
    except InputError as error:
        hint = _hint(number, text, value, columns)
        return RefusedRow(number, f"{error}{hint}", error.column)
    except RecursionError:
        return RefusedRow(number, "not a row: nested too deep")
    except json.JSONDecodeError as error:  # its own line number is always 1
        reason = f"{error.msg}, at character {error.pos + 1}"
    except ValueError as error:
        # Python's own message about too many digits speaks of its settings.
        reason = "a number of thousands of digits" if "digits" in str(error) else str(error)
    return RefusedRow(number, f"not a JSON row: {reason}{_hint(number, text, value, columns)}")


def check_not_nested(cells: Sequence[Any], columns: Sequence[Column]) -> None:
    """Refuse an object or an array as the value of a column of numbers or texts."""
    for cell, column in zip(cells, columns, strict=False):
        if isinstance(cell, dict | list) and column.type not in ("dict", "list", "tensor"):
            kind = "text" if column.is_string else "a number"
            raise InputError(
                f"expected {kind}, found a {type(cell).__name__} of {len(cell)}; write one row a "
                "line and one value a column, as pandas does with to_json(orient='records', "
                "lines=True)",
                column=column.name,
            )


def holds_nul(value: Any) -> bool:
    """Return whether any text within *value* has a NUL character."""
    if isinstance(value, dict):
        return any(holds_nul(part) for item in value.items() for part in item)
    if isinstance(value, list):
        return any(map(holds_nul, value))
    return isinstance(value, str) and "\0" in value


def _hint(number: int, text: str, value: Any, columns: Sequence[Column]) -> str:
    """Return the words to add about a line whose *value*, if it was parsed, is no row."""
    from edge_runtime.cli.hints import file_type_hint, json_line_hint, nested_row_hint

    hint = file_type_hint(text) if number == 1 else None
    if hint is not None:
        return f"; {hint}"
    if isinstance(value, dict):
        return nested_row_hint(value, [column.name for column in columns])
    return json_line_hint(text, is_first=number == 1)


def object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object with *pairs*; a ValueError when a key appears twice."""
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a key appears twice")
    return row


_ESCAPED_NUL = "\\u0000"
_SEPARATOR_VALUE = object()
_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), _SEPARATOR: _SEPARATOR_VALUE}
_BLOCK_DECODER = json.JSONDecoder(
    object_pairs_hook=object_without_duplicates, parse_constant=_CONSTANTS.__getitem__
)
