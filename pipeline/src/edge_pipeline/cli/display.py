"""Print progress on stderr and results on stdout, for all commands."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
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
"""Length of the bar for the loss of the first epoch."""

COLUMN_GAP = 3
MIN_VALUE_CELLS = 20
"""Narrower values would be broken into single words."""

WIDE = 250
"""Width of a table that goes to a file or a pipe, in characters."""

MAX_COEFFICIENTS = 12
"""Coefficients printed, the largest first; ``--json`` has them all."""

_STAGE_TEXTS = {
    "read": "reading the rows",
    "train": "training",
    "convert": "converting to ONNX",
    "verify": "comparing with scikit-learn",
    "measure": "measuring against the limits",
    "seal": "sealing",
    "report": "writing the report",
}


class Progress(ProgressListener):
    """Show the stages on stderr: a spinner on a terminal, plain lines elsewhere.

    A context manager, so that a failure stops the spinner.
    """

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, quiet=quiet, highlight=False, markup=False)
        self._status: Status | None = None
        self._bar: Bar | None = None
        self._best = float("-inf")
        self._stage = ""
        self._stage_start = 0.0
        self._first_loss = 0.0
        self.dataset: Dataset | None = None
        self.fitted_model: FittedModel | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._end(failed=kind is not None)

    def stage(self, name: str) -> None:
        """Start a new line or spinner."""
        self._end()
        self._stage = _STAGE_TEXTS.get(name, name)
        self._stage_start = time.perf_counter()
        if self._console.is_terminal:
            self._status = self._console.status(self._stage)
            self._status.start()

    def loaded(self, dataset: Dataset) -> None:
        """Store the dataset for the result."""
        self.dataset = dataset
        if dataset.dropped_rows:
            self._line(f"  left out {dataset.dropped_rows} rows without a target")

    def epoch(self, number: int, loss: float) -> None:
        """Print the loss, with a bar of that length."""
        self._first_loss = self._first_loss or loss
        cells = round(BAR_CELLS * min(1.0, loss / self._first_loss)) if self._first_loss else 0
        self._line(f"  epoch {number:4d}   loss {loss:.6f}   {'█' * max(cells, 1)}")

    def candidate(self, count: int, total: int | None, score: float, best: float) -> None:
        """Advance the bar, and print every new best score."""
        self._show_bar(f"searching, best {best:.4f}", count, total)
        if best > self._best:
            self._best = best
            of = "" if total is None else f" of {total}"
            self._line(f"  candidate {count}{of}   best score {best:.4f}")

    def candidate_measured(self, count: int, total: int) -> None:
        """Advance the bar."""
        self._show_bar("exporting and measuring", count, total)

    def part(self, count: int, total: int) -> None:
        """Advance the bar."""
        self._show_bar("learning row by row", count, total)

    def fitted(self, model: FittedModel) -> None:
        """Store the model for the result, and print its warnings."""
        self.fitted_model = model
        for text in model.warnings:
            self._line(f"  note: {text}")

    def _show_bar(self, text: str, count: int, total: int | None) -> None:
        """Show a bar in place of the spinner, on a terminal only."""
        if not self._console.is_terminal:
            return
        if self._bar is None:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._stop()
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            left = TimeRemainingColumn(elapsed_when_finished=True), TextColumn("left")
            self._bar = Bar(*columns, *left, console=self._console, transient=True)
            self._bar.add_task(text)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=text, completed=count, total=total)

    def _stop(self) -> None:
        """Stop the spinner or the bar."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _end(self, *, failed: bool = False) -> None:
        self._stop()
        if self._stage and not failed:
            self._line(f"{self._stage:<30}{time.perf_counter() - self._stage_start:7.2f} s")
        self._stage = ""

    def _line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def show_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def show_lines(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values in two columns on stdout.

    On a terminal, long values continue below their column, and a verdict is green or red.
    """
    pairs = [(_printable(name), _printable(value)) for name, value in rows]
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        lines = _wrapped(value, width + COLUMN_GAP)
        colour = ("green" if value.startswith("OK") else "red") if name == "verdict" else None
        for i, line in enumerate(lines):
            start = f"{'' if i else name:<{width}}"
            text = (" " * COLUMN_GAP + click.style(line, fg=colour)) if line else ""
            click.echo((click.style(start, bold=True) + text) if text else start.rstrip())


def _wrapped(value: str, indent: int) -> list[str]:
    """Break *value* into lines that fit a terminal beside *indent*; one line for other streams."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    if columns - indent < MIN_VALUE_CELLS:
        return [value]
    return textwrap.wrap(value, columns - indent, break_on_hyphens=False) or [""]


def _printable(text: str) -> str:
    """Replace characters that control a terminal: names in a file may be hostile."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout, numbers right-aligned; without a terminal nothing is cut off."""
    from rich.console import Console
    from rich.table import Table

    cells = [[_printable(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(header):
        column = [row[i] for row in cells if row[i]]
        is_numeric = bool(column) and all(
            cell.replace(",", "").replace(".", "").isdigit() for cell in column
        )
        table.add_column(name, justify="right" if is_numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, markup=False, emoji=False, width=width).print(table)


def metric_lines(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """List the metrics."""
    return [(name, f"{value:.4f}") for name, value in metrics.items()]


def search_lines(search: SearchResult) -> list[tuple[str, str]]:
    """List the chosen candidate, the baseline, the Pareto front and the failed exports."""
    count = f"{len(search.candidates)} candidates, {search.folds} fits each"
    lines = [("searched", f"{count}{', ' + search.stopped if search.stopped else ''}")]
    lines.append(("chosen", _candidate_text(search, search.chosen)))
    if search.baseline is not None:
        lines.append(("baseline", f"{search.scoring} {search.baseline:.4f} without any column"))
    lines += [
        ("on the front", _candidate_text(search, candidate))
        for candidate in search.front
        if candidate is not search.chosen
    ]
    lines += [
        ("not exported", f"{candidate.family} {dict(candidate.parameters)}: {candidate.fault}")
        for candidate in search.candidates
        if candidate.fault and candidate.score == candidate.score  # NaN: it could not be fitted
    ]
    return lines


def _candidate_text(search: SearchResult, candidate: Candidate) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in candidate.parameters.items())
    text = (
        f"{candidate.family} ({parameters}): {search.scoring} {candidate.score:.4f} "
        f"± {candidate.spread:.4f}"
    )
    device = candidate.device
    if device is None:
        return text
    return f"{text}, {device.model_bytes:,} bytes, {device.latency_us_p50:.1f} us a row"


def evidence_lines(manifest: Manifest) -> list[tuple[str, str]]:
    """List the evidence that each output equals scikit-learn's, and the largest difference."""
    lines = []
    for name, output in manifest.parity.outputs.items():
        lines.append((f"evidence {name}", level_line(output)))
        left_out = f", {output.undetermined} undetermined" if output.undetermined else ""
        lines.append(
            (
                f"parity {name}",
                f"{output.rows} rows, {output.differing} differ{left_out}, "
                f"largest difference {output.worst:.1e} (allowed {manifest.parity.tolerance:.0e})",
            )
        )
    return lines


def level_line(output: OutputEvidence) -> str:
    """Say for which rows an output equals scikit-learn's."""
    if output.bound is None:
        reason = f"; not proven: {output.formula}" if output.formula else ""
        return f"{output.level}: equal on the rows compared{reason}"
    if output.bound == 0:
        return f"{output.level}: bit for bit, for every input; {output.formula}"
    return f"{output.level}: at most {output.bound:.1e} apart; {output.formula}"


def show_notes(notes: Iterable[str]) -> None:
    """Print notes on stderr, also with ``--quiet``."""
    for note in notes:
        click.echo(f"NOTE: {note}", err=True)


def file_lines(result: ExportResult) -> list[tuple[str, str]]:
    """List the signing key, the file and its report."""
    signature = [("signed by key", result.key_id)] if result.key_id else []
    return [
        *signature,
        ("file", f"{result.path}, {result.bundle_bytes:,} bytes"),
        *([("report", str(result.report_files.page))] if result.report_files else []),
    ]


def refused_lines(refused: RefusedRows) -> list[tuple[str, str]]:
    """List the rows that scikit-learn refuses, if any."""
    if not refused.rows:
        return []
    return [
        (
            "refused",
            f"by scikit-learn: {refused.rows} of the rows compared; the device accepts "
            f"{refused.predicted} of them",
        )
    ]


def linear_lines(terms: LinearTerms) -> list[tuple[str, str]]:
    """List the coefficients, the largest first, and the intercept."""
    by_size = sorted(terms.coefficients.items(), key=lambda item: -abs(item[1]))
    size = max((abs(value) for _, value in by_size), default=0.0)
    lines = [
        (f"coefficient {name}", _number(value, size)) for name, value in by_size[:MAX_COEFFICIENTS]
    ]
    if len(by_size) > MAX_COEFFICIENTS:
        lines.append(("", f"and {len(by_size) - MAX_COEFFICIENTS} smaller coefficients"))
    return [*lines, ("intercept", _number(terms.intercept, size))]


def _number(value: float, size: float) -> str:
    """Write a coefficient with two decimals, more for small ones, and rounding errors as 0.00.

    *size* is the magnitude of the largest coefficient.
    """
    if abs(value) <= 1e-12 * max(size, 1.0):
        value = 0.0
    return f"{value:.3g}" if 0 < abs(value) < 0.1 else f"{value:z.2f}"
