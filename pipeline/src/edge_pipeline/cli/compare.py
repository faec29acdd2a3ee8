"""Define edge-pipeline compare, which lists the rows that two sealed files predict apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import edge_pipeline
from edge_pipeline.cli import display

if TYPE_CHECKING:
    from edge_pipeline.evaluation.comparison import ChangedRow, Comparison

__all__ = ["compare_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline compare old.onnx new.onnx --data rows.csv
  edge-pipeline compare old.onnx new.onnx --data rows.csv --target species --json
  edge-pipeline compare old.onnx new.onnx --data rows.csv --page comparison.html
"""

MAX_ROWS = 20
"""Rows listed; ``--json`` has them all."""


@click.command("compare", short_help="List the rows that two files predict apart.", epilog=EXAMPLES)
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="CSV, Parquet or Arrow file with the rows to predict.",
)
@click.option("--target", multiple=True, help="Column with the true values; again for several.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-9,
    show_default=True,
    help="Largest relative difference of two numbers that counts as equal.",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="HTML file to write: what changed, for whom, and the rows.",
)
@click.option("--no-rows", is_flag=True, help="Leave single rows out of the page.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def compare_command(
    ctx: click.Context,
    before: Path,
    after: Path,
    table: Path,
    target: tuple[str, ...],
    tolerance: float,
    page: Path | None,
    no_rows: bool,
    as_json: bool,
) -> None:
    """Predict the same rows with BEFORE and AFTER, and print those that changed, the worst first.

    Exit 1 if a prediction, a refusal or the schema changed, as diff does.
    """
    result = edge_pipeline.compare(
        before,
        after,
        table,
        target=target or None,
        tolerance=tolerance,
        page=page,
        show_rows=not no_rows,
    )
    if as_json:
        display.show_json(result.to_json())
    else:
        _show(result, page)
    ctx.exit(0 if result.is_same else 1)


def _show(result: Comparison, page: Path | None) -> None:
    display.show_lines(
        [
            *(("schema", change) for change in result.schema_changes),
            *((result.method, sentence) for sentence in result.verdict()),
            *(
                ()
                if result.worst is None
                else [("largest difference", f"{result.worst:.3g} between two {result.compared}")]
            ),
            *(
                (f"row {row}", f"refused now: {reason}")
                for row, reason in _first(result.refused_after)
            ),
            *(
                (f"row {row}", f"refused before: {reason}")
                for row, reason in _first(result.refused_before)
            ),
        ]
    )
    if result.changed:
        display.show_table(
            ("row", "before", "after", "sure before", "sure after", "difference", "why it matters"),
            [_cells(row) for row in result.changed[:MAX_ROWS]],
        )
        if len(result.changed) > MAX_ROWS:
            click.echo(f"and {len(result.changed) - MAX_ROWS:,} more rows; --json has them all")
    if page is not None:
        display.show_lines([("page", str(page))])


def _first(refused: dict[int, str]) -> list[tuple[int, str]]:
    return list(refused.items())[:MAX_ROWS]


def _cells(row: ChangedRow) -> tuple[str, ...]:
    sure = [
        "" if value is None else f"{value:.3f}"
        for value in (row.confidence_before, row.confidence_after)
    ]
    reason = "both sure" if row.is_confident else "near tie" if row.is_near_tie else ""
    difference = "" if row.difference is None else f"{row.difference:.3g}"
    return (str(row.row), _short(row.before), _short(row.after), *sure, difference, reason)


def _short(prediction: object) -> str:
    return f"{prediction:.6g}" if isinstance(prediction, float) else str(prediction)[:40]
