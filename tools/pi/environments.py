"""Make an environment for the board from a wheel of edge-runtime, with the host's pip.

The host downloads and unpacks faster than an emulated board.  docs/raspberry-pi.md is run without
this shortcut.
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
    """Return a virtual environment of the board's Python with *wheel* and its test packages.

    Raises
    ------
    UnavailableError
        The wheels cannot be downloaded, or no board can be emulated.
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
    process = subprocess.run(
        [PI, "--python", python, "python3", "-m", "venv", "--without-pip", folder],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if not (folder / "bin").is_dir():
        # Without namespaces: a folder that PYTHONPATH names is all that one process needs.
        if process.returncode not in (0, 77):
            raise UnavailableError(f"python3 -m venv failed: {process.stderr.strip()[-300:]}")
        folder.mkdir(parents=True, exist_ok=True)
    _pip(
        "install", python, "--no-index", "--find-links", wheels, "--no-compile",
        "--target", site(folder, python), wheel, *TESTED_WITH,
    )  # fmt: skip
    mark.write_text(stamp, encoding="ascii")
    return folder


def site(folder: Path, python: str) -> Path:
    """Return the folder of an environment's packages."""
    return folder / f"lib/python{python}/site-packages"


def illegal(python: str) -> Path:
    """Return a folder with only the onnxruntime that a Raspberry Pi 4 cannot import."""
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
    process = _run([*call, *arguments])
    if process.returncode:
        errors = [line for line in process.stderr.splitlines() if line.startswith("ERROR")]
        raise UnavailableError(f"pip {command}: {(errors or ['failed'])[-1]}")


def _run(call: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
