"""Run ``edge-runtime doctor``: check this machine, and say what is broken and what to do."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

import edge_runtime
from edge_runtime.cli.console import number_of, print_json, print_table
from edge_runtime.cli.model_names import models_folder
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.onnxruntime_versions import installed_distributions, is_installed
from edge_runtime.runtime_check import run_graph, several_installed

__all__ = ["machine_facts", "print_doctor"]

MAX_RUN_SECONDS = 120
"""Time for a child process to import onnxruntime and run a tiny graph; an SD card may be slow."""

MIN_AVAILABLE_MB = 100
"""Less memory is too little to load numpy, onnxruntime and a small model (64 MB, measured)."""

_RUN_GRAPH = """
import sys
sys.path[:] = {path!r}
from edge_runtime import EdgeRuntimeError
from edge_runtime.runtime_check import run_graph
try:
    sys.stdout.write(run_graph())
except EdgeRuntimeError as error:
    sys.stderr.write(str(error))
    sys.exit(1)
"""


def print_doctor(*, as_json: bool, store: str | None = None) -> int:
    """Print versions, engine, CPU and problems; return 1 if something is broken."""
    problems: list[str] = []
    warnings: list[str] = []
    facts = {
        **machine_facts(problems, warnings),
        "signatures": _signatures(store, problems),
        "models": _models(problems),
    }
    verdict = "OK: this machine can run models"
    if problems:
        verdict = f"NOT OK: {number_of(len(problems), 'problem')}; see above"
    if as_json:
        print_json({**facts, "problems": problems, "warnings": warnings, "ok": not problems})
    else:
        print_table(_lines(facts, problems, warnings, verdict))
    return 1 if problems else 0


def machine_facts(problems: list[str], warnings: list[str]) -> dict[str, str]:
    """Describe this machine and what runs models on it; add what is wrong to the two lists."""
    return {
        "edge-runtime": edge_runtime.__version__,
        "python": f"{platform.python_version()} in {sys.executable}",
        "machine": _machine(),
        "memory": _memory(warnings),
        "numpy": np.__version__,
        "onnxruntime": _onnxruntime(problems, warnings),
    }


def _lines(
    facts: dict[str, Any], problems: list[str], warnings: list[str], verdict: str
) -> Iterable[tuple[str, str]]:
    yield from facts.items()
    for message in warnings:
        yield "warning", message
    for message in problems:
        yield "broken", message
    yield "verdict", verdict


def _machine() -> str:
    cpus = number_of(len(os.sched_getaffinity(0)), "CPU")
    return f"{platform.machine()}, {cpus}, {_cpu_name()}, {platform.system()} {platform.release()}"


def _cpu_name() -> str:
    for line in _lines_of("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or "unknown CPU"


def _memory(warnings: list[str]) -> str:
    sizes = {}
    for line in _lines_of("/proc/meminfo"):
        name, _, value = line.partition(":")
        if value.endswith("kB"):
            sizes[name] = int(value.split()[0]) // 1024
    if "MemTotal" not in sizes:
        return "unknown"
    available = sizes.get("MemAvailable", sizes["MemTotal"])
    if available < MIN_AVAILABLE_MB:
        warnings.append(f"{available} MB of memory are available; end other programs")
    return f"{sizes['MemTotal']:,} MB, {available:,} MB available"


def _lines_of(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20).splitlines()
    except OSError:
        return []


def _onnxruntime(problems: list[str], warnings: list[str]) -> str:
    """Run a tiny graph in a child process, which survives what kills an import."""
    if not is_installed():
        warnings.append(
            "onnxruntime is not installed, so numpy predicts, more slowly; pip install onnxruntime"
        )
        return "none; numpy predicts"
    message, version = _run_in_child()
    several = several_installed()
    if message is not None:
        problems.append(message)
    elif several is not None:
        warnings.append(several)
    if version:
        return f"{version}, runs a graph"
    listed = ", ".join(f"{name} {number}" for name, number in installed_distributions())
    return f"{listed or 'none'}, runs no graph"


def _run_in_child() -> tuple[str | None, str]:
    """Return a message if no graph can be run, and the version if one can."""
    if getattr(sys, "frozen", False) or not sys.executable:  # no Python that could be started
        try:
            return None, run_graph()
        except EdgeRuntimeError as error:
            return str(error), ""
    try:
        child = subprocess.run(
            [sys.executable, "-c", _RUN_GRAPH.format(path=sys.path)],
            capture_output=True,
            timeout=MAX_RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"onnxruntime did not run a graph in {MAX_RUN_SECONDS} s", ""
    if child.returncode == 0:
        return None, child.stdout.decode("utf-8", "replace")
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        return (
            f"onnxruntime ends its process by {name}; this CPU may lack an instruction that the "
            "wheel needs: install another release",
            "",
        )
    errors = child.stderr.decode("utf-8", "replace").strip().splitlines()
    return errors[-1] if errors else "onnxruntime cannot be imported", ""


def _signatures(store: str | None, problems: list[str]) -> str:
    try:
        keys = trusted_keys(store)
    except (EdgeRuntimeError, OSError) as error:
        problems.append(str(error))
        return "the trusted keys cannot be read"
    if keys is None:
        return "not checked: this device trusts no keys"
    return f"{number_of(len(keys.keys), 'trusted key')}"


def _models(problems: list[str]) -> str:
    folder = models_folder()
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return f"none in {folder}"
    models = []
    for name in names:
        current = os.path.join(folder, name, "current")
        if os.path.isfile(os.path.join(current, "model.onnx")):
            models.append(name)
        elif os.path.lexists(current):
            problems.append(f"the model {name} has no file in {current}; deploy it again")
    return f"{', '.join(models) or 'none'} in {folder}"
