"""A manifest in, which outputs answer which method out: pure, and decides nothing."""

from __future__ import annotations

from typing import Any

from edge_runtime.bundle.manifest import METHODS, Manifest, Output
from edge_runtime.errors import IntegrityError

__all__ = ["class_labels", "outputs_by_method"]


def class_labels(manifest: Manifest) -> tuple[Any, ...] | None:
    """What the columns of predict_proba stand for; None when nobody says."""
    classes = tuple(manifest.classes.get("predict", ()))
    return classes if classes and not isinstance(classes[0], list) else None


def outputs_by_method(manifest: Manifest) -> dict[str, tuple[Output, ...]]:
    """Method to its outputs, in the order of :data:`METHODS`."""
    found: dict[str, tuple[Output, ...]] = {}
    for method in METHODS:
        outputs = [output for output in manifest.outputs if output.method == method]
        if not outputs:
            continue
        if len(outputs) > 1 or outputs[0].item is not None:
            outputs.sort(key=lambda output: -1 if output.item is None else output.item)
            if [output.item for output in outputs] != list(range(len(outputs))):
                raise IntegrityError(f"manifest: the outputs of {method} are not numbered from 0")
        found[method] = tuple(outputs)
    return found
