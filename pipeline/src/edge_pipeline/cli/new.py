"""Define edge-pipeline new, which asks about a table, writes its recipe and builds it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import edge_pipeline
from edge_pipeline.cli import display
from edge_pipeline.cli.init import (
    TASKS,
    UNSUPERVISED_TASKS,
    name_option,
    output_option,
    query_option,
    sheet_option,
    target_option,
)

if TYPE_CHECKING:
    from edge_pipeline.data.profile import TableDescription

__all__ = ["new_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline new
  edge-pipeline new penguins.csv
  edge-pipeline new penguins.csv --target species --task classification --build
"""


@click.command(
    "new", short_help="Ask about a table, write its recipe, and build it.", epilog=EXAMPLES
)
@click.argument("table", required=False)
@target_option
@click.option("--task", type=click.Choice(TASKS), help="Task of the model.")
@output_option
@name_option
@sheet_option
@query_option
@click.option("--build/--no-build", "build_now", default=None, help="Build the model at once.")
@click.pass_context
def new_command(
    context: click.Context,
    table: str | None,
    target: tuple[str, ...],
    task: str | None,
    output: Path | None,
    name: str | None,
    sheet: str | None,
    query: str | None,
    build_now: bool | None,
) -> None:
    """Ask about TABLE, write a recipe for it, and build the model.

    Each question has an option, and an option that is set is not asked.  Without a terminal nothing
    is asked: then it does what init does, and build with --build.
    """
    asks = sys.stdin.isatty()
    if table is None:
        if not asks:
            raise click.UsageError("TABLE is missing, and there is no terminal to ask for it")
        table = click.prompt("Table (a file, or a data set of scikit-learn)", err=True)
    part = {"sheet": sheet, "query": query}
    if asks:
        if not target and task not in UNSUPERVISED_TASKS:
            target = _ask_target(table, part)
        task = task or _ask_task(table, target, part)
        name = name or click.prompt("Name", default=Path(str(table)).name.split(".")[0], err=True)
    result = edge_pipeline.init(table, output, target=target or None, task=task, name=name, **part)
    folder = result.recipe.parent
    display.show_lines([("recipe", str(result.recipe))])
    display.show_notes(result.description.notes)
    if build_now is None:
        build_now = asks and click.confirm("Build it now?", default=True, err=True)
    if not build_now:
        click.echo(f"next: edge-pipeline build {folder}", err=True)
        return
    from edge_pipeline.cli.build import build_command  # only here: it imports the training

    context.invoke(build_command, recipe=folder)


def _ask_target(table: str, part: Mapping[str, str | None]) -> tuple[str, ...]:
    """Show the columns, and ask which of them to predict; none for clustering and the like."""
    from edge_pipeline.data.profile_table import HEADER, column_rows

    description: TableDescription = edge_pipeline.describe_table(table, task="clustering", **part)
    display.show_table(HEADER, column_rows(description))
    names = [column.name for column in description.columns]

    def read_names(text: str) -> tuple[str, ...]:
        if not text.strip():
            return ()
        if text in names:
            return (text,)
        targets = tuple(part.strip() for part in text.split(","))
        unknown = [part for part in targets if part not in names]
        if unknown:
            raise click.BadParameter(f"no column is called {unknown[0]!r}; see the list above")
        return targets

    answer: Any = click.prompt(
        "Column to predict (none: press Enter)",
        default="",
        show_default=False,
        value_proc=read_names,
        err=True,
    )
    return tuple(answer)


def _ask_task(table: str, target: tuple[str, ...], part: Mapping[str, str | None]) -> str:
    tasks: tuple[str, ...] = UNSUPERVISED_TASKS
    default = "clustering"
    if target:
        tasks = ("classification", "regression")
        default = edge_pipeline.describe_table(table, target=target, **part).task
    task: str = click.prompt("Task", type=click.Choice(tasks), default=default, err=True)
    return task
