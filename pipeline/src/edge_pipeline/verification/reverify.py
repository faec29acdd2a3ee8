"""Verify a sealed file again: prove and compare the bytes of the file with its estimator."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_runtime.bundle.layout import Bundle, unpack
from edge_runtime.bundle.manifest import LEVELS, Manifest, OutputEvidence, Parity

from edge_pipeline.conversion.convert import OnnxModel, convert_sample, sample_for
from edge_pipeline.data.estimator_function import estimator_and_sample
from edge_pipeline.errors import ConversionError, ParityError
from edge_pipeline.progress import SILENT, ProgressListener
from edge_pipeline.short_repr import short_repr
from edge_pipeline.verification.predict_probes import PROBE_SECONDS
from edge_pipeline.verification.verify import RefusedRows, verify_model

__all__ = ["VerificationResult", "verify"]


@short_repr
@dataclass(frozen=True)
class VerificationResult:
    """The evidence of a sealed file that was compared with its estimator once more.

    Attributes
    ----------
    path, manifest
        The file, and its manifest.
    parity
        The evidence of this verification.
    notes, refused
        As in :class:`edge_pipeline.verification.verify.VerifiedModel`.
    """

    path: Path
    manifest: Manifest
    parity: Parity
    notes: tuple[str, ...]
    refused: RefusedRows

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON values."""
        return {
            "path": str(self.path),
            "name": self.manifest.name,
            "version": self.manifest.version,
            "parity": replace(self.manifest, parity=self.parity).to_json()["parity"],
            "notes": list(self.notes),
            "refused": self.refused._asdict(),
        }


def verify(
    path: str | os.PathLike[str],
    against: str,
    *,
    table: Path | str | None = None,
    watcher: ProgressListener = SILENT,
) -> VerificationResult:
    """Prove and compare a sealed file again, with the estimator that a function returns.

    Parameters
    ----------
    against
        ``module:function`` or ``file.py:function``, as for
        :func:`~edge_pipeline.build_from_recipe.export_function`.
    table
        File with the training input, when the function returns no sample.

    Raises
    ------
    ParityError
        A prediction differs, or the file claims stronger evidence than this verification shows.
    ConversionError
        The estimator is not the one of this file.
    EdgeRuntimeError
        The file is damaged.
    TrainingError, DatasetError, OSError
        As :func:`~edge_pipeline.build_from_recipe.export_function`.
    """
    path = Path(path)
    bundle = unpack(path.read_bytes())
    watcher.stage("train")
    result = estimator_and_sample(against, table, reading=bundle.manifest.reading)
    estimator, X = result.estimator, result.sample
    watcher.stage("verify")
    is_tensor = bundle.manifest.schema.kind == "tensor"
    sample = sample_for(estimator, X, as_tensors=is_tensor)
    # Only the sealed graph is verified; a new conversion marks the ambiguous rows.
    converted = convert_sample(estimator, sample)
    _check_same_interface(path, bundle.manifest, converted)
    model = _sealed_model(bundle, converted)
    manifest = bundle.manifest
    verified = verify_model(
        model,
        estimator,
        sample,
        tolerance=manifest.parity.tolerance,
        probe_seconds=(manifest.parity.left_out or {}).get("probe_seconds", PROBE_SECONDS),
    )
    for name, evidence in verified.parity.outputs.items():
        _check_claim(path, name, manifest.parity.outputs[name], evidence)
    return VerificationResult(path, manifest, verified.parity, verified.notes, verified.refused)


def _sealed_model(bundle: Bundle, converted: OnnxModel) -> OnnxModel:
    """Take the graph of the file, and the ambiguity graph of the new conversion."""
    manifest = bundle.manifest
    return OnnxModel(
        graph=bytes(bundle.graph),
        schema=manifest.schema,
        outputs=manifest.outputs,
        classes={name: list(labels) for name, labels in manifest.classes.items()},
        opsets=dict(manifest.requires.opsets),
        output_width=converted.output_width,
        ambiguity_graph=converted.ambiguity_graph,
    )


def _check_same_interface(path: Path, manifest: Manifest, converted: OnnxModel) -> None:
    """Refuse an estimator that has other columns or outputs than the file."""
    if converted.schema.names != manifest.schema.names or converted.outputs != manifest.outputs:
        raise ConversionError(
            f"{path} has the columns {list(manifest.schema.names)[:8]} and the outputs "
            f"{[output.name for output in manifest.outputs]}; the estimator has "
            f"{list(converted.schema.names)[:8]} and {[o.name for o in converted.outputs]}; "
            "name the function that the file was made from"
        )


def _check_claim(path: Path, name: str, claim: OutputEvidence, evidence: OutputEvidence) -> None:
    """Refuse a file that claims a stronger level, or a smaller bound, than *evidence* shows."""
    is_weaker = LEVELS.index(evidence.level) > LEVELS.index(claim.level)
    if is_weaker or (claim.bound is not None and not (evidence.bound or 0.0) <= claim.bound):
        raise ParityError(
            f"{path} claims for {name}: {claim.level}, {claim.bound}; this verification shows "
            f"{evidence.level}, {evidence.bound}",
            output=name,
            remedy="do not use this file, build it again",
        )
