"""Define edge-pipeline doctor, which checks this machine."""

from __future__ import annotations

import click

import edge_pipeline
from edge_pipeline.cli import display

__all__ = ["doctor_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline doctor
  edge-pipeline doctor --json
"""


@click.command("doctor", short_help="Check this machine, and say what to do.", epilog=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def doctor_command(context: click.Context, as_json: bool) -> None:
    """Check versions, onnxruntime, CPU and libraries, and say what is broken and what to do.

    Exit 1 if this machine cannot build models.
    """
    diagnosis = edge_pipeline.doctor()
    if as_json:
        display.show_json({**vars(diagnosis), "ok": diagnosis.ok})
    else:
        count = len(diagnosis.problems)
        problems = f"NOT OK: {count} problem{'s' * (count != 1)}; see above"
        display.show_lines(
            [
                *diagnosis.facts.items(),
                *(("warning", message) for message in diagnosis.warnings),
                *(("broken", message) for message in diagnosis.problems),
                ("verdict", "OK: this machine can build models" if diagnosis.ok else problems),
            ]
        )
    context.exit(0 if diagnosis.ok else 1)
