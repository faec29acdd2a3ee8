"""Describe the model and the wheels of a kit in a CycloneDX document, with their licences.

The document follows CycloneDX 1.6 (ECMA-424).  It has a dozen fields, so no library is used, which
would bring ten packages; a test validates it by the schema.  It has no date and no serial number:
the same kit has the same document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from packaging.utils import canonicalize_name

from edge_pipeline.packaging.kit.slim_wheels import LABEL
from edge_pipeline.packaging.kit.targets import Target
from edge_pipeline.packaging.kit.wheels import Wheel
from edge_pipeline.packaging.model_card import cyclonedx

__all__ = ["bill_of_materials"]


def bill_of_materials(
    model: Sequence[Mapping[str, Any]],
    wheels: Mapping[str, Wheel],
    pip: Wheel,
    target: Target,
) -> bytes:
    """Return the document as JSON; *model* is from :func:`model_components`."""
    kit = {
        "type": "application",
        "bom-ref": "kit",
        "name": f"{model[0]['name']}-kit",
        "version": model[0]["version"],
        "properties": [
            {"name": "edge:board", "value": target.name},
            {"name": "edge:machine", "value": target.machine},
            {"name": "edge:python", "value": target.python},
        ],
    }
    order = [wheels[name] for name in sorted(wheels)]
    # pip installs the others, and is not installed itself.
    installer = {**_component(pip), "scope": "excluded"}
    components = [*model, *map(_component, order), installer]
    return cyclonedx(kit, components, _dependencies(model, order))


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


def _dependencies(
    components: Sequence[Mapping[str, Any]], wheels: Sequence[Wheel]
) -> list[dict[str, Any]]:
    model, *data = [component["bom-ref"] for component in components]
    present = {wheel.name: _reference(wheel.name, wheel.version) for wheel in wheels}
    dependencies: list[dict[str, Any]] = [
        {"ref": "kit", "dependsOn": sorted([model, *present.values()])},
        {"ref": model, "dependsOn": [present["edge-runtime"], *data]},
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
