"""The command edge-pipeline: parses, calls one public function, prints.

Results go to stdout, everything else to stderr.  Exit 0: done; 1: refused by us, or by the
system; 2: misuse.
"""

from __future__ import annotations

from typing import Any

import click
from edge_runtime.errors import EdgeRuntimeError

from edge_pipeline.cli.build import build_command
from edge_pipeline.cli.export import export_command
from edge_pipeline.cli.inspect import inspect_command
from edge_pipeline.cli.keys import keygen_command, sign_command
from edge_pipeline.cli.verify import verify_command
from edge_pipeline.errors import EdgePipelineError

__all__ = ["cli", "main"]


EXAMPLES = """\b
Examples:
  edge-pipeline build models/penguins
  edge-pipeline export train.py:fitted --data wine.csv -o wine.onnx
  edge-pipeline inspect dist/penguins.onnx
"""


class _Commands(click.Group):
    """Turns the errors that are not bugs into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click ends quietly, as `edge-pipeline inspect ... | head` should
        except (EdgePipelineError, EdgeRuntimeError) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            # Without the errno that str() would put in front.
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise click.ClickException(reason) from error


@click.group(
    cls=_Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="edge-pipeline", prog_name="edge-pipeline")
def cli() -> None:
    """From a table or a fitted scikit-learn estimator to one sealed ONNX file.

    The file is written only if it answers as scikit-learn does, on every row checked.  Copy it
    to the device, where edge-runtime predicts with it.
    """


cli.add_command(build_command)
cli.add_command(export_command)
cli.add_command(inspect_command)
cli.add_command(keygen_command)
cli.add_command(sign_command)
cli.add_command(verify_command)


def main() -> None:
    """Run the command line and exit."""
    cli(prog_name="edge-pipeline")
