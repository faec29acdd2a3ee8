"""``edge-runtime predict``: a stream of rows in, a stream of answers out, in chunks."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from numpy.typing import NDArray

from edge_runtime.border import Border, ExtraColumns, row_writer
from edge_runtime.border.rows import Slots
from edge_runtime.cli.notes import note
from edge_runtime.cli.reading import BadRow, Block, Chunk, CsvReader, Done, JsonReader, Row
from edge_runtime.cli.trusting import trusted_keys
from edge_runtime.cli.writing import Answers, CsvWriter, JsonWriter, open_target
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.model import Model, load

__all__ = ["Job", "predict"]

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
    clash = _clash(job)
    if clash is not None:
        note(f"edge-runtime: {clash}; name another file")
        return 2
    tally = _Tally()
    trusted = trusted_keys(job.trust_store)
    with load(job.bundle, trusted_keys=trusted) as model, ExitStack() as files:
        border = Border(model.schema, extra_columns=job.extra_columns)
        source = files.enter_context(_open_source(job))
        complain = _complainer(job, files)
        target = files.enter_context(open_target(job.target))
        reader = (JsonReader if job.format == "jsonl" else CsvReader)(
            source, border, job.chunk_rows
        )
        answer = _Answerer(model, border, _methods(model, job), reader)
        as_json = job.as_json or job.format == "jsonl"
        writer = (JsonWriter if as_json else CsvWriter)(model.manifest)

        def work(chunk: Chunk) -> Done:
            lines, answers, bad = answer(chunk)
            return Done(writer.text(lines, answers), len(lines), bad)

        target.write(writer.header(answer([])[1]))
        for done in files.enter_context(_every_one(work, reader, job.jobs)):
            for row in done.bad:
                complain(row)
            target.write(done.text)
            target.flush()
            tally.count(done.n_answered, len(done.bad))
    return tally.close()


@contextmanager
def _every_one(
    work: Callable[[Chunk], Done], chunks: Iterable[Chunk], jobs: int
) -> Iterator[Iterable[Done]]:
    if jobs == 1:
        yield map(work, chunks)
        return
    # Here, because it costs 20 ms: multiprocessing brings sockets, subprocess and tempfile along.
    from edge_runtime.cli.jobs import in_processes

    with closing(in_processes(work, chunks, jobs)) as done:
        yield done


def _clash(job: Job) -> str | None:
    """Which two names are one file, unless both may be: -o replaces INPUT once all is read."""
    source = _identity(sys.stdin if job.source == "-" else job.source)
    target = _identity(sys.stdout if job.target is None else job.target)
    errors, bundle = _identity(job.errors), _identity(job.bundle)
    pairs = {
        "--errors and INPUT": (errors, source),
        "--errors and the output": (errors, target),
        "--errors and the bundle": (errors, bundle),
        "-o and the bundle": (target, bundle),
    }
    for names, (one, other) in pairs.items():
        if one is not None and one == other:
            return f"{names} are the same file"
    return None


def _identity(file: str | TextIO | None) -> object:
    """What is equal for two names of one file; None for a device or pipe, which may be shared."""
    if file is None:
        return None
    try:
        status = os.stat(file if isinstance(file, str) else file.fileno())
    except (OSError, ValueError):  # no such file yet, or a stream in memory
        return os.path.realpath(file) if isinstance(file, str) else None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


class _Answerer:
    """Sorts a chunk into rows with their answers, and rows that are refused."""

    def __init__(
        self,
        model: Model,
        border: Border,
        methods: tuple[str, ...],
        reader: CsvReader | JsonReader,
    ) -> None:
        self._reader = reader
        self._methods = {method: getattr(model, method) for method in methods}
        check, self._names = row_writer(border), border.schema.names
        one_cell = border.schema.kind in ("dicts", "lists")
        self._check = (lambda cells, slots: check(cells[0], slots)) if one_cell else check
        self._slots = Slots(model.schema)

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
            note(f"\r{self.answered + self.refused:,} rows", end="")
            self.told_at, self.told = now, True

    def close(self) -> int:
        """Print the sum when it matters; the exit code."""
        if self.told:
            note()
        if not self.refused:
            return 0
        note(f"edge-runtime: {self.answered} rows answered, {self.refused} refused")
        return 1


def _methods(model: Model, job: Job) -> tuple[str, ...]:
    if job.proba:
        return ("predict", "predict_proba")
    if job.method is not None:
        return (job.method,)
    return ("predict",) if "predict" in model.methods else model.methods[:1]


@contextmanager
def _open_source(job: Job) -> Iterator[TextIO]:
    """The rows as text; a byte that is none becomes a lone surrogate, which the border refuses."""
    decoding: dict[str, Any] = {
        "encoding": job.encoding,
        "errors": "surrogateescape",
        "newline": "",  # csv tells line ends inside quotes from those between rows
    }
    if job.source != "-":
        with open(job.source, **decoding) as stream:
            yield stream
        return
    if sys.stdin is None:
        raise InputError("standard input is closed; name a file")
    stream = io.TextIOWrapper(sys.stdin.buffer, **decoding)
    try:
        yield stream
    finally:
        stream.detach()  # or it would close the process's own standard input


def _complainer(job: Job, files: ExitStack) -> Callable[[BadRow], None]:
    if job.errors is None:
        return lambda bad: note(f"line {bad.line}: {bad.message}")
    stream = files.enter_context(open(job.errors, "w", encoding="utf-8"))  # noqa: SIM115 (it is one)

    def complain(bad: BadRow) -> None:
        row = {"line": bad.line, "column": bad.column, "message": bad.message}
        stream.write(json.dumps(row) + "\n")

    return complain
