"""Read from a manifest which outputs of the graph belong to which method of the estimator."""

from __future__ import annotations

from typing import Any

from edge_runtime.bundle.manifest import METHODS, Manifest, Output
from edge_runtime.errors import IntegrityError

__all__ = ["class_labels", "outputs_by_method"]


def class_labels(manifest: Manifest) -> tuple[Any, ...] | None:
    """Labels of the columns of predict_proba; None when the manifest names no classes."""
    classes = tuple(manifest.classes.get("predict", ()))
    return classes if classes and not isinstance(classes[0], list) else None


def outputs_by_method(manifest: Manifest) -> dict[str, tuple[Output, ...]]:
    """Map each method to its outputs, in the order of :data:`METHODS`.

    Raises
    ------
    IntegrityError
        The outputs of a method are not numbered from 0.
    """
    by_method: dict[str, tuple[Output, ...]] = {}
    for method in METHODS:
        outputs = [output for output in manifest.outputs if output.method == method]
        if not outputs:
            continue
        if len(outputs) > 1 or outputs[0].item is not None:
            outputs.sort(key=lambda output: -1 if output.item is None else output.item)
            if [output.item for output in outputs] != list(range(len(outputs))):
                raise IntegrityError(f"manifest: the outputs of {method} are not numbered from 0")
        by_method[method] = tuple(outputs)
    return by_method
