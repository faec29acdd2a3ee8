"""Run a command on an emulated Raspberry Pi: its instruction set, its Python, its files.

    tools/pi/pi [--board 4] [--python 3.11] [--card FOLDER] [OPTION ...] COMMAND [ARGUMENT ...]

Builds a Debian arm64 root in .pi/ at the first call.  What the command writes to the root is gone
afterwards, unless --card keeps it; the current folder is shown inside at its own path, writable,
unless --alone.  The network is off unless --network.  Exits as the command does, and with 77 when
this machine cannot emulate a board.  Not emulated: speed, memory, kernel, devices.  Time nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from boards import BOARDS, make_hardware
from entering import Stay, can_enter, enter, home_of, run_plain
from roots import SUITES, UnavailableError, qemu_of, root_for

PLACE = Path(__file__).resolve().parents[2] / ".pi"
EXIT_SKIPPED = 77
"""As automake's tests say that they could not run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Become the command; a number is returned only when that cannot be."""
    chosen = _parser().parse_args(arguments)
    try:
        _run(chosen)
    except UnavailableError as error:
        print(f"pi: SKIPPED: {error}", file=sys.stderr)
        return EXIT_SKIPPED
    except FileNotFoundError:
        print(f"pi: {chosen.command[0]}: no such program on the board", file=sys.stderr)
        return 127
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pi",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--board", choices=BOARDS, default="4")
    add("--python", choices=SUITES, default="3.11", help="3.11 is bookworm, 3.13 trixie")
    add("--with", dest="packages", action="append", default=[], metavar="PACKAGE",
        help="a Debian package that the root must have too, such as openssh-server")  # fmt: skip
    add("--card", type=Path, metavar="FOLDER", help="keep what is written to the root here")
    add("--disk-mb", type=int, metavar="N", help="without --card: room on the disk")
    add("--alone", action="store_true", help="do not show the current folder; start in the home")
    add("--show", action="append", type=Path, default=[], metavar="FOLDER",
        help="show this folder too, at its own path")  # fmt: skip
    add("--user", choices=("root", "pi"), default="root")
    add("--network", action="store_true", help="share the host's network")
    add("--env", action="append", default=[], metavar="NAME[=VALUE]",
        help="set a variable, or pass the caller's; none else gets inside")  # fmt: skip
    add("--mode", choices=("auto", "namespaces", "plain"), default="auto",
        help="plain is qemu -L: one process, no isolation, for kernels before 6.7")  # fmt: skip
    add("--place", type=Path, default=PLACE, help="where roots are kept (.pi)")
    add("command", nargs=argparse.REMAINDER, help="without one the root is only built")
    return parser


def _run(chosen: argparse.Namespace) -> None:
    place = chosen.place.absolute()
    root = root_for(chosen.python, chosen.packages, place)
    if not chosen.command:
        return
    board = BOARDS[chosen.board]
    shown = [path.absolute() for path in chosen.show]
    here = Path.cwd()
    scratch = Path(place, "scratch")
    scratch.mkdir(exist_ok=True)
    stay = Stay(
        root=root,
        qemu=qemu_of(root),
        board=board,
        hardware=make_hardware(board, place / "hardware"),
        scratch=scratch,
        card=chosen.card and chosen.card.absolute(),
        disk_mb=chosen.disk_mb,
        show=shown if chosen.alone else [here, *shown],
        folder=home_of(chosen.user) if chosen.alone else str(here),
        user=chosen.user,
        network=chosen.network,
        environment=_environment(chosen.env),
    )
    why = can_enter(stay) if chosen.mode == "auto" else ""
    if chosen.mode == "plain" or why:
        if chosen.card or chosen.disk_mb or chosen.alone or chosen.user != "root":
            raise UnavailableError(
                f"no namespaces for a board of its own here: {why or '--mode plain'}"
            )
        if why:
            print(f"pi: no namespaces here ({why}): one plain process", file=sys.stderr)
        run_plain(stay, chosen.command)
    try:
        enter(stay, chosen.command)
    except PermissionError as error:
        raise UnavailableError(f"no namespaces here: {error}") from error


def _environment(given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for word in given:
        name, equals, value = word.partition("=")
        if equals:
            pairs[name] = value
        elif name in os.environ:
            pairs[name] = os.environ[name]
    return pairs


if __name__ == "__main__":
    sys.exit(main())
