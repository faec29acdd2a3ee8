"""Define edge-pipeline init, which writes a recipe for a table."""

from __future__ import annotations

from pathlib import Path

import click

import edge_pipeline
from edge_pipeline.cli import display

__all__ = [
    "TASKS",
    "UNSUPERVISED_TASKS",
    "init_command",
    "name_option",
    "output_option",
    "query_option",
    "sheet_option",
    "target_option",
]

EXAMPLES = """\b
Examples:
  edge-pipeline init penguins.csv --target species
  edge-pipeline init sensors.parquet --target fault --output models/pump
  edge-pipeline init visits.csv --task clustering
  edge-pipeline init sqlite:///shop.db --query 'SELECT * FROM sales' --target price
  edge-pipeline init iris
"""

UNSUPERVISED_TASKS = ("clustering", "anomaly", "transform")
TASKS = ("classification", "regression", *UNSUPERVISED_TASKS)
"""The tasks of a recipe.  Written here too, because ``--help`` must not wait for the schema."""

target_option = click.option(
    "-t", "--target", multiple=True, help="Column to predict; again for each of several."
)
output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the model.  [default: models/NAME]",
)
name_option = click.option("--name", help="Name of the model.  [default: the table's]")

sheet_option = click.option("--sheet", help="Sheet of a workbook with several.")
query_option = click.option("--query", help="SQL query whose rows are the table.")


@click.command("init", short_help="Write a recipe for a table.", epilog=EXAMPLES)
@click.argument("table")
@target_option
@click.option(
    "--task",
    type=click.Choice(TASKS),
    help="Task of the model.  [default: guessed from the target]",
)
@output_option
@name_option
@sheet_option
@query_option
@click.option("--json", "as_json", is_flag=True, help="Print the description of the table as JSON.")
def init_command(
    table: str,
    target: tuple[str, ...],
    task: str | None,
    output: Path | None,
    name: str | None,
    sheet: str | None,
    query: str | None,
    as_json: bool,
) -> None:
    """Describe TABLE, and write a recipe for it that builds without changes.

    TABLE is a file (CSV, JSON, Parquet, Arrow, Excel, .npz), the URL of a database, or the name of
    a data set that scikit-learn ships.
    An existing recipe is never overwritten.
    """
    from edge_pipeline.data.profile_table import HEADER, column_rows  # not for --help

    result = edge_pipeline.init(
        table, output, target=target or None, task=task, name=name, sheet=sheet, query=query
    )
    if as_json:
        display.show_json(result.to_json())
        return
    description = result.description
    display.show_table(HEADER, column_rows(description))
    lines = [("rows", str(description.rows)), ("task", description.task)]
    lines += [
        ("label " + label, str(count)) for label, count in list(description.balance.items())[:10]
    ]
    if len(description.balance) > 10:
        lines.append(("", f"and {len(description.balance) - 10} more labels"))
    display.show_lines([*lines, ("recipe", str(result.recipe))])
    display.show_notes(description.notes)
    click.echo(f"next: edge-pipeline build {result.recipe.parent}", err=True)
