"""edge-pipeline report: a page about a sealed file."""

from __future__ import annotations

from pathlib import Path

import click

import edge_pipeline
from edge_pipeline.cli import display

__all__ = ["report_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline report dist/penguins.onnx
  edge-pipeline report penguins.onnx --data unseen.csv --target species
  edge-pipeline report penguins.onnx --date 2026-11-24 -o penguins.html
"""


@click.command("report", short_help="Write a page about a sealed file.", epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV, Parquet or Arrow file with rows that training did not see.",
)
@click.option("--target", multiple=True, help="Column with the right answers; again for several.")
@click.option("--date", help="Of the training, in words of yours.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="HTML file to write.  [default: NAME.report.html beside FILE]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what the page tells as JSON.")
def report_command(
    file: Path,
    table: Path | None,
    target: tuple[str, ...],
    date: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Write what FILE is, how good, how fast and how like scikit-learn, as one HTML page.

    A card in Markdown with the same facts goes beside it.  What only the build knows is read in
    NAME.report.json beside FILE; rows with a target give figures without it.
    """
    written = edge_pipeline.report(
        file, rows=table, target=target or None, date=date, output=output
    )
    if as_json:
        display.show_json(written.evaluation.model_dump(mode="json"))
        return
    size = written.page.stat().st_size
    display.show_lines([("page", f"{written.page}, {size:,} bytes"), ("card", str(written.card))])
