"""Define edge-pipeline deploy, which copies a sealed file to boards through ssh."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_pipeline.cli import display

if TYPE_CHECKING:
    from edge_pipeline.deployment.deploy import DeployResult

__all__ = ["deploy_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline deploy dist/penguins.onnx pi@kitchen.local
  edge-pipeline deploy dist/penguins.onnx pi@kitchen.local --install penguins-4.kit.tar.gz
  edge-pipeline deploy dist/penguins.onnx --inventory hosts.toml --jobs 4
  edge-pipeline deploy penguins --inventory hosts.toml --rollback
"""


@click.command("deploy", short_help="Copy a model to boards, and switch to it.", epilog=EXAMPLES)
@click.argument("file")
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option(
    "--inventory",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file that names hosts.",
)
@click.option(
    "--install",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KIT",
    help="Install the runtime from this kit where it is missing.",
)
@click.option(
    "--rollback", is_flag=True, help="Switch to the previous version; a second time switches back."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Hosts at the same time.",
)
@click.option("--folder", help="Folder for models on the hosts.  [default: ~/.local/share/edge]")
@click.option("--name", help="Name of the model on the hosts.  [default: its own]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def deploy_command(
    file: str,
    hosts: tuple[str, ...],
    inventory: Path | None,
    install: Path | None,
    rollback: bool,
    jobs: int,
    folder: str | None,
    name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Copy the sealed FILE to hosts, check it there, and switch to it; the hosts keep the old one.

    HOST is what ssh takes: user@host, or a name of your ssh_config.  Your configuration, agent and
    known_hosts are used; unknown host keys are refused.  With --rollback, FILE may be the model's
    name alone.
    """
    from edge_pipeline.deployment.deploy import deploy, roll_back

    watch = None if quiet else _print_progress
    if rollback:
        if install is not None:
            raise click.UsageError("--rollback installs nothing; omit --install")
        results = roll_back(
            name or file, hosts, inventory=inventory, folder=folder, jobs=jobs, watch=watch
        )
    else:
        results = deploy(
            file,
            hosts,
            inventory=inventory,
            install=install,
            folder=folder,
            name=name,
            jobs=jobs,
            watch=watch,
        )
    if as_json:
        display.show_json([result.to_json() for result in results])
    else:
        _show(results)
    if not all(result.is_done for result in results):
        sys.exit(1)


def _print_progress(host: str, step: str) -> None:
    click.echo(f"{host}: {step}", err=True)


def _show(results: list[DeployResult]) -> None:
    rows = [
        [
            result.host,
            result.outcome,
            result.current.partition("-")[0],
            result.previous.partition("-")[0],
            f"{result.sent_bytes / 1e6:.1f}",
            *_figures(result),
            result.board,
        ]
        for result in results
    ]
    display.show_table(
        ["host", "outcome", "current", "before", "MB sent", "load ms", "row us", "MB", "board"],
        rows,
    )
    for result in results:
        if result.trial:
            click.echo(f"{result.host}: {result.trial}")
        if result.error:
            click.echo(f"{result.host}: {result.error}", err=True)
        if result.broken_limits:
            click.echo(
                f"{result.host}: over its limits: {', '.join(result.broken_limits)}", err=True
            )


def _figures(result: DeployResult) -> list[str]:
    """Format the board's measurements: load time, median time of one row, peak memory."""
    timings = result.bench.get("timings", [])
    row = next((t["latency_us"]["p50"] for t in timings if t["call"] == "predict_one"), None)
    load, peak = result.bench.get("load_ms"), result.bench.get("peak_memory_mb")
    return ["" if value is None else f"{value:,.1f}" for value in (load, row, peak)]
