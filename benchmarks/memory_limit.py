"""Find the smallest memory limit of a cgroup under which a model loads and predicts.

    .venv-device/bin/python benchmarks/memory_limit.py --out memory_limit.json
    python benchmarks/memory_limit.py --show memory_limit.json

A bisection between a limit that fails and one that passes stops when they are 4 MB apart; the
smallest limit must then pass three times.  An address-space limit (ulimit -v) would not do: it
counts memory that threads reserve and never touch.  Pages of numpy's and onnxruntime's libraries
count, but the kernel may drop them and read them again; a run of more than 20 s therefore fails.
Without permission for a cgroup, the script prints SKIPPED and measures nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measuring
import reporting

ROOT = Path(__file__).resolve().parent.parent
MOST_MB, STEP_MB = 256, 4
SECONDS = 20
HOW = "The smallest limit passes {blocks} times."

CHILD = """
import sys
import edge_runtime
from edge_runtime.engine.self_test import golden_row
kept = []
for path in sys.argv[1:]:
    model = edge_runtime.load(path)
    if "predict" in model.methods:
        model.predict_one(golden_row(model.manifest))
    kept.append(model)
print("answered", flush=True)
"""
IMPORTS = "import numpy, onnxruntime; print('answered', flush=True)"


class NoCgroupError(Exception):
    """No cgroup with a memory limit can be created here; the message says why."""


def measure(blocks: int) -> dict[str, Any]:
    os.sync()  # pages that are not yet written cannot be dropped
    models = sorted((ROOT / "dist").glob("*.onnx"))
    if not models:
        sys.exit("edge: no models in dist/; make them with `make bench`")
    commands: dict[str, Sequence[str | Path]] = {
        "import numpy, onnxruntime": ["-c", IMPORTS],
        **{f"models/{path.stem}": ["-c", CHILD, path] for path in models},
        "all of them in one process": ["-c", CHILD, *models],
    }
    return {name: smallest(call, blocks) for name, call in commands.items()}


def smallest(call: Sequence[str | Path], times: int) -> dict[str, Any]:
    """Find the limit under which *call* passes *times* times, and how it fails below."""
    charged = _under(MOST_MB, call)
    if charged["how"] != "answered":
        sys.exit(f"edge: fails with {MOST_MB} MB too: {charged}")
    fails, passes, below = 0, MOST_MB, "not tried"
    while passes - fails > STEP_MB:
        middle = (fails + passes) // 2
        how = _under(middle, call)["how"]
        if how == "answered":
            passes = middle
        else:
            fails, below = middle, how
    while not all(_under(passes, call)["how"] == "answered" for _ in range(times)):
        passes += STEP_MB
    return {"smallest_mb": passes, "charged_mb": charged["charged_mb"], "below": below}


def show(figures: dict[str, Any]) -> str:
    lines = [["real memory limit", "smallest, MB", "taken of 256 MB", "just below the smallest"]]
    for name, result in figures.items():
        lines.append(
            [name, str(result["smallest_mb"]), f"{result['charged_mb']:.0f} MB", result["below"]]
        )
    return measuring.table(lines)


def _under(limit_mb: int, call: Sequence[str | Path]) -> dict[str, Any]:
    _drop_file_cache()
    with _cgroup(limit_mb) as (folder, peak):

        def join() -> None:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

        try:
            process = subprocess.run(
                [sys.executable, *call],
                preexec_fn=join,
                capture_output=True, text=True, check=False, timeout=SECONDS,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"how": "reads its files for ever", "charged_mb": float("nan")}
        how = "answered" if process.stdout.strip() == "answered" else _failure_reason(process)
        charged = int(peak.read_text()) / 2**20 if peak.exists() else float("nan")
        return {"how": how, "charged_mb": charged}


def _drop_file_cache() -> None:
    """Drop the packages' files from the page cache, so that their pages count as after a boot."""
    for folder in (Path(sys.prefix, "lib"), ROOT / "dist"):
        for path in [*folder.rglob("*.so*"), *folder.glob("*.onnx")]:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _failure_reason(process: subprocess.CompletedProcess[str]) -> str:
    if process.returncode == -signal.SIGKILL:
        return "killed by the kernel"
    if process.returncode < 0:
        return f"{signal.Signals(-process.returncode).name}"
    last = (process.stderr.strip().splitlines() or ["said nothing"])[-1]
    return last[:120]


@contextmanager
def _cgroup(limit_mb: int) -> Iterator[tuple[Path, Path]]:
    """Create a cgroup with that limit and no swap (version 2 or 1); yield it and its peak file."""
    folder, files = _memory_controller()
    name = folder / f"edge-memory-{os.getpid()}"
    try:
        name.mkdir()
    except OSError as error:
        raise NoCgroupError(f"{folder}: {error.strerror}; run it as root") from error
    try:
        for file, value in files.items():
            if (name / file).exists():
                (name / file).write_text(str(limit_mb * 2**20) if value is None else value)
        peaks = (name / "memory.peak", name / "memory.max_usage_in_bytes")
        yield name, next((peak for peak in peaks if peak.exists()), peaks[0])
    finally:
        name.rmdir()


def _memory_controller() -> tuple[Path, dict[str, str | None]]:
    """Find the mount of the memory controller, and the files to write; None is the limit."""
    top = Path("/sys/fs/cgroup")
    controllers = top / "cgroup.controllers"
    if controllers.exists() and "memory" in controllers.read_text().split():
        return top, {"memory.max": None, "memory.swap.max": "0"}
    if (top / "memory/memory.limit_in_bytes").exists():
        # In this order: memory plus swap must not be less than memory.
        return top / "memory", {
            "memory.limit_in_bytes": None,
            "memory.memsw.limit_in_bytes": None,
        }
    raise NoCgroupError("no cgroup file system with the memory controller is mounted")


if __name__ == "__main__":
    try:
        reporting.main(__doc__, measure, show, blocks=3, how=HOW)
    except NoCgroupError as error:
        print(f"{'=' * 78}\nedge: SKIPPED: memory limits: {error}\n{'=' * 78}", file=sys.stderr)
