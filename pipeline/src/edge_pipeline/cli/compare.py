"""edge-pipeline compare: which rows two sealed files answer differently."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import edge_pipeline
from edge_pipeline.cli import display

if TYPE_CHECKING:
    from edge_pipeline.evaluation.diff import ChangedRow

__all__ = ["compare_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline compare old.onnx new.onnx --data rows.csv
  edge-pipeline compare old.onnx new.onnx --data rows.csv --target species --json
"""

MAX_ROWS = 20
"""Rows listed; ``--json`` has them all."""


@click.command("compare", short_help="Say which rows two files answer apart.", epilog=EXAMPLES)
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="CSV, Parquet or Arrow file with the rows to ask.",
)
@click.option("--target", multiple=True, help="Column with the right answers; again for several.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-9,
    show_default=True,
    help="Largest relative difference of two numbers that counts as none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def compare_command(
    ctx: click.Context,
    before: Path,
    after: Path,
    table: Path,
    target: tuple[str, ...],
    tolerance: float,
    as_json: bool,
) -> None:
    """Ask BEFORE and AFTER the same rows, and print those that changed, the worst first.

    Exit 1 if an answer, a refusal or the schema changed, as diff does.
    """
    found = edge_pipeline.compare(before, after, table, target=target or None, tolerance=tolerance)
    if as_json:
        display.show_json(found.to_json())
        ctx.exit(0 if found.is_same else 1)
    display.show_lines(
        [
            *(("schema", change) for change in found.schema_changes),
            *((found.method, sentence) for sentence in found.verdict()),
            *(
                ()
                if found.worst is None
                else [("largest difference", f"{found.worst:.3g} of two {found.compared}")]
            ),
            *((f"row {row}", f"refused now: {why}") for row, why in _some(found.refused_after)),
            *((f"row {row}", f"refused before: {why}") for row, why in _some(found.refused_before)),
        ]
    )
    if found.changed:
        display.show_table(
            ("row", "before", "after", "sure before", "sure after", "difference", "why it matters"),
            [_cells(row) for row in found.changed[:MAX_ROWS]],
        )
        if len(found.changed) > MAX_ROWS:
            click.echo(f"and {len(found.changed) - MAX_ROWS:,} rows more; --json has them all")
    ctx.exit(0 if found.is_same else 1)


def _some(refused: dict[int, str]) -> list[tuple[int, str]]:
    return list(refused.items())[:MAX_ROWS]


def _cells(row: ChangedRow) -> tuple[str, ...]:
    sure = [
        "" if value is None else f"{value:.3f}"
        for value in (row.confidence_before, row.confidence_after)
    ]
    word = "both sure" if row.is_confident else "near tie" if row.is_near_tie else ""
    gap = "" if row.difference is None else f"{row.difference:.3g}"
    return (str(row.row), _short(row.before), _short(row.after), *sure, gap, word)


def _short(answer: object) -> str:
    return f"{answer:.6g}" if isinstance(answer, float) else str(answer)[:40]
