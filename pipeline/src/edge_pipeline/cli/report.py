"""Define edge-pipeline report, which writes a report about a sealed file."""

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
  edge-pipeline report penguins.onnx --open
  edge-pipeline report penguins.onnx --date 2026-11-24 -o penguins.html
"""


@click.command("report", short_help="Write a report about a sealed file.", epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV, Parquet or Arrow file with rows that training did not see.",
)
@click.option("--target", multiple=True, help="Column with the true values; again for several.")
@click.option("--date", help="Date of the training, as free text.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="HTML file to write.  [default: NAME.report.html beside FILE]",
)
@click.option("--no-rows", is_flag=True, help="Leave single rows out of the page.")
@click.option("--open", "open_page", is_flag=True, help="Show the page in a browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of the page as JSON.")
def report_command(
    file: Path,
    table: Path | None,
    target: tuple[str, ...],
    date: str | None,
    output: Path | None,
    no_rows: bool,
    open_page: bool,
    as_json: bool,
) -> None:
    """Write one HTML page about FILE: its inputs, quality, speed and agreement with scikit-learn.

    A Markdown card with the same facts goes beside it.  The measurements of the build come from
    NAME.report.json beside FILE; without that file, rows with a target give the figures.
    """
    files = edge_pipeline.report(
        file,
        rows=table,
        target=target or None,
        date=date,
        output=output,
        show_rows=not no_rows,
    )
    if open_page:
        import webbrowser

        if not webbrowser.open(files.page.resolve().as_uri()):
            click.echo(f"no browser found; open {files.page} yourself", err=True)
    if as_json:
        display.show_json(files.evaluation.model_dump(mode="json"))
        return
    size = files.page.stat().st_size
    display.show_lines([("page", f"{files.page}, {size:,} bytes"), ("card", str(files.card))])
