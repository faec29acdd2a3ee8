"""Compare the cost of training and of inference on this machine.

    python benchmarks/training_vs_inference.py --measure > figures.json
    python benchmarks/training_vs_inference.py --show figures.json

It measures whole commands, each in a separate process:
`edge-pipeline build models/penguins --no-report` in .venv and
`edge-runtime predict dist/penguins.onnx` in .venv-device, in turn.  Standard library only: see
`run_once`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".venv/bin"
DEVICE = ROOT / ".venv-device/bin"
MODEL = ROOT / "dist/penguins.onnx"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Run:
    """The duration and peak memory of one process."""

    seconds: float
    peak_memory_mb: float


def run_once(command: Sequence[str | Path]) -> Run:
    """Run *command* to its end; stop the program when it fails.

    On Linux, a new process inherits the peak memory of its parent.  So this module imports nothing
    heavy: its own memory is the smallest peak that it can measure.
    """
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            text = output.read().decode(errors="replace")
            sys.exit(f"edge: {' '.join(map(str, command))} failed:\n{text}")
    return Run(seconds, usage.ru_maxrss / 1024)


def measure(repetitions: int) -> dict[str, Any]:
    """Measure every figure of the table, with machine and versions."""
    training, inference = [], []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "penguins.onnx")
        build: list[str | Path] = [
            BUILD / "edge-pipeline",
            "build",
            "--no-report",
            "models/penguins",
            "--output",
            out,
        ]
        rows = "tools/demo/unseen.csv"
        predict: list[str | Path] = [DEVICE / "edge-runtime", "predict", MODEL, rows]
        # The first run of each fills the page cache and does not count.
        for repetition in range(repetitions + 1):
            build_run, predict_run = run_once(build), run_once(predict)
            if repetition:
                training.append(build_run)
                inference.append(predict_run)
    single = _json_from(BUILD / "python", HERE / "one_row.py", "models/penguins", MODEL)
    return {
        "machine": measuring.machine(),
        "versions": single["versions"],
        "repetitions": {"processes": repetitions, "blocks_of_single_rows": single["blocks"]},
        "training": _side(training, BUILD, "edge-pipeline", single["scikit_learn_us"]),
        "inference": _side(inference, DEVICE, "edge-runtime", single["edge_runtime_us"]),
        "one_row_input": "data frame",
        "one_row_ratio": measuring.spread(single["ratio"]),
    }


def show(figures: dict[str, Any]) -> str:
    """Write the figures as an aligned Markdown table."""
    training, inference = figures["training"], figures["inference"]
    lines = [["", "training", "inference", "ratio"]]
    # Older figures compared a frame with a dict, which is not the same work.
    compares_rows = figures.get("one_row_input") == "data frame"
    for label, key in _LINES if compares_rows else _LINES[:-1]:
        a, b = training[key], inference[key]
        lines.append([label, _cell(a), _cell(b), f"{_median(a) / _median(b):.1f}"])
    blocks = ""
    if compares_rows:
        ratio = figures["one_row_ratio"]
        lines[-1][3] = f"{ratio['median']:.0f} ({ratio['low']:.0f}-{ratio['high']:.0f})"
        count = figures["repetitions"]["blocks_of_single_rows"]
        blocks = f" and of {count} interleaved blocks of single rows"
    widths = [max(len(line[i]) for line in lines) for i in range(4)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    table = [
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |"
        for line in lines
    ]
    machine, versions, times = figures["machine"], figures["versions"], figures["repetitions"]
    note = (
        f"Median (10th-90th percentile) of {times['processes']} whole commands{blocks}. "
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['system']}; Python {machine['python']}, "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + "."
    )
    return "\n".join([*table, "", note])


_LINES = (
    ("one command, seconds", "seconds"),
    ("peak memory, MB", "peak_memory_mb"),
    ("installed, MB", "installed_mb"),
    ("installed, packages", "packages"),
    ("one row in a frame, microseconds", "one_row_us"),
)


def _side(runs: list[Run], folder: Path, name: str, row_us: list[float]) -> dict[str, Any]:
    footprint = _json_from(folder / "python", HERE / "footprint.py", name)
    return {
        "seconds": measuring.spread([run.seconds for run in runs]),
        "peak_memory_mb": measuring.spread([run.peak_memory_mb for run in runs]),
        "installed_mb": footprint["installed_mb"],
        "packages": len(footprint["packages"]),
        "one_row_us": measuring.spread(row_us),
    }


def _json_from(*command: str | Path) -> Any:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"edge: {' '.join(map(str, command))} failed:\n{result.stderr}")
    return json.loads(result.stdout)


def _median(value: float | dict[str, float]) -> float:
    return value["median"] if isinstance(value, dict) else value


def _cell(value: float | dict[str, float]) -> str:
    if not isinstance(value, dict):
        return f"{value:.0f}"
    # Three digits are more than the spread supports.
    digits = 0 if value["median"] >= 100 else 1 if value["median"] >= 10 else 2
    low, median, high = (f"{value[name]:.{digits}f}" for name in ("low", "median", "high"))
    return f"{median} ({low}-{high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--measure", action="store_true", help="measure, and print JSON")
    action.add_argument("--show", metavar="JSON", type=Path, help="print a file's table")
    parser.add_argument("--repetitions", type=int, default=3, help="of whole commands (3)")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.repetitions), indent=2))
    else:
        print(show(json.loads(options.show.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
