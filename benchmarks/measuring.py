"""Time calls in turn, summarize ratios with their spread, and describe the machine.

Imports only light modules of the standard library: on Linux, a new process inherits the peak memory
of its parent (see `run_once` in training_vs_inference.py).
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

SLOW_MS, SELDOM = 0.5, 20

Samples = dict[str, list[float]]
"""Name of a contender to its microseconds a call, block by block."""


def interleaved(
    contenders: Mapping[str, Callable[[], Any]], *, blocks: int, block_ms: float = 0.2
) -> Samples:
    """Time calls in turn, a fraction of a millisecond each, so that noise hits all alike.

    A contender that uses much memory leaves a cold cache.  So each turn begins with a call that is
    not timed, and each block begins with another contender.  A call that takes longer than
    :data:`SLOW_MS` is timed in every :data:`SELDOM`-th block; its other samples are NaN.
    """
    calls = {name: _calls_for(call, block_ms) for name, call in contenders.items()}
    slow_names = {name for name, call in contenders.items() if _call_ms(call) > SLOW_MS}
    samples: Samples = {name: [] for name in contenders}
    names = list(contenders)
    for block in range(blocks):
        first = block % len(names)
        for name in names[first:] + names[:first]:
            call = contenders[name]
            if name in slow_names and len(slow_names) < len(contenders) and block % SELDOM:
                samples[name].append(math.nan)
                continue
            call()
            started = time.perf_counter_ns()
            for _ in range(calls[name]):
                call()
            elapsed = time.perf_counter_ns() - started
            samples[name].append(elapsed / calls[name] / 1000)
    return samples


def ratios(samples: Samples, name: str, base: str) -> list[float]:
    """Divide the times of one contender by those of another, block by block."""
    pairs = zip(samples[name], samples[base], strict=True)
    return [a / b for a, b in pairs if not math.isnan(a / b)]


def compared(samples: Samples, base: str) -> dict[str, dict[str, Any]]:
    """Summarize the microseconds of every contender, and its ratio to *base*."""
    return {
        name: {
            "us": spread([value for value in values if not math.isnan(value)]),
            "ratio": spread(ratios(samples, name, base)),
        }
        for name, values in samples.items()
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Compute the median, 10th and 90th percentile."""
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    ends = {"low": tenths[0], "median": statistics.median(values), "high": tenths[-1]}
    return {name: round(value, 4) for name, value in ends.items()}


def machine() -> dict[str, Any]:
    """Describe this machine and its load."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def versions(*names: str) -> dict[str, str]:
    """Look up the versions of those distributions that are installed."""
    installed = {}
    for name in names:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def cell(value: Mapping[str, float]) -> str:
    """Write a spread with no more digits than it supports."""
    middle = value["median"]
    digits = 0 if middle >= 100 else 1 if middle >= 10 else 2
    low, median, high = (f"{value[name]:,.{digits}f}" for name in ("low", "median", "high"))
    return f"{median} ({low}-{high})"


def table(lines: Sequence[Sequence[str]]) -> str:
    """Write an aligned Markdown table; the first line is the heading."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [
        [line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]
        for line in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _calls_for(call: Callable[[], Any], block_ms: float) -> int:
    for _ in range(3):
        call()
    return max(1, min(1000, int(block_ms / _call_ms(call))))


def _call_ms(call: Callable[[], Any]) -> float:
    """Return the quickest of three calls: the machine has other work."""
    times = []
    for _ in range(3):
        started = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - started)
    return max(1, min(times)) / 1e6


def _processor() -> str:
    # /proc/cpuinfo has "model name" on x86, and "Model" (the board) on a Raspberry Pi.
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return facts.get("model name") or facts.get("Model") or platform.machine()
