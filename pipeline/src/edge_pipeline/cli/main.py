"""The command edge-pipeline: parses, calls one public function, prints.

Results go to stdout, everything else to stderr.  Exit 0: done; 1: refused by us, or by the
system; 2: misuse; 3: a bug of ours; 130: interrupted.
"""

from __future__ import annotations

import click

from edge_pipeline.cli.command_group import LazyGroup, run

__all__ = ["cli", "main"]


EXAMPLES = """\b
Examples:
  edge-pipeline init penguins.csv --target species
  edge-pipeline build models/penguins
  edge-pipeline export train.py:fitted --data wine.csv -o wine.onnx
  edge-pipeline inspect dist/penguins.onnx

\b
Exit codes: 0 done, 1 refused, 2 misuse, 3 a bug of ours, 130 interrupted.
"""


@click.group(
    cls=LazyGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="edge-pipeline", prog_name="edge-pipeline")
def cli() -> None:
    """From a table or a fitted scikit-learn estimator to one sealed ONNX file.

    The file is written only if it answers as scikit-learn does, on every row checked.  Copy it
    to the device, where edge-runtime predicts with it.
    """


# name: where the command is, and what --help says of it without importing it
_COMMANDS = {
    "bench": ("bench:bench_command", "Measure a sealed file, or two in turns."),
    "build": ("build:build_command", "Train a recipe, and write one proven file."),
    "deploy": ("deploy:deploy_command", "Copy a model to boards, and switch to it."),
    "compare": ("compare:compare_command", "Say which rows two files answer apart."),
    "export": ("export:export_command", "Write an estimator that you trained."),
    "init": ("init:init_command", "Look at a table, and write a recipe."),
    "inspect": ("inspect:inspect_command", "Print what a sealed file says of itself."),
    "kit": ("kit:kit_command", "Pack a model for a board without a network."),
    "keygen": ("keys:keygen_command", "Make a key to sign files with."),
    "report": ("report:report_command", "Write a page about a sealed file."),
    "sign": ("keys:sign_command", "Sign a sealed file."),
    "verify": ("verify:verify_command", "Prove and compare a sealed file again."),
}

for _name, (_place, _help) in _COMMANDS.items():
    cli.add_lazy(_name, f"edge_pipeline.cli.{_place}", _help)


def main() -> None:
    """Run the command line and exit."""
    run(cli, "edge-pipeline")
