"""Rows whose answer scikit-learn itself does not determine (``Context.mark_ambiguous``).

Two training rows at one distance, a sum of which rounding alone is left: there scikit-learn answers
by the number of threads or the kind of CPU, and to compare with it means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import onnx
import pandas as pd
from edge_runtime.bundle.manifest import Manifest, Output, Requirements
from edge_runtime.model import Model
from numpy.typing import NDArray

from edge_pipeline.conversion.convert import OnnxModel
from edge_pipeline.data.sample import Sample

__all__ = ["ALL_UNDETERMINED", "ROUNDED", "WITHIN_ROUNDING", "determined_rows", "note_of_share"]

WITHIN_ROUNDING = 1e-6
"""Least tolerance where no row at all is determined to nine digits: six are left of most sums that
cancel (columns a million times as far from zero as they spread, kernels of a high degree)."""

LARGEST_UNDETERMINED = 0.05
"""Largest share of the unseen rows that may go uncompared without a note to whoever builds."""

ALL_UNDETERMINED = (
    "scikit-learn's answer is undetermined for every row asked (ties between training rows, "
    "distances of zero, or sums of which rounding alone is left, as of columns far from zero "
    "beside their spread): begin with a StandardScaler, name a wider tolerance, or hand other "
    "rows as X_test"
)

ROUNDED = (
    "scikit-learn's own answer depends on rounding for every row asked; all were compared, within "
    "the tolerance {tolerance:.1g}"
)


def determined_rows(
    model: OnnxModel, sample: Sample, manifest: Manifest, tables: Sequence[pd.DataFrame]
) -> list[NDArray[np.bool_]]:
    """Which rows of each table scikit-learn's answer determines.

    Parameters
    ----------
    manifest
        Of the model's own graph, whose schema the other graph shares.
    """
    if model.ambiguity_graph is None:
        return [np.ones(len(table), dtype=np.bool_) for table in tables]
    used = onnx.ModelProto.FromString(model.ambiguity_graph).opset_import
    manifest = replace(
        manifest,
        outputs=(Output(name="predict", method="predict", dtype="bool", item=None),),
        classes={},
        requires=Requirements(
            {entry.domain: entry.version for entry in used}, manifest.requires.onnxruntime
        ),
    )
    with Model.from_parts(model.ambiguity_graph, manifest) as judge:
        return [~np.asarray(judge.predict(sample.as_trained(table))) for table in tables]


def note_of_share(name: str, kept: NDArray[np.bool_]) -> Iterator[str]:
    """A note when too many of the first group, the unseen rows, were not compared."""
    share = float(np.mean(~kept))
    if share > LARGEST_UNDETERMINED:
        yield (
            f"{share:.0%} of the {len(kept)} {name} were NOT compared: "
            "scikit-learn's own answer to them depends on rounding, or on the order of its "
            "training rows; the file's evidence is about the others alone"
        )
