"""``verify``: a sealed file and its estimator in, proof and comparison again, on its bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_runtime.bundle.layout import unpack
from edge_runtime.bundle.manifest import LEVELS, Manifest, Parity

from edge_pipeline.build_from_recipe import estimator_and_sample
from edge_pipeline.conversion.convert import OnnxModel, convert_sample, sample_for
from edge_pipeline.errors import ConversionError, ParityError
from edge_pipeline.progress import SILENT, ProgressListener
from edge_pipeline.verification.verify import RefusedRows, verify_model

__all__ = ["VerificationResult", "verify"]


@dataclass(frozen=True)
class VerificationResult:
    """A sealed file that was compared with its estimator once more.

    Attributes
    ----------
    path, manifest
        The file, and what it says of itself.
    parity
        What was found now.
    notes, refused
        As in :class:`edge_pipeline.verification.verify.VerifiedModel`.
    """

    path: Path
    manifest: Manifest
    parity: Parity
    notes: tuple[str, ...]
    refused: RefusedRows

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        found = replace(self.manifest, parity=self.parity).to_json()["parity"]
        return {
            "path": str(self.path),
            "name": self.manifest.name,
            "version": self.manifest.version,
            "parity": found,
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
        An answer differs, or the file says more of itself than can be shown.
    ConversionError
        The estimator is not one for this file.
    EdgeRuntimeError
        The file is damaged.
    TrainingError, DatasetError, OSError
        As :func:`~edge_pipeline.build_from_recipe.export_function`.
    """
    path = Path(path)
    bundle = unpack(path.read_bytes())
    watcher.stage("train")
    estimator, X = estimator_and_sample(against, table)
    watcher.stage("verify")
    sample = sample_for(estimator, X)
    manifest = bundle.manifest
    again = convert_sample(estimator, sample)  # for what is no part of the file: its doubts
    if again.schema.names != manifest.schema.names or again.outputs != manifest.outputs:
        raise ConversionError(
            f"{path} has the columns {list(manifest.schema.names)[:8]} and answers "
            f"{[output.name for output in manifest.outputs]}; the estimator has "
            f"{list(again.schema.names)[:8]} and {[output.name for output in again.outputs]}; "
            "name the function that the file was made from"
        )
    model = OnnxModel(
        graph=bytes(bundle.graph),
        schema=manifest.schema,
        outputs=manifest.outputs,
        classes={name: list(labels) for name, labels in manifest.classes.items()},
        opsets=dict(manifest.requires.opsets),
        output_width=again.output_width,
        ambiguity_graph=again.ambiguity_graph,
    )
    verified = verify_model(model, estimator, sample, tolerance=manifest.parity.tolerance)
    for name, found in verified.parity.outputs.items():
        told = manifest.parity.outputs[name]
        weaker = LEVELS.index(found.level) > LEVELS.index(told.level)
        if weaker or (told.bound is not None and not (found.bound or 0.0) <= told.bound):
            raise ParityError(
                f"{path} says of {name}: {told.level}, {told.bound}; shown is {found.level}, "
                f"{found.bound}; do not use this file, build it again",
                output=name,
            )
    return VerificationResult(path, manifest, verified.parity, verified.notes, verified.refused)
