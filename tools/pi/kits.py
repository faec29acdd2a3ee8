"""Install kits on emulated Raspberry Pis without a network, and deploy to one through its sshd.

    python tools/pi/kits.py MODEL.onnx [--wheels FOLDER]

Makes kits here, on x86-64, runs their installer on a board, and prints a line for each step.  Exits
with 1 when a step fails.  Where no board can be emulated it prints SKIPPED and exits with 0, or
with 1 when PI_REQUIRED=1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import edge_pipeline
import pandas as pd
from edge_pipeline.packaging.kit.archive import SUMS
from edge_runtime.errors import EdgeRuntimeError
from environments import PI, PLACE
from sklearn.linear_model import LinearRegression

EXIT_SKIPPED = 77
INSTALLED = (
    ("every part is as it was packed", "golden rows", "predict_one"),
    ("is installed already", "is current already"),
)
PREDICT = 'printf "x\\n1\\n2\\n" | ~/.local/share/edge/runtime/bin/edge-runtime predict line'


def main() -> int:
    """Run every step; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wheels", type=Path, help="folder of aarch64 wheels; else pip's index")
    arguments = parser.parse_args()
    if subprocess.run([PI, "true"], check=False).returncode == EXIT_SKIPPED:
        print("SKIPPED: no board can be emulated here, no kit was installed", file=sys.stderr)
        return int(os.environ.get("PI_REQUIRED") == "1")
    with tempfile.TemporaryDirectory(dir=PLACE) as name:
        steps = Steps(Path(name), arguments.wheels)
        steps.install()
        steps.refuse()
        steps.deploy()
        return int(steps.failed)


class Steps:
    """Steps on the card of one Raspberry Pi 4."""

    def __init__(self, folder: Path, wheels: Path | None) -> None:
        self.folder, self.wheels = folder, wheels
        self.card = folder / "card"
        self.failed = 0
        self.models = {slope: _line(folder, slope) for slope in (2.0, 3.0)}
        self.kit = self._kit("4", slim=True)
        self.unpacked = self._unpack(self.kit.path, "kit")

    def install(self) -> None:
        """Install twice on a fresh card, as an ordinary user, without a network."""
        for number, words in enumerate(INSTALLED, 1):
            self._step(f"install, run {number}", self._install(self.unpacked), 0, words)
        process = self._on_card(PREDICT)
        self._say(
            "predict", _predictions(process.stdout) == [2.0, 4.0], process.stdout + process.stderr
        )
        size = self._on_card("du -sm ~/.local/share/edge | cut -f 1")
        self._step("installed size, MB", size, 0, (size.stdout.strip(),), show=True)
        check = "~/.local/share/edge/runtime/bin/edge-runtime check line"
        self._step("check by name", self._on_card(check), 0, ("golden rows",))

    def refuse(self) -> None:
        """Check that bad kits are refused, each on its own card."""
        tampered = self._unpack(self.kit.path, "tampered")
        wheel = next(tampered.glob("wheels/numpy*"))
        wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
        process = self._install(tampered, keep=False)
        self._step("a tampered wheel", process, 1, (wheel.name, "copy the kit here again"))
        sums = tampered / SUMS
        process = subprocess.run(["sha256sum", wheel], capture_output=True, text=True, check=True)
        lines = [line for line in sums.read_text().splitlines() if not line.endswith(wheel.name)]
        lines.append(f"{process.stdout.split()[0]}  wheels/{wheel.name}")
        sums.write_text("\n".join(lines) + "\n")
        process = self._install(tampered, keep=False)
        self._step("a tampered wheel and its sum", process, 1, ("requirements.txt", "nothing was"))
        process = self._install(self.unpacked, keep=False, python="3.13")
        self._step("another Python", process, 1, ("cpython-3.13", "--python 3.13"))
        process = self._install(self.unpacked, "--disk-mb", "40", keep=False)
        self._step("a small disk", process, 1, ("MB are free", "MB are needed"))
        x86 = shutil.copytree(self.unpacked, self.folder / "x86")
        text = (
            (x86 / "install.sh")
            .read_text()
            .replace("kit_machine='aarch64'", "kit_machine='x86_64'")
        )
        (x86 / "install.sh").write_text(text)
        process = self._install(x86, keep=False)
        self._step("a kit for another machine", process, 1, ("this machine is aarch64",))
        try:
            self._kit("4", pins=["onnxruntime==1.21.0"])
        except EdgeRuntimeError as error:
            message = str(error)
        else:
            message = "it was not refused"
        self._say("onnxruntime 1.21.0 for board 4", "illegal instruction" in message, message)

    def deploy(self) -> None:
        """Deploy through an sshd on the board, over the host's loopback."""
        port = _free_port()
        keys = self.folder / "keys"
        keys.mkdir()
        for name in ("host", "user"):
            command: list[str | Path] = [
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-f",
                keys / name,
            ]
            subprocess.run(command, check=True)
        serve = (
            f"mkdir -p /run/sshd && chmod 600 {keys}/host && exec /usr/sbin/sshd -D -e -p {port} "
            f"-h {keys}/host -o ListenAddress=127.0.0.1 -o UsePAM=no -o StrictModes=no "
            f"-o AuthorizedKeysFile={keys}/user.pub -o SetEnv=QEMU_CPU=cortex-a72"
        )
        options: list[str | Path] = [
            "--network",
            "--with",
            "openssh-server",
            "--show",
            self.folder,
            "--alone",
        ]
        board = subprocess.Popen(
            [PI, "--card", self.folder / "served", *options, "sh", "-c", serve],
            stderr=subprocess.DEVNULL,
        )
        try:
            self._deploy_through(keys, port)
        finally:
            board.terminate()
            board.wait(timeout=60)

    def _deploy_through(self, keys: Path, port: int) -> None:
        key = " ".join((keys / "host.pub").read_text().split()[:2])
        (keys / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
        ssh = self.folder / "bin/ssh"
        ssh.parent.mkdir()
        ssh.write_text(
            f"#!/bin/sh\nexec {shutil.which('ssh')} -F none -i {keys}/user -p {port} "
            f'-o IdentitiesOnly=yes -o UserKnownHostsFile={keys}/known_hosts "$@"\n'
        )
        ssh.chmod(0o755)
        _wait_for(port)
        os.environ["PATH"] = f"{ssh.parent}:{os.environ['PATH']}"
        host, kit = ["root@127.0.0.1"], self.kit.path
        old, new = self.models.values()
        self._deployed("deploy with a kit", 2.0, edge_pipeline.deploy(old, host, install=kit), ssh)
        self._deployed("deploy a newer model", 3.0, edge_pipeline.deploy(new, host), ssh)
        self._deployed("roll back", 2.0, edge_pipeline.roll_back("line", host), ssh)

    def _deployed(
        self, step: str, slope: float, results: list[edge_pipeline.DeployResult], ssh: Path
    ) -> None:
        """Print the result of a deployment; the board must predict *slope* for 1."""
        (result,) = results
        output = subprocess.run(
            [ssh, "root@127.0.0.1", PREDICT], capture_output=True, text=True, check=False
        ).stdout
        passed = result.is_done and _predictions(output) == [slope, 2 * slope]
        self._say(f"{step}, {result.board or result.host}", passed, result.error or output)

    def _kit(
        self, board: str, *, slim: bool = False, pins: Sequence[str] = ()
    ) -> edge_pipeline.Kit:
        output = self.folder / f"{board}.kit.tar.gz"
        return edge_pipeline.make_kit(
            self.models[2.0], output, board=board, slim=slim, pins=pins, wheels=self.wheels
        )

    def _unpack(self, path: Path, name: str) -> Path:
        with tarfile.open(path) as archive:
            archive.extractall(self.folder / name, filter="data")
        return self.folder / name / "line-kit"

    def _install(
        self, kit: Path, *options: str, keep: bool = True, python: str = "3.11"
    ) -> subprocess.CompletedProcess[str]:
        where = ["--card", str(self.card)] if keep else []
        return self._pi(*where, "--python", python, *options, "sh", f"{kit}/install.sh")

    def _on_card(self, script: str) -> subprocess.CompletedProcess[str]:
        return self._pi("--card", str(self.card), "sh", "-c", script)

    def _pi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        user = ["--user", "pi"] if os.geteuid() == 0 else []
        command: list[str | Path] = [PI, "--alone", "--show", self.folder, *user, *arguments]
        self.folder.chmod(0o755)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)

    def _step(
        self,
        step: str,
        process: subprocess.CompletedProcess[str],
        code: int,
        words: Sequence[str],
        *,
        show: bool = False,
    ) -> None:
        output = process.stdout + process.stderr
        passed = process.returncode == code and all(word in output for word in words)
        last = [line for line in process.stderr.splitlines() if line.startswith("edge: ")][-1:]
        self._say(step, passed, " ".join(last) if passed and not show else output)

    def _say(self, step: str, passed: bool, output: str) -> None:
        self.failed += not passed
        print(f"{'ok' if passed else 'FAILED'}  {step}: {output.strip()}", flush=True)


def _line(folder: Path, slope: float) -> Path:
    """Export a model that predicts *slope* times x."""
    X = pd.DataFrame({"x": [1.0, 2.0, 4.0]})
    path = folder / f"{slope:g}.onnx"
    edge_pipeline.export(LinearRegression().fit(X, slope * X["x"]), X, path, name="line")
    return path


def _predictions(output: str) -> list[float]:
    """Parse the last column, rounded, since a linear model may differ in the last bit."""
    return [round(float(row.rpartition(",")[2]), 9) for row in output.splitlines()[1:]]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int) -> None:
    """Wait until sshd listens; the first time, the root is built before."""
    for _ in range(600):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise TimeoutError("the board's sshd does not listen")


if __name__ == "__main__":
    sys.exit(main())
