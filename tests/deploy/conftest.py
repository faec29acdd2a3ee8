"""Start a real sshd on loopback, with the folder of a board behind it."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import edge_pipeline
import kits
import pytest

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
HERE = os.environ["PATH"]


@dataclass
class Board:
    """The board behind the address ``board``: an sshd and a folder of models."""

    folder: Path
    process: subprocess.Popen[bytes]
    predictions: dict[tuple[bytes, str], float] = field(default_factory=dict)

    @property
    def models(self) -> Path:
        return self.folder / "edge"

    def current(self, name: str = "line") -> str:
        """Return the current release; empty if there is none."""
        link = self.models / name / "current"
        return os.readlink(link).removeprefix("releases/") if link.is_symlink() else ""

    def prediction(self, name: str = "line") -> float:
        """Return the prediction of the current release for 1."""
        release = self.models / name / "current"
        process = subprocess.run(
            [release / "runtime/bin/edge-runtime", "predict", release / "model.onnx"],
            input=kits.ROWS,
            capture_output=True,
            text=True,
            check=True,
        )
        return round(float(process.stdout.split()[1].split(",")[-1]), 9)

    def cached_prediction(self, name: str) -> float:
        """Return the same prediction, cached by the model's bytes and its runtime."""
        release = self.models / name / "current"
        state = ((release / "model.onnx").read_bytes(), str((release / "runtime").resolve(True)))
        if state not in self.predictions:
            self.predictions[state] = self.prediction(name)
        return self.predictions[state]

    def sessions(self) -> list[int]:
        """Return the processes of sshd that serve a connection."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in Path(children).read_text().split()]


def start_sshd(folder: Path) -> Board:
    """Start an sshd with its own keys and configuration; ``folder/ssh_config`` reaches it."""
    if shutil.which("ssh") is None or not os.access(SSHD, os.X_OK):
        pytest.skip(
            "NO OpenSSH HERE, NOTHING WAS DEPLOYED; sudo apt install openssh-client openssh-server"
        )
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(command, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if os.geteuid() == 0:  # Debian's service makes this folder before it starts sshd
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\n"
        "PermitRootLogin prohibit-password\nMaxStartups 100\n"
        f'SetEnv EDGE_MODELS="{folder}/edge" EDGE_PYTHON="{sys.executable}" '
        f'XDG_CONFIG_HOME="{folder}/config"\n'
    )
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "ssh_config").write_text(
        f"Host board*\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {folder}/user\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n"
        "  GlobalKnownHostsFile none\n"
    )
    with open(folder / "sshd.log", "wb") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=log, stdin=subprocess.DEVNULL
        )
    for _ in range(200):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return Board(folder, process)
        time.sleep(0.05)
    raise AssertionError((folder / "sshd.log").read_text())


def put_ssh_first(
    folder: Path, config: Path, monkeypatch: pytest.MonkeyPatch, script: str = 'exec ssh "$@"'
) -> None:
    """Make ``ssh`` use *config* instead of the user's; *script* calls the real ssh."""
    folder.mkdir(exist_ok=True)
    real = shlex.join([shutil.which("ssh", path=HERE) or "ssh", "-F", str(config)])
    (folder / "ssh").write_text(f"#!/bin/sh\n{script.replace('ssh ', real + ' ')}\n")
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{HERE}")


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """Three models of one name, by their prediction for 1."""
    folder = tmp_path_factory.mktemp("versions of it's model")
    return {slope: kits.line(folder, slope) for slope in (2.0, 3.0, 4.0)}


@pytest.fixture(scope="session")
def kit(versions: dict[float, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit for this machine."""
    if kits.machine_here() != "x86_64":
        pytest.skip("kits for this machine are x86-64 ones")
    output = tmp_path_factory.mktemp("kit") / "line.kit.tar.gz"
    wheels = kits.wheels_for("x86_64", kits.HERE)
    edge_pipeline.make_kit(
        versions[2.0], output, platform="x86-64", python=kits.HERE, wheels=wheels
    )
    return output


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """An empty board."""
    board = start_sshd(tmp_path_factory.mktemp("board"))
    yield board
    board.process.terminate()
    board.process.wait(timeout=30)


@pytest.fixture
def reach(served: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Call the real ssh with the board's configuration, inside *script*."""

    def point(script: str = 'exec ssh "$@"', config: Path | None = None) -> None:
        ssh_config = config or served.folder / "ssh_config"
        put_ssh_first(tmp_path / "first", ssh_config, monkeypatch, script)

    point()
    return point


@pytest.fixture(scope="session")
def first(served: Board, versions: dict[float, Path], kit: Path) -> edge_pipeline.DeployResult:
    """The deployment that installed the runtime; the board predicts 2 from then on."""
    with pytest.MonkeyPatch.context() as patch:
        put_ssh_first(served.folder / "first", served.folder / "ssh_config", patch)
        (result,) = edge_pipeline.deploy(versions[2.0], ["board"], install=kit)
    assert result.outcome == "deployed", result.error
    return result


@pytest.fixture
def fresh(
    served: Board, first: edge_pipeline.DeployResult, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """Name of a model on the board that predicts 2, used by one test alone."""
    name = f"m{abs(hash(request.node.nodeid)) % 10**12}"
    source, home = served.models / "line", served.models / name
    shutil.copytree(source, home, symlinks=True)
    for link in home.glob("releases/*/previous"):
        link.unlink()
    subprocess.run(["ln", "-sfn", f"releases/{first.current}", home / "current"], check=True)
    assert served.prediction(name) == 2.0
    yield name
    shutil.rmtree(home, ignore_errors=True)
