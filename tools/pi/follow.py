"""Run the commands of docs/raspberry-pi.md here and on a board with a fresh card.

    python tools/pi/follow.py [--board 4] [--page docs/raspberry-pi.md]

A block ```` ```sh build ```` runs in the repository, and ```` ```sh board ```` on the board.  The
files of scp commands in ```` ```sh carry ```` are copied to the card.  A block ```` ```text ````
is the expected output of the block before it.  There `...` stands for any text, and alone in a line
for any number of lines.  Exits with 1 at the first block that fails or prints something else.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from environments import PI, PLACE, ROOT
from run import EXIT_SKIPPED

SECONDS = 1800
_FENCE = re.compile(r"^```(sh build|sh board|sh carry|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ACTIVATE = ". .venv/bin/activate\n"
"""Left out here: the programs beside this Python are already on the path."""


@dataclass(frozen=True)
class Block:
    """Commands of one kind, and their expected output; None when the page has none."""

    kind: str
    commands: str
    expected: str | None = None


def blocks(page: str) -> Iterator[Block]:
    """Yield the commands of a page in order."""
    waiting: Block | None = None
    for kind, text in _FENCE.findall(page):
        if kind == "text" and waiting:
            yield Block(waiting.kind, waiting.commands, text)
            waiting = None
            continue
        if waiting:
            yield waiting
        waiting = None if kind == "text" else Block(kind.removeprefix("sh "), text)
    if waiting:
        yield waiting


def agrees(printed: str, expected: str) -> bool:
    """Return whether *printed* matches the page, where `...` stands for any text."""
    pattern = ""
    for line in expected.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*"
        else:
            pattern += r".*".join(re.escape(part.strip()) for part in line.split("...")) + r"\s*?\n"
    lines = "".join(f"{line.strip()}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, lines) is not None


def main() -> int:
    """Run the page; return 1 when a command fails or prints something else."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="4")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/raspberry-pi.md")
    arguments = parser.parse_args()
    card = PLACE / "card-of-the-page"
    shutil.rmtree(card, ignore_errors=True)
    # Without root on this machine there is no second user on the board.
    user = "pi" if os.geteuid() == 0 else "root"
    on_board = [PI, "--board", arguments.board, "--card", card, "--alone", "--user", user]
    probe = _run([*on_board, "true"])
    if probe.returncode == EXIT_SKIPPED:
        print(probe.stderr, file=sys.stderr, end="")
        return int(os.environ.get("PI_REQUIRED") == "1")
    home = card / "upper" / ("home/pi" if user == "pi" else "root")
    for block in blocks(arguments.page.read_text(encoding="utf-8")):
        print(f"--- {block.kind}\n{block.commands}", end="", flush=True)
        if block.kind == "carry":
            _carry(block.commands, home)
            continue
        call = ["sh", "-eu", "-c", block.commands.replace(_ACTIVATE, "")]
        process = _run([*on_board, *call] if block.kind == "board" else call)
        print(process.stdout, end="", flush=True)
        if process.returncode or (block.expected and not agrees(process.stdout, block.expected)):
            print(f"pi: FAILED: exit {process.returncode}: {process.stderr}", file=sys.stderr)
            print(f"pi: expected:\n{block.expected}", file=sys.stderr)
            return 1
    shutil.rmtree(card, ignore_errors=True)
    print(f"pi: {arguments.page.name} works as it is written")
    return 0


def _carry(commands: str, home: Path) -> None:
    """Copy the files of the scp commands to the home on the card."""
    home.mkdir(parents=True, exist_ok=True)
    for line in commands.splitlines():
        _, *patterns, _ = shlex.split(line)
        for pattern in patterns:
            for path in sorted(ROOT.glob(pattern)):
                copied = Path(shutil.copy(path, home))
                if os.geteuid() == 0:
                    os.chown(copied, home.stat().st_uid, home.stat().st_gid)


def _run(call: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    programs = Path(sys.executable).parent
    return subprocess.run(
        call, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
        env={**os.environ, "PATH": f"{programs}:{os.environ.get('PATH', '')}"},
        text=True, check=False, timeout=SECONDS,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
