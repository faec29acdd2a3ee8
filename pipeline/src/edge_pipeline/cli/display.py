"""What people read: progress on stderr, results on stdout.  No other module prints."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from edge_pipeline.progress import ProgressListener

if TYPE_CHECKING:
    from edge_runtime.bundle.manifest import Manifest, OutputEvidence
    from rich.progress import Progress as Bar
    from rich.status import Status

    from edge_pipeline.data.dataset import Dataset
    from edge_pipeline.export_estimator import ExportResult
    from edge_pipeline.training.fit import FittedModel, LinearTerms
    from edge_pipeline.training.search_results import Candidate, SearchResult
    from edge_pipeline.verification.verify import RefusedRows

__all__ = [
    "Progress",
    "evidence_lines",
    "file_lines",
    "level_line",
    "linear_lines",
    "metric_lines",
    "refused_lines",
    "search_lines",
    "show_json",
    "show_lines",
    "show_notes",
    "show_table",
]

BAR_CELLS = 40
"""Length of the bar that stands for the first epoch's loss."""

WIDE = 250
"""Columns of a table that goes to a file or a pipe."""

MAX_COEFFICIENTS = 12
"""Coefficients printed, the largest first; ``--json`` has them all."""

_DOING = {
    "read": "reading the rows",
    "train": "training",
    "convert": "converting to ONNX",
    "verify": "comparing with scikit-learn",
    "measure": "measuring against the limits",
    "seal": "sealing",
    "report": "writing the report",
}


class Progress(ProgressListener):
    """Tells the stages on stderr: a spinner on a terminal, plain lines elsewhere.

    Used as a context manager, so that a failure leaves no spinner behind.
    """

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, quiet=quiet, highlight=False, markup=False)
        self._status: Status | None = None
        self._bar: Bar | None = None
        self._best = float("-inf")
        self._doing = ""
        self._since = 0.0
        self._first_loss = 0.0
        self.dataset: Dataset | None = None
        self.fitted_model: FittedModel | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._end(failed=kind is not None)

    def stage(self, name: str) -> None:
        """Open a new line or spinner."""
        self._end()
        self._doing = _DOING.get(name, name)
        self._since = time.perf_counter()
        if self._console.is_terminal:
            self._status = self._console.status(self._doing)
            self._status.start()

    def loaded(self, dataset: Dataset) -> None:
        """Keep the rows' description for the result."""
        self.dataset = dataset
        if dataset.dropped_rows:
            self._line(f"  left out {dataset.dropped_rows} rows without a target")

    def epoch(self, number: int, loss: float) -> None:
        """Print the loss and a bar as long."""
        self._first_loss = self._first_loss or loss
        cells = round(BAR_CELLS * min(1.0, loss / self._first_loss)) if self._first_loss else 0
        self._line(f"  epoch {number:4d}   loss {loss:.6f}   {'█' * max(cells, 1)}")

    def candidate(self, done: int, total: int | None, score: float, best: float) -> None:
        """Move the bar on, and print every new best score."""
        self._move(f"searching, best {best:.4f}", done, total)
        if best > self._best:
            self._best = best
            of = "" if total is None else f" of {total}"
            self._line(f"  candidate {done}{of}   best score {best:.4f}")

    def weighed(self, done: int, total: int) -> None:
        """Move the bar on."""
        self._move("exporting and measuring", done, total)

    def part(self, done: int, total: int) -> None:
        """Move the bar on."""
        self._move("learning row by row", done, total)

    def fitted(self, model: FittedModel) -> None:
        """Keep the model for the result, and pass on its warnings."""
        self.fitted_model = model
        for text in model.warnings:
            self._line(f"  note: {text}")

    def _move(self, text: str, done: int, total: int | None) -> None:
        """A bar on a terminal, in place of the spinner; nothing elsewhere."""
        if not self._console.is_terminal:
            return
        if self._bar is None:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._stop()
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Bar(*columns, TimeElapsedColumn(), console=self._console, transient=True)
            self._bar.add_task(text)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=text, completed=done, total=total)

    def _stop(self) -> None:
        """End what moves: a terminal has one of them at a time."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _end(self, *, failed: bool = False) -> None:
        self._stop()
        if self._doing and not failed:
            self._line(f"{self._doing:<30}{time.perf_counter() - self._since:7.2f} s")
        self._doing = ""

    def _line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def show_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def show_lines(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns on stdout."""
    pairs = list(rows)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        line = f"{_printable(name):<{width}}   {_printable(value)}".rstrip()
        click.echo(click.style(line[:width], bold=True) + line[width:])


def _printable(text: str) -> str:
    """*text* without what it may hold to steer a terminal: a file's names are anybody's."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under a header on stdout; numbers stand right.  On no terminal nothing is cut off."""
    from rich.console import Console
    from rich.table import Table

    held = [[_printable(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(header):
        cells = [row[place] for row in held if row[place]]
        right = bool(cells) and all(
            cell.replace(",", "").replace(".", "").isdigit() for cell in cells
        )
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in held:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, markup=False, emoji=False, width=width).print(table)


def metric_lines(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """A line a metric."""
    return [(name, f"{value:.4f}") for name, value in metrics.items()]


def search_lines(search: SearchResult) -> list[tuple[str, str]]:
    """What was tried, what was taken, and what else is worth a look."""
    tried = f"{len(search.candidates)} candidates, {search.folds} fits each"
    lines = [("searched", f"{tried}{', ' + search.stopped if search.stopped else ''}")]
    lines.append(("chosen", _candidate_text(search, search.chosen)))
    if search.baseline is not None:
        lines.append(("baseline", f"{search.scoring} {search.baseline:.4f} without any column"))
    lines += [
        ("on the front", _candidate_text(search, one))
        for one in search.front
        if one is not search.chosen
    ]
    lines += [
        ("not exported", f"{one.family} {dict(one.parameters)}: {one.fault}")
        for one in search.candidates
        if one.fault and one.score == one.score
    ]
    return lines


def _candidate_text(search: SearchResult, one: Candidate) -> str:
    told = ", ".join(f"{name}={value}" for name, value in one.parameters.items())
    text = f"{one.family} ({told}): {search.scoring} {one.score:.4f} ± {one.spread:.4f}"
    if one.device is None:
        return text
    return f"{text}, {one.device.model_bytes:,} bytes, {one.device.latency_us_p50:.1f} us a row"


def evidence_lines(manifest: Manifest) -> list[tuple[str, str]]:
    """How each output is known to be scikit-learn's, and what the comparison found."""
    lines = []
    for name, found in manifest.parity.outputs.items():
        lines.append((f"evidence {name}", level_line(found)))
        left_out = f", {found.undetermined} undetermined" if found.undetermined else ""
        lines.append(
            (
                f"parity {name}",
                f"{found.rows} rows, {found.differing} differ{left_out}, "
                f"largest difference {found.worst:.1e} (allowed {manifest.parity.tolerance:.0e})",
            )
        )
    return lines


def level_line(found: OutputEvidence) -> str:
    """The level, and what it promises."""
    if found.bound is None:
        why = f"; not proven: {found.formula}" if found.formula else ""
        return f"{found.level}: equal on the rows compared{why}"
    if found.bound == 0:
        return f"{found.level}: bit for bit, for every input; {found.formula}"
    return f"{found.level}: at most {found.bound:.1e} apart; {found.formula}"


def show_notes(notes: Iterable[str]) -> None:
    """Notes about the evidence on stderr, also when progress is quiet."""
    for note in notes:
        click.echo(f"NOTE: {note}", err=True)


def file_lines(report: ExportResult) -> list[tuple[str, str]]:
    """Rows that were refused, who signed, and the file written."""
    signed = [("signed by key", report.key_id)] if report.key_id else []
    return [
        *refused_lines(report.refused),
        *signed,
        (str(report.path), f"{report.bundle_bytes:,} bytes"),
        *([("report", str(report.written.page))] if report.written else []),
    ]


def refused_lines(refused: RefusedRows) -> list[tuple[str, str]]:
    """Rows that scikit-learn refuses, if any."""
    if not refused.rows:
        return []
    told = f"by scikit-learn: {refused.rows} of the rows asked; the device answers "
    return [("refused", f"{told}{refused.answered} of them")]


def linear_lines(terms: LinearTerms) -> list[tuple[str, str]]:
    """Coefficients, the largest first, and the intercept."""
    by_size = sorted(terms.coefficients.items(), key=lambda item: -abs(item[1]))
    size = max((abs(value) for _, value in by_size), default=0.0)
    lines = [
        (f"coefficient {name}", _number(value, size)) for name, value in by_size[:MAX_COEFFICIENTS]
    ]
    if len(by_size) > MAX_COEFFICIENTS:
        lines.append(("", f"and {len(by_size) - MAX_COEFFICIENTS} smaller coefficients"))
    return [*lines, ("intercept", _number(terms.intercept, size))]


def _number(value: float, size: float) -> str:
    """Two decimals, more for what would vanish, and 0.00 for what is rounding error.

    *size* is that of the largest coefficient.
    """
    if abs(value) <= 1e-12 * max(size, 1.0):
        value = 0.0
    return f"{value:.3g}" if 0 < abs(value) < 0.1 else f"{value:z.2f}"
