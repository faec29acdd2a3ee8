"""End a build or an export with a verdict: the file in words, and the command that comes next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from edge_pipeline.cli import display
from edge_pipeline.cli.command_group import is_verbose, write_log

if TYPE_CHECKING:
    from edge_pipeline.evaluation.report.measurements import Evaluation
    from edge_pipeline.export_estimator import ExportResult

__all__ = ["show_result", "verdict_line"]

LOG_NAME = "last-build.log"


def show_result(
    result: ExportResult, first_lines: Sequence[tuple[str, str]] = (), *, quiet: bool = False
) -> None:
    """Print what was written, the verdict, and the next command unless *quiet*.

    Numerical details go to the log of the last build, and to the output with ``--verbose``.
    """
    from edge_pipeline.evaluation.report.verdict import agreement_sentence  # not for --help
    from edge_pipeline.verification.parity import FAR_OUTSIDE

    details = [*display.evidence_lines(result.manifest), *display.refused_lines(result.refused)]
    agreement = [("same as scikit-learn", agreement_sentence(result.manifest))]
    numerical = [note for note in result.notes if FAR_OUTSIDE in note]
    display.show_notes(note for note in result.notes if is_verbose() or note not in numerical)
    log = write_log(LOG_NAME, _log_lines(result, details))
    display.show_lines(
        [
            *first_lines,
            *(details if is_verbose() else agreement),
            *display.file_lines(result),
            *speed_lines(result),
            ("verdict", verdict_line(result)),
        ]
    )
    if quiet:
        return
    if numerical and not is_verbose():
        count = f"{len(numerical)} numerical note{'s' * (len(numerical) != 1)}"
        where = f"--verbose shows {'it' if len(numerical) == 1 else 'them'}"
        click.echo(f"{count}: {where}{f', and {log}' if log else ''}", err=True)
    click.echo(f"next: edge-runtime check {shlex.quote(str(result.path))}", err=True)


def speed_lines(result: ExportResult) -> list[tuple[str, str]]:
    """Say how fast the file predicts here, where that was measured."""
    evaluation = _evaluation(result)
    figures = evaluation.measured if evaluation else None
    if result.benchmark is not None:
        latency_us, memory_mb = result.benchmark.latency_us_p50, result.benchmark.peak_memory_mb
    elif figures is not None:
        latency_us, memory_mb = figures.latency_us_p50, figures.peak_memory_mb
    else:
        return []
    return [("speed", f"{latency_us:.1f} us for one row here, {memory_mb:.0f} MiB of memory")]


def verdict_line(result: ExportResult) -> str:
    """Judge the file: the same as scikit-learn, and how much better than guessing."""
    from edge_pipeline.evaluation.report.verdict import judge  # not for --help

    agrees = f"OK: {result.path.name} predicts as scikit-learn does"
    evaluation = _evaluation(result)
    if evaluation is None or not evaluation.scores:
        return agrees
    verdict = judge(result.manifest, evaluation)
    if verdict.tone in ("good", "neutral"):
        return f"{agrees}. {verdict.sentence}"
    return f"NOT OK: {result.path.name}. {verdict.sentence}"


def _evaluation(result: ExportResult) -> Evaluation | None:
    return None if result.report_files is None else result.report_files.evaluation


def _log_lines(result: ExportResult, details: Sequence[tuple[str, str]]) -> list[str]:
    return [
        f"file: {result.path}",
        *(f"{name}: {value}" for name, value in details),
        *(f"note: {note}" for note in result.notes),
        *(f"{stage}: {seconds:.2f} s" for stage, seconds in result.seconds.items()),
    ]
