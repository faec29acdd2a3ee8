"""Run the commands of docs/tutorial.md in a fresh copy of the repository, and time them.

Usage: tutorial.py [--skip-install] [--out FILE.json]

Prints JSON: the seconds of each block of shell code, and those from `pip install` to the first
sealed file.  With --skip-install it uses the environment of this Python.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/tutorial.md"
FIRST_FILE = Path("dist/penguins.onnx")
STATE = ".shell"


def main() -> int:
    """Run every block and print its duration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip-install", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tutorial-") as name:
        folder = Path(name)
        _copy_repository(folder)
        if arguments.skip_install:
            _link_environments(folder)
        report = _run_page(folder, skip_install=arguments.skip_install)
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0 if report["failed"] is None else 1


def _copy_repository(folder: Path) -> None:
    """Copy the files of a clone, with uncommitted changes, to *folder*."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in filter(None, listed.split("\0")):
            if (ROOT / file).is_file():
                archive.add(ROOT / file, file)
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive:
        archive.extractall(folder, filter="data")


def _link_environments(folder: Path) -> None:
    """Make ``edge`` and ``device`` refer to the environment of this Python."""
    here = Path(sys.executable).parent
    (folder / "edge/bin").mkdir(parents=True)
    (folder / "edge/bin/activate").write_text(f'PATH="{here}:$PATH"\n', encoding="utf-8")
    (folder / "device").symlink_to(here.parent)


def _run_page(folder: Path, *, skip_install: bool) -> dict[str, Any]:
    """Run the blocks of the page one after the other; return their durations."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    steps: list[dict[str, Any]] = []
    to_first_file, cpu_to_first_file, failed = None, None, None
    start, start_cpu = time.perf_counter(), _cpu_seconds()
    (folder / STATE).write_text("", encoding="utf-8")
    for block in blocks:
        step, process = _run_block(block, folder, skip_install=skip_install)
        steps.append(step)
        if process.returncode:
            failed = f"{block}\n{process.stdout}\n{process.stderr}"
            break
        if to_first_file is None and (folder / FIRST_FILE).is_file():
            to_first_file = round(time.perf_counter() - start, 1)
            cpu_to_first_file = round(_cpu_seconds() - start_cpu, 1)
    return {
        "from_pip_install_to_first_sealed_file_seconds": to_first_file,
        "of_that_cpu_seconds": cpu_to_first_file,
        "installed": not skip_install,
        "steps": steps,
        "failed": failed,
        "machine": {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load_average": [round(load, 2) for load in os.getloadavg()],
        },
    }


def _run_block(
    block: str, folder: Path, *, skip_install: bool
) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
    """Run a block in a shell that has the variables of the blocks before it."""
    commands = block
    if skip_install:
        commands = re.sub(r"^.*(python3 -m venv|pip install).*\n", "", block, flags=re.MULTILINE)
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    state = folder / STATE
    start, start_cpu = time.perf_counter(), _cpu_seconds()
    process = subprocess.run(
        ["sh", "-c", f"set -eu\n. {state}\n{commands}\nexport -p > {state}\n"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    step = {
        "typed": block.splitlines()[-1],
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(_cpu_seconds() - start_cpu, 1),
    }
    if not process.returncode:
        step["printed"] = process.stdout.splitlines()[-3:]
    return step, process


def _cpu_seconds() -> float:
    """Return the processor time of the commands so far, which other programs do not change."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
