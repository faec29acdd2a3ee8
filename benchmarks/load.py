"""Measure the cost of signature check and graph scan when a file is loaded.

    python benchmarks/load.py dist/penguins.onnx

Signs the file in memory.  Then it times in turn a whole load with a trusted key, the signature
check alone, and the scan of the graph alone.  Prints JSON.  The ratio is a whole load divided by a
load without signature and scan, from the quickest times: noise in the load alone would flatter it.
Needs the extra ``signing``.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from edge_runtime.bundle.bundle_file import open_bundle
from edge_runtime.graph_safety.rules import scan
from edge_runtime.trust.keys import as_trusted_keys
from edge_runtime.trust.signatures import public_key, sign

import edge_runtime

BLOCKS = 200
ISOLATED_BLOCKS = 5
LIMIT = 1.2


def main(path: str) -> None:
    key = Ed25519PrivateKey.generate()
    raw = sign(Path(path).read_bytes(), key)
    keys = as_trusted_keys([public_key(key).to_pem()])
    opened = open_bundle(raw, verify=keys.check)
    calls: dict[str, Callable[[], Any]] = {
        "load": lambda: edge_runtime.load(raw, trusted_keys=keys).close(),
        "signature": lambda: keys.check(opened.seal),
        "scan": lambda: scan(opened.graph, opened.manifest),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()  # the first call imports modules, and does not count
    for _ in range(BLOCKS):
        for name, call in calls.items():
            times[name].append(milliseconds(call))
    isolated = [
        milliseconds(lambda: edge_runtime.load(raw, trusted_keys=keys, isolate=True).close())
        for _ in range(ISOLATED_BLOCKS)
    ]
    load_ms, signature_ms, scan_ms = (min(times[name]) for name in calls)
    figures = {
        "file": {"bytes": opened.file_bytes, "graph_bytes": len(opened.graph)},
        "machine": {"processor": platform.machine(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("numpy", "onnxruntime", "cryptography")},
        "blocks": BLOCKS,
        "milliseconds": {name: spread(values) for name, values in times.items()},
        "isolated_load_milliseconds": spread(isolated),
        "ratio": round(load_ms / (load_ms - signature_ms - scan_ms), 3),
        "limit": LIMIT,
    }
    print(json.dumps(figures, indent=2))


def milliseconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - started) / 1e6


def spread(values: list[float]) -> dict[str, float]:
    """Compute the minimum and the quartiles."""
    low, median, high = statistics.quantiles(values, n=4)
    figures = {"least": min(values), "low": low, "median": median, "high": high}
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
