"""Run a command on an emulated Raspberry Pi: its instruction set, its Python, its files.

    tools/pi/pi [--board 4] [--python 3.11] [--card FOLDER] [OPTION ...] COMMAND [ARGUMENT ...]

Builds a Debian arm64 root in .pi/ at the first call.  Changes of the root are lost afterwards,
unless --card keeps them.  The current folder is visible inside at its own path, writable, unless
--alone is given.  The network is off unless --network is given.  Exits as the command does, and
with 77 when this machine cannot emulate a board.  Speed, memory, kernel and devices are those of
the host, so do not measure time.
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
"""Exit status of a skipped test in automake."""


def main(words: Sequence[str] | None = None) -> int:
    """Replace this process by the command; return an exit status only if that fails."""
    arguments = _parser().parse_args(words)
    try:
        _run(arguments)
    except UnavailableError as error:
        print(f"pi: SKIPPED: {error}", file=sys.stderr)
        return EXIT_SKIPPED
    except FileNotFoundError:
        print(f"pi: {arguments.command[0]}: no such program on the board", file=sys.stderr)
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


def _run(arguments: argparse.Namespace) -> None:
    place = arguments.place.absolute()
    root = root_for(arguments.python, arguments.packages, place)
    if not arguments.command:
        return
    board = BOARDS[arguments.board]
    visible = [path.absolute() for path in arguments.show]
    here = Path.cwd()
    scratch = Path(place, "scratch")
    scratch.mkdir(exist_ok=True)
    stay = Stay(
        root=root,
        qemu=qemu_of(root),
        board=board,
        hardware=make_hardware(board, place / "hardware"),
        scratch=scratch,
        card=arguments.card and arguments.card.absolute(),
        disk_mb=arguments.disk_mb,
        show=visible if arguments.alone else [here, *visible],
        folder=home_of(arguments.user) if arguments.alone else str(here),
        user=arguments.user,
        network=arguments.network,
        environment=_environment(arguments.env),
    )
    reason = can_enter(stay) if arguments.mode == "auto" else ""
    if arguments.mode == "plain" or reason:
        if arguments.card or arguments.disk_mb or arguments.alone or arguments.user != "root":
            raise UnavailableError(
                f"no namespaces for a board of its own here: {reason or '--mode plain'}"
            )
        if reason:
            print(f"pi: no namespaces here ({reason}): one plain process", file=sys.stderr)
        run_plain(stay, arguments.command)
    try:
        enter(stay, arguments.command)
    except PermissionError as error:
        raise UnavailableError(f"no namespaces here: {error}") from error


def _environment(assignments: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for word in assignments:
        name, equals, value = word.partition("=")
        if equals:
            pairs[name] = value
        elif name in os.environ:
            pairs[name] = os.environ[name]
    return pairs


if __name__ == "__main__":
    sys.exit(main())
