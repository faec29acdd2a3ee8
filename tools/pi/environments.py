"""A wheel of edge-runtime in, an environment for the board out; the host's pip does the work.

What the host fetches and unpacks need not be emulated; docs/raspberry-pi.md is run the long way.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from roots import UnavailableError

ROOT = Path(__file__).resolve().parents[2]
PI = Path(__file__).with_name("pi")
PLACE = ROOT / ".pi"

TESTED_WITH = ("numpy", "onnxruntime", "pytest", "hypothesis")
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
"""Of wheels that run on Debian 12, whose glibc is 2.36; the newest that projects build for."""

ILLEGAL = "onnxruntime==1.21.0"
"""The release that a Raspberry Pi 4 cannot import."""


def environment(python: str, wheel: Path) -> Path:
    """A virtual environment of the board's Python with *wheel* and what tests it.

    Raises
    ------
    UnavailableError
        The wheels cannot be had, or no board be emulated.
    """
    folder = PLACE / f"venv-{python}"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    stamp = f"{digest}\n{' '.join(TESTED_WITH)}\n"
    mark = folder / ".stamp"
    if mark.exists() and mark.read_text(encoding="ascii") == stamp:
        return folder
    wheels = PLACE / f"wheels-{python}"
    shutil.rmtree(wheels, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    _pip("download", python, "--dest", wheels, *TESTED_WITH)
    made = subprocess.run(
        [PI, "--python", python, "python3", "-m", "venv", "--without-pip", folder],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if not (folder / "bin").is_dir():
        # Without namespaces: a folder that PYTHONPATH names is all that one process needs.
        if made.returncode not in (0, 77):
            raise UnavailableError(f"python3 -m venv failed: {made.stderr.strip()[-300:]}")
        folder.mkdir(parents=True, exist_ok=True)
    _pip(
        "install", python, "--no-index", "--find-links", wheels, "--no-compile",
        "--target", site(folder, python), wheel, *TESTED_WITH,
    )  # fmt: skip
    mark.write_text(stamp, encoding="ascii")
    return folder


def site(folder: Path, python: str) -> Path:
    """Where an environment keeps its packages."""
    return folder / f"lib/python{python}/site-packages"


def illegal(python: str) -> Path:
    """A folder with the onnxruntime that a Raspberry Pi 4 cannot import, and nothing else."""
    folder = PLACE / f"site-{python}-{ILLEGAL.replace('==', '-')}"
    if not folder.exists():
        _pip("install", python, "--no-deps", "--no-compile", "--target", folder, ILLEGAL)
    return folder


def _pip(command: str, python: str, *arguments: str | Path) -> None:
    call: list[str | Path] = [sys.executable, "-m", "pip", command, "--quiet"]
    call += ["--disable-pip-version-check", "--only-binary", ":all:"]
    call += ["--implementation", "cp", "--python-version", python]
    for platform in PLATFORMS:
        call += ["--platform", f"{platform}_aarch64"]
    if command == "install":
        call.append("--ignore-requires-python")  # pip 23 means the host's Python by it
    done = _run([*call, *arguments])
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UnavailableError(f"pip {command}: {(told or ['failed'])[-1]}")


def _run(call: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
