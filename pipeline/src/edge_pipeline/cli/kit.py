"""Define edge-pipeline kit, which packs a sealed file with the packages that run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_pipeline.cli import display

if TYPE_CHECKING:
    from edge_pipeline.packaging.kit.make_kit import Kit

__all__ = ["kit_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline kit dist/penguins.onnx --board 4 --slim
  edge-pipeline kit dist/penguins.onnx --board zero2 --python 3.13 -o zero2.kit.tar.gz
  edge-pipeline kit dist/penguins.onnx --platform x86-64 --extra signing
"""

MB = 1e6


@click.command("kit", short_help="Pack a model for a board without a network.", epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--board", help="Raspberry Pi to pack for: zero2, 3, 4 or 5.")
@click.option("--platform", help="Other platform to pack for: x86-64.")
@click.option("--python", default="3.11", show_default=True, help="Python version of the board.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Archive to write.  [default: NAME-BOARD.kit.tar.gz]",
)
@click.option("--slim", is_flag=True, help="Leave out files that inference never opens.")
@click.option("--extra", "extras", multiple=True, help="Extra of edge-runtime: signing.")
@click.option("--pin", "pins", multiple=True, help="NAME==VERSION of a package.")
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of wheels to use.  [default: pip downloads them]",
)
@click.option("--name", help="Name of the model on the board.  [default: its own]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def kit_command(
    file: Path,
    board: str | None,
    platform: str | None,
    python: str,
    output: Path | None,
    slim: bool,
    extras: tuple[str, ...],
    pins: tuple[str, ...],
    wheels: Path | None,
    name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Pack the sealed FILE with the packages that run it, for a board without a network.

    The archive holds wheels with their hashes, an installer, licences and an SBOM.  On the board:
    unpack it, and run sh install.sh.
    """
    from edge_pipeline.packaging.kit.make_kit import make_kit

    with display.Progress(quiet=quiet) as progress:
        progress.stage("collecting wheels")
        kit = make_kit(
            file,
            output,
            board=board,
            platform=platform,
            python=python,
            slim=slim,
            extras=extras,
            pins=pins,
            wheels=wheels,
            name=name,
        )
    display.show_notes(kit.notes)
    if as_json:
        display.show_json(kit.to_json())
        return
    _show(kit)


def _show(kit: Kit) -> None:
    rows = [
        (f"{package.name} {package.version}", package.installed_bytes, package.full_bytes)
        for package in kit.packages
    ]
    rows += [(f"{name} (left out)", 0, size) for name, size in kit.left_out.items()]
    header = ["package", "MB installed", *(["MB before"] if kit.slim else [])]
    cells = [[name, f"{now / MB:.1f}", f"{before / MB:.1f}"] for name, now, before in rows]
    cells.append(["all", f"{kit.installed_bytes / MB:.1f}", f"{kit.full_bytes / MB:.1f}"])
    display.show_table(header, [line[: len(header)] for line in cells])
    display.show_lines(
        [
            ("for", f"{kit.target.description}, Python {kit.target.python}"),
            ("SHA-256", kit.sha256),
            (str(kit.path), f"{kit.kit_bytes:,} bytes; there: tar xf, then sh install.sh"),
        ]
    )
