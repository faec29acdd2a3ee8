"""Run ``edge-runtime predict``: read a stream of rows in chunks, and write the predictions."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_runtime.cli.chunk_predictor import ChunkPredictor
from edge_runtime.cli.console import json_text, note, number_of, progress
from edge_runtime.cli.files import (
    conflict_of_names,
    open_errors,
    open_target,
    replaces_input,
    write_text,
)
from edge_runtime.cli.prediction_writers import FLAGS, CsvWriter, JsonWriter, flags_to_array
from edge_runtime.cli.reading_options import ReadingOptions, open_rows
from edge_runtime.cli.row_chunks import Chunk, ChunkResult, RefusedRow
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.engine.selection import Engine
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.inputs.tables import ExtraColumns, InputReader
from edge_runtime.loading import load
from edge_runtime.model import Model

__all__ = ["PredictOptions", "predict"]

PROGRESS_SECONDS = 0.5
"""Time between two lines of progress on a terminal."""


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """The arguments of ``edge-runtime predict``."""

    bundle: str
    trust_store: str | None
    source: str
    target: str | None
    errors: str | None
    method: str | None
    proba: bool
    format: str
    as_json: bool
    extra_columns: ExtraColumns
    chunk_rows: int
    reading: ReadingOptions
    jobs: int = 1
    flags: bool = False
    digits: int | None = None
    engine: Engine = "auto"


def predict(options: PredictOptions) -> int:
    """Predict every row of the stream.

    Returns
    -------
    int
        The exit code: 0 all rows have a prediction, 1 some were refused, 2 two names mean the same
        file, so that writing one would destroy the other.
    """
    conflict = conflict_of_names(
        source=options.source, target=options.target, errors=options.errors, bundle=options.bundle
    )
    if conflict is not None:
        note(f"edge-runtime: {conflict}; name another file")
        return 2
    keys = trusted_keys(options.trust_store)
    model = load(options.bundle, trusted_keys=keys, engine=options.engine)
    with _removing_files_on_signals(), model:
        return _predict_stream(options, model)


def _predict_stream(options: PredictOptions, model: Model) -> int:
    methods = _methods(model, options)
    input_reader = InputReader(model.schema, extra_columns=options.extra_columns)
    with ExitStack() as files:
        target = files.enter_context(open_target(options.target))
        # Opened last and so closed first: if a refusal cannot be written, no output appears.
        refusals = _RefusalReporter(options, files)
        reader = files.enter_context(_open_rows(options, model, input_reader))
        predict_chunk = ChunkPredictor(input_reader, methods, reader)
        is_json = options.as_json or options.format == "jsonl"
        writer = (JsonWriter if is_json else CsvWriter)(model.manifest)

        def work(chunk: Chunk) -> ChunkResult:
            lines, predictions, refused = predict_chunk(chunk)
            late_header = writer.header(predictions) if header is None and lines else ""
            text = writer.text(lines, predictions)
            return ChunkResult(text, len(lines), refused, late_header)

        header: str | None = None
        with suppress(InferenceError):  # of a graph that takes no zero rows
            header = writer.header(predict_chunk.no_predictions())
        write_text(header or "", target, options.target)
        needs_header = header is None
        tally = _Tally()
        for result in files.enter_context(_results(work, reader, options.jobs)):
            refusals.report(result.refused)
            late_header = result.header if needs_header else ""
            needs_header = needs_header and not late_header
            write_text(late_header + result.text, target, options.target, flush=True)
            tally.add(result.n_predicted, len(result.refused))
        code = tally.close()
        for message in reader.notes(refusals.last_line):
            note(f"edge-runtime: {message}")
        if tally.n_refused and replaces_input(options.source, options.target):
            raise InputError(
                f"{options.target} is left as it was: it is INPUT, and its refused rows would be "
                "lost; name another file with -o"
            )
    return code


def _open_rows(
    options: PredictOptions, model: Model, input_reader: InputReader
) -> AbstractContextManager[Any]:
    return open_rows(
        options.source,
        options.format,
        options.reading.applied_to(model.manifest.reading, model.schema.names),
        input_reader,
        options.chunk_rows,
        is_parallel=options.jobs > 1,
    )


@contextmanager
def _removing_files_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the process as usual, but after temporary files are removed."""
    numbers = [number for number in _END_SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    for number in numbers:
        signal.signal(number, _raise_signal_error)
    received: _SignalError | None = None
    try:
        yield
    except _SignalError as error:
        received = error
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
    if received is not None:
        signal.raise_signal(received.number)


class _SignalError(BaseException):
    """SIGTERM or SIGHUP has come."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _raise_signal_error(number: int, _frame: object) -> None:
    raise _SignalError(number)


_END_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def _results(
    work: Callable[[Chunk], ChunkResult], chunks: Iterable[Chunk], jobs: int
) -> Iterator[Iterable[ChunkResult]]:
    if jobs == 1:
        yield map(work, chunks)
        return
    # Imported here: multiprocessing brings sockets, subprocess and tempfile along, 20 ms.
    from edge_runtime.cli.worker_processes import map_in_processes

    with closing(map_in_processes(work, chunks, jobs)) as results:
        yield results


@dataclass(slots=True)
class _Tally:
    """Counts rows, and shows the count on a terminal."""

    n_predicted: int = 0
    n_refused: int = 0
    _last_progress: float = field(default_factory=time.monotonic)
    _has_progress: bool = False

    def add(self, n_predicted: int, n_refused: int) -> None:
        self.n_predicted += n_predicted
        self.n_refused += n_refused
        now = time.monotonic()
        is_due = now - self._last_progress >= PROGRESS_SECONDS
        if is_due and sys.stderr is not None and sys.stderr.isatty():
            progress(number_of(self.n_predicted + self.n_refused, "row"))
            self._last_progress, self._has_progress = now, True

    def close(self) -> int:
        """Print the counts if rows were refused; return the exit code."""
        if self._has_progress:
            progress(None)
        if not self.n_refused:
            return 0
        note(
            f"edge-runtime: {number_of(self.n_predicted, 'row')} predicted, "
            f"{self.n_refused:,} refused"
        )
        return 1


def _methods(model: Model, options: PredictOptions) -> dict[str, Callable[[Any], Any]]:
    """Return the calls that give the output's columns, by name."""
    methods = {name: getattr(model, name) for name in _method_names(model, options)}
    if options.digits is not None:
        methods = {name: _rounded(call, options.digits) for name, call in methods.items()}
    if options.flags:
        methods[FLAGS] = lambda table: flags_to_array(model.check_rows(table))
    return methods


def _rounded(method: Callable[[Any], Any], digits: int) -> Callable[[Any], Any]:
    """Make a call that rounds the floats which *method* gives; labels stay as they are."""

    def round_array(array: Any) -> Any:
        return np.round(array, digits) if array.dtype.kind == "f" else array

    def call(table: Any) -> Any:
        arrays = method(table)
        is_one = not isinstance(arrays, list | tuple)
        return round_array(arrays) if is_one else list(map(round_array, arrays))

    return call


def _method_names(model: Model, options: PredictOptions) -> tuple[str, ...]:
    if options.proba:
        return ("predict", "predict_proba")
    if options.method is not None:
        return (options.method,)
    return ("predict",) if "predict" in model.methods else model.methods[:1]


class _RefusalReporter:
    """Writes refused rows to the file of ``--errors``, or to standard error."""

    def __init__(self, options: PredictOptions, files: ExitStack) -> None:
        self._format = options.format
        self._path = options.errors
        self._stream = None
        self.last_line = 0
        if options.errors is not None:
            self._stream = files.enter_context(open_errors(options.errors))

    def report(self, rows: list[RefusedRow]) -> None:
        """Report *rows*; they are flushed before the predictions of their chunk."""
        if not rows:
            return
        from edge_runtime.cli.hints import in_words_of_the_command  # which few streams need

        self.last_line = max(row.line for row in rows)
        text = []
        for row in rows:
            message = in_words_of_the_command(row.message, self._format)
            if self._stream is None:
                note(f"line {row.line}: {message}")
            else:
                record = {"line": row.line, "column": row.column, "message": message}
                text.append(f"{json_text(record)}\n")
        if self._stream is not None:
            write_text("".join(text), self._stream, self._path, flush=True)
