"""Run ``edge-runtime bench``: time a model on this machine, and check its limits."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

from edge_runtime.benchmark import Limit, Timing, compare_with_limits, measure, peak_memory_mb
from edge_runtime.cli.console import number_of, print_json, print_line
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.engine.selection import Engine
from edge_runtime.loading import load
from edge_runtime.runtime_check import engine_version

__all__ = ["print_bench"]


def print_bench(
    path: str,
    *,
    as_json: bool,
    rows: int,
    seconds: float,
    store: str | None,
    engine: Engine = "auto",
) -> int:
    """Measure the bundle on this machine; return 1 if a limit is broken or cannot be measured."""
    keys = trusted_keys(store)
    started = time.perf_counter()
    with load(path, trusted_keys=keys, engine=engine) as model:
        load_ms = (time.perf_counter() - started) * 1000
        timings = measure(model, rows=rows, seconds=seconds)
        peak_mb = peak_memory_mb()
        file_bytes = Path(path).stat().st_size
        limits = compare_with_limits(
            model.manifest, timings, file_bytes=file_bytes, peak_mb=peak_mb
        )
        manifest = model.manifest
    figures: dict[str, Any] = {
        "name": manifest.name,
        "version": manifest.version,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "engine": engine_version(model.engine),
        "file_bytes": file_bytes,
        "load_ms": round(load_ms, 3),
        "peak_memory_mb": round(peak_mb, 1),
        "timings": [_timing_to_json(timing) for timing in timings],
        "limits": {
            limit.name: {"limit": limit.limit, "found": limit.value, "kept": limit.is_met}
            for limit in limits
        },
    }
    if as_json:
        print_json(figures)
    else:
        _print_figures(figures, timings, limits)
    return 0 if all(limit.is_met for limit in limits) else 1


def _timing_to_json(timing: Timing) -> dict[str, Any]:
    quantiles = {name: round(value, 3) for name, value in timing.latency_us.items()}
    call = "predict_one" if not timing.rows else "batch"
    return {"call": call, "rows": timing.rows or 1, "calls": timing.calls, "latency_us": quantiles}


def _print_figures(figures: dict[str, Any], timings: list[Timing], limits: list[Limit]) -> None:
    print_line(f"{figures['name']} version {figures['version']}, {figures['file_bytes']:,} bytes")
    print_line(f"{figures['engine']}, Python {figures['python']}, {figures['machine']}")
    print_line(f"load {figures['load_ms']:.1f} ms, peak memory {figures['peak_memory_mb']:.1f} MB")
    names = list(timings[0].latency_us)
    print_line()
    print_line(f"{'microseconds a call':<20}{''.join(f'{name:>12}' for name in names)}{'calls':>9}")
    for timing in timings:
        call = number_of(timing.rows, "row") if timing.rows else "predict_one"
        cells = "".join(f"{timing.latency_us[name]:12,.1f}" for name in names)
        print_line(f"{call:<20}{cells}{timing.calls:9,}")
    if limits:
        print_line()
    for limit in limits:
        bound = f"at {'least' if limit.is_least else 'most'} {limit.limit:,.10g}"
        if limit.value is None:
            print_line(f"{limit.name:<20} {bound}: NOT MEASURED, this runtime does not know it")
        else:
            verdict = "kept" if limit.is_met else "BROKEN"
            value = f"{limit.value:.4f}" if limit.is_least else f"{limit.value:,.1f}"
            print_line(f"{limit.name:<20} {bound}, found {value}: {verdict}")
