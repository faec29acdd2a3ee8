"""Define edge-pipeline verify, which compares a sealed file with its estimator again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

import edge_pipeline
from edge_pipeline.cli import display

__all__ = ["verify_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline verify wine.onnx --against train.py:fitted
  edge-pipeline verify wine.onnx --against train.py:fitted --data wine.csv --json
"""


@click.command("verify", short_help="Verify a sealed file again.", epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--against", "function", required=True, help="Function that returns the estimator.")
@click.option(
    "--data",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV or Parquet file with the training input, if FUNCTION returns no sample.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def verify_command(
    file: Path, function: str, table: Path | None, as_json: bool, quiet: bool
) -> None:
    """Repeat proof and comparison of FILE with a fitted estimator.

    Name the function as for export.  Exit 1 if a prediction differs, or if FILE claims more than
    the check confirms.
    """
    if ":" not in function:
        raise click.UsageError(
            f"--against is {function!r}; expected file.py:function or module:function"
        )
    with display.Progress(quiet=quiet) as progress:
        result = edge_pipeline.verify(file, function, table=table, watcher=progress)
    display.show_notes(result.notes)
    if as_json:
        display.show_json(result.to_json())
        return
    verified = replace(result.manifest, parity=result.parity)
    display.show_lines([*display.evidence_lines(verified), *display.refused_lines(result.refused)])
