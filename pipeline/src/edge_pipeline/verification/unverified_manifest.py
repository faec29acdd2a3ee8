"""Write the manifest with which the device runs a graph before it is verified."""

from __future__ import annotations

from edge_runtime.bundle.manifest import GoldenRows, Manifest, Parity, Requirements

from edge_pipeline.conversion.convert import OnnxModel

__all__ = ["EXACT", "requirements", "unverified_manifest"]

EXACT = 1e-9
"""Default tolerance, relative to an output's largest magnitude: float64 on both sides leaves room
for another order of summation (n terms: n * 1.1e-16, Higham 2002, sec. 4.2), for nothing else."""

OLDEST_ONNXRUNTIME = "1.28"
"""Oldest onnxruntime that the tests run."""


def unverified_manifest(model: OnnxModel, tolerance: float = EXACT) -> Manifest:
    """Describe *model* to the device's reader, without any evidence."""
    return Manifest(
        name="unverified",
        task="unverified",
        estimator="",
        schema=model.schema,
        outputs=model.outputs,
        parity=Parity(tolerance, {}),
        golden=GoldenRows((), {}),
        requires=requirements(model),
        classes=model.classes,
    )


def requirements(model: OnnxModel) -> Requirements:
    """List the operator sets and the onnxruntime that the graph needs."""
    return Requirements(model.opsets, OLDEST_ONNXRUNTIME)
