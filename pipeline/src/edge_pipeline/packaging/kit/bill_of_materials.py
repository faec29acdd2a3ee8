"""Describe the model and the wheels of a kit in a CycloneDX document, with their licences.

The document follows CycloneDX 1.6 (ECMA-424).  It has a dozen fields, so no library is used, which
would bring ten packages; a test validates it by the schema.  It has no date and no serial number:
the same kit has the same document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edge_runtime.bundle.manifest import Manifest
from packaging.utils import canonicalize_name

from edge_pipeline.packaging.kit.slim_wheels import LABEL
from edge_pipeline.packaging.kit.targets import Target
from edge_pipeline.packaging.kit.wheels import Wheel

__all__ = ["bill_of_materials"]


def bill_of_materials(
    manifest: Manifest, model_sha256: str, wheels: Mapping[str, Wheel], pip: Wheel, target: Target
) -> bytes:
    """Return the document as JSON."""
    model = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{manifest.name}",
        "name": manifest.name,
        "version": str(manifest.version),
        "hashes": [{"alg": "SHA-256", "content": model_sha256}],
    }
    kit = {
        "type": "application",
        "bom-ref": "kit",
        "name": f"{manifest.name}-kit",
        "version": str(manifest.version),
        "properties": [
            {"name": "edge:board", "value": target.name},
            {"name": "edge:machine", "value": target.machine},
            {"name": "edge:python", "value": target.python},
        ],
    }
    order = [wheels[name] for name in sorted(wheels)]
    installer = {
        **_component(pip),
        "scope": "excluded",
    }  # pip installs the others, and is not installed itself
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": kit},
        "components": [model, *map(_component, order), installer],
        "dependencies": _dependencies(str(model["bom-ref"]), order),
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _component(wheel: Wheel) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(wheel.name, wheel.version),
        "name": wheel.name,
        "version": wheel.version,
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "licenses": _licences(wheel),
        "purl": _reference(wheel.name, wheel.version),
    }
    upstream, _, label = wheel.version.partition("+")
    if label == LABEL:
        reference = _reference(wheel.name, upstream)
        component["pedigree"] = {
            "ancestors": [
                {"type": "library", "name": wheel.name, "version": upstream, "purl": reference}
            ],
            "notes": "files that inference never opens were left out; the others are unchanged",
        }
    return component


def _licences(wheel: Wheel) -> list[dict[str, Any]]:
    expression = wheel.metadata.get("License-Expression")
    if expression:
        return [{"expression": str(expression)}]
    return [{"license": {"name": wheel.licence}}]


def _dependencies(model: str, wheels: Sequence[Wheel]) -> list[dict[str, Any]]:
    present = {wheel.name: _reference(wheel.name, wheel.version) for wheel in wheels}
    dependencies: list[dict[str, Any]] = [
        {"ref": "kit", "dependsOn": sorted([model, *present.values()])},
        {"ref": model, "dependsOn": [present["edge-runtime"]]},
    ]
    for wheel in wheels:
        needed = {canonicalize_name(r.name) for r in wheel.requirements}
        dependencies.append(
            {
                "ref": present[wheel.name],
                "dependsOn": sorted(present[name] for name in needed & present.keys()),
            }
        )
    return dependencies


def _reference(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
