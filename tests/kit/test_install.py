"""Install kits offline, twice, and over an older one; refuse boards with the reason and remedy."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import edge_pipeline
import kits
import pytest

from .conftest import X86_64, Unpacked, run, unpack

pytestmark = [X86_64, pytest.mark.slow, pytest.mark.xdist_group("kit")]

NO_NETWORK = ["unshare", "--map-root-user", "--net", "--mount"]


def predictions(models: Path, name: str = "line") -> list[float]:
    """Return the predictions of the model for 1 and 2."""
    command = [models / "runtime/bin/edge-runtime", "predict", name]
    process = subprocess.run(
        command,
        input=kits.ROWS,
        env={"EDGE_MODELS": str(models), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    return [round(float(row.split(",")[-1]), 9) for row in process.stdout.split()[1:]]


def tree(folder: Path) -> dict[str, bytes | str]:
    """Read every file and link below *folder*, without Python's caches and the lock."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.suffix != ".pyc" and path.name != ".lock"
    }


def tool(folder: Path, **programs: str) -> str:
    """Return a PATH with these programs first, to imitate another board."""
    folder.mkdir(exist_ok=True)
    for name, script in programs.items():
        program = folder / name.replace("_", ".")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def copy(installed: Path, tmp_path: Path) -> Path:
    """Copy an installation; its environment still refers to the old folder."""
    subprocess.run(["cp", "-a", "--link", installed, tmp_path / "edge"], check=True)
    return tmp_path / "edge"


def test_a_kit_installs_without_a_network_and_with_an_old_pip(
    unpacked: Unpacked, tmp_path: Path
) -> None:
    """The kit brings its own pip, so the board's does not matter, nor whether there is one."""
    path = tool(
        tmp_path / "bin",
        python3=f'case "$*" in *ensurepip*|*"-m pip"*) echo pip 9.0.1 >&2; exit 1 ;; esac\n'
        f'exec {sys.executable} "$@"',
    )
    models = tmp_path / "edge"
    install = ["sh", unpacked.folder / "install.sh", "--folder", models, "--python", "python3"]
    process = run([*(NO_NETWORK if can_unshare() else []), *install], PATH=path)
    assert process.returncode == 0, process.stderr
    for text in ("every part is as it was packed", "golden rows", "predict_one", "current is"):
        assert text in process.stdout
    assert predictions(models) == [2.0, 4.0]
    assert not list((models / ".runtimes").glob("*/lib/*/site-packages/pip"))
    if not can_unshare():
        pytest.skip("NO NAMESPACES HERE, THE NETWORK WAS ON")


def test_a_second_run_changes_nothing_and_says_so(unpacked: Unpacked, installed: Path) -> None:
    before = tree(installed)
    process = unpacked.install(installed)
    assert process.returncode == 0
    assert "is installed already" in process.stdout
    assert "is current already" in process.stdout
    assert tree(installed) == before


def test_a_folder_may_have_blanks_in_its_name(unpacked: Unpacked, tmp_path: Path) -> None:
    """Modules in the current folder are not imported."""
    here = tmp_path / "where the owner's programs & notes are"
    here.mkdir()
    for module in ("signal.py", "struct.py", "fcntl.py"):  # the owner of a board has such files
        (here / module).write_text("raise SystemExit(f'{__file__} was run')\n")
    models = here / "100% mine"
    command = ["sh", unpacked.folder / "install.sh", "--folder", models.name]
    process = run(["sh", "-c", 'cd "$0" && umask 077 && exec "$@"', here, *command])
    assert process.returncode == 0, process.stderr
    assert predictions(models) == [2.0, 4.0]
    unit = (models / "line/edge-line.service").read_text()
    quoted = str(models).replace("%", "%%")
    assert f'ExecStart="{quoted}/line/current/runtime/bin/edge-runtime" check' in unit


@pytest.mark.parametrize("name", ['a "b"', "$(touch touched)", "`touch touched`", "a\\b", "a:b"])
def test_both_scripts_refuse_a_folder_that_venv_cannot_use(
    unpacked: Unpacked, tmp_path: Path, name: str
) -> None:
    for script in (["install.sh"], ["board.sh", "list"]):
        command = ["sh", unpacked.folder / script[0], *script[1:], "--folder", name]
        process = run(["sh", "-c", 'cd "$0" && exec "$@"', tmp_path, *command])
        assert process.returncode != 0
        assert name in process.stderr
        assert "name another folder" in process.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_home_a_folder_must_be_named(unpacked: Unpacked) -> None:
    unset = ["env", "-u", "HOME", "-u", "XDG_DATA_HOME", "-u", "EDGE_MODELS", "sh"]
    for script in (["install.sh"], ["board.sh", "remove", "--name", "line"]):
        process = run([*unset, unpacked.folder / script[0], *script[1:]])
        assert process.returncode != 0
        assert "HOME is not set" in process.stderr
        assert "--folder" in process.stderr


def test_changes_of_an_unpacked_kit_do_not_change_the_model(
    slim: edge_pipeline.Kit, installed: Path, tmp_path: Path
) -> None:
    mine = unpack(slim, tmp_path)
    models = copy(installed, tmp_path)
    shutil.rmtree(models / "line")
    assert mine.install(models).returncode == 0
    (mine.folder / "models/line.onnx").write_bytes(b"written over in place")
    assert predictions(models) == [2.0, 4.0]


def test_installing_again_repairs_a_damaged_model(
    installed: Path, make: Callable[..., edge_pipeline.Kit], tmp_path: Path
) -> None:
    """The previous release stays."""
    models = copy(installed, tmp_path)
    newer = unpack(make(kits.line(tmp_path, 3.0), slim=True), tmp_path)
    assert newer.install(models).returncode == 0
    model = models / "line/current/model.onnx"
    model.unlink()
    model.write_bytes(b"an SD card wears out")
    process = newer.install(models)
    assert process.returncode == 0, process.stderr
    assert predictions(models) == [3.0, 6.0]
    back = run(["sh", models / "board.sh", "rollback", "--name", "line", "--folder", models])
    assert back.returncode == 0, back.stderr
    assert predictions(models) == [2.0, 4.0]


def test_an_interrupted_installation_can_be_repeated(unpacked: Unpacked, tmp_path: Path) -> None:
    models = tmp_path / "edge"
    half = models / ".runtimes" / unpacked.kit.runtime_id
    (half / "bin").mkdir(parents=True)
    (half / "bin/python").write_text("cut short")
    process = unpacked.install(models)
    assert process.returncode == 0, process.stderr
    assert predictions(models) == [2.0, 4.0]


def test_a_newer_kit_shares_the_runtime_and_can_be_taken_back(
    installed: Path, make: Callable[..., edge_pipeline.Kit], tmp_path: Path
) -> None:
    models = copy(installed, tmp_path)
    newer = unpack(make(kits.line(tmp_path, 3.0), slim=True), tmp_path)
    process = newer.install(models)
    assert process.returncode == 0, process.stderr
    assert "is installed already" in process.stdout
    assert predictions(models) == [3.0, 6.0]
    for slope in (2.0, 3.0):
        back = run(["sh", models / "board.sh", "rollback", "--name", "line", "--folder", models])
        assert back.returncode == 0, back.stderr
        assert predictions(models)[0] == slope


def test_uninstalling_removes_everything_but_foreign_files(
    unpacked: Unpacked, installed: Path, tmp_path: Path
) -> None:
    models = copy(installed, tmp_path)
    (models / "notes.txt").write_text("mine")
    process = run(["sh", models / "uninstall.sh"])
    assert (process.returncode, process.stdout) == (0, "edge: line is removed\n"), process.stderr
    assert [path.name for path in models.iterdir()] == ["notes.txt"]
    again = run(["sh", unpacked.folder / "uninstall.sh", "--folder", models])
    assert again.returncode == 1
    assert "no model line" in again.stderr


def test_the_systemd_unit_names_what_was_installed(installed: Path) -> None:
    unit = installed / "line/edge-line.service"
    line = next(text for text in unit.read_text().splitlines() if text.startswith("ExecStart="))
    program, argument = line.removeprefix('ExecStart="').removesuffix('"').split('" check "')
    assert run([program, "check", argument]).returncode == 0
    verify = shutil.which("systemd-analyze")
    if verify is not None:
        process = run([verify, "verify", "--user", unit], XDG_RUNTIME_DIR=str(installed))
        assert "edge-line" not in process.stderr


OTHERS = {
    "32-bit ARM": ({"uname": "echo armv7l"}, ["32-bit ARM (armv7l)", "64-bit Raspberry Pi OS"]),
    "a 32-bit x86 board": ({"uname": "echo i686"}, ["32-bit x86", "no wheel"]),
    "another board": ({"uname": "echo riscv64"}, ["riscv64", "Linux x86-64", "edge-pipeline kit"]),
    "musl": (
        {"getconf": "[ $1 = LONG_BIT ] && echo 64", "ldd": "echo musl libc >&2; exit 1"},
        ["musl", "glibc", "Debian"],
    ),
    "an old glibc": (
        {"getconf": "[ $1 = LONG_BIT ] && echo 64 || echo glibc 2.19"},
        ["glibc is 2.19", "or newer is needed", "update the system"],
    ),
}


@pytest.mark.parametrize(("programs", "words"), OTHERS.values(), ids=OTHERS)
def test_a_system_without_wheels_is_named_with_the_remedy(
    unpacked: Unpacked, tmp_path: Path, programs: dict[str, str], words: list[str]
) -> None:
    process = unpacked.install(tmp_path / "edge", PATH=tool(tmp_path / "bin", **programs))
    refused(process, tmp_path, *words)


def test_a_32_bit_system_under_a_64_bit_kernel_is_refused(
    board_kit: edge_pipeline.Kit, tmp_path: Path
) -> None:
    board = unpack(board_kit, tmp_path)
    path = tool(tmp_path / "bin", uname="echo aarch64", getconf="echo 32")
    process = board.install(tmp_path / "edge", PATH=path)
    refused(process, tmp_path, "32-bit ARM (aarch64)", "64-bit Raspberry Pi OS")


def test_a_kit_of_a_raspberry_pi_is_refused_here_by_name(
    board_kit: edge_pipeline.Kit, tmp_path: Path
) -> None:
    process = unpack(board_kit, tmp_path).install(tmp_path / "edge")
    refused(process, tmp_path, "this machine is x86_64", "Raspberry Pi 4", "--platform x86-64")


def test_another_python_version_is_reported_with_the_remedy(
    unpacked: Unpacked, tmp_path: Path
) -> None:
    path = tool(tmp_path / "bin", python3="echo cpython-3.9-64")
    process = unpacked.install(
        tmp_path / "edge", PATH=path, EDGE_PYTHON=str(tmp_path / "bin/python3")
    )
    refused(process, tmp_path, "is cpython-3.9-64", f"cpython-{kits.HERE}-64", "--python 3.9\n")


def test_a_missing_python_is_reported_with_the_remedy(unpacked: Unpacked, tmp_path: Path) -> None:
    process = unpacked.install(tmp_path / "edge", "--python", "no-such-python")
    refused(process, tmp_path, "no 'no-such-python'", "sudo apt install python3")


@pytest.mark.parametrize("part", ["wheels/numpy*", "models/*", "requirements.txt", "install.sh"])
def test_a_changed_part_is_named_and_nothing_is_installed(
    slim: edge_pipeline.Kit, tmp_path: Path, part: str
) -> None:
    kit = unpack(slim, tmp_path)
    spoilt = next(kit.folder.glob(part))
    if part == "install.sh":
        spoilt.write_bytes(spoilt.read_bytes() + b"\n")
    else:
        raw = bytearray(spoilt.read_bytes())
        raw[len(raw) // 2] ^= 1
        spoilt.write_bytes(raw)
    process = kit.install(tmp_path / "edge")
    refused(process, tmp_path, str(spoilt.relative_to(kit.folder)), "copy the kit here again")


def test_a_wheel_whose_checksum_was_changed_with_it_fails_its_hash(
    slim: edge_pipeline.Kit, tmp_path: Path
) -> None:
    kit = unpack(slim, tmp_path)
    wheel = next(kit.folder.glob("wheels/edge_runtime*"))
    wheel.write_bytes(wheel.read_bytes() + b"more")
    sums = run(["sh", "-c", 'cd "$1" && cut -c 67- SHA256SUMS | xargs sha256sum', "-", kit.folder])
    (kit.folder / "SHA256SUMS").write_text(sums.stdout)
    process = kit.install(tmp_path / "edge")
    assert process.returncode == 1
    assert "not the one that requirements.txt names" in process.stderr
    assert not list((tmp_path / "edge/.runtimes").iterdir())


def refused(
    process: subprocess.CompletedProcess[str], tmp_path: Path, *words: str, lines: int = 1
) -> None:
    """Check exit code 1, one line with these words, and that nothing was written."""
    assert process.returncode == 1, process.stdout
    assert [word for word in words if word not in process.stderr] == [], process.stderr
    assert len(process.stderr.splitlines()) == lines
    assert not (tmp_path / "edge").exists()


def can_unshare() -> bool:
    return run([*NO_NETWORK, "true"]).returncode == 0


IN_TMPFS = """
set -e
mount -t tmpfs -o size={size},nr_inodes={inodes} none "$1"
shift
"$@"
"""


@pytest.mark.parametrize(
    ("size", "inodes", "words"),
    [
        ("20m", "100000", ["MB are free", "MB are needed", "--folder"]),
        # df reports free space; the file system has no inode for another file.
        ("400m", "300", ["the disk of", "is full", "nothing was changed"]),
    ],
)
def test_a_full_disk_is_reported_with_the_space_needed(
    unpacked: Unpacked, tmp_path: Path, size: str, inodes: str, words: list[str]
) -> None:
    if not can_unshare():
        pytest.skip("NO NAMESPACES HERE, NO DISK WAS FILLED")
    script = IN_TMPFS.format(size=size, inodes=inodes)
    disk = tmp_path / "disk"
    disk.mkdir()
    install = ["sh", unpacked.folder / "install.sh", "--folder", disk / "edge"]
    list_runtimes = [
        "sh",
        "-c",
        '"$@"; code=$?; ls -A "$0/edge/.runtimes" 2>/dev/null; exit $code',
        disk,
    ]
    process = run([*NO_NETWORK, "sh", "-c", script, "-", disk, *list_runtimes, *install])
    assert process.returncode == 1
    assert [word for word in words if word not in process.stderr] == [], process.stderr
    assert unpacked.kit.runtime_id not in process.stdout


def test_the_scripts_of_a_kit_have_no_fault_that_shellcheck_knows(unpacked: Unpacked) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("NO shellcheck HERE, NO SCRIPT WAS CHECKED; sudo apt install shellcheck")
    process = run(["shellcheck", *sorted(unpacked.folder.glob("*.sh"))])
    assert (process.returncode, process.stdout) == (0, "")
