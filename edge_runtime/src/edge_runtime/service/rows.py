"""Read the rows of a request, and predict each of them or say why not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from edge_runtime.bundle.json_reader import read_json
from edge_runtime.bundle.reading import PLAIN
from edge_runtime.bundle.schema import Schema
from edge_runtime.cli.chunk_predictor import ChunkPredictor
from edge_runtime.cli.csv_reader import CsvReader
from edge_runtime.cli.json_lines_reader import check_not_nested, holds_nul
from edge_runtime.cli.prediction_writers import FLAGS, JsonWriter, flags_to_array
from edge_runtime.cli.row_chunks import Chunk, RefusedRow, Row
from edge_runtime.cli.row_chunks import RowReader as BlockReader
from edge_runtime.errors import InputError, IntegrityError
from edge_runtime.inputs.single_row import RowReader
from edge_runtime.inputs.tables import InputReader
from edge_runtime.model import Model
from edge_runtime.service.http_messages import HttpError

__all__ = ["results_of_csv", "results_of_json"]

CHUNK_ROWS = 1000


def results_of_json(
    model: Model, body: bytes, max_rows: int, *, flags: bool
) -> list[dict[str, Any]]:
    """Return one result for each row of a JSON body; ``row`` counts from 0.

    Raises
    ------
    HttpError
        The body is no JSON, holds no rows, or holds more than *max_rows*.
    """
    values = _rows_of(_parsed(body), model.schema, max_rows)
    read_row = RowReader(InputReader(model.schema)).cells
    rows: list[Row | RefusedRow] = []
    for number, value in enumerate(values):
        try:
            if not isinstance(value, dict | list | str):
                raise InputError(f"expected an object or a list, found {str(value)[:40]}")
            if holds_nul(value):
                raise InputError("a text holds a NUL character")
            cells = list(read_row(value))
            check_not_nested(cells, model.schema.columns)
            rows.append(Row(number, cells))
        except InputError as error:
            message = str(error).removeprefix("row 0, ")
            rows.append(RefusedRow(number, message, error.column))
    return _results(model, [rows], None, "row", flags=flags)


def results_of_csv(
    model: Model, body: bytes, max_rows: int, *, flags: bool
) -> list[dict[str, Any]]:
    """Return one result for each row of a CSV body; ``line`` is the row's first line, from 1.

    Raises
    ------
    HttpError
        The body is no UTF-8, its header does not fit, or it holds more than *max_rows*.
    """
    reading = model.manifest.reading or PLAIN
    try:
        stream = io.StringIO(body.decode("utf-8-sig"), newline="")
        reader = CsvReader(stream, InputReader(model.schema), CHUNK_ROWS, reading=reading)
    except UnicodeDecodeError as error:
        raise HttpError(400, "the body is not UTF-8; encode it so") from error
    except InputError as error:
        raise HttpError(400, str(error)) from error
    return _results(model, _at_most(max_rows, reader), reader, "line", flags=flags)


def _parsed(body: bytes) -> Any:
    try:
        value = read_json(body, name="the body", any_escape=True)
        if b"\\u" in body:  # half of a surrogate pair is no text
            json.dumps(value, ensure_ascii=False).encode()
    except IntegrityError as error:
        raise HttpError(400, str(error).replace("canonical JSON", "JSON")) from error
    except UnicodeEncodeError as error:
        raise HttpError(400, "the body holds half of a surrogate pair, which is no text") from error
    return value


def _rows_of(value: Any, schema: Schema, max_rows: int) -> list[Any]:
    """Return the rows of a row, a list of rows or a dict of columns."""
    has_lists = any(column.type == "list" for column in schema.columns)
    if isinstance(value, dict) and not schema.loose and not has_lists and value:
        lengths = {len(cells) if isinstance(cells, list) else -1 for cells in value.values()}
        if -1 not in lengths:
            if len(lengths) > 1:
                raise HttpError(400, f"expected columns of one length, found {sorted(lengths)}")
            _check_count(lengths.pop(), max_rows)
            cells_of_rows = zip(*value.values(), strict=True)
            return [dict(zip(value, cells, strict=True)) for cells in cells_of_rows]
    if isinstance(value, dict) or (isinstance(value, str) and schema.kind == "text"):
        return [value]
    if not isinstance(value, list):
        raise HttpError(400, "expected a row, a list of rows or an object of columns")
    _check_count(len(value), max_rows)
    return value


def _check_count(n_rows: int, max_rows: int) -> None:
    if n_rows > max_rows:
        raise HttpError(413, f"expected at most {max_rows:,} rows; send them in several requests")


def _at_most(max_rows: int, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    n_rows, collected = 0, []
    for chunk in chunks:
        n_rows += len(chunk) if isinstance(chunk, list) else len(chunk.lines)
        _check_count(n_rows, max_rows)
        collected.append(chunk)
    # Nothing is predicted before all rows are counted.
    yield from collected


def _results(
    model: Model, chunks: Iterable[Chunk], reader: BlockReader | None, key: str, *, flags: bool
) -> list[dict[str, Any]]:
    available: tuple[str, ...] = model.methods
    names: list[str] = [name for name in ("predict", "predict_proba") if name in available]
    if not names:
        names = [str(name) for name in ("transform", "score_samples") if name in available][:1]
    if not names:
        raise HttpError(422, f"the model has no predict, only {', '.join(model.methods)}")
    methods: dict[str, Any] = {name: getattr(model, name) for name in names}
    if flags:
        methods[FLAGS] = lambda table: flags_to_array(model.check_rows(table))
    # Only blocks need the reader, and JSON bodies have none.
    predict: Any = ChunkPredictor(InputReader(model.schema), methods, reader)  # type: ignore[arg-type]
    writer = JsonWriter(model.manifest)
    results = []
    for chunk in chunks:
        lines, predictions, refused = predict(chunk)
        values = writer.values(len(lines), predictions) if lines else []
        results += [{key: line, **row} for line, row in zip(lines, values, strict=True)]
        results += [{key: r.line, "error": r.message, "column": r.column} for r in refused]
    return sorted(results, key=lambda result: result[key])
