"""A deployment cut at any step leaves a version that predicts, and can be repeated."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import edge_pipeline
import kits
import pytest

from .conftest import HERE, Board

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy")]

Reach = Callable[..., None]

BOARD_SH = Path(edge_pipeline.__file__).parent / "packaging/kit/board/board.sh"

CHANGING = ("mkdir", "ln", "mv", "cp", "rm", "sync")
"""Commands that change files; nothing changes on the disk between two of them."""

SPY = """#!/bin/sh
printf '%s %s\\n' "${0##*/}" "$*" >>"$STEPS"
if [ "$(wc -l <"$STEPS")" = "$KILLED_AT" ]; then
    kill -9 "$SHELL_PID"
    exit 1
fi
exec "$REAL/${0##*/}" "$@"
"""


class Steps:
    """Run board.sh, and kill its shell at the n-th command that changes files."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.board, self.folder = board, folder
        self.spies = folder / "spies"
        self.spies.mkdir()
        self.real = folder / "real"
        self.real.mkdir()
        for name in CHANGING:
            (self.spies / name).write_text(SPY)
            (self.spies / name).chmod(0o755)
            (self.real / name).symlink_to(shutil.which(name) or name)

    def run(self, *arguments: str, killed_at: int = 0) -> list[str]:
        """Run board.sh; return the commands that it began, the killed one last."""
        log = self.folder / "steps"
        log.write_text("")
        environment = {
            "PATH": f"{self.spies}:{HERE}",
            "EDGE_MODELS": str(self.board.models),
            "HOME": str(self.folder),
            "STEPS": str(log),
            "REAL": str(self.real),
            "KILLED_AT": str(killed_at),
        }
        command = ["sh", "-c", 'SHELL_PID=$$; export SHELL_PID; exec sh "$@"', "-", BOARD_SH]
        process = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert process.returncode == (-signal.SIGKILL if killed_at else 0), process.stderr
        return log.read_text().splitlines()


@pytest.fixture
def steps(served: Board, first: edge_pipeline.DeployResult, tmp_path: Path) -> Steps:
    return Steps(served, tmp_path)


def another(board: Board, name: str, copy: str) -> str:
    """Copy the model *name* to the name *copy*."""
    shutil.rmtree(board.models / copy, ignore_errors=True)
    shutil.copytree(board.models / name, board.models / copy, symlinks=True)
    return copy


def arguments_of(model: Path) -> list[str]:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    return ["activate", "--model", str(model), "--sha256", digest]


def killed_at_every_step(
    steps: Steps, board: Board, name: str, command: list[str], old: float, new: float
) -> None:
    """Kill *command* at each of its steps, each time on a fresh copy of the model."""
    copy = another(board, name, f"{name}-whole")
    begun = steps.run(*command, "--name", copy)
    assert board.prediction(copy) == new
    switch = next(i for i, step in enumerate(begun, 1) if step.endswith("/current"))
    assert begun[switch - 1].startswith("mv -T ")
    assert 5 < switch < len(begun) - 1
    for number, step in enumerate(begun, 1):
        copy = another(board, name, f"{name}-{number}")
        assert len(steps.run(*command, "--name", copy, killed_at=number)) == number
        assert board.cached_prediction(copy) == (old if number <= switch else new), step
        if number % 8 == 0:  # files left by the killed run do not block the next one
            steps.run(*command, "--name", copy)
            assert board.prediction(copy) == (
                new if command[0] == "activate" or number <= switch else old
            )
        shutil.rmtree(board.models / copy)
    shutil.rmtree(board.models / f"{name}-whole")


def test_a_deployment_killed_at_any_step_leaves_a_version(
    steps: Steps, served: Board, versions: dict[float, Path], fresh: str
) -> None:
    """Each command of board.sh that changes files is killed once; a version always predicts."""
    killed_at_every_step(steps, served, fresh, arguments_of(versions[3.0]), 2.0, 3.0)


def test_a_rollback_killed_at_any_step_leaves_a_version(
    steps: Steps, served: Board, versions: dict[float, Path], fresh: str
) -> None:
    steps.run(*arguments_of(versions[3.0]), "--name", fresh)
    killed_at_every_step(steps, served, fresh, ["rollback"], 3.0, 2.0)


# Scripts around ssh that cut a connection: before it begins, after 700 bytes of input, while the
# board works, and before the output of the board arrives.
CUTS = {
    "before it begins": "exit 255",
    "while it sends": 'head -c 700 | ssh "$@" >/dev/null 2>&1; exit 255',
    "while the board works": 'ssh "$@" & sleep 0.4; kill -9 $!; exit 255',
    "before the answer arrives": 'ssh "$@" >/dev/null; exit 255',
}
TABLE = [
    ("probe", "before it begins"),
    ("probe", "before the answer arrives"),
    ("tar", "before it begins"),
    ("tar", "while it sends"),
    ("tar", "before the answer arrives"),
    ("activate", "before it begins"),
    ("activate", "while it sends"),
    ("activate", "while the board works"),
    ("activate", "before the answer arrives"),
]
"""The connection that is cut, and the moment."""


@pytest.mark.parametrize(("connection", "moment"), TABLE)
def test_a_connection_that_is_cut_leaves_a_version_that_answers(
    served: Board,
    versions: dict[float, Path],
    reach: Reach,
    fresh: str,
    connection: str,
    moment: str,
) -> None:
    shutil.rmtree(served.models / ".parts")  # so that parts must be copied
    reach(f'case "$*" in *{connection}*) ;; *) exec ssh "$@" ;; esac\n{CUTS[moment]}')
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert result.outcome == "failed"
    wait_for(served)
    expected = {"while the board works": (2.0, 3.0), "before the answer arrives": (3.0,)}
    predictions = expected.get(moment, (2.0,)) if connection == "activate" else (2.0,)
    assert served.prediction(fresh) in predictions
    reach()
    (again,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert again.is_done, again.error
    assert served.prediction(fresh) == 3.0


def test_a_connection_cut_during_installation_leaves_the_old_one(
    served: Board,
    versions: dict[float, Path],
    reach: Reach,
    fresh: str,
    tmp_path: Path,
) -> None:
    """With a kit of another runtime; the processes of sshd are killed, with their children."""
    slim = edge_pipeline.make_kit(
        versions[3.0],
        tmp_path / "slim.kit.tar.gz",
        platform="x86-64",
        python=kits.HERE,
        slim=True,
        wheels=kits.wheels_for("x86_64", kits.HERE),
    )
    old = os.readlink(served.models / fresh / "current/runtime")
    runtime = served.models / ".runtimes" / slim.runtime_id

    def kill_sessions() -> None:
        while not (runtime / "bin").exists():
            time.sleep(0.02)
        for session in served.sessions():
            os.kill(session, signal.SIGKILL)

    killer = Thread(target=kill_sessions, daemon=True)
    killer.start()
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], install=slim.path, name=fresh)
    killer.join(timeout=60)
    assert result.outcome == "failed"
    assert served.prediction(fresh) == 2.0
    wait_for(served)
    (again,) = edge_pipeline.deploy(versions[3.0], ["board"], install=slim.path, name=fresh)
    assert again.outcome == "deployed", again.error
    assert os.readlink(served.models / fresh / "current/runtime") != old
    assert served.prediction(fresh) == 3.0
    edge_pipeline.roll_back(fresh, ["board"])
    assert os.readlink(served.models / fresh / "current/runtime") == old
    assert served.prediction(fresh) == 2.0


def wait_for(board: Board) -> None:
    """Wait until the board has ended the command whose connection broke."""
    with open(board.models / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
