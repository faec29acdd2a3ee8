"""``edge-runtime info`` and ``check``: a bundle's manifest, and what this machine proves of it."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from typing import Any

from edge_runtime.bundle.bundle_file import LoadedBundle, open_bundle
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Column
from edge_runtime.bundle.seal import Seal
from edge_runtime.cli.notes import counted
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.loading import load
from edge_runtime.onnxruntime_versions import installed_onnxruntime
from edge_runtime.trust.keys import TrustedKeys

__all__ = ["print_check", "print_info"]

_SHOWN = 8


def print_info(path: str, *, as_json: bool, store: str | None = None) -> int:
    """Print what the bundle says of itself, after seal, digest and signature were checked."""
    trusted = trusted_keys(store)
    bundle = open_bundle(path, verify=trusted.check if trusted else None)
    if as_json:
        _print_json(
            {
                "file_bytes": bundle.file_bytes,
                "sha256": bundle.seal.sha256,
                **_signature(bundle.seal, trusted),
                **bundle.manifest.to_json(),
            }
        )
    else:
        _print_table(_info_lines(bundle, trusted))
    return 0


def print_check(
    path: str, *, as_json: bool, store: str | None = None, isolate: bool = False
) -> int:
    """Load the bundle as a program would, and print what that proved."""
    trusted = trusted_keys(store)
    bundle = open_bundle(path, verify=trusted.check if trusted else None)
    with load(path, trusted_keys=trusted, isolate=isolate) as model:
        manifest = model.manifest
    onnxruntime = installed_onnxruntime()
    if as_json:
        _print_json(
            {
                "name": manifest.name,
                "version": manifest.version,
                "sha256": bundle.seal.sha256,
                **_signature(bundle.seal, trusted),
                "isolated": isolate,
                "onnxruntime": onnxruntime,
                "machine": platform.machine(),
                "golden_rows": len(manifest.golden.rows),
                "outputs": [output.name for output in manifest.outputs],
                "tolerance": manifest.parity.tolerance,
                "levels": {name: e.level for name, e in manifest.parity.outputs.items()},
            }
        )
        return 0
    outputs = ", ".join(output.name for output in manifest.outputs)
    _print_table(
        [
            ("model", f"{manifest.name} version {manifest.version} ({manifest.task})"),
            (
                "seal",
                f"all {bundle.file_bytes:,} bytes are as sealed, SHA-256 {bundle.seal.sha256}",
            ),
            ("signature", _signature_line(bundle.seal, trusted)),
            *([("first contact", _FIRST_CONTACT)] if isolate else []),
            (
                "runtime",
                f"onnxruntime {onnxruntime} on {platform.machine()}; "
                f"{manifest.requires.onnxruntime} or later is needed",
            ),
            ("graph", f"loads, and gives {outputs}"),
            ("golden rows", _golden_line(manifest)),
            ("at the build", _parity_line(manifest)),
            *_evidence_lines(manifest),
        ]
    )
    return 0


_FIRST_CONTACT = "a process of its own loaded it and answered, within its limits"


def _signature(seal: Seal, trusted: TrustedKeys | None) -> dict[str, str | None]:
    """For JSON: ``signature`` is ``unsigned``, ``unchecked`` or ``trusted``."""
    if not seal.is_signed:
        return {"signature": "unsigned", "key_id": None}
    return {"signature": "unchecked" if trusted is None else "trusted", "key_id": seal.key_id}


def _signature_line(seal: Seal, trusted: TrustedKeys | None) -> str:
    if not seal.is_signed:
        return "unsigned"
    if trusted is None:
        return f"signed by key {seal.key_id}, not checked: this device trusts no keys"
    return f"signed by key {seal.key_id}, which this device trusts"


def _info_lines(bundle: LoadedBundle, trusted: TrustedKeys | None) -> Iterable[tuple[str, str]]:
    m = bundle.manifest
    yield "model", f"{m.name} version {m.version}"
    yield "task", m.task
    yield "estimator", " ".join(m.estimator.split())
    yield "answers", ", ".join(f"{o.name} ({o.dtype})" for o in m.outputs)
    for output, labels in m.classes.items():
        yield f"classes of {output}", _shortened(labels)
    yield "input", f"{counted(len(m.schema.columns), 'column')}, trained on {m.schema.kind}"
    for column in m.schema.columns:
        yield f"  {column.name}", _column_line(column)
    yield "parity", _parity_line(m)
    yield from _evidence_lines(m)
    yield "golden rows", str(len(m.golden.rows))
    for metric, value in m.metrics.items():
        yield f"metric {metric}", f"{value:.6g}"
    opsets = ", ".join(f"{domain or 'ai.onnx'} {v}" for domain, v in m.requires.opsets.items())
    yield "needs", f"onnxruntime {m.requires.onnxruntime} or later; operators {opsets}"
    yield "built with", ", ".join(f"{name} {v}" for name, v in m.created_by.items()) or "not told"
    yield "file", f"{bundle.file_bytes:,} bytes, format {bundle.seal.format}"
    yield "signature", _signature_line(bundle.seal, trusted)
    yield "SHA-256", bundle.seal.sha256


def _column_line(column: Column) -> str:
    parts: list[str] = [column.type]
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"seen {column.minimum:g} to {column.maximum:g}")
    if column.categories is not None:
        parts.append(_shortened(column.categories))
    parts.append("may be missing" if column.missing else "never missing")
    return ", ".join(parts)


def _golden_line(manifest: Manifest) -> str:
    rows = len(manifest.golden.rows)
    if not rows:
        return "none in the bundle: nothing was proved by asking"
    return (
        f"{counted(rows, 'row')} answered here as scikit-learn did: labels equal, numbers within "
        f"{manifest.parity.tolerance:g}"
    )


def _parity_line(manifest: Manifest) -> str:
    evidence = manifest.parity.outputs.values()
    rows = max((e.rows for e in evidence), default=0)
    differing = sum(e.differing for e in evidence)
    worst = max((e.worst for e in evidence), default=0.0)
    left_out = max((e.undetermined for e in evidence), default=0)
    told = (
        f"{counted(rows, 'row')} compared with scikit-learn, {counted(differing, 'label')} "
        f"differed, largest difference {worst:.1e}, allowed {manifest.parity.tolerance:g}"
    )
    if left_out:
        told += f"; {counted(left_out, 'row')} left out, which scikit-learn does not determine"
    return told


def _evidence_lines(manifest: Manifest) -> Iterable[tuple[str, str]]:
    for name, found in manifest.parity.outputs.items():
        if found.bound is None:
            why = f"; not proven: {found.formula}" if found.formula else ""
            promise = f"equal on the rows compared{why}"
        elif found.bound == 0:
            promise = f"bit for bit, for every input; {found.formula}"
        else:
            promise = f"at most {found.bound:.1e} apart; {found.formula}"
        yield f"evidence {name}", f"{found.level}: {promise}"


def _shortened(values: Iterable[Any]) -> str:
    shown = [str(value) for value in values]
    more = len(shown) - _SHOWN
    return ", ".join(shown[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _print_table(lines: Iterable[tuple[str, str]]) -> None:
    rows = list(lines)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        line = f"{name:<{width}}  {value}"
        # A name in the file may hold anything, a terminal's control sequences too.
        print("".join(letter if letter.isprintable() else "\ufffd" for letter in line))


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2))
