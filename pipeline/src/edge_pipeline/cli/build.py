"""Define edge-pipeline build, which trains a recipe and writes a sealed file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

import edge_pipeline
from edge_pipeline.cli import display
from edge_pipeline.cli.keys import key_option, read_key
from edge_pipeline.cli.verdict import show_result

__all__ = ["build_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline build models/penguins
  edge-pipeline build models/linear/recipe.toml -o /tmp/linear.onnx
  edge-pipeline build models/digits --json 2>/dev/null
  edge-pipeline build models/pump --jobs -1
  edge-pipeline build models/pump --engine dask --scheduler tcp://10.0.0.5:8786
"""


@click.command("build", short_help="Train a recipe, and write one sealed file.", epilog=EXAMPLES)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.  [default: dist/NAME.onnx]",
)
@key_option()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@click.option(
    "--report/--no-report",
    "with_report",
    default=True,
    help="Write a report about the file beside it.  [default: report]",
)
@click.option("--no-rows", is_flag=True, help="Leave single rows out of the report.")
@click.option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="Run a search on this machine or on Dask.",
)
@click.option("--jobs", type=int, default=1, show_default=True, help="Processes; -1: all cores.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Address of a Dask scheduler.  [default: a cluster on this machine]",
)
def build_command(
    recipe: Path,
    output: Path | None,
    key: Path | None,
    as_json: bool,
    quiet: bool,
    with_report: bool,
    no_rows: bool,
    engine: Literal["local", "dask"],
    jobs: int,
    scheduler: str | None,
) -> None:
    """Train the model of RECIPE, and write it as one sealed file that predicts the same.

    RECIPE is a recipe.toml, or the folder of one.  A recipe may run Python code: build only
    recipes that you trust.
    """
    signing_key = None if key is None else read_key(key)
    with display.Progress(quiet=quiet) as progress:
        result = edge_pipeline.build(
            recipe,
            output,
            engine=edge_pipeline.Engine(engine, jobs, scheduler),
            watcher=progress,
            signing_key=signing_key,
            report=with_report,
            show_rows=not no_rows,
        )
    if as_json:
        display.show_notes(result.notes)
        display.show_json({**result.to_json(), "training": _training(progress)})
        return
    show_result(result, _training_lines(progress), quiet=quiet)


def _training_lines(progress: display.Progress) -> list[tuple[str, str]]:
    dataset, fitted = progress.dataset, progress.fitted_model
    lines = []
    if dataset is not None:
        n_test = dataset.rows - dataset.train_rows
        lines.append(
            (
                "rows",
                f"{dataset.rows} ({dataset.train_rows} to train, {n_test} to test), "
                f"{dataset.columns} column{'s' * (dataset.columns != 1)}",
            )
        )
    if fitted is not None:
        if fitted.linear is not None:
            lines += display.linear_lines(fitted.linear)
        if fitted.loss_curve:
            first, last = fitted.loss_curve[0], fitted.loss_curve[-1]
            lines.append(("loss", f"{first:.4f} -> {last:.4f} in {len(fitted.loss_curve)} epochs"))
        if fitted.search is not None:
            lines += display.search_lines(fitted.search)
        lines += display.metric_lines(fitted.metrics)
    return lines


def _training(progress: display.Progress) -> dict[str, Any]:
    dataset, fitted = progress.dataset, progress.fitted_model
    if dataset is None or fitted is None:
        return {}
    linear = fitted.linear
    return {
        "rows_train": dataset.train_rows,
        "rows_test": dataset.rows - dataset.train_rows,
        "rows_without_target": dataset.dropped_rows,
        "columns": dataset.columns,
        "loss_curve": list(fitted.loss_curve),
        "linear": None
        if linear is None
        else {"coefficients": dict(linear.coefficients), "intercept": linear.intercept},
        "warnings": list(fitted.warnings),
    }
