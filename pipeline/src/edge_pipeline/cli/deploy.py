"""edge-pipeline deploy: a sealed model to boards, through ssh."""

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
    help="Install the runtime from this kit, where it is not yet.",
)
@click.option("--rollback", is_flag=True, help="Go back to the version before; again: return.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Hosts served at once.",
)
@click.option("--folder", help="Folder of the models on the hosts.  [default: ~/.local/share/edge]")
@click.option("--name", help="Of the model on the hosts.  [default: its own]")
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
    """Copy the sealed FILE to hosts, check it there, and switch to it; the old one is kept.

    HOST is what ssh takes: user@host, or a name of your ssh_config.  Your configuration, agent and
    known_hosts are used; unknown host keys are refused.  With --rollback, FILE may be the model's
    name alone.
    """
    from edge_pipeline.deployment.deploy import deploy, roll_back

    watch = None if quiet else _tell
    if rollback:
        if install is not None:
            raise click.UsageError("--rollback installs nothing; leave --install out")
        done = roll_back(
            name or file, hosts, inventory=inventory, folder=folder, jobs=jobs, watch=watch
        )
    else:
        done = deploy(
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
        display.show_json([one.to_json() for one in done])
    else:
        _show(done)
    if not all(one.is_done for one in done):
        sys.exit(1)


def _tell(host: str, doing: str) -> None:
    click.echo(f"{host}: {doing}", err=True)


def _show(done: list[DeployResult]) -> None:
    rows = [
        [
            one.host,
            one.outcome,
            one.current.partition("-")[0],
            one.previous.partition("-")[0],
            f"{one.sent_bytes / 1e6:.1f}",
            *_figures(one),
            one.board,
        ]
        for one in done
    ]
    display.show_table(
        ["host", "outcome", "current", "before", "MB sent", "load ms", "row us", "MB", "board"],
        rows,
    )
    for one in done:
        if one.error:
            click.echo(f"{one.host}: {one.error}", err=True)
        if one.broken_limits:
            click.echo(f"{one.host}: over its limits: {', '.join(one.broken_limits)}", err=True)


def _figures(one: DeployResult) -> list[str]:
    """What the board measured: loading, one row at the median, peak memory."""
    timings = one.bench.get("timings", [])
    row = next((t["latency_us"]["p50"] for t in timings if t["call"] == "predict_one"), None)
    load, peak = one.bench.get("load_ms"), one.bench.get("peak_memory_mb")
    return ["" if value is None else f"{value:,.1f}" for value in (load, row, peak)]
