"""Time the start of Python up to the first prediction, with its peak memory, in turn.

    .venv-device/bin/python benchmarks/cold_start.py [--blocks 30] --out cold_start.json
    python benchmarks/cold_start.py --show cold_start.json

Each start is a separate process of the interpreter that runs this script; use the device's.  The
bare script imports numpy and onnxruntime, creates the session and runs it once.  Standard library
only: see `run_once` in training_vs_inference.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import measuring
import reporting

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("linear", "digits")

PRINT_PEAK_MEMORY = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
BARE = """
import sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
session.run(["predict"], {"numbers": numpy.zeros((1, int(sys.argv[2])))})
"""
OURS = """
import sys
import edge_runtime
edge_runtime.load(sys.argv[1]).predict_one([0.0] * int(sys.argv[2]))
"""
BASE = "numpy, onnxruntime, session.run"
CONTENDER = "edge_runtime.load, predict_one"
PROGRAMS: dict[str, tuple[str, dict[str, str]]] = {
    BASE: (BARE, {}),
    CONTENDER: (OURS, {}),
    # As the command edge-runtime sets it.
    "the same, OPENBLAS_NUM_THREADS=1": (OURS, {"OPENBLAS_NUM_THREADS": "1"}),
}
"""Source and environment variables of each program."""


def measure(blocks: int) -> dict[str, Any]:
    results = {}
    for name in MODELS:
        path = ROOT / f"dist/{name}.onnx"
        width = {"linear": 1, "digits": 64}[name]
        samples: dict[str, dict[str, list[float]]] = {
            metric: {program: [] for program in PROGRAMS} for metric in ("wall", "cpu", "memory")
        }
        # The first start of each program fills the page cache and does not count.
        for block in range(blocks + 1):
            for program, (source, more) in PROGRAMS.items():
                wall, cpu, memory = start(
                    source + PRINT_PEAK_MEMORY, str(path), str(width), more=more
                )
                if block:
                    samples["wall"][program].append(wall)
                    samples["cpu"][program].append(cpu)
                    samples["memory"][program].append(memory)
        results[name] = {
            metric: measuring.compared(values, BASE) for metric, values in samples.items()
        }
    return results


def start(source: str, *arguments: str, more: dict[str, str]) -> tuple[float, float, float]:
    """Run one program; return its wall time and processor time in microseconds, and its peak MB."""
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", **more}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", source, *arguments], stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    peak_kb = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"a start failed with {process.returncode}")
    return wall * 1e6, (usage.ru_utime + usage.ru_stime) * 1e6, int(peak_kb) / 1024


def show(models: dict[str, Any]) -> str:
    lines = [["start to first answer", "on the clock, ms", "processor, ms", "peak memory, MB"]]
    for name, figures in models.items():
        lines.append([f"**models/{name}**", "", "", ""])
        for program in PROGRAMS:
            wall, cpu, memory = (figures[metric][program] for metric in ("wall", "cpu", "memory"))
            lines.append([program, _ms(wall["us"]), _ms(cpu["us"]), measuring.cell(memory["us"])])
        ratios = [figures[metric][CONTENDER]["ratio"] for metric in ("wall", "cpu")]
        memory = figures["memory"]
        more = memory[CONTENDER]["us"]["median"] - memory[BASE]["us"]["median"]
        lines.append(["ours to bare", *map(measuring.cell, ratios), f"+{more:.1f} MB"])
    return measuring.table(lines)


def _ms(spread: dict[str, float]) -> str:
    return measuring.cell({name: value / 1000 for name, value in spread.items()})


if __name__ == "__main__":
    reporting.main(__doc__, measure, show, blocks=30)
