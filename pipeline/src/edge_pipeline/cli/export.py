"""Define edge-pipeline export, which seals the fitted estimator that a function returns."""

from __future__ import annotations

from pathlib import Path

import click

import edge_pipeline
from edge_pipeline.cli import display
from edge_pipeline.cli.keys import key_option, read_key
from edge_pipeline.cli.verdict import show_result
from edge_pipeline.data.estimator_function import is_estimator_file

__all__ = ["export_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline export train.py:fitted --data wine.csv
  edge-pipeline export mypackage.wine:fitted_with_sample -o wine.onnx
  edge-pipeline export models/motion/train.py:motion
  edge-pipeline export wine.skops --data wine.csv --trust mypackage.wine.Clipper
"""


@click.command("export", short_help="Seal an estimator that you trained.", epilog=EXAMPLES)
@click.argument("function")
@click.option(
    "--data",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV or Parquet file with the training input, if FUNCTION returns no sample.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.  [default: dist/NAME.onnx]",
)
@click.option("--name", help="Name of the model.  [default: the function's name]")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    default=1e-9,
    show_default=True,
    help="Largest relative difference of two numbers; labels must be equal.",
)
@click.option(
    "--probe-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds that scikit-learn may take for the rows that are compared.",
)
@click.option(
    "--trust",
    "trusted_types",
    multiple=True,
    metavar="TYPE",
    help="Type that a .skops file may construct, by its full name; repeat for several.",
)
@click.option(
    "--i-trust-this-pickle",
    "trust_pickle",
    is_flag=True,
    help="Load a .pkl or .joblib file of your own; it can run any code.",
)
@key_option()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def export_command(
    function: str,
    table: Path | None,
    output: Path | None,
    name: str | None,
    tolerance: float,
    probe_seconds: float,
    trusted_types: tuple[str, ...],
    trust_pickle: bool,
    key: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Call FUNCTION, and write the fitted estimator that it returns as one sealed file.

    FUNCTION may also be a file that holds the estimator: model.skops.  Else it is
    file.py:function or module:function, which takes no arguments.  It returns a fitted estimator,
    or a tuple of the estimator and a sample of its training input; a third element is the settings
    of a stream.  Columns of the table that the estimator was not fitted on are ignored.
    """
    if ":" not in function and not is_estimator_file(function):
        raise click.UsageError(
            f"FUNCTION is {function!r}; expected file.py:function, module:function or model.skops"
        )
    signing_key = None if key is None else read_key(key)
    with display.Progress(quiet=quiet) as progress:
        result = edge_pipeline.export_function(
            function,
            output,
            table=table,
            name=name,
            tolerance=tolerance,
            probe_seconds=probe_seconds,
            watcher=progress,
            signing_key=signing_key,
            trusted_types=trusted_types,
            trust_pickle=trust_pickle,
        )
    if as_json:
        display.show_notes(result.notes)
        display.show_json(result.to_json())
        return
    show_result(result, quiet=quiet)
