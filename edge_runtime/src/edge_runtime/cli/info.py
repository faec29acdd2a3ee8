"""Run ``edge-runtime info``: print what the manifest of a bundle says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edge_runtime.bundle.bundle_file import LoadedBundle, open_bundle
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Column
from edge_runtime.bundle.seal import Seal
from edge_runtime.cli.console import number_of, print_json, print_table
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.trust.keys import TrustedKeys

__all__ = [
    "evidence_lines",
    "parity_line",
    "print_info",
    "signature_line",
    "signature_to_json",
]

MAX_LISTED_VALUES = 8
"""Classes or categories that are listed; more are counted."""


def print_info(path: str, *, as_json: bool, store: str | None = None) -> int:
    """Print the bundle's manifest, after the checks of seal, digest and signature."""
    keys = trusted_keys(store)
    bundle = open_bundle(path, verify=keys.check if keys else None)
    if as_json:
        print_json(
            {
                "file_bytes": bundle.file_bytes,
                "sha256": bundle.seal.sha256,
                **signature_to_json(bundle.seal, keys),
                **bundle.manifest.to_json(),
            }
        )
    else:
        print_table(_info_lines(bundle, keys))
    return 0


def signature_to_json(seal: Seal, keys: TrustedKeys | None) -> dict[str, str | None]:
    """Return the signature for JSON: ``unsigned``, ``unchecked`` or ``trusted``, and the key."""
    if not seal.is_signed:
        return {"signature": "unsigned", "key_id": None}
    return {"signature": "unchecked" if keys is None else "trusted", "key_id": seal.key_id}


def signature_line(seal: Seal, keys: TrustedKeys | None) -> str:
    """Return one line about the signature and whether it was checked."""
    if not seal.is_signed:
        return "unsigned"
    if keys is None:
        return f"signed by key {seal.key_id}, not checked: this device trusts no keys"
    return f"signed by key {seal.key_id}, which this device trusts"


def _info_lines(bundle: LoadedBundle, keys: TrustedKeys | None) -> Iterable[tuple[str, str]]:
    m = bundle.manifest
    yield "model", f"{m.name} version {m.version}"
    yield "task", m.task
    yield "estimator", " ".join(m.estimator.split())
    yield "outputs", ", ".join(f"{o.name} ({o.dtype})" for o in m.outputs)
    for output, labels in m.classes.items():
        yield f"classes of {output}", _shortened(labels)
    yield "input", f"{number_of(len(m.schema.columns), 'column')}, trained on {m.schema.kind}"
    for column in m.schema.columns:
        yield f"  {column.name}", _column_line(column)
    yield "parity", parity_line(m)
    yield from evidence_lines(m)
    yield "golden rows", str(len(m.golden.rows))
    for metric, value in m.metrics.items():
        yield f"metric {metric}", f"{value:.6g}"
    opsets = ", ".join(f"{domain or 'ai.onnx'} {v}" for domain, v in m.requires.opsets.items())
    yield "needs", f"onnxruntime {m.requires.onnxruntime} or later; operators {opsets}"
    yield "built with", ", ".join(f"{name} {v}" for name, v in m.created_by.items()) or "unknown"
    yield "file", f"{bundle.file_bytes:,} bytes, format {bundle.seal.format}"
    yield "signature", signature_line(bundle.seal, keys)
    yield "SHA-256", bundle.seal.sha256


def _column_line(column: Column) -> str:
    parts: list[str] = [column.type if column.tensor is None else f"tensor of {column.tensor}"]
    if column.range_text:
        parts.append(f"seen {column.range_text}")
    if column.categories is not None:
        parts.append(_shortened(column.categories))
    parts.append("may be missing" if column.missing else "never missing")
    if column.limits is not None:
        parts.append(f"limits {column.limits}")
    return ", ".join(parts)


def parity_line(manifest: Manifest) -> str:
    """Return one line about the comparison with scikit-learn at the build."""
    evidence = manifest.parity.outputs.values()
    rows = max((e.rows for e in evidence), default=0)
    differing = sum(e.differing for e in evidence)
    worst = max((e.worst for e in evidence), default=0.0)
    left_out = max((e.undetermined for e in evidence), default=0)
    line = (
        f"{number_of(rows, 'row')} compared with scikit-learn, {number_of(differing, 'label')} "
        f"differed, largest difference {worst:.1e}, allowed {manifest.parity.tolerance:g}"
    )
    if left_out:
        line += f"; {number_of(left_out, 'row')} left out, which scikit-learn does not determine"
    return line


def evidence_lines(manifest: Manifest) -> Iterable[tuple[str, str]]:
    """Yield one line for each output: how it was compared or proven."""
    for name, evidence in manifest.parity.outputs.items():
        if evidence.bound is None:
            why = f"; not proven: {evidence.formula}" if evidence.formula else ""
            promise = f"equal on the rows compared{why}"
        elif evidence.bound == 0:
            promise = f"bit for bit, for every input; {evidence.formula}"
        else:
            promise = f"at most {evidence.bound:.1e} apart; {evidence.formula}"
        yield f"evidence {name}", f"{evidence.level}: {promise}"


def _shortened(values: Iterable[Any]) -> str:
    texts = [str(value) for value in values]
    more = len(texts) - MAX_LISTED_VALUES
    return ", ".join(texts[:MAX_LISTED_VALUES]) + (f" and {more} more" if more > 0 else "")
