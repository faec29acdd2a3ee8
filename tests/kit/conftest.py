"""Make kits for this machine and for a board, and install them."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import edge_pipeline
import kits
import pytest

X86_64 = pytest.mark.skipif(
    kits.machine_here() != "x86_64", reason="kits for this machine are x86-64 ones"
)


@dataclass(frozen=True)
class Unpacked:
    """A kit that was unpacked to a folder."""

    kit: edge_pipeline.Kit
    folder: Path

    def install(
        self, models: Path, *options: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run its installer."""
        return run(["sh", self.folder / "install.sh", "--folder", models, *options], **environment)


def run(command: list[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the Python that runs the tests."""
    return subprocess.run(
        command,
        env={"EDGE_PYTHON": sys.executable, **os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def unpack(kit: edge_pipeline.Kit, folder: Path) -> Unpacked:
    with tarfile.open(kit.path) as archive:
        archive.extractall(folder, filter="data")
    return Unpacked(kit, folder / f"{kit.name}-kit")


@pytest.fixture(scope="session")
def line_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kits.line(tmp_path_factory.mktemp("line"), 2.0)


@pytest.fixture(scope="session")
def make(
    line_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., edge_pipeline.Kit]:
    """Make a kit for this machine from downloaded wheels; the arguments are those of make_kit."""

    def kit(path: Path | None = None, **arguments: object) -> edge_pipeline.Kit:
        where = {"platform": "x86-64", "python": kits.HERE} | arguments
        machine = "x86_64" if where.get("platform") == "x86-64" else "aarch64"
        output = tmp_path_factory.mktemp("kit") / "kit.tar.gz"
        where.setdefault("wheels", kits.wheels_for(machine, str(where["python"])))
        return edge_pipeline.make_kit(path or line_file, output, **where)

    return kit


@pytest.fixture(scope="session")
def full(make: Callable[..., edge_pipeline.Kit]) -> edge_pipeline.Kit:
    return make()


@pytest.fixture(scope="session")
def slim(make: Callable[..., edge_pipeline.Kit]) -> edge_pipeline.Kit:
    return make(slim=True)


@pytest.fixture(scope="session")
def unpacked(slim: edge_pipeline.Kit, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    return unpack(slim, tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(scope="session")
def board_kit(make: Callable[..., edge_pipeline.Kit]) -> edge_pipeline.Kit:
    """A kit for a Raspberry Pi 4 with Python 3.11."""
    return make(platform=None, board="4", python="3.11")


@pytest.fixture(scope="session")
def installed(unpacked: Unpacked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models after one installation; tests do not change it."""
    models = tmp_path_factory.mktemp("my models")
    process = unpacked.install(models)
    assert process.returncode == 0, process.stderr
    return models
