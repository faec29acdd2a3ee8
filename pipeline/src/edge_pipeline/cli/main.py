"""Define the command edge-pipeline: parse arguments, call one public function, print the result.

Results go to stdout, everything else to stderr.  Exit codes: 0 done, 1 refused by edge-pipeline or
the system, 2 misuse, 3 a bug of edge-pipeline, 130 interrupted.
"""

from __future__ import annotations

import click

from edge_pipeline.cli.command_group import LazyGroup, run

__all__ = ["cli", "main"]


EXAMPLES = """\b
Examples:
  edge-pipeline new penguins.csv
  edge-pipeline init penguins.csv --target species
  edge-pipeline build models/penguins
  edge-pipeline export train.py:fitted --data wine.csv -o wine.onnx
  edge-pipeline inspect dist/penguins.onnx

\b
Exit codes: 0 done, 1 refused, 2 misuse, 3 a bug of edge-pipeline, 130 interrupted.
"""


@click.group(
    cls=LazyGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="edge-pipeline", prog_name="edge-pipeline")
def cli() -> None:
    """Turn a table or a fitted scikit-learn estimator into one sealed ONNX file.

    The file is written only if it predicts the same as scikit-learn on every row compared.  Copy
    it to the device, where edge-runtime predicts with it.
    """


# Name: module and attribute of the command, and its help, which needs no import.
_COMMANDS = {
    "bench": ("bench:bench_command", "Measure the speed and size of sealed files."),
    "build": ("build:build_command", "Train a recipe, and write one sealed file."),
    "deploy": ("deploy:deploy_command", "Copy a model to boards, and switch to it."),
    "compare": ("compare:compare_command", "List the rows that two files predict apart."),
    "doctor": ("doctor:doctor_command", "Check this machine, and say what to do."),
    "export": ("export:export_command", "Seal an estimator that you trained."),
    "init": ("init:init_command", "Write a recipe for a table."),
    "inspect": ("inspect:inspect_command", "Print what a sealed file says of itself."),
    "kit": ("kit:kit_command", "Pack a model for a board without a network."),
    "keygen": ("keys:keygen_command", "Create a key for signing files."),
    "new": ("new:new_command", "Ask about a table, write its recipe, and build it."),
    "report": ("report:report_command", "Write a report about a sealed file."),
    "sign": ("keys:sign_command", "Sign a sealed file."),
    "verify": ("verify:verify_command", "Verify a sealed file again."),
}

for _name, (_path, _help) in _COMMANDS.items():
    cli.add_lazy(_name, f"edge_pipeline.cli.{_path}", _help)


def main() -> None:
    """Run the command line and exit."""
    run(cli, "edge-pipeline")
