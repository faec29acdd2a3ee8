"""Run ``edge-runtime check``: load a bundle on this machine, and print what that proved."""

from __future__ import annotations

import platform
from typing import Any

from edge_runtime.bundle.bundle_file import LoadedBundle, open_bundle
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.cli.console import number_of, print_json, print_table
from edge_runtime.cli.info import evidence_lines, parity_line, signature_line, signature_to_json
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.loading import load
from edge_runtime.onnxruntime_versions import installed_onnxruntime
from edge_runtime.trust.keys import TrustedKeys

__all__ = ["print_check"]


def print_check(
    path: str, *, as_json: bool, store: str | None = None, isolate: bool = False
) -> int:
    """Load the bundle as a program would, and print the result of every check."""
    keys = trusted_keys(store)
    bundle = open_bundle(path, verify=keys.check if keys else None)
    with load(path, trusted_keys=keys, isolate=isolate):
        pass
    if as_json:
        print_json(_check_to_json(bundle, keys, isolate))
    else:
        print_table(_check_lines(bundle, keys, isolate))
    return 0


def _check_to_json(bundle: LoadedBundle, keys: TrustedKeys | None, isolate: bool) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": bundle.seal.sha256,
        **signature_to_json(bundle.seal, keys),
        "isolated": isolate,
        "onnxruntime": installed_onnxruntime(),
        "machine": platform.machine(),
        "golden_rows": len(manifest.golden.rows),
        "outputs": [output.name for output in manifest.outputs],
        "tolerance": manifest.parity.tolerance,
        "levels": {name: e.level for name, e in manifest.parity.outputs.items()},
    }


def _check_lines(
    bundle: LoadedBundle, keys: TrustedKeys | None, isolate: bool
) -> list[tuple[str, str]]:
    manifest, seal = bundle.manifest, bundle.seal
    outputs = ", ".join(output.name for output in manifest.outputs)
    isolation = "a process of its own loaded it and predicted, within its limits"
    return [
        ("model", f"{manifest.name} version {manifest.version} ({manifest.task})"),
        ("seal", f"all {bundle.file_bytes:,} bytes are as sealed, SHA-256 {seal.sha256}"),
        ("signature", signature_line(seal, keys)),
        *([("isolation", isolation)] if isolate else []),
        (
            "runtime",
            f"onnxruntime {installed_onnxruntime()} on {platform.machine()}; "
            f"{manifest.requires.onnxruntime} or later is needed",
        ),
        ("graph", f"loads, and gives {outputs}"),
        ("golden rows", _golden_line(manifest)),
        ("at the build", parity_line(manifest)),
        *evidence_lines(manifest),
    ]


def _golden_line(manifest: Manifest) -> str:
    rows = len(manifest.golden.rows)
    if not rows:
        return "none in the bundle: no prediction was compared"
    return (
        f"{number_of(rows, 'row')} predicted here as by scikit-learn: labels equal, numbers within "
        f"{manifest.parity.tolerance:g}"
    )
