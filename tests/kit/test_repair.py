"""The installer finds damage of kits and runtimes, and repairs a runtime that cannot run."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import edge_pipeline
import pytest

from .conftest import X86_64, Unpacked, run, unpack
from .test_install import IN_TMPFS, NO_NETWORK, can_unshare, predictions, refused, tool

pytestmark = [X86_64, pytest.mark.slow, pytest.mark.xdist_group("kit")]

WITHOUT_LOCKS = """
case "$*" in *flock*) exec {python} -I -c '
import fcntl
def flock(*arguments):
    raise OSError(37, "No locks available")
fcntl.flock = flock
import sys
exec(sys.argv[1])' "$3" ;; esac
exec {python} "$@"
"""


@pytest.fixture
def models(unpacked: Unpacked, tmp_path: Path) -> Path:
    """A folder of models of its own, whose runtime a test may damage."""
    folder = tmp_path / "edge"
    process = unpacked.install(folder)
    assert process.returncode == 0, process.stderr
    return folder


def remove_python(runtime: Path) -> None:
    """Do what an upgrade of the system does."""
    (runtime / "bin/python").unlink()
    (runtime / "bin/python").symlink_to("/usr/bin/python3.0")


def empty_module(runtime: Path) -> None:
    next(runtime.glob("lib/*/site-packages/numpy/random/_pickle.py")).write_bytes(b"")


def change_library(runtime: Path) -> None:
    library = next(runtime.glob("lib/*/site-packages/numpy/linalg/_umath_linalg*.so"))
    content = bytearray(library.read_bytes())
    content[len(content) // 2] ^= 1
    library.unlink()
    library.write_bytes(content)


def remove_package(runtime: Path) -> None:
    shutil.rmtree(next(runtime.glob("lib/*/site-packages/onnxruntime/capi")))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove_python, "its Python (/usr/bin/python3.0) is gone"),
        (empty_module, "numpy/random/_pickle.py is damaged"),
        (change_library, "numpy/linalg/_umath_linalg"),
        (remove_package, "cannot be read: No such file"),
    ],
)
def test_installing_again_repairs_a_runtime(
    unpacked: Unpacked, models: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(models / ".runtimes" / unpacked.kit.runtime_id)
    process = unpacked.install(models)
    assert process.returncode == 0, process.stderr
    assert words in process.stdout
    assert "installing it again" in process.stdout
    assert predictions(models) == [2.0, 4.0]


def test_a_model_is_not_blamed_for_a_broken_runtime(unpacked: Unpacked, models: Path) -> None:
    """And the version before is asked before the message says that it answers."""
    remove_package(models / ".runtimes" / unpacked.kit.runtime_id)
    board = ["sh", unpacked.folder / "board.sh", "activate", "--folder", models, "--name", "line"]
    model = unpacked.folder / "models/line.onnx"
    digest = subprocess.run(["sha256sum", model], capture_output=True, text=True, check=True)
    process = run([*board, "--model", model, "--sha256", digest.stdout[:64]])
    assert process.returncode == 1
    message = process.stderr.splitlines()[-1]
    assert f"the runtime {unpacked.kit.runtime_id} cannot run: " in message
    assert "onnxruntime/capi" in message
    assert "--install KIT" in message
    assert "the version before is refused here too" in message


def test_a_folder_without_the_right_to_run_programs_is_refused(
    unpacked: Unpacked, tmp_path: Path
) -> None:
    if not can_unshare():
        pytest.skip("NO NAMESPACES HERE, NO FILE SYSTEM WAS MOUNTED")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = IN_TMPFS.format(size="400m,noexec", inodes="100000")
    install = ["sh", unpacked.folder / "install.sh", "--folder", disk / "edge"]
    refused(run([*NO_NETWORK, "sh", "-c", script, "-", disk, *install]), tmp_path, "noexec")


def cut_in_a_hash(lines: list[str]) -> str:
    return "".join(lines)[: -len(lines[-1]) + 30]


def drop_a_line(lines: list[str]) -> str:
    return "".join(line for line in lines if "uninstall.sh" not in line)


def repeat_a_line(lines: list[str]) -> str:
    return "".join(lines[0] if "uninstall.sh" in line else line for line in lines)


@pytest.mark.parametrize("damage", [cut_in_a_hash, drop_a_line, repeat_a_line, lambda lines: ""])
def test_a_list_of_digests_must_be_complete(
    slim: edge_pipeline.Kit, tmp_path: Path, damage: Callable[[list[str]], str]
) -> None:
    kit = unpack(slim, tmp_path)
    (kit.folder / "uninstall.sh").write_text("rm -rf /\n")
    digests = kit.folder / "SHA256SUMS"
    digests.write_text(damage(digests.read_text().splitlines(keepends=True)))
    refused(kit.install(tmp_path / "edge"), tmp_path, "SHA256SUMS", "copy the kit here again")


@pytest.mark.parametrize("script", ["install.sh", "board.sh"])
def test_a_lock_that_the_file_system_refuses_is_named(
    unpacked: Unpacked, tmp_path: Path, script: str
) -> None:
    tool(tmp_path / "bin", python3=WITHOUT_LOCKS.format(python=sys.executable))
    command = ["sh", unpacked.folder / script, *(["rollback"] if script == "board.sh" else [])]
    command += ["--folder", tmp_path / "edge", *(["--name", "x"] if script == "board.sh" else [])]
    process = run(command, EDGE_PYTHON=str(tmp_path / "bin/python3"))
    assert process.returncode == 1
    (message,) = process.stderr.splitlines()
    assert "cannot lock" in message
    assert "No locks available" in message
    assert "5 minutes" not in message


@pytest.mark.parametrize("name", ["a\nb", "a\n", "a\x1b[2J", "a\tb"])
def test_a_folder_with_a_control_character_is_refused(
    unpacked: Unpacked, tmp_path: Path, name: str
) -> None:
    for script in (["install.sh"], ["board.sh", "list"]):
        command = ["sh", unpacked.folder / script[0], *script[1:], "--folder", tmp_path / name]
        process = run(command)
        assert process.returncode != 0
        assert "control character" in process.stderr
    assert not list(tmp_path.iterdir())
