"""Find the rows that scikit-learn itself does not predict reproducibly.

Examples: two training rows at the same distance, or a sum that cancels to rounding errors.  There
scikit-learn's prediction depends on the number of threads or the kind of CPU, so a comparison
means nothing.  Converters mark such rows with :meth:`Context.mark_ambiguous`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import onnx
import pandas as pd
from edge_runtime.bundle.manifest import Output
from edge_runtime.model import Model
from numpy.typing import NDArray

from edge_pipeline.conversion.convert import OnnxModel
from edge_pipeline.data.sample import Sample
from edge_pipeline.verification.unverified_manifest import unverified_manifest

__all__ = [
    "ALL_AMBIGUOUS",
    "ALL_AMBIGUOUS_NOTE",
    "ALL_AMBIGUOUS_TOLERANCE",
    "ambiguous_share_note",
    "reproducible_rows",
]

ALL_AMBIGUOUS_TOLERANCE = 1e-6
"""Least tolerance where every row is ambiguous: most sums that cancel keep six digits (columns a
million times as far from zero as they spread, kernels of a high degree)."""

ALL_AMBIGUOUS = (
    "scikit-learn's prediction is ambiguous for every row compared: training rows are equally far "
    "away, distances are zero, or sums cancel to rounding errors, as in columns far from zero with "
    "little spread; begin with a StandardScaler, set a wider tolerance, or pass other rows as "
    "X_test"
)

ALL_AMBIGUOUS_NOTE = (
    "scikit-learn's own prediction depends on rounding for every row compared; all rows were "
    "compared, within the tolerance {tolerance:.1g}"
)


def reproducible_rows(
    model: OnnxModel, sample: Sample, tables: Sequence[pd.DataFrame], method: str = "predict"
) -> list[NDArray[np.bool_]]:
    """Tell for every row of *tables* whether scikit-learn's prediction is reproducible.

    Parameters
    ----------
    method
        ``predict`` for what every method depends on; another name for what that method alone does.
    """
    proto = onnx.ModelProto.FromString(model.ambiguity_graph or b"")
    names = [output.name for output in proto.graph.output]
    if method not in names:
        return [np.ones(len(table), dtype=np.bool_) for table in tables]
    marker = replace(
        model,
        graph=model.ambiguity_graph or b"",
        outputs=tuple(Output(name, "predict", "bool", item=i) for i, name in enumerate(names)),
        classes={},
        opsets={entry.domain: entry.version for entry in proto.opset_import},
    )
    with Model.from_parts(marker.graph, unverified_manifest(marker)) as device:
        marks = [device.predict(sample.dense_rows(table)) for table in tables]
    return [~np.asarray(marks_of_table[names.index(method)]) for marks_of_table in marks]


def ambiguous_share_note(name: str, reproducible: NDArray[np.bool_]) -> Iterator[str]:
    """Yield a note when some rows of the group called *name* were not compared."""
    n_ambiguous = int(np.count_nonzero(~reproducible))
    if n_ambiguous:
        yield (
            f"{n_ambiguous} of the {len(reproducible)} {name} were NOT compared: scikit-learn's "
            "own prediction depends there on rounding, or on which of several training rows at the "
            "same distance its search meets first; for such rows the device may predict otherwise"
        )
