"""edge-pipeline init: a table to a recipe."""

from __future__ import annotations

from pathlib import Path

import click

import edge_pipeline
from edge_pipeline.cli import display

__all__ = ["init_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline init penguins.csv --target species
  edge-pipeline init sensors.parquet --target fault --output models/pump
  edge-pipeline init visits.csv --task clustering
  edge-pipeline init iris
"""


@click.command("init", short_help="Look at a table, and write a recipe.", epilog=EXAMPLES)
@click.argument("table")
@click.option("-t", "--target", multiple=True, help="Column to learn; again for each of several.")
@click.option(
    "--task",
    type=click.Choice(["classification", "regression", "clustering", "anomaly", "transform"]),
    help="What is asked.  [default: guessed from the target]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the model.  [default: models/NAME]",
)
@click.option("--name", help="Of the model.  [default: the table's]")
@click.option("--json", "as_json", is_flag=True, help="Print what was seen as JSON.")
def init_command(
    table: str,
    target: tuple[str, ...],
    task: str | None,
    output: Path | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Look at TABLE, and write a recipe for it that builds as it stands.

    TABLE is a file (CSV, Parquet, Arrow, .npz), or the name of a data set that scikit-learn ships.
    A recipe that exists is not written over.
    """
    start = edge_pipeline.init(table, output, target=target or None, task=task, name=name)
    if as_json:
        display.show_json(start.to_json())
        return
    seen = start.description
    rows = []
    for column in seen.columns:
        role = "target" if column.name in seen.targets else column.left_out and "left out"
        about = "; ".join(filter(None, [column.left_out, *column.notes]))
        about = about or f"such as {', '.join(column.examples)}"
        missing = str(column.missing) if column.missing else ""
        rows.append((column.name, column.kind, missing, str(column.distinct), role, about))
    display.show_table(("column", "type", "missing", "different", "", ""), rows)
    lines = [("rows", str(seen.rows)), ("task", seen.task)]
    lines += [("label " + label, str(count)) for label, count in list(seen.balance.items())[:10]]
    if len(seen.balance) > 10:
        lines.append(("", f"and {len(seen.balance) - 10} more labels"))
    display.show_lines([*lines, ("recipe", str(start.recipe))])
    display.show_notes(seen.notes)
    click.echo(f"next: edge-pipeline build {start.recipe.parent}", err=True)
