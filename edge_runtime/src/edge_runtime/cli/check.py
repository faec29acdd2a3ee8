"""Run ``edge-runtime check``: load a bundle on this machine, and print what that proved."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from edge_runtime.bundle.bundle_file import LoadedBundle, open_bundle
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.cli.console import number_of, print_json, print_table
from edge_runtime.cli.info import evidence_lines, parity_line, signature_line, signature_to_json
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.engine.selection import Engine
from edge_runtime.loading import load
from edge_runtime.runtime_check import engine_version
from edge_runtime.trust.keys import TrustedKeys

__all__ = ["print_check"]


def print_check(
    path: str,
    *,
    as_json: bool,
    store: str | None = None,
    isolate: bool = False,
    engine: Engine = "auto",
) -> int:
    """Load the bundle as a program would, and print the result of every check."""
    keys = trusted_keys(store)
    bundle = open_bundle(path, verify=keys.check if keys else None)
    with load(path, trusted_keys=keys, isolate=isolate, engine=engine) as model:
        trial, version = model.trial, engine_version(model.engine)
    if as_json:
        print_json(_check_to_json(bundle, keys, trial, version))
    else:
        print_table(_check_lines(bundle, keys, trial, version))
    return 0


def _check_to_json(
    bundle: LoadedBundle, keys: TrustedKeys | None, trial: Mapping[str, Any] | None, engine: str
) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": bundle.seal.sha256,
        **signature_to_json(bundle.seal, keys),
        "isolated": trial is not None,
        "trial": trial,
        "engine": engine,
        "machine": platform.machine(),
        "golden_rows": len(manifest.golden.rows),
        "outputs": [output.name for output in manifest.outputs],
        "tolerance": manifest.parity.tolerance,
        "verdict": "ok" if manifest.golden.rows else "not compared",
        "levels": {name: e.level for name, e in manifest.parity.outputs.items()},
    }


def _check_lines(
    bundle: LoadedBundle, keys: TrustedKeys | None, trial: Mapping[str, Any] | None, engine: str
) -> list[tuple[str, str]]:
    manifest, seal = bundle.manifest, bundle.seal
    outputs = ", ".join(output.name for output in manifest.outputs)
    return [
        ("model", f"{manifest.name} version {manifest.version} ({manifest.task})"),
        ("seal", f"all {bundle.file_bytes:,} bytes are as sealed, SHA-256 {seal.sha256}"),
        ("signature", signature_line(seal, keys)),
        *([("isolation", _trial_line(trial))] if trial else []),
        (
            "runtime",
            f"{engine} on {platform.machine()}; onnxruntime {manifest.requires.onnxruntime} or "
            "later, or numpy, is needed",
        ),
        ("graph", f"loads, and gives {outputs}"),
        ("golden rows", _golden_line(manifest)),
        ("at the build", parity_line(manifest)),
        *evidence_lines(manifest),
        ("verdict", _verdict(manifest)),
    ]


def _trial_line(trial: Mapping[str, Any]) -> str:
    """Say what the child process tried."""
    rows = trial["rows"]
    line = (
        f"a process of its own loaded it and predicted {rows['golden']} golden, "
        f"{rows['typical']} typical and {rows['extreme']} extreme rows, and {rows['at_once']} at "
        f"once, within {trial['peak_bytes'] / 2**20:.0f} MiB"
    )
    refused = rows["refused"]
    return f"{line}; {number_of(refused, 'row')} refused with an error" if refused else line


def _verdict(manifest: Manifest) -> str:
    if not manifest.golden.rows:
        return f"NOT COMPARED: {manifest.name} loads, but the bundle has no golden rows"
    return f"OK: {manifest.name} predicts on this machine as scikit-learn did"


def _golden_line(manifest: Manifest) -> str:
    rows = len(manifest.golden.rows)
    if not rows:
        return "none in the bundle: no prediction was compared"
    return (
        f"{number_of(rows, 'row')} predicted here as by scikit-learn: labels equal, numbers within "
        f"{manifest.parity.tolerance:g}"
    )
