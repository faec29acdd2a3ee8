"""Compare a slim kit with a full one: size on a board, and start time of Python.

    python benchmarks/slim.py [--blocks 30] --out benchmarks/results/slim.json
    python benchmarks/slim.py --show benchmarks/results/slim.json

The sizes are those of a kit for a Raspberry Pi 4.  For the start times, a full and a slim kit are
installed on this machine; each start is a separate process, in turn.  Needs dist/linear.onnx and a
package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import edge_pipeline
import measuring
import reporting

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "dist/linear.onnx"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
STARTS = {
    "import numpy, onnxruntime": "import numpy, onnxruntime",
    "edge_runtime.load, predict_one": (
        "import sys, edge_runtime; edge_runtime.load(sys.argv[1]).predict_one([0.0])"
    ),
}


def measure(blocks: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        board = {kind: _kit(folder, kind, board="4", python="3.11") for kind in ("full", "slim")}
        here = {
            kind: _install(_kit(folder, kind, platform="x86-64", python=PYTHON), folder / kind)
            for kind in ("full", "slim")
        }
        return {
            "sizes": {kind: kit.to_json() for kind, kit in board.items()},
            "caches": {kind: _cache_bytes(models) for kind, models in here.items()},
            "starts": {
                program: _starts(source, here, blocks) for program, source in STARTS.items()
            },
        }


def _kit(folder: Path, kind: str, **target: str) -> edge_pipeline.Kit:
    output = folder / f"{kind}-{target.get('board', 'here')}.tar.gz"
    return edge_pipeline.make_kit(MODEL, output, slim=kind == "slim", **target)


def _install(kit: edge_pipeline.Kit, folder: Path) -> Path:
    with tarfile.open(kit.path) as archive:
        archive.extractall(folder, filter="data")
    install: list[str | Path] = [folder / f"{kit.name}-kit/install.sh", "--folder", folder / "edge"]
    environment = {**os.environ, "EDGE_PYTHON": sys.executable}
    subprocess.run(["sh", *install], env=environment, check=True, stdout=subprocess.DEVNULL)
    return folder / "edge"


def _cache_bytes(models: Path) -> int:
    """Sum the __pycache__ files that Python wrote during installation and check."""
    return sum(path.stat().st_size for path in models.glob(".runtimes/*/lib/**/*.pyc"))


def _starts(source: str, here: dict[str, Path], blocks: int) -> dict[str, Any]:
    """Measure the processor time of whole processes, which other programs do not disturb."""
    samples: measuring.Samples = {kind: [] for kind in here}
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    for block in range(blocks + 1):  # the first fills the page cache and does not count
        for kind, models in here.items():
            command: list[str | Path] = [models / "runtime/bin/python", "-c", source, MODEL]
            process = subprocess.Popen(command, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f"a start failed with {process.returncode}")
            if block:
                samples[kind].append((usage.ru_utime + usage.ru_stime) * 1e6)
    return measuring.compared(samples, "full")


def show(figures: dict[str, Any]) -> str:
    full, slim = (
        {package["name"]: package for package in figures["sizes"][kind]["packages"]}
        for kind in ("full", "slim")
    )
    lines = [["installed on a Raspberry Pi 4, MB", "full", "slim"]]
    for name, package in full.items():
        slim_bytes = slim[name]["installed_bytes"] if name in slim else 0
        lines.append([name, _mb(package["installed_bytes"]), _mb(slim_bytes)])
    sizes = figures["sizes"]
    lines.append(["all", *(_mb(sizes[kind]["installed_bytes"]) for kind in ("full", "slim"))])
    lines.append(["the kit itself", *(_mb(sizes[k]["kit_bytes"]) for k in ("full", "slim"))])
    lines.append(["Python's caches (here)", *(_mb(figures["caches"][k]) for k in ("full", "slim"))])
    starts = [["a process, processor time here", "full, ms", "slim, ms", "slim to full"]]
    for program, start in figures["starts"].items():
        cells = [
            measuring.cell({name: value / 1000 for name, value in start[kind]["us"].items()})
            for kind in ("full", "slim")
        ]
        starts.append([program, *cells, measuring.cell(start["slim"]["ratio"])])
    return f"{measuring.table(lines)}\n\n{measuring.table(starts)}"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"


if __name__ == "__main__":
    reporting.main(__doc__, measure, show, blocks=30)
