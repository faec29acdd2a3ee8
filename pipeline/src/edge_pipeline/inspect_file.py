"""Inspect a sealed file: check its seal and read its manifest, without running the model."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from edge_runtime.bundle.layout import unpack
from edge_runtime.bundle.manifest import Manifest

from edge_pipeline.short_repr import short_repr

if TYPE_CHECKING:
    from edge_pipeline.evaluation.report.measurements import Evaluation

__all__ = ["Inspection", "inspect"]


@short_repr
@dataclass(frozen=True)
class Inspection:
    """A sealed file as it is on disk.

    Attributes
    ----------
    path
        The file.
    bundle_bytes, graph_bytes, manifest_bytes
        Sizes of the file and of its two parts.
    format
        Version of the bundle format.
    sha256
        The digest in the seal, which matches the file.
    key_id
        The key that signed the file, or None; the signature is not checked here.
    manifest
        The manifest of the file.
    operators
        ONNX operator to the number of its nodes in the graph.
    """

    path: Path
    bundle_bytes: int
    graph_bytes: int
    manifest_bytes: int
    format: int
    sha256: str
    key_id: str | None
    manifest: Manifest
    operators: Mapping[str, int]

    @property
    def is_signed(self) -> bool:
        """Whether the file has a signature."""
        return self.key_id is not None

    def evaluation(self) -> Evaluation | None:
        """Read the measurements of the build from ``NAME.report.json`` beside the file.

        None where there are none, or where they are of another file.

        Raises
        ------
        MeasurementError
            It is not an evaluation.
        """
        from edge_pipeline.evaluation.report.measurements import Evaluation, sidecar_of

        sidecar = sidecar_of(self.path)
        evaluation = Evaluation.read(sidecar) if sidecar.is_file() else None
        return evaluation if evaluation and evaluation.sha256 == self.sha256 else None

    def to_sbom(self) -> bytes:
        """Return the model's CycloneDX document (ML-BOM), as JSON.

        It has name, version, digest and metrics; with ``NAME.report.json`` beside the file also
        the digest of the training data.

        Raises
        ------
        MeasurementError
            ``NAME.report.json`` is not an evaluation.
        OSError
            The file cannot be read.
        """
        from edge_pipeline.packaging.model_card import model_document

        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        return model_document(self.manifest, digest, self.evaluation())

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON values."""
        return {
            "path": str(self.path),
            "bytes": self.bundle_bytes,
            "graph_bytes": self.graph_bytes,
            "manifest_bytes": self.manifest_bytes,
            "format": self.format,
            "sha256": self.sha256,
            "key_id": self.key_id,
            "operators": dict(self.operators),
            "manifest": self.manifest.to_json(),
        }


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Check the seal of a file, and read what it says about its model.

    Parameters
    ----------
    path
        A sealed file.

    Raises
    ------
    EdgeRuntimeError
        The file is damaged, or is not a sealed file.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    content = path.read_bytes()
    bundle = unpack(content)
    seal = bundle.seal
    graph = onnx.load_model_from_string(bytes(bundle.graph)).graph
    counts = Counter(node.op_type for node in graph.node)
    return Inspection(
        path=path,
        bundle_bytes=len(content),
        graph_bytes=seal.graph_bytes,
        manifest_bytes=seal.manifest_bytes,
        format=seal.format,
        sha256=seal.sha256,
        key_id=seal.key_id if seal.is_signed else None,
        manifest=bundle.manifest,
        operators=dict(sorted(counts.items())),
    )
