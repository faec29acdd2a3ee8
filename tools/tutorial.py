"""Type docs/tutorial.md word for word in a fresh copy of the repository, and time every step.

Usage: tutorial.py [--skip-install] [--out FILE.json]

Prints JSON: seconds of each block of shell code, and from `pip install` to the first sealed file.
With --skip-install the environments are those of the Python that runs this.
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


def main() -> int:
    """Run every block, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip-install", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tutorial-") as name:
        folder = Path(name)
        _copy_of_the_repository(folder)
        if arguments.skip_install:
            _environments_at_hand(folder)
        told = _type(folder, skip_install=arguments.skip_install)
    text = json.dumps(told, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0 if told["failed"] is None else 1


def _copy_of_the_repository(folder: Path) -> None:
    """What a clone would hold, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file in filter(None, listed.split("\0")):
            if (ROOT / file).is_file():
                archive.add(ROOT / file, file)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        archive.extractall(folder, filter="data")


def _environments_at_hand(folder: Path) -> None:
    """Have ``edge`` and ``device`` stand for the environment of this Python."""
    here = Path(sys.executable).parent
    (folder / "edge/bin").mkdir(parents=True)
    (folder / "edge/bin/activate").write_text(f'PATH="{here}:$PATH"\n', encoding="utf-8")
    (folder / "device").symlink_to(here.parent)


def _type(folder: Path, *, skip_install: bool) -> dict[str, Any]:
    """Type the blocks into one shell; it says after each how it ended."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    steps: list[dict[str, Any]] = []
    to_first_file, failed = None, None
    started, started_cpu, cpu_to_first_file = time.perf_counter(), _cpu_seconds(), None
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    state = folder / ".shell"
    state.write_text("", encoding="utf-8")
    for block in blocks:
        typed = block
        if skip_install:
            typed = re.sub(r"^.*(python3 -m venv|pip install).*\n", "", block, flags=re.MULTILINE)
        began, worked = time.perf_counter(), _cpu_seconds()
        # The next block knows what this one activated.
        script = f"set -eu\n. {state}\n{typed}\nexport -p > {state}\n"
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        now = time.perf_counter()
        steps.append({"typed": block.splitlines()[-1], "seconds": round(now - began, 1)})
        steps[-1]["cpu_seconds"] = round(_cpu_seconds() - worked, 1)
        if done.returncode:
            failed = f"{block}\n{done.stdout}\n{done.stderr}"
            break
        if to_first_file is None and (folder / FIRST_FILE).is_file():
            to_first_file = round(now - started, 1)
            cpu_to_first_file = round(_cpu_seconds() - started_cpu, 1)
        steps[-1]["printed"] = done.stdout.splitlines()[-3:]
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


def _cpu_seconds() -> float:
    """Seconds that processors worked for the commands so far: what a quiet machine would take."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
