"""What every benchmark shares: calls that take turns, ratios with their spread, where it ran.

Standard library alone, and nothing of it heavy: Linux hands a new program the memory mark of the
process that started it (see `run_once` in training_vs_inference.py).
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
"""Contender to its microseconds a call, block by block."""


def interleaved(
    contenders: Mapping[str, Callable[[], Any]], *, blocks: int, block_ms: float = 0.2
) -> Samples:
    """Time calls in turn, a fraction of a millisecond each, so that all see the same machine.

    Whoever comes after a contender with much memory finds the cache cold: so each begins with a
    call that is not timed, and another one comes first in every block.
    What takes longer than :data:`SLOW_MS` a call is timed in every :data:`SELDOM`-th block; the
    others of its samples are NaN.
    """
    calls = {name: _calls_for(call, block_ms) for name, call in contenders.items()}
    slow = {name for name, call in contenders.items() if _took_ms(call) > SLOW_MS}
    samples: Samples = {name: [] for name in contenders}
    names = list(contenders)
    for block in range(blocks):
        first = block % len(names)
        for name in names[first:] + names[:first]:
            call = contenders[name]
            if name in slow and len(slow) < len(contenders) and block % SELDOM:
                samples[name].append(math.nan)
                continue
            call()
            started = time.perf_counter_ns()
            for _ in range(calls[name]):
                call()
            took = time.perf_counter_ns() - started
            samples[name].append(took / calls[name] / 1000)
    return samples


def ratios(samples: Samples, name: str, base: str) -> list[float]:
    """One contender to another, block by block."""
    pairs = zip(samples[name], samples[base], strict=True)
    return [a / b for a, b in pairs if not math.isnan(a / b)]


def compared(samples: Samples, base: str) -> dict[str, dict[str, Any]]:
    """Microseconds a call of every contender, and the ratio to *base*, block by block."""
    return {
        name: {
            "us": spread([value for value in values if not math.isnan(value)]),
            "ratio": spread(ratios(samples, name, base)),
        }
        for name, values in samples.items()
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 10th and 90th percentile."""
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    ends = {"low": tenths[0], "median": statistics.median(values), "high": tenths[-1]}
    return {name: round(value, 4) for name, value in ends.items()}


def machine() -> dict[str, Any]:
    """Where it ran, and how busy that was."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def versions(*names: str) -> dict[str, str]:
    """Of those distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cell(value: Mapping[str, float]) -> str:
    """A spread as text, with no more digits than it supports."""
    middle = value["median"]
    digits = 0 if middle >= 100 else 1 if middle >= 10 else 2
    low, median, high = (f"{value[name]:,.{digits}f}" for name in ("low", "median", "high"))
    return f"{median} ({low}-{high})"


def table(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first line the heading, that also reads well in a terminal."""
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
    return max(1, min(1000, int(block_ms / _took_ms(call))))


def _took_ms(call: Callable[[], Any]) -> float:
    """The quickest of three: the machine has other work."""
    took = []
    for _ in range(3):
        started = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - started)
    return max(1, min(took)) / 1e6


def _processor() -> str:
    # /proc/cpuinfo has "model name" on x86, and "Model" (the board) on a Raspberry Pi.
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return facts.get("model name") or facts.get("Model") or platform.machine()
