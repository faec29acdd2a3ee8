"""Deploy works whatever shell the user of the board logs in with, and whatever it prints first."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import edge_pipeline
import pytest

from .conftest import SSHD, Board, put_ssh_first

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy")]

GREETINGS = {
    "bash": ("BASH_ENV", "start.sh"),
    "zsh": ("ZDOTDIR", ".zshenv"),
    "fish": ("XDG_CONFIG_HOME", "fish/config.fish"),
}
"""For each shell the variable that says where it reads its start-up file, and that file's name."""


def copy_config(board: Path, folder: Path) -> str:
    """Copy the configuration of the board's sshd and ssh, with another port; give the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    lines = (board / "sshd_config").read_text().splitlines()
    old_port = next(line.split()[1] for line in lines if line.startswith("Port "))
    for file in ("sshd_config", "ssh_config", "known_hosts"):
        text = (board / file).read_text().replace(old_port, port)
        text = text.replace(str(board / "known_hosts"), str(folder / "known_hosts"))
        (folder / file).write_text(text)
    return port


@pytest.fixture(params=sorted(GREETINGS))
def ssh_config(
    request: pytest.FixtureRequest,
    served: Board,
    first: edge_pipeline.DeployResult,
    tmp_path: Path,
) -> Iterator[Path]:
    """Start an sshd beside the board's, whose commands run in another shell that greets.

    sshd calls a login shell with ``-c COMMAND``, and so does this one, without another user.
    """
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"NO {request.param} HERE; sudo apt install {request.param}")
    variable, name = GREETINGS[request.param]
    start = tmp_path / "home" / name
    start.parent.mkdir(parents=True)
    start.write_text("printf 'Hi! '\nprintf 'outcome=failed\\n' >&2\n")
    place = start if variable == "BASH_ENV" else tmp_path / "home"
    port = copy_config(served.folder, tmp_path)
    environment = shlex.quote(f"{variable}={place}")
    with (tmp_path / "sshd_config").open("a") as file:
        file.write(f'ForceCommand exec env {environment} {shell} -c "$SSH_ORIGINAL_COMMAND"\n')
    with (tmp_path / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", tmp_path / "sshd_config"],
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    for _ in range(200):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", int(port))) == 0:
                break
        time.sleep(0.05)
    yield tmp_path / "ssh_config"
    process.terminate()
    process.wait(timeout=30)


def test_a_shell_that_greets_deploys_and_goes_back(
    served: Board,
    versions: dict[float, Path],
    fresh: str,
    ssh_config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_ssh_first(tmp_path / "first", ssh_config, monkeypatch)
    probe = subprocess.run(["ssh", "board", "true"], capture_output=True, check=True)
    assert probe.stdout.startswith(b"Hi! ")  # the shell read its start-up file
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert result.outcome == "deployed", result.error
    assert served.prediction(fresh) == 3.0
    (result,) = edge_pipeline.roll_back(fresh, ["board"])
    assert result.outcome == "rolled back", result.error
    assert served.prediction(fresh) == 2.0
