"""``edge-runtime predict``: a stream of rows in, a stream of answers out, in chunks."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from numpy.typing import NDArray

from edge_runtime.bundle.schema import Schema
from edge_runtime.cli.files import (
    clash,
    open_errors,
    open_source,
    open_target,
    put,
    replaces_input,
)
from edge_runtime.cli.notes import counted, note
from edge_runtime.cli.row_readers import BadRow, Block, Chunk, CsvReader, Done, JsonReader, Row
from edge_runtime.cli.row_writers import Answers, CsvWriter, JsonWriter
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.inputs.rows import RowBuffers, row_writer
from edge_runtime.inputs.tables import ExtraColumns, InputReader
from edge_runtime.loading import load
from edge_runtime.model import Model

__all__ = ["Job", "predict"]

Methods: TypeAlias = dict[str, Callable[[Any], Any]]
"""What is asked of the model, by name."""

PROGRESS_SECONDS = 0.5
"""How often a terminal is told how far it is."""


@dataclass(frozen=True, slots=True)
class Job:
    """What ``edge-runtime predict`` was asked to do; the options of the same names."""

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
    encoding: str
    jobs: int = 1


def predict(job: Job) -> int:
    """Answer every row of the stream; 0 when all were answered, 1 when some were refused.

    2 when one file was named for two things, of which one would destroy the other.
    """
    fault = clash(source=job.source, target=job.target, errors=job.errors, bundle=job.bundle)
    if fault is not None:
        note(f"edge-runtime: {fault}; name another file")
        return 2
    trusted = trusted_keys(job.trust_store)
    with _files_removed_on_signals(), load(job.bundle, trusted_keys=trusted) as model:
        methods = {method: getattr(model, method) for method in _methods(model, job)}
        return _answer_stream(job, model, methods)


def _answer_stream(job: Job, model: Model, methods: Methods) -> int:
    tally = _Tally()
    border = InputReader(model.schema, extra_columns=job.extra_columns)
    in_place = replaces_input(job.source, job.target)
    with ExitStack() as files:
        source = files.enter_context(open_source(job.source, job.encoding))
        target = files.enter_context(open_target(job.target))
        complain = _complainer(job, files)  # closed first: the output must not outlive its refusals
        reader = (JsonReader if job.format == "jsonl" else CsvReader)(
            source, border, job.chunk_rows
        )
        answer = _Answerer(model.schema, border, methods, reader)
        as_json = job.as_json or job.format == "jsonl"
        writer = (JsonWriter if as_json else CsvWriter)(model.manifest)

        def work(chunk: Chunk) -> Done:
            lines, answers, bad = answer(chunk)
            return Done(writer.text(lines, answers), len(lines), bad)

        put(writer.header(answer([])[1]), target, job.target)
        for done in files.enter_context(_every_one(work, reader, job.jobs)):
            for row in done.bad:
                complain(row)
            put(done.text, target, job.target, flush=True)
            tally.count(done.n_answered, len(done.bad))
        code = tally.close()
        if tally.refused and in_place:
            raise InputError(
                f"{job.target} is left as it was: it is INPUT, and its refused rows would be lost; "
                "name another file with -o"
            )
    return code


@contextmanager
def _files_removed_on_signals() -> Iterator[None]:
    """End by SIGTERM and SIGHUP as always, but not before what is half written is removed."""
    ours = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, _raise_ended)
    ended: _EndedError | None = None
    try:
        yield
    except _EndedError as error:
        ended = error
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
    if ended is not None:
        signal.raise_signal(ended.number)


class _EndedError(BaseException):
    """SIGTERM or SIGHUP has come."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _raise_ended(number: int, _frame: object) -> None:
    raise _EndedError(number)


_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def _every_one(
    work: Callable[[Chunk], Done], chunks: Iterable[Chunk], jobs: int
) -> Iterator[Iterable[Done]]:
    if jobs == 1:
        yield map(work, chunks)
        return
    # Here, because it costs 20 ms: multiprocessing brings sockets, subprocess and tempfile along.
    from edge_runtime.cli.worker_processes import in_processes

    with closing(in_processes(work, chunks, jobs)) as done:
        yield done


class _Answerer:
    """Sorts a chunk into rows with their answers, and rows that are refused."""

    def __init__(
        self,
        schema: Schema,
        border: InputReader,
        methods: Methods,
        reader: CsvReader | JsonReader,
    ) -> None:
        self._reader = reader
        self._methods = methods
        check, self._names = row_writer(border), border.schema.names
        one_cell = border.schema.kind in ("dicts", "lists")
        self._check = (lambda cells, slots: check(cells[0], slots)) if one_cell else check
        self._slots = RowBuffers(schema)

    def __call__(self, chunk: Chunk) -> tuple[Sequence[int], Answers, list[BadRow]]:
        """The lines of the rows that are answered, their answers, and the rows that are not."""
        if isinstance(chunk, Block):
            table = self._reader.table(chunk)
            if table is not None:
                try:
                    answers = self._ask(table)
                except (InputError, InferenceError):
                    pass  # one row at fault must not cost the others
                else:
                    end = chunk.first_line + len(chunk.lines)
                    return range(chunk.first_line, end), answers, []
            chunk = self._reader.rows(chunk)
        good = [row for row in chunk if isinstance(row, Row)]
        bad = [row for row in chunk if isinstance(row, BadRow)]
        try:
            answers = self._ask(self._table(good))
        except (InputError, InferenceError):
            good = [row for row in good if self._is_good(row, bad)]
            answers = self._ask(self._table(good))
            bad.sort(key=lambda row: row.line)
        return [row.line for row in good], answers, bad

    def _table(self, rows: list[Row]) -> dict[str, list[Any]]:
        # By column: a row of one list could be taken for a list of one row.
        return {name: [row.cells[i] for row in rows] for i, name in enumerate(self._names)}

    def _ask(self, table: Any) -> dict[str, list[NDArray[Any]]]:
        answers = {method: ask(table) for method, ask in self._methods.items()}
        return {m: a if isinstance(a, list) else [a] for m, a in answers.items()}

    def _is_good(self, row: Row, bad: list[BadRow]) -> bool:
        try:
            self._check(row.cells, self._slots)
            self._ask(self._table([row]))
        except InputError as error:
            bad.append(BadRow(row.line, str(error).removeprefix("row 0, "), error.column))
            return False
        except InferenceError as error:
            bad.append(BadRow(row.line, str(error)))
            return False
        return True


@dataclass(slots=True)
class _Tally:
    """Counts rows; tells a terminal how far it is."""

    answered: int = 0
    refused: int = 0
    told_at: float = field(default_factory=time.monotonic)
    told: bool = False

    def count(self, good: int, bad: int) -> None:
        self.answered += good
        self.refused += bad
        now = time.monotonic()
        if (
            now - self.told_at >= PROGRESS_SECONDS
            and sys.stderr is not None
            and sys.stderr.isatty()
        ):
            note(f"\r{counted(self.answered + self.refused, 'row')}", end="")
            self.told_at, self.told = now, True

    def close(self) -> int:
        """Print the sum when it matters; the exit code."""
        if self.told:
            note()
        if not self.refused:
            return 0
        note(f"edge-runtime: {counted(self.answered, 'row')} answered, {self.refused:,} refused")
        return 1


def _methods(model: Model, job: Job) -> tuple[str, ...]:
    if job.proba:
        return ("predict", "predict_proba")
    if job.method is not None:
        return (job.method,)
    return ("predict",) if "predict" in model.methods else model.methods[:1]


def _complainer(job: Job, files: ExitStack) -> Callable[[BadRow], None]:
    stream = None if job.errors is None else files.enter_context(open_errors(job.errors))

    def complain(bad: BadRow) -> None:
        from edge_runtime.cli.hints import in_words_of_the_command  # which few streams need

        message = in_words_of_the_command(bad.message, job.format)
        if stream is None:
            note(f"line {bad.line}: {message}")
            return
        row = {"line": bad.line, "column": bad.column, "message": message}
        put(f"{json.dumps(row)}\n", stream, job.errors)

    return complain
